//! What is known of a primary that nothing stopped, and what is not.

use super::super::change::PlanChange;
use super::super::choose::SyncSet;
use super::super::machine::Next;
use super::super::machine::tests::{Case, RUN, at, cluster, copy};
use super::super::sight::CopyRole;
use super::*;

fn told(role: CopyRole, offset_bytes: u64, ago_s: u64) -> CopySight {
    CopySight {
        ago: Duration::from_secs(ago_s),
        barrier: if role == CopyRole::Stopped { RUN } else { 0 },
        ..copy(role, offset_bytes)
    }
}

/// What the one that is promoted is said to lack.
#[track_caller]
fn lacks(case: &Case) -> Option<u64> {
    match case.next() {
        Next::Commit(PlanChange::Promoted { lost_bytes, .. }) => lost_bytes,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nobody_is_promoted_by_what_a_primary_told_long_before_it_was_fenced() {
    let stale = || Case::new().written_on(3600);
    stale().waits_because("`b` lacks is not known: the primary was not stopped by its lease");
    stale().waits_because("from 3600 s before this run began");
    let insisted = stale().change(|case| {
        case.record.run.as_mut().unwrap().allows_data_loss = true;
    });
    assert_eq!(lacks(&insisted), None, "nobody says that it lacks nothing");
}

#[test]
fn a_primary_that_was_heard_until_it_was_fenced_is_known_as_well_as_one_that_its_lease_stopped() {
    assert_eq!(lacks(&Case::new().written_on(18)), Some(10));
    Case::new().written_on(19).waits_because("is not known");
    // Standbys may have taken long to answer since.
    let long_ago = |confirmed_s| {
        Case::new()
            .written_on(60)
            .change(|case| case.sight.step_for = Duration::from_secs(confirmed_s))
    };
    assert_eq!(lacks(&long_ago(42)), Some(10));
    long_ago(41).waits_because("is not known");
}

#[test]
fn a_fence_from_outside_ends_what_may_have_been_written_once_it_began() {
    let outside = |fenced_s| {
        Case::new().written_on(60).change(|case| {
            case.record.run.as_mut().unwrap().fence_confirmed = false;
            case.terms.fenced_outside = [cluster("a")].into();
            case.sight.fenced_outside = Some(Duration::from_secs(fenced_s));
        })
    };
    assert_eq!(lacks(&outside(50)), Some(10));
    outside(0).waits_because("is not known");
}

#[test]
fn a_primary_that_told_where_it_stopped_is_known_however_long_it_was_away() {
    let stopped = |offset_bytes| {
        let old = told(CopyRole::Stopped, offset_bytes, 3600);
        Case::new().written_on(3600).copy("a", old)
    };
    assert_eq!(lacks(&stopped(560)), Some(70));
    stopped(591).waits_because("`b` lacks 101 bytes");
    let handed_over = || {
        Case::new().written_on(3600).change(|case| {
            let last = at(case.record.epoch, 560);
            case.record.run.as_mut().unwrap().last_position = Some(last);
        })
    };
    assert_eq!(lacks(&handed_over().free()), Some(70));
    handed_over().waits_because("is not known");
}

#[test]
fn what_its_lease_stopped_is_known_and_what_no_guard_runs_is_not() {
    let fenced = |is_guarded| {
        Case::new().written_on(3600).change(|case| {
            case.record.fences_itself = true;
            case.terms.is_guarded = is_guarded;
        })
    };
    assert_eq!(lacks(&fenced(true)), Some(10));
    fenced(false).waits_because("is not known");
}

#[test]
fn a_leader_that_heard_nothing_goes_by_the_age_of_the_mark() {
    let unheard = |now_unix_s| {
        Case::new().written_on(60).change(|case| {
            case.sight.copies.remove(&cluster("a"));
            case.sight.now_unix_s = now_unix_s;
        })
    };
    assert_eq!(lacks(&unheard(1018)), Some(10));
    unheard(1019).waits_because("is not known");
}

#[test]
fn where_a_set_says_who_has_what_was_acknowledged_nobody_asks_the_primary() {
    let sync = Case::new().written_on(3600).change(|case| {
        case.record.set = SyncSet {
            members: [cluster("b"), cluster("c")].into(),
            needed: 1,
        };
    });
    assert_eq!(sync.commits(), "promote b");
}

#[test]
fn the_lag_is_measured_by_the_latest_that_was_heard_and_not_by_the_last_mark() {
    let heard = |offset_bytes| {
        let primary = told(CopyRole::Primary, offset_bytes, 60);
        Case::new().fenced().copy("a", primary)
    };
    assert_eq!(lacks(&heard(560)), Some(70));
    heard(591).waits_because("`b` lacks 101 bytes");
}
