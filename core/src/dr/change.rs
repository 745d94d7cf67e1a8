//! What is decided of a DR plan, and what that makes of its record.

mod words;

use serde::{Deserialize, Serialize};

use super::choose::SyncSet;
use super::drill::{Drill, DrillEnd};
use super::position::{Mark, Position};
use super::record::{Outcome, PastRun, Phase, PlanRecord, Run, RunKind};
use crate::name::{ClusterName, NodeName};

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
    /// A site has no copy any more.
    Unplaced {
        /// Where.
        cluster: ClusterName,
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
        /// Who is to have each acknowledged commit, from its first one on.
        set: SyncSet,
        /// Who has each for sure, with what was acknowledged before.
        promised: SyncSet,
        /// How long the lease lasts without being renewed, in milliseconds.
        lease_ttl_ms: u64,
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
    /// A drill begins.
    DrillBegun {
        /// Which one of the plan.
        number: u64,
        /// Where.
        cluster: ClusterName,
        /// On which node.
        node: NodeName,
        /// How many bytes the standby lacks, as far as is known.
        lag_bytes: Option<u64>,
        /// Why, in one sentence.
        reason: String,
    },
    /// A drill is over.
    DrillEnded {
        /// Which one of the plan.
        number: u64,
        /// How.
        end: Box<DrillEnd>,
    },
    /// An operator says that the node that may still be primary can't write.
    FencedConfirmed {
        /// The node.
        holder: NodeName,
    },
}

impl PlanChange {
    /// The same without what only the record keeps: history tells that a drill ended, and how.
    #[must_use]
    pub fn for_history(&self) -> Self {
        let mut change = self.clone();
        if let Self::DrillEnded { end, .. } = &mut change {
            end.report = None;
        }
        change
    }

    /// Whether its sentence ends with why, and so says who asked for it, if somebody did.
    #[must_use]
    pub fn has_reason(&self) -> bool {
        matches!(
            self,
            Self::Begun { .. }
                | Self::Insisted { .. }
                | Self::Fencing { .. }
                | Self::DrillBegun { .. }
        )
    }

    /// Whether it says how far the primary is and nothing else.
    #[must_use]
    pub fn is_mark(&self) -> bool {
        matches!(self, Self::Marked { .. })
    }
}

impl PlanRecord {
    /// Puts a change in effect, at a revision and a moment in seconds since 1970.
    pub fn apply(&mut self, change: &PlanChange, (revision, now_unix_s): (u64, u64)) {
        if !change.is_mark() {
            self.revision = revision;
        }
        match change {
            PlanChange::Placed { cluster, node } => {
                let former = self.nodes.insert(cluster.clone(), node.clone());
                if former.is_some_and(|former| former != *node) {
                    self.whole.remove(cluster);
                }
            }
            PlanChange::Unplaced { cluster } => {
                self.nodes.remove(cluster);
                self.whole.remove(cluster);
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
                self.abandon_drill(now_unix_s, format!("a {kind} began: {reason}"));
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
                promised,
                lease_ttl_ms: _,
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
                self.set = promised.clone();
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
            PlanChange::DrillBegun {
                number,
                cluster,
                node,
                lag_bytes,
                reason,
            } => {
                // Each number once, and none beside a run.
                if *number == self.drills_begun + 1 && self.run.is_none() && self.drill.is_none() {
                    self.drills_begun = *number;
                    self.drilled_unix_s = now_unix_s;
                    self.drill = Some(Drill {
                        number: *number,
                        cluster: cluster.clone(),
                        node: node.clone(),
                        began_revision: revision,
                        began_unix_s: now_unix_s,
                        reason: reason.clone(),
                        lag_bytes: *lag_bytes,
                    });
                }
            }
            PlanChange::DrillEnded { number, end } => {
                self.end_drill(*number, now_unix_s, DrillEnd::clone(end));
            }
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
