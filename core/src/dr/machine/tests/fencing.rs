//! What comes before anybody is promoted.

use super::*;

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
