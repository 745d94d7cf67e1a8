//! What happened, for people and programs that look back: the last so many committed changes.
//!
//! The ring holds what happened and not how it is told, so that voters whose words differ hold the
//! same state. It is bounded, and says from where on it is complete.

use std::cmp::Ordering;

use imbl::Vector;
use serde::{Deserialize, Serialize};

use crate::command::Event;
use crate::dr::change::PlanChange;
use crate::name::{NodeName, PlanName};
use crate::object::ObjectRef;
use crate::recollection::PastChange;

/// How much is remembered.
pub const EVENTS_MAX: usize = 1024;

/// What happened at one revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happened {
    /// The federation's revision that carries it.
    pub revision: u64,
    /// When the leader decided it, in seconds since 1970.
    pub at_unix_s: u64,
    /// What.
    pub event: Event,
}

/// The last events, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// From this revision on, nothing is missing; 0: nothing has happened yet.
    complete_from: u64,
    ring: Vector<Happened>,
}

/// How an event is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telling {
    /// What kind of event, in a word for programs.
    pub kind: &'static str,
    /// Whom it concerns, as `kind/name`.
    pub subject: String,
    /// One sentence for people.
    pub sentence: String,
}

impl Happened {
    /// How it is told, each part with when it happened, in seconds since 1970: what a node tells of
    /// the past happened one after the other, and before it was told.
    #[must_use]
    pub fn tellings(&self) -> Vec<(u64, Telling)> {
        let Event::Recalled {
            node,
            dropped,
            changes,
        } = &self.event
        else {
            return vec![(self.at_unix_s, self.event.telling())];
        };
        let mut tellings = Vec::new();
        if *dropped > 0 {
            tellings.push((self.at_unix_s, self.event.telling()));
        }
        tellings.extend(changes.iter().map(|change| {
            let what = if change.ended { "ended" } else { "began" };
            let sentence = &change.sentence;
            let telling = Telling {
                kind: "recalled",
                subject: format!("node/{node}"),
                sentence: format!("while nobody heard the node `{node}`, this {what}: {sentence}"),
            };
            (change.at_unix_s, telling)
        }));
        tellings
    }
}

impl History {
    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// The first revision from which on nothing is missing; 0: nothing has happened yet.
    #[must_use]
    pub fn complete_from(&self) -> u64 {
        self.complete_from
    }

    /// What happened at a revision and after it, as far as it is remembered.
    pub fn since(&self, revision: u64) -> impl Iterator<Item = &Happened> {
        let earlier = |happened: &Happened| match happened.revision < revision {
            true => Ordering::Less,
            false => Ordering::Greater,
        };
        let (Ok(first) | Err(first)) = self.ring.binary_search_by(earlier);
        self.ring.focus().narrow(first..).into_iter()
    }

    pub(crate) fn push(&mut self, happened: Happened) {
        if self.complete_from == 0 {
            self.complete_from = happened.revision;
        }
        if self.ring.len() >= EVENTS_MAX
            && let Some(dropped) = self.ring.pop_front()
        {
            self.complete_from = dropped.revision + 1;
        }
        self.ring.push_back(happened);
    }
}

impl Event {
    /// How it is told.
    #[must_use]
    pub fn telling(&self) -> Telling {
        let told = |kind, subject, sentence| Telling {
            kind,
            subject,
            sentence,
        };
        match self {
            Self::Declared(reference) => told(
                "object-declared",
                subject(reference),
                format!("the {reference} was declared"),
            ),
            Self::Changed(reference) => told(
                "object-changed",
                subject(reference),
                format!("the declaration of the {reference} was changed"),
            ),
            Self::Removed(reference) => told(
                "object-removed",
                subject(reference),
                format!("the declaration of the {reference} was taken back"),
            ),
            Self::Enrolled(node) => told(
                "node-enrolled",
                format!("node/{node}"),
                format!("the node `{node}` was enrolled"),
            ),
            Self::KeyChanged(node, mesh) => told(
                "key-changed",
                format!("node/{node}"),
                format!("the node `{node}` has a new key in the VPN mesh `{mesh}`"),
            ),
            Self::NodeRevoked(node) => told(
                "node-revoked",
                format!("node/{node}"),
                format!("the node `{node}` was revoked"),
            ),
            Self::NodeRemoved(node) => told(
                "node-removed",
                format!("node/{node}"),
                format!("the node `{node}` was removed"),
            ),
            Self::UserRevoked(user) => told(
                "user-revoked",
                format!("user/{user}"),
                format!("the certificates of the user `{user}` were revoked"),
            ),
            Self::VoterCalled(node) => told(
                "voter-called",
                format!("node/{node}"),
                format!("the node `{node}` was called to become a voter"),
            ),
            Self::VoterAdded(node) => told(
                "voter-added",
                format!("node/{node}"),
                format!("the node `{node}` became a voter; it votes once it has caught up"),
            ),
            Self::VoterDismissed(node) => told(
                "voter-dismissed",
                format!("node/{node}"),
                format!("the node `{node}` is to be no voter any more"),
            ),
            Self::VoterRemoved(node) => told(
                "voter-removed",
                format!("node/{node}"),
                format!("the node `{node}` is no voter any more"),
            ),
            Self::Recalled {
                node,
                dropped,
                changes,
            } => told(
                "recalled",
                format!("node/{node}"),
                recalled(node, *dropped, changes),
            ),
            Self::HealthChanged {
                node,
                health,
                reason,
            } => told(
                "health-changed",
                format!("node/{node}"),
                format!("the node `{node}` is {health}: {reason}"),
            ),
            Self::AuthorityIntroduced(number) => told(
                "authority-introduced",
                format!("authority/{number}"),
                format!("the certificate authority {number} is to be trusted"),
            ),
            Self::AuthoritySigns(number) => told(
                "authority-signs",
                format!("authority/{number}"),
                format!("the certificate authority {number} signs from now on"),
            ),
            Self::AuthorityRetired(number) => told(
                "authority-retired",
                format!("authority/{number}"),
                format!("the certificate authority {number} is trusted no more"),
            ),
            Self::Restored { from_revision } => told(
                "federation-restored",
                "federation".to_owned(),
                format!("the federation was restored from a backup of revision {from_revision}"),
            ),
            Self::Rejoined(node) => told(
                "node-rejoined",
                format!("node/{node}"),
                format!("the node `{node}` is back in the restored federation"),
            ),
            Self::Plan {
                plan,
                change,
                asked_by,
            } => told(
                "dr-plan",
                format!("dr_plan/{plan}"),
                step(plan, change, asked_by.as_deref()),
            ),
            Self::LevelRaised(level) => told(
                "feature-level-raised",
                format!("feature-level/{level}"),
                format!("every voter supports the feature level {level}, which holds from now on"),
            ),
        }
    }
}

