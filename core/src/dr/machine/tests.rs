//! The rules of a failover, one test each.

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

#[test]
fn a_primary_that_renews_is_left_alone() {
    assert_eq!(Case::new().next(), Next::Rest);
}

#[test]
fn a_silent_guard_alone_kills_nobody_and_neither_does_a_silent_agent() {
    assert_eq!(Case::new().heard(false).next(), Next::Rest);
    let silent = Case::new().heard(false).silent(9);
    silent.waits_because("it counts as dead once that has ended");
    let dead = Case::new().silent(11);
    assert_eq!(dead.commits(), "failover fencing");
}

#[test]
fn a_primary_that_answers_is_alive_where_the_end_of_its_lease_stops_nothing() {
    let unfenced = || {
        Case::new().change(|case| {
            case.record.fences_itself = false;
            let primary = case.sight.copies.get_mut(&cluster("a"));
            primary.unwrap().fences_itself = false;
        })
    };
    unfenced().silent(60).waits_because("its agent is heard");
    let dead = unfenced().silent(60).heard(false);
    assert_eq!(dead.commits(), "failover fencing");
}

#[test]
fn a_guard_that_gave_its_lease_back_is_believed_at_once() {
    assert_eq!(Case::new().free().commits(), "failover fencing");
}

#[test]
fn nothing_happens_by_itself_where_somebody_must_say_so() {
    let dead = || Case::new().silent(60).heard(false);
    dead()
        .change(|case| case.terms.automatic_failover = false)
        .waits_because("hanse failover");
    dead()
        .change(|case| case.record.paused = true)
        .waits_because("paused");
    let trouble = "two voters can't outvote a site";
    dead()
        .change(|case| case.sight.quorum_trouble = Some(trouble.to_owned()))
        .waits_because(trouble);
}

#[test]
fn nobody_is_promoted_while_the_old_primary_may_write() {
    let case = Case::new().fenced().silent(9);
    case.waits_because("may write until its lease ends");
    assert_eq!(Case::new().fenced().commits(), "promote b");
}

#[test]
fn a_primary_that_comes_back_before_its_lease_ended_stays_it() {
    let back = Case::new().fenced().silent(1).heard(true);
    assert_eq!(back.commits(), "end recovered");
}

#[test]
fn the_end_of_a_lease_proves_nothing_where_no_guard_runs_what_writes() {
    let unguarded = Case::new().fenced().change(|case| {
        case.terms.automatic_failover = false;
        // As the record says of a plan that was fenced from outside, and is so no more.
        case.terms.is_guarded = false;
    });
    unguarded.waits_because("confirm-fenced");
}

#[test]
fn the_end_of_a_lease_proves_nothing_where_it_stops_nothing() {
    let manual = || {
        Case::new().fenced().change(|case| {
            case.terms.automatic_failover = false;
            case.record.fences_itself = false;
        })
    };
    manual().waits_because("confirm-fenced");
    let confirmed = manual().change(|case| {
        let holder = node("a-1");
        case.record
            .apply(&PlanChange::FencedConfirmed { holder }, (RUN + 1, 0));
    });
    assert_eq!(confirmed.commits(), "promote b");
    let of_another = manual().change(|case| {
        let holder = node("b-1");
        case.record
            .apply(&PlanChange::FencedConfirmed { holder }, (RUN + 1, 0));
    });
    of_another.waits_because("confirm-fenced");
}

#[test]
fn a_guard_is_relied_on_only_once_it_said_that_it_fences() {
    let turned_on = |revision| {
        Case::new().change(|case| {
            case.record.fences_itself = false;
            case.terms.revision = 15;
            case.sight.copies.get_mut(&cluster("a")).unwrap().revision = revision;
        })
    };
    assert_eq!(
        turned_on(14).next(),
        Next::Rest,
        "it told of an earlier time"
    );
    assert_eq!(turned_on(15).next(), Next::Commit(PlanChange::Fences(true)));
    let turned_off = Case::new().change(|case| case.terms.automatic_failover = false);
    assert_eq!(turned_off.next(), Next::Commit(PlanChange::Fences(false)));
}

