//! How far a DR plan has got: what is committed of it, and what a change makes of that.
//!
//! Everything that a run needs to go on after a crash stands here; what the leader merely sees (who
//! reports, what answers) does not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::choose::SyncSet;
use super::drill::{DRILLS_MAX, Drill, DrillEnd, DrillOutcome, PastDrill};
use super::position::{Mark, Position};
use crate::name::{ClusterName, NodeName};
use crate::object::words;

words! {
    /// Why the primary moves.
    RunKind {
        /// For the first time somebody is primary.
        Start = "start",
        /// Unplanned: the old primary is gone.
        Failover = "failover",
        /// Planned: the old primary is well.
        Switchover = "switchover",
        /// A switchover back to the plan's home.
        Failback = "failback",
    }
}

words! {
    /// How far a run is.
    Phase {
        /// The old primary is asked to stop; it still holds its lease.
        Demoting = "demoting",
        /// The standbys refuse the old primary, and its end is awaited.
        Fencing = "fencing",
        /// A standby has the lease, and is to become primary.
        Promoting = "promoting",
        /// The new primary takes writes, and clients are led to it.
        Redirecting = "redirecting",
    }
}

words! {
    /// How a run ended.
    Outcome {
        /// Another site is primary.
        Moved = "moved",
        /// The old primary came back before anybody was promoted, and stays it.
        Recovered = "recovered",
        /// It was given up before the old primary stopped.
        Cancelled = "cancelled",
        /// The old primary is primary again: the other one could not become it.
        RolledBack = "rolled-back",
    }
}

/// One execution of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Why.
    pub kind: RunKind,
    /// How far it is.
    pub phase: Phase,
    /// The site that is left; none: nobody was primary before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<ClusterName>,
    /// The site that was asked for, or that was chosen; none: not chosen yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<ClusterName>,
    /// The revision at which it began, or began to fence anew: what standbys tell counts once they
    /// have cut their connection for this one.
    pub began_revision: u64,
    /// When it began, in seconds since 1970.
    pub began_unix_s: u64,
    /// When its latest step was committed, in seconds since 1970.
    pub step_unix_s: u64,
    /// Why, in one sentence, and who asked for it.
    pub reason: String,
    /// Somebody asked for it: the old primary is to stop even if it is well.
    #[serde(default, skip_serializing_if = "is_false")]
    pub asked: bool,
    /// An operator said that data may be lost.
    #[serde(default, skip_serializing_if = "is_false")]
    pub allows_data_loss: bool,
    /// An operator said that the old primary can't write.
    #[serde(default, skip_serializing_if = "is_false")]
    pub fence_confirmed: bool,
    /// Where the old primary was when it had stopped; none: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_position: Option<Position>,
    /// How many bytes the one that was promoted is known to lack; none: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_bytes: Option<u64>,
    /// Sites that were chosen in this run and did not become primary.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<ClusterName>,
}

/// What is remembered of the latest run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastRun {
    /// Why.
    pub kind: RunKind,
    /// How it ended.
    pub outcome: Outcome,
    /// The site that was left.
    pub from: Option<ClusterName>,
    /// The primary since.
    pub to: ClusterName,
    /// When it began, in seconds since 1970.
    pub began_unix_s: u64,
    /// When it ended, in seconds since 1970.
    pub ended_unix_s: u64,
    /// Why it began, in one sentence.
    pub reason: String,
    /// How many bytes of the old primary's were known to be lost; none: not known.
    pub lost_bytes: Option<u64>,
}

/// What is committed of one plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRecord {
    /// The revision of the latest change of anything but the mark.
    pub revision: u64,
    /// The node of each site that has a copy: chosen once, and not by who reports.
    pub nodes: BTreeMap<ClusterName, NodeName>,
    /// Sites whose copy was whole once.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub whole: BTreeSet<ClusterName>,
    /// The site that is primary, or was last; none: nobody ever was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<ClusterName>,
    /// The lease under which it became so.
    pub epoch: u64,
    /// Whether the guard of that lease stops the workload at its end, by its own word: else the end
    /// of the lease proves nothing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub fences_itself: bool,
    /// Who has each acknowledged commit, for sure.
    #[serde(default)]
    pub set: SyncSet,
    /// Who is to have each, once the primary's server is told.
    #[serde(default)]
    pub wanted_set: SyncSet,
    /// The revision at which that was decided.
    #[serde(default)]
    pub wanted_revision: u64,
    /// The last that was known of the primary's position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Mark>,
    /// The run that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
    /// The latest that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub past: Option<PastRun>,
    /// The drill that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<Drill>,
    /// The latest drills that ended, the last one last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drills: Vec<PastDrill>,
    /// How many drills began.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub drills_begun: u64,
    /// When the latest drill began or the schedule was declared, in seconds since 1970: what was due
    /// before is done or nobody's.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub drilled_unix_s: u64,
    /// Nothing happens by itself, on an operator's word.
    #[serde(default, skip_serializing_if = "is_false")]
    pub paused: bool,
    /// The node that may still be primary, as far as this federation can know: it was restored from a
    /// backup, and somebody must say that the node is fenced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<NodeName>,
}

impl PlanRecord {
    /// The node of the site that is primary, or was last.
    #[must_use]
    pub fn primary_node(&self) -> Option<&NodeName> {
        self.nodes.get(self.primary.as_ref()?)
    }

    /// The sites that have a copy and are not primary.
    pub fn standbys(&self) -> impl Iterator<Item = (&ClusterName, &NodeName)> {
        let primary = self.primary.as_ref();
        self.nodes
            .iter()
            .filter(move |(cluster, _)| Some(*cluster) != primary)
    }
}

impl PlanRecord {
    /// Ends the drill that is under way, if it is this one.
    pub(super) fn end_drill(&mut self, number: u64, now_unix_s: u64, end: DrillEnd) {
        let Some(drill) = self.drill.take_if(|drill| drill.number == number) else {
            return;
        };
        self.drills.push(drill.ended(now_unix_s, end));
        let surplus = self.drills.len().saturating_sub(DRILLS_MAX);
        self.drills.drain(..surplus);
    }

    /// Something more important begins.
    pub(super) fn abandon_drill(&mut self, now_unix_s: u64, trouble: String) {
        if let Some(number) = self.drill.as_ref().map(|drill| drill.number) {
            let outcome = DrillOutcome::Abandoned;
            let end = DrillEnd {
                outcome,
                trouble,
                report: None,
            };
            self.end_drill(number, now_unix_s, end);
        }
    }
}

impl PlanRecord {
    /// The record as a restored federation has it: whoever was primary may be so still, by the word
    /// of the old federation, so nothing happens until somebody says that it can't write.
    #[must_use]
    pub fn restored(self, revision: u64) -> Self {
        let held = self.primary_node().cloned().or_else(|| self.held.clone());
        Self {
            revision,
            held,
            run: None,
            drill: None,
            // What has happened since, nobody here knows: who has what, or how far anybody was.
            set: SyncSet::default(),
            wanted_set: SyncSet::default(),
            wanted_revision: revision,
            mark: None,
            ..self
        }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if let Some(from) = &self.from {
            write!(f, " from `{from}`")?;
        }
        if let Some(to) = &self.to {
            write!(f, " to `{to}`")?;
        }
        write!(f, ", {}: {}", self.phase, self.reason)
    }
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

fn is_false(value: &bool) -> bool {
    !value
}