fn subject(reference: &ObjectRef) -> String {
    match reference {
        ObjectRef::Federation(name) => format!("federation/{name}"),
        ObjectRef::MemberCluster(name) => format!("member_cluster/{name}"),
        ObjectRef::VpnMesh(name) => format!("vpn_mesh/{name}"),
        ObjectRef::DrPlan(name) => format!("dr_plan/{name}"),
    }
}

/// A step of a plan, with who asked for it: that stands in its reason already, if it has one.
fn step(plan: &PlanName, change: &PlanChange, asked_by: Option<&str>) -> String {
    match asked_by.filter(|_| !change.has_reason()) {
        Some(by) => format!("DR plan `{plan}`: {change} (by the word of {by})"),
        None => format!("DR plan `{plan}`: {change}"),
    }
}

fn recalled(node: &NodeName, dropped: u64, changes: &[PastChange]) -> String {
    let count = changes.len();
    let lost = match dropped {
        0 => String::new(),
        _ => format!("; {dropped} earlier ones gave way to these"),
    };
    format!("the node `{node}` tells of {count} changes while nobody heard it{lost}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn happened(revision: u64) -> Happened {
        Happened {
            revision,
            at_unix_s: 0,
            event: Event::Enrolled("a".parse().unwrap()),
        }
    }

    #[test]
    fn the_ring_is_bounded_and_says_from_where_on_it_is_complete() {
        let mut history = History::default();
        assert_eq!(history.complete_from(), 0);
        let last = EVENTS_MAX as u64 + 10;
        for revision in 3..=last {
            history.push(happened(revision));
        }
        assert_eq!(history.since(0).count(), EVENTS_MAX);
        assert_eq!(history.complete_from(), last - EVENTS_MAX as u64 + 1);
        let first = history.since(0).next().unwrap();
        assert_eq!(first.revision, history.complete_from());
        assert_eq!(history.since(last).count(), 1);
        assert_eq!(history.since(last + 1).count(), 0);
    }

    #[test]
    fn a_step_that_somebody_asked_for_says_who_once() {
        let by = "spiffe://acme/user/admin";
        let told = |change, asked_by: Option<&str>| {
            let event = Event::Plan {
                plan: "orders".parse().unwrap(),
                change,
                asked_by: asked_by.map(str::to_owned),
            };
            event.telling().sentence
        };
        let insisted = || PlanChange::Insisted {
            to: None,
            allows_data_loss: true,
            reason: format!("{by} asks for it"),
        };
        for (change, sentence) in [
            (
                PlanChange::Paused(false),
                "DR plan `orders`: it is resumed (by the word of spiffe://acme/user/admin)",
            ),
            (
                insisted(),
                "DR plan `orders`: its run is to go on, and data may be lost: \
                 spiffe://acme/user/admin asks for it",
            ),
        ] {
            assert_eq!(told(change, Some(by)), sentence);
        }
        let by_itself = told(PlanChange::Writes, None);
        assert_eq!(by_itself, "DR plan `orders`: the new primary takes writes");
    }

    #[test]
    fn a_step_of_before_anybody_was_named_is_read_and_written_as_it_was() {
        let written = r#"{"plan":{"plan":"orders","change":{"paused":true}}}"#;
        let event: Event = serde_json::from_str(written).unwrap();
        assert_eq!(serde_json::to_string(&event).unwrap(), written);
    }

    #[test]
    fn a_state_of_before_there_was_a_history_does_not_claim_to_know_its_past() {
        let mut history = History::default();
        history.push(happened(500));
        assert_eq!(history.complete_from(), 500);
    }
}
