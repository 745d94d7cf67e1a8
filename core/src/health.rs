//! Whether a node is well, as the leader sees it: one table over two signals that fail apart.
//!
//! The first signal is silence: no report for `failure_threshold` × `check_interval`. The second is
//! that nobody else hears from the node either: no voter holds its stream, no node hears it over a
//! mesh, since a time that is long enough for them to. One of them alone never calls a node down. Everything here is a length of time that the
//! leader itself measured; no clock of any node counts.
//!
//! There is no delay on the way back: a report proves life, and whoever waits for a node must not
//! wait longer than needed. Flapping is bounded all the same, since after each report silence
//! builds up from nothing: a node changes at most twice in one `failure_threshold` ×
//! `check_interval`, and one that reports at all within that time never changes.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::command::Request;
use crate::inventory::Inventory;
use crate::name::NodeName;
use crate::object::federation::HealthPolicy;
use crate::object::words;

/// A mesh proves its paths every ten seconds, and that is when its nodes hear from one another for
/// sure: two proofs may lack.
const MESH_QUIET_MAX: Duration = Duration::from_secs(20);

words! {
    /// How a node is.
    Health {
        /// It reports.
        Healthy = "healthy",
        /// It is silent; somebody may still hear from it.
        Suspect = "suspect",
        /// It is silent, and nobody hears from it.
        Down = "down",
    }
}

/// How a node is, since when and why: committed at transitions only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeHealth {
    /// How it is.
    pub state: Health,
    /// Why, in one sentence; empty for a node that was never anything but healthy.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Since when, in seconds since 1970; 0: since it was enrolled.
    #[serde(default)]
    pub since_unix_s: u64,
}

/// What this leader has of one node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sighting {
    /// For how long this leader has listened for the node: since it began to lead, or since the
    /// node was enrolled. A new leader declares nobody dead for its own ignorance.
    pub watched_for: Duration,
    /// Whether the node was enrolled when this leader began.
    pub inherited: bool,
    /// How long ago it reported to this leader.
    pub reported_ago: Option<Duration>,
    /// The freshest sign of life that others saw.
    pub sign: Option<Sign>,
}

/// A sign of life that does not come from the node's reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign {
    /// Who saw it.
    pub by: NodeName,
    /// What was seen.
    pub what: SignKind,
    /// How long ago.
    pub ago: Duration,
}

/// What others see of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignKind {
    /// A voter holds the node's open stream.
    Stream,
    /// A node heard from it over a mesh.
    Mesh,
}

/// What both signals say together: a column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// It reported lately.
    Reporting,
    /// It has not reported to this leader, which has not listened long enough.
    Unknown,
    /// It fell silent, and somebody else may have heard from it lately.
    Silent,
    /// It fell silent, and nobody has heard from it for long.
    Gone,
}

impl Default for NodeHealth {
    fn default() -> Self {
        Self {
            state: Health::Healthy,
            reason: String::new(),
            since_unix_s: 0,
        }
    }
}

impl NodeHealth {
    /// Whether nothing was ever committed about it.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Health {
    /// Whether the table has a way from here to there.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        let all = [Seen::Reporting, Seen::Unknown, Seen::Silent, Seen::Gone];
        self != next && all.into_iter().any(|seen| transition(self, seen) == next)
    }
}

impl HealthPolicy {
    /// A node that is silent for longer is suspect.
    #[must_use]
    pub fn silence_max(&self) -> Duration {
        self.check_interval
            .value()
            .saturating_mul(self.failure_threshold)
    }

    /// A node of which nobody heard anything for longer is gone. Others' signs come with their
    /// reports, so one report more than silence may lack.
    #[must_use]
    pub fn unheard_max(&self, is_in_mesh: bool) -> Duration {
        let quiet = if is_in_mesh {
            MESH_QUIET_MAX
        } else {
            Duration::ZERO
        };
        let unheard = self.silence_max().max(quiet);
        unheard.saturating_add(self.check_interval.value())
    }
}