#[test]
fn a_site_that_is_to_be_fenced_from_outside_is_before_anybody_is_promoted() {
    let case = || {
        Case::new()
            .fenced()
            .change(|case| case.terms.fenced_outside = [cluster("a")].into())
    };
    assert_eq!(case().commits(), "fence a");
    let done = case().change(|case| case.sight.fenced_outside = Some(Duration::ZERO));
    assert_eq!(done.commits(), "promote b");
}

#[test]
fn where_no_lease_stops_anybody_a_fence_from_outside_does_once_the_lease_ended() {
    let case = |ended: bool| {
        Case::new().fenced().change(|case| {
            case.terms.fenced_outside = [cluster("a")].into();
            case.record.fences_itself = false;
            if let LeaseSight::Held { has_ended, .. } = &mut case.sight.lease {
                *has_ended = ended;
            }
        })
    };
    let early = case(false).commits();
    assert!(early.contains("until its lease ends"), "{early}");
    assert_eq!(case(true).commits(), "fence a");
    let done = case(true).change(|case| case.sight.fenced_outside = Some(Duration::ZERO));
    assert_eq!(done.commits(), "promote b");
    let without = case(true).change(|case| case.terms.fenced_outside.clear());
    let without = without.commits();
    assert!(without.contains("confirm-fenced"), "{without}");
}

#[test]
fn a_position_counts_only_once_the_standby_cut_its_connection_for_this_run() {
    let early = CopySight {
        barrier: RUN - 1,
        ..detached(490)
    };
    let waits = Case::new().fenced().copy("b", early.clone());
    assert!(
        waits.commits().contains("`b` is to tell how far it is"),
        "{}",
        waits.commits()
    );
    let long = |case: Case| case.change(|case| case.sight.step_for = Duration::from_secs(2));
    assert_eq!(long(waits).commits(), "promote c");
    let following = Case::new()
        .fenced()
        .copy("b", copy(CopyRole::Following, 499));
    assert_eq!(long(following).commits(), "promote c");
}

#[test]
fn whoever_was_told_and_is_silent_since_counts_and_is_not_promoted() {
    let gone = CopySight {
        ago: Duration::from_secs(60),
        ..detached(490)
    };
    let gone = || Case::new().fenced().copy("b", gone.clone());
    assert_eq!(gone().commits(), "promote c", "it lacks 20 bytes of 100");
    gone()
        .change(|case| case.terms.lag_bytes_max = 9)
        .waits_because("`c` lacks 20 bytes");
    let sync = gone().change(|case| {
        case.record.set = SyncSet {
            members: [cluster("b"), cluster("c")].into(),
            needed: 1,
        };
    });
    sync.waits_because("`b` has more than `c`");
}

#[test]
fn a_restored_federation_promotes_nobody_before_somebody_says_that_the_old_primary_is_fenced() {
    let mut case = Case::new().fenced();
    case.record.held = Some(node("a-1"));
    case.waits_because("restored from a backup");
    let holder = node("a-1");
    case.record
        .apply(&PlanChange::FencedConfirmed { holder }, (30, 0));
    assert_eq!(case.commits(), "promote b");
}

#[test]
fn a_planned_move_hands_over_once_the_other_has_everything() {
    let moving = || Case::new().running(RunKind::Switchover, Phase::Demoting, Some("c"));
    moving().waits_because("`a` is stopping");
    let stopped = || {
        let old = CopySight {
            barrier: RUN,
            ..copy(CopyRole::Stopped, 510)
        };
        moving().free().copy("a", old)
    };
    let before = copy(CopyRole::Stopped, 400);
    moving()
        .free()
        .copy("a", before)
        .waits_because("is to tell how far it was");
    let position = at(EPOCH, 510);
    assert_eq!(
        stopped().next(),
        Next::Commit(PlanChange::Stopped { position })
    );
    let told = || {
        let change = PlanChange::Stopped { position };
        stopped().change(|case| case.record.apply(&change, (RUN + 1, 0)))
    };
    told()
        .copy("c", detached(509))
        .waits_because("receive the last");
    assert_eq!(told().copy("c", detached(510)).commits(), "promote c");
    let late = told()
        .copy("c", detached(509))
        .change(|case| case.sight.step_for = CATCH_UP_MAX);
    assert_eq!(late.commits(), "promote a", "it goes on where it was");
}

