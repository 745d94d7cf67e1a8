//! How a move goes on, and what is promised meanwhile.

use super::*;

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