impl Sighting {
    /// For how long the node has been silent, as far as this leader may count.
    #[must_use]
    pub fn silent_for(&self) -> Duration {
        self.reported_ago
            .map_or(self.watched_for, |ago| ago.min(self.watched_for))
    }

    /// For how long nobody has heard from the node in any way.
    #[must_use]
    pub fn unheard_for(&self) -> Duration {
        let silent_for = self.silent_for();
        self.sign_since().map_or(silent_for, |sign| sign.ago)
    }

    /// The sign of life since the node fell silent.
    fn sign_since(&self) -> Option<&Sign> {
        let silent_for = self.silent_for();
        self.sign.as_ref().filter(|sign| sign.ago < silent_for)
    }

    fn seen(&self, policy: &HealthPolicy, is_in_mesh: bool) -> Seen {
        if self.silent_for() < policy.silence_max() {
            return match self.reported_ago {
                Some(_) => Seen::Reporting,
                None => Seen::Unknown,
            };
        }
        if self.unheard_for() < policy.unheard_max(is_in_mesh) {
            Seen::Silent
        } else {
            Seen::Gone
        }
    }
}

/// The whole of the rules: how a node is next, by how it is and what is seen of it.
fn transition(now: Health, seen: Seen) -> Health {
    use Health::{Down, Healthy, Suspect};
    match (now, seen) {
        (Healthy, Seen::Reporting) => Healthy,
        (Healthy, Seen::Unknown) => Healthy,
        (Healthy, Seen::Silent) => Suspect,
        (Healthy, Seen::Gone) => Suspect,

        (Suspect, Seen::Reporting) => Healthy,
        (Suspect, Seen::Unknown) => Suspect,
        (Suspect, Seen::Silent) => Suspect,
        (Suspect, Seen::Gone) => Down,

        (Down, Seen::Reporting) => Healthy,
        (Down, Seen::Unknown) => Down,
        // Others hear the machine; only a report says that its agent works.
        (Down, Seen::Silent) => Down,
        (Down, Seen::Gone) => Down,
    }
}

/// What is to be committed now: transitions, and nothing where nothing changes.
#[must_use]
pub fn step(inventory: &Inventory, sightings: &BTreeMap<NodeName, Sighting>) -> Vec<Request> {
    let policy = &inventory.federation.spec.health;
    let nodes = inventory.nodes.iter();
    nodes
        .filter_map(|(node, record)| {
            let sighting = sightings.get(node)?;
            let seen = sighting.seen(policy, !record.meshes.is_empty());
            let health = transition(record.health.state, seen);
            (health != record.health.state).then(|| Request::SetHealth {
                node: node.clone(),
                health,
                reason: reason(health, sighting),
            })
        })
        .collect()
}

/// Whether a node counts as live: it is well and has reported lately. Whoever a new leader found
/// healthy is given the time to report to it.
#[must_use]
pub fn is_live(state: Health, sighting: &Sighting, policy: &HealthPolicy) -> bool {
    if sighting.silent_for() >= policy.silence_max() {
        return false;
    }
    sighting.reported_ago.is_some() || (state == Health::Healthy && sighting.inherited)
}

fn reason(health: Health, sighting: &Sighting) -> String {
    let silent_s = sighting.silent_for().as_secs();
    match health {
        Health::Healthy => "it reports".to_owned(),
        Health::Suspect => match sighting.sign_since() {
            Some(Sign {
                by,
                what: SignKind::Stream,
                ..
            }) => format!("silent for {silent_s} s; the voter {by} holds its open stream"),
            Some(Sign {
                by,
                what: SignKind::Mesh,
                ago,
            }) => format!(
                "silent for {silent_s} s; {by} heard from it over the mesh {} s ago",
                ago.as_secs()
            ),
            None => format!("silent for {silent_s} s; nobody else has heard from it since"),
        },
        Health::Down => format!(
            "silent for {silent_s} s, and for {} s no voter held its stream and no node heard from \
             it over a mesh",
            sighting.unheard_for().as_secs()
        ),
    }
}

#[cfg(test)]
mod tests;