#[test]
fn a_primary_that_does_not_stop_in_time_stays_it() {
    let late = Case::new()
        .running(RunKind::Switchover, Phase::Demoting, Some("b"))
        .change(|case| case.sight.step_for = DEMOTION_MAX);
    assert_eq!(late.commits(), "end cancelled");
}

#[test]
fn a_promotion_that_does_not_end_is_tried_elsewhere_once_it_is_fenced_itself() {
    let promoting = Case::new()
        .running(RunKind::Failover, Phase::Promoting, None)
        .copy("a", copy(CopyRole::Stopped, 500));
    promoting.waits_because("is becoming primary");
    let late = promoting.change(|case| case.sight.step_for = Duration::from_secs(60));
    assert!(late.commits().contains("Fencing"), "{}", late.commits());
}

#[test]
fn whoever_is_heard_may_renew_its_first_lease_a_little_late() {
    let promoting = |step_s, ago_s| {
        Case::new()
            .running(RunKind::Failover, Phase::Promoting, None)
            .copy("a", copy(CopyRole::Detached, 500))
            .change(|case| {
                let LeaseSight::Held { has_ended, .. } = &mut case.sight.lease else {
                    panic!("it is held");
                };
                *has_ended = true;
                case.sight.step_for = Duration::from_secs(step_s);
                let heard = case.sight.copies.get_mut(&cluster("a")).unwrap();
                heard.ago = Duration::from_secs(ago_s);
            })
    };
    promoting(9, 1).waits_because("is becoming primary");
    for late in [promoting(10, 1), promoting(9, 6)] {
        assert!(late.commits().contains("Fencing"), "{}", late.commits());
    }
}

#[test]
fn where_clients_are_led_says_nothing_of_who_may_write() {
    for is_led in [false, true] {
        let led = |case: Case| case.change(|case| case.sight.redirected = is_led);
        led(Case::new().fenced().silent(9)).waits_because("may write until its lease ends");
        assert_eq!(led(Case::new().fenced()).commits(), "promote b");
    }
    let leading = |step_s| {
        Case::new()
            .running(RunKind::Failover, Phase::Redirecting, None)
            .change(|case| {
                case.sight.redirected = false;
                case.sight.step_for = Duration::from_secs(step_s);
            })
    };
    leading(0).waits_because("clients are being led");
    assert_eq!(leading(30).commits(), "end rolled-back");
}

#[test]
fn what_the_log_promises_holds_before_and_after_the_server_is_told() {
    let both: SyncSet = SyncSet {
        members: [cluster("b"), cluster("c")].into(),
        needed: 1,
    };
    let mut case = Case::new().change(|case| case.terms.mode = ReplicationMode::SemiSync);
    let Next::Commit(change @ PlanChange::Set { .. }) = case.next() else {
        panic!("{}", case.commits());
    };
    case.record.apply(&change, (15, 0));
    assert_eq!(
        case.record.set,
        SyncSet::default(),
        "the server may not know"
    );
    assert_eq!(case.record.wanted_set, both);
    let primary = |revision| CopySight {
        revision,
        set: both.clone(),
        ..copy(CopyRole::Primary, 500)
    };
    let mut case = case.copy("a", primary(14));
    assert_eq!(case.next(), Next::Rest, "that was at an earlier time");
    case = case.copy("a", primary(15));
    case.sight.in_effect_at = Some(at(EPOCH, 500));
    assert_eq!(
        case.next(),
        Next::Rest,
        "nobody has what was acknowledged before"
    );
    case.sight.in_effect_at = Some(at(EPOCH, 490));
    let Next::Commit(change) = case.next() else {
        panic!("{}", case.commits());
    };
    case.record.apply(&change, (16, 0));
    assert_eq!(case.record.set, both);
}
