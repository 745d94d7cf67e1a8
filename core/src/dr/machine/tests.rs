//! The rules of a failover, one test each: here is what they are told of.

mod death;
mod fencing;
mod moves;

use std::collections::BTreeSet;

use super::super::choose::SyncSet;
use super::super::drill::DrillTerms;
use super::super::position::Mark;
use super::super::timings::Preset;
use super::*;
use crate::name::NodeName;
use crate::object::federation::ReplicationMode;

/// The lease of the primary in these tests, and the run that ends it.
const EPOCH: u64 = 10;
pub(in super::super) const RUN: u64 = 20;

pub(in super::super) fn cluster(name: &str) -> ClusterName {
    name.parse().unwrap()
}

pub(in super::super) fn node(name: &str) -> NodeName {
    name.parse().unwrap()
}

pub(in super::super) fn at(branch: u64, offset_bytes: u64) -> Position {
    Position {
        branch,
        offset_bytes,
    }
}

pub(in super::super) fn copy(role: CopyRole, offset_bytes: u64) -> CopySight {
    CopySight {
        ago: Duration::ZERO,
        role,
        revision: EPOCH,
        barrier: 0,
        epoch: if role == CopyRole::Primary { EPOCH } else { 0 },
        fences_itself: true,
        position: Some(at(EPOCH, offset_bytes)),
        received_epoch: EPOCH,
        set: SyncSet::default(),
        trouble: None,
    }
}

pub(in super::super) fn detached(offset_bytes: u64) -> CopySight {
    CopySight {
        barrier: RUN,
        ..copy(CopyRole::Detached, offset_bytes)
    }
}

/// A plan at home in `a`, with standbys in `b` and `c`, whose primary is well.
#[derive(Clone)]
pub(in super::super) struct Case {
    pub(in super::super) terms: Terms,
    pub(in super::super) record: PlanRecord,
    pub(in super::super) sight: Sight,
}

impl Case {
    pub(in super::super) fn new() -> Self {
        let mut record = PlanRecord::default();
        for name in ["a", "b", "c"] {
            let change = PlanChange::Placed {
                cluster: cluster(name),
                node: node(&format!("{name}-1")),
            };
            record.apply(&change, (1, 0));
            record.whole.insert(cluster(name));
        }
        let promoted = PlanChange::Promoted {
            cluster: cluster("a"),
            position: at(0, 0),
            lost_bytes: None,
            fences_itself: true,
            set: SyncSet::default(),
            promised: SyncSet::default(),
            lease_ttl_ms: 10_000,
        };
        record.apply(&promoted, (EPOCH, 0));
        record.mark = Some(Mark {
            position: at(EPOCH, 500),
            fork: at(0, 0),
            at_unix_s: 1000,
        });
        let copies = [
            ("a", copy(CopyRole::Primary, 500)),
            ("b", copy(CopyRole::Following, 490)),
            ("c", copy(CopyRole::Following, 480)),
        ];
        Self {
            terms: Terms {
                revision: 1,
                home: cluster("a"),
                standbys: vec![cluster("b"), cluster("c")],
                timings: Preset::Standard.timings(),
                automatic_failover: true,
                automatic_failback: false,
                lag_bytes_max: 100,
                mode: ReplicationMode::Async,
                in_sync_min: 1,
                drill: DrillTerms {
                    schedule: None,
                    timeout: Duration::from_secs(600),
                },
                is_guarded: true,
                fenced_outside: BTreeSet::new(),
            },
            record,
            sight: Sight {
                in_effect_at: None,
                lease: LeaseSight::Held {
                    holder: node("a-1"),
                    epoch: EPOCH,
                    silent_for: Duration::ZERO,
                    has_ended: false,
                },
                copies: copies
                    .into_iter()
                    .map(|(name, copy)| (cluster(name), copy))
                    .collect(),
                is_heard: true,
                fenced_outside: None,
                redirected: true,
                drill: None,
                now_unix_s: 1000,
                step_for: Duration::ZERO,
                quorum_trouble: None,
            },
        }
    }

    pub(in super::super) fn silent(mut self, seconds: u64) -> Self {
        let LeaseSight::Held {
            silent_for,
            has_ended,
            ..
        } = &mut self.sight.lease
        else {
            panic!("nobody holds the lease");
        };
        *silent_for = Duration::from_secs(seconds);
        *has_ended = seconds > 10;
        self
    }

    pub(in super::super) fn heard(mut self, is_heard: bool) -> Self {
        self.sight.is_heard = is_heard;
        self
    }

    pub(in super::super) fn free(mut self) -> Self {
        self.sight.lease = LeaseSight::Free;
        self
    }

    pub(in super::super) fn copy(mut self, name: &str, copy: CopySight) -> Self {
        self.sight.copies.insert(cluster(name), copy);
        self
    }

    /// A run is under way since the revision `RUN`.
    pub(in super::super) fn running(
        mut self,
        kind: RunKind,
        phase: Phase,
        to: Option<&str>,
    ) -> Self {
        let begun = PlanChange::Begun {
            kind,
            phase,
            to: to.map(cluster),
            reason: "a test".to_owned(),
            asked: kind != RunKind::Failover,
            allows_data_loss: false,
        };
        self.record.apply(&begun, (RUN, 0));
        self
    }

    /// The primary is dead for long, and the standbys have answered.
    pub(in super::super) fn fenced(self) -> Self {
        self.silent(60)
            .heard(false)
            .copy("b", detached(490))
            .copy("c", detached(480))
            .running(RunKind::Failover, Phase::Fencing, None)
    }

    /// Nothing stops the primary at the end of its lease. It was heard last so long before somebody made
    /// sure that it can't write, and the standbys have answered.
    pub(in super::super) fn written_on(self, silent_s: u64) -> Self {
        let heard = CopySight {
            ago: Duration::from_secs(silent_s),
            ..copy(CopyRole::Primary, 500)
        };
        self.fenced().copy("a", heard).change(|case| {
            case.terms.automatic_failover = false;
            case.record.fences_itself = false;
            case.sight.now_unix_s = 1000 + silent_s;
            let run = case.record.run.as_mut().unwrap();
            run.step_unix_s = 1000 + silent_s;
            let holder = node("a-1");
            case.record
                .apply(&PlanChange::FencedConfirmed { holder }, (RUN + 1, 0));
        })
    }

    pub(in super::super) fn change(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(in super::super) fn next(&self) -> Next {
        next(&self.terms, &self.record, &self.sight)
    }

    /// What is to be committed, in short.
    pub(in super::super) fn commits(&self) -> String {
        match self.next() {
            Next::Commit(PlanChange::Begun { kind, phase, .. }) => format!("{kind} {phase}"),
            Next::Commit(PlanChange::Promoted { cluster, .. }) => format!("promote {cluster}"),
            Next::Commit(PlanChange::Ended { outcome }) => format!("end {outcome}"),
            Next::Commit(change) => format!("{change:?}"),
            Next::Rest => "rest".to_owned(),
            Next::FenceOutside(cluster) => format!("fence {cluster}"),
            Next::Wait(why) => format!("wait: {why}"),
        }
    }

    #[track_caller]
    pub(in super::super) fn waits_because(&self, reason: &str) {
        let waits = self.commits();
        assert!(
            waits.starts_with("wait: ") && waits.contains(reason),
            "{waits}"
        );
    }
}
