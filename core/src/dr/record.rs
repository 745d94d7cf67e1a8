//! How far a DR plan has got: what is committed of it, and what a change makes of that.
//!
//! Everything that a run needs to go on after a crash stands here; what the leader merely sees (who
//! reports, what answers) does not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::choose::SyncSet;
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
    /// Nothing happens by itself, on an operator's word.
    #[serde(default, skip_serializing_if = "is_false")]
    pub paused: bool,
    /// The node that may still be primary, as far as this federation can know: it was restored from a
    /// backup, and somebody must say that the node is fenced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<NodeName>,
}

/// What was decided of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanChange {
    /// A site's copy has its node.
    Placed {
        /// Where.
        cluster: ClusterName,
        /// On which node.
        node: NodeName,
    },
    /// A site's copy is whole for the first time.
    Whole {
        /// Where.
        cluster: ClusterName,
    },
    /// A run begins.
    Begun {
        /// Why.
        kind: RunKind,
        /// Its first phase.
        phase: Phase,
        /// The site that was asked for.
        to: Option<ClusterName>,
        /// Why, in one sentence.
        reason: String,
        /// Somebody asked for it.
        asked: bool,
        /// An operator said that data may be lost.
        allows_data_loss: bool,
    },
    /// An operator wants more of a run that is fencing than it began with.
    Insisted {
        /// The only site that may be promoted; none: any.
        to: Option<ClusterName>,
        /// Whether data may be lost.
        allows_data_loss: bool,
        /// Why, in one sentence.
        reason: String,
    },
    /// The old primary will not stop in good order: it is fenced instead.
    Fencing {
        /// Why, in one sentence.
        reason: String,
    },
    /// The old primary has stopped in good order, at this position.
    Stopped {
        /// Where it was.
        position: Position,
    },
    /// A site has the lease and is to become primary. The lease changes with the same entry.
    Promoted {
        /// Which one.
        cluster: ClusterName,
        /// How far it is: here its own branch begins.
        position: Position,
        /// How many bytes it is known to lack; none: not known.
        lost_bytes: Option<u64>,
        /// Whether its guard stops it at its lease's end: it is told so with the lease.
        fences_itself: bool,
        /// Who has each acknowledged commit, from its first one on.
        set: SyncSet,
    },
    /// The new primary takes writes.
    Writes,
    /// The run is over.
    Ended {
        /// How.
        outcome: Outcome,
    },
    /// What is known of the primary's position.
    Marked {
        /// How far it is.
        position: Position,
    },
    /// Who has each acknowledged commit, and is to have.
    Set {
        /// Who has each for sure, whatever the primary's server has heard.
        promised: SyncSet,
        /// Who is to have each.
        wanted: SyncSet,
    },
    /// Whether the guard stops the workload at its lease's end.
    Fences(bool),
    /// Nothing happens by itself, or does again.
    Paused(bool),
    /// An operator says that the node that may still be primary can't write.
    FencedConfirmed {
        /// The node.
        holder: NodeName,
    },
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

    /// Puts a change in effect, at a revision and a moment in seconds since 1970.
    pub fn apply(&mut self, change: &PlanChange, (revision, now_unix_s): (u64, u64)) {
        match change {
            PlanChange::Placed { cluster, node } => {
                self.nodes.insert(cluster.clone(), node.clone());
            }
            PlanChange::Whole { cluster } => {
                self.whole.insert(cluster.clone());
            }
            PlanChange::Begun {
                kind,
                phase,
                to,
                reason,
                asked,
                allows_data_loss,
            } => {
                self.run = Some(Run {
                    kind: *kind,
                    phase: *phase,
                    from: self.primary.clone(),
                    to: to.clone(),
                    began_revision: revision,
                    began_unix_s: now_unix_s,
                    step_unix_s: now_unix_s,
                    reason: reason.clone(),
                    asked: *asked,
                    allows_data_loss: *allows_data_loss,
                    fence_confirmed: false,
                    last_position: None,
                    lost_bytes: None,
                    failed: Vec::new(),
                });
            }
            PlanChange::Insisted {
                to,
                allows_data_loss,
                reason,
            } => {
                if let Some(run) = &mut self.run {
                    run.asked = true;
                    run.to.clone_from(to);
                    run.allows_data_loss |= allows_data_loss;
                    run.reason.clone_from(reason);
                }
            }
            PlanChange::Fencing { reason } => {
                let primary = self.primary.clone();
                if let Some(run) = &mut self.run {
                    if run.phase == Phase::Promoting {
                        run.failed.extend(primary);
                    }
                    run.phase = Phase::Fencing;
                    run.step_unix_s = now_unix_s;
                    run.began_revision = revision;
                    run.kind = RunKind::Failover;
                    run.fence_confirmed = false;
                    run.to = None;
                    run.reason.clone_from(reason);
                }
            }
            PlanChange::Stopped { position } => {
                if let Some(run) = &mut self.run {
                    run.last_position = Some(*position);
                    run.step_unix_s = now_unix_s;
                }
            }
            PlanChange::Promoted {
                cluster,
                position,
                lost_bytes,
                fences_itself,
                set,
            } => {
                self.primary = Some(cluster.clone());
                self.whole.insert(cluster.clone());
                self.epoch = revision;
                self.mark = Some(Mark {
                    position: Position {
                        branch: revision,
                        ..*position
                    },
                    fork: *position,
                    at_unix_s: now_unix_s,
                });
                self.fences_itself = *fences_itself;
                self.set = set.clone();
                self.wanted_set = set.clone();
                self.wanted_revision = revision;
                if let Some(run) = &mut self.run {
                    run.to = Some(cluster.clone());
                    run.lost_bytes = *lost_bytes;
                    run.phase = Phase::Promoting;
                    run.step_unix_s = now_unix_s;
                }
            }
            PlanChange::Writes => {
                if let Some(run) = &mut self.run {
                    run.phase = Phase::Redirecting;
                    run.step_unix_s = now_unix_s;
                }
            }
            PlanChange::Ended { outcome } => {
                let run = self.run.take();
                if let (Some(run), Some(to)) = (run, self.primary.clone()) {
                    self.past = Some(PastRun {
                        kind: run.kind,
                        outcome: *outcome,
                        from: run.from,
                        to,
                        began_unix_s: run.began_unix_s,
                        ended_unix_s: now_unix_s,
                        reason: run.reason,
                        lost_bytes: run.lost_bytes,
                    });
                }
            }
            PlanChange::Marked { position } => {
                if let Some(mark) = &mut self.mark {
                    mark.position = *position;
                    mark.at_unix_s = now_unix_s;
                }
            }
            PlanChange::Set { promised, wanted } => {
                if self.wanted_set != *wanted {
                    self.wanted_revision = revision;
                }
                self.set = promised.clone();
                self.wanted_set = wanted.clone();
            }
            PlanChange::Fences(fences) => self.fences_itself = *fences,
            PlanChange::Paused(paused) => self.paused = *paused,
            PlanChange::FencedConfirmed { holder } => {
                let is_primary = self.primary_node() == Some(holder);
                self.held.take_if(|held| held == holder);
                if let Some(run) = self.run.as_mut().filter(|_| is_primary) {
                    run.fence_confirmed = true;
                }
            }
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

fn is_false(value: &bool) -> bool {
    !value
}
