//! The guard's decisions on a time of their own.

use std::time::Duration;

use hanse_core::dr::choose::SyncSet;

use super::{Command, Machine};
use crate::order::{LeaseTerms, Order, Process, Program, ServiceAddress, StopSignal};
use crate::seams::{Observation, Unanswered};
use crate::store::Back;

const TTL: Duration = Duration::from_secs(10);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn lease(epoch: u64) -> LeaseTerms {
    LeaseTerms {
        epoch,
        check_interval_ms: 2000,
        stop_budget_ms: 3000,
        fences_itself: true,
        restart_max_ms: 5000,
        watchdog: false,
    }
}

fn order(serial: u64, lease: Option<LeaseTerms>, program: Option<Program>) -> Order {
    Order {
        plan: "orders".parse().unwrap(),
        serial,
        lease,
        program,
        gives_back: false,
        service_address: Some(ServiceAddress {
            address: "10.1.2.3".parse().unwrap(),
            interface: "hanse0".to_owned(),
        }),
    }
}

fn program() -> Program {
    Program {
        command: vec!["server".to_owned()],
        environment: Default::default(),
        folder: "/".into(),
        user_id: 1,
        group_id: 1,
        groups: Vec::new(),
        stop_signal: StopSignal::Interrupt,
        stop_max_ms: 4000,
        seal: "/run/seal/server".into(),
        log: "/log".into(),
    }
}

fn writes(writes: bool) -> Result<Observation, Unanswered> {
    Ok(Observation {
        writes,
        receives: !writes,
        offset_bytes: 1,
        set: SyncSet::default(),
    })
}

/// Commands but those that ask somebody something.
fn acts(machine: &mut Machine, now: Duration) -> Vec<Command> {
    let mut commands = machine.step(now);
    commands.retain(|command| !matches!(command, Command::Renew(_) | Command::Observe { .. }));
    commands
}

fn asks(machine: &mut Machine, now: Duration) -> Vec<u64> {
    let epochs = machine
        .step(now)
        .into_iter()
        .filter_map(|command| match command {
            Command::Renew(renewal) => Some(renewal.epoch),
            _ => None,
        });
    epochs.collect()
}

/// A primary that writes under lease 7, renewed at 100.
fn leading() -> Machine {
    let mut machine = Machine::new(0);
    machine.order(order(1, Some(lease(7)), Some(program())), seconds(100));
    assert_eq!(asks(&mut machine, seconds(100)), [7]);
    machine.answered(7, seconds(100), TTL);
    let started = acts(&mut machine, seconds(100));
    assert!(
        matches!(
            started[..],
            [Command::Start {
                start: 1,
                at_ms: Some(108_500),
                ..
            }]
        ),
        "{started:?}"
    );
    machine.armed(1, Some(108_500));
    machine.running(1, 50, seconds(100));
    machine.observed(1, writes(true), seconds(100));
    assert!(machine.may_write(seconds(100)));
    machine
}

#[test]
fn nothing_starts_under_a_lease_before_it_was_answered() {
    let mut machine = Machine::new(0);
    machine.order(order(1, Some(lease(7)), Some(program())), seconds(100));
    assert_eq!(acts(&mut machine, seconds(100)), []);
    assert_eq!(acts(&mut machine, seconds(200)), []);
}

#[test]
fn what_runs_ends_a_budget_before_the_lease_and_by_the_kernel_half_a_budget_before_it() {
    let mut machine = leading();
    assert!(machine.next(seconds(106)) <= seconds(107));
    assert_eq!(acts(&mut machine, Duration::from_millis(106_999)), []);
    assert_eq!(acts(&mut machine, seconds(107)), [Command::Kill]);
    assert_eq!(acts(&mut machine, seconds(108)), []);
}

#[test]
fn a_renewal_moves_the_kernels_timer_and_one_from_before_a_jump_moves_nothing() {
    let mut machine = leading();
    machine.answered(7, seconds(102), TTL);
    let at_ms = Some(110_500);
    assert_eq!(acts(&mut machine, seconds(102)), [Command::Arm { at_ms }]);
    machine.jumped(seconds(104));
    machine.answered(7, seconds(103), TTL);
    assert_eq!(acts(&mut machine, seconds(104)), [Command::Kill]);
}

#[test]
fn a_promoted_standby_may_write_once_the_kernels_timer_is_set_and_not_before() {
    let mut machine = Machine::new(0);
    machine.order(order(1, None, Some(program())), seconds(100));
    let started = acts(&mut machine, seconds(100));
    assert!(matches!(started[..], [Command::Start { at_ms: None, .. }]));
    machine.running(1, 50, seconds(100));
    assert_eq!(machine.status(seconds(100)).unwrap().serial, 1);
    machine.order(order(2, Some(lease(7)), Some(program())), seconds(101));
    assert_eq!(acts(&mut machine, seconds(101)), []);
    machine.answered(7, seconds(101), TTL);
    let at_ms = Some(109_500);
    assert_eq!(acts(&mut machine, seconds(101)), [Command::Arm { at_ms }]);
    let status = machine.status(seconds(101)).unwrap();
    assert!(!status.may_write, "{status:?}");
    machine.armed(1, at_ms);
    let status = machine.status(seconds(101)).unwrap();
    assert!(status.may_write && status.serial == 2, "{status:?}");
    assert_eq!(status.process, Process::Running { start: 1, pid: 50 });
}

#[test]
fn a_lease_that_fences_from_now_on_is_told_of_once_the_kernel_knows() {
    let mut terms = lease(7);
    terms.fences_itself = false;
    let mut machine = Machine::new(0);
    machine.order(order(1, Some(terms), Some(program())), seconds(100));
    machine.answered(7, seconds(100), TTL);
    let started = acts(&mut machine, seconds(100));
    assert!(matches!(started[..], [Command::Start { at_ms: None, .. }]));
    machine.running(1, 50, seconds(100));
    assert_eq!(machine.status(seconds(100)).unwrap().serial, 1);
    machine.order(order(2, Some(lease(7)), Some(program())), seconds(101));
    let at_ms = Some(108_500);
    assert_eq!(acts(&mut machine, seconds(101)), [Command::Arm { at_ms }]);
    assert_eq!(machine.status(seconds(101)).unwrap().serial, 1);
    machine.armed(1, at_ms);
    assert_eq!(machine.status(seconds(101)).unwrap().serial, 2);
}

#[test]
fn a_new_lease_takes_the_place_of_the_old_one_at_its_first_answer() {
    let mut machine = leading();
    machine.order(order(2, Some(lease(9)), Some(program())), seconds(101));
    assert_eq!(asks(&mut machine, seconds(101)), [9]);
    assert!(!machine.may_write(seconds(101)));
    assert!(
        machine.address(seconds(101)).is_some(),
        "it still writes under 7"
    );
    let mut other = leading();
    other.order(order(2, Some(lease(9)), Some(program())), seconds(101));
    assert_eq!(acts(&mut other, seconds(107)), [Command::Kill]);
    machine.answered(9, seconds(103), TTL);
    assert!(machine.may_write(seconds(103)));
    assert_eq!(
        acts(&mut machine, seconds(107)).len(),
        1,
        "a timer, and no kill"
    );
}

#[test]
fn a_stop_goes_on_under_the_lease_and_ends_with_it() {
    let mut machine = leading();
    let mut stop = order(2, None, None);
    stop.gives_back = true;
    machine.order(stop, seconds(101));
    let ask = Command::Ask(StopSignal::Interrupt);
    assert_eq!(acts(&mut machine, seconds(101)), [ask]);
    assert_eq!(machine.address(seconds(101)), None);
    assert_eq!(asks(&mut machine, seconds(102)), [7]);
    assert_eq!(acts(&mut machine, seconds(104)), []);
    assert_eq!(acts(&mut machine, seconds(105)), [Command::Kill]);
    machine.ended(1, "killed", seconds(106));
    let back = Command::GiveBack { epoch: 7 };
    assert_eq!(
        acts(&mut machine, seconds(106)),
        std::slice::from_ref(&back)
    );
    assert_eq!(acts(&mut machine, seconds(106)), []);
    assert_eq!(acts(&mut machine, seconds(107)), [back]);
    machine.went_back(7);
    assert_eq!(acts(&mut machine, seconds(109)), []);
    // What went back is never held again.
    machine.order(order(3, Some(lease(7)), Some(program())), seconds(110));
    machine.answered(7, seconds(110), TTL);
    assert_eq!(acts(&mut machine, seconds(110)), []);
}

#[test]
fn a_lost_lease_is_no_matter_of_a_standby_that_comes_after_it() {
    let mut machine = leading();
    machine.lost(7);
    assert_eq!(acts(&mut machine, seconds(101)), [Command::Kill]);
    machine.ended(1, "killed", seconds(101));
    let mut follow = order(2, None, Some(program()));
    follow.gives_back = true;
    machine.order(follow, seconds(102));
    let started = acts(&mut machine, seconds(102));
    assert!(matches!(started[..], [Command::Start { start: 2, .. }]));
    machine.running(2, 51, seconds(102));
    assert_eq!(acts(&mut machine, seconds(103)), []);
}

#[test]
fn an_end_that_the_kernels_timer_brought_is_no_end_by_itself() {
    let mut machine = leading();
    // The guard stood still meanwhile.
    machine.ended(1, "signal: 9", seconds(109));
    assert!(asks(&mut machine, seconds(109)).contains(&7));
    machine.answered(7, seconds(109), TTL);
    let started = acts(&mut machine, seconds(109));
    assert!(matches!(started[..], [Command::Start { start: 2, .. }]));
    machine.running(2, 51, seconds(109));
    machine.ended(2, "exit 1", seconds(110));
    let started = acts(&mut machine, seconds(110));
    assert!(
        matches!(started[..], [Command::Start { start: 3, .. }]),
        "{started:?}"
    );
}

#[test]
fn a_restarted_server_has_so_long_to_write_and_then_the_lease_goes_back() {
    let mut machine = leading();
    machine.ended(1, "exit 1", seconds(101));
    let started = acts(&mut machine, seconds(101));
    assert!(matches!(started[..], [Command::Start { start: 2, .. }]));
    machine.running(2, 51, seconds(101));
    machine.observed(2, writes(false), seconds(102));
    machine.answered(7, seconds(102), TTL);
    assert_eq!(acts(&mut machine, seconds(105)).len(), 1, "a timer");
    assert_eq!(acts(&mut machine, seconds(106)), [Command::Kill]);
    machine.ended(2, "killed", seconds(106));
    let back = Command::GiveBack { epoch: 7 };
    assert_eq!(acts(&mut machine, seconds(106)), [back]);
    let status = machine.status(seconds(106)).unwrap();
    assert!(
        matches!(status.process, Process::GaveUp { .. }),
        "{status:?}"
    );
}

/// Renewed all the time, while the server says nothing; the commands that come of it.
fn hangs(machine: &mut Machine, start: u64, seconds_of: std::ops::Range<u64>) -> Vec<Command> {
    let mut commands = Vec::new();
    for now in seconds_of {
        machine.answered(7, seconds(now), TTL);
        commands.extend(acts(machine, seconds(now)));
        machine.observed(start, Err(Unanswered::Silent), seconds(now));
    }
    commands.retain(|command| !matches!(command, Command::Arm { .. }));
    commands
}

#[test]
fn a_server_that_stands_still_is_started_again_once_and_then_given_up() {
    let mut machine = leading();
    // It is asked for the first time at 101, since a renewal was answered then.
    assert_eq!(hangs(&mut machine, 1, 101..111), []);
    assert_eq!(hangs(&mut machine, 1, 111..112), [Command::Kill]);
    machine.ended(1, "killed", seconds(112));
    let started = hangs(&mut machine, 1, 112..113);
    assert!(
        matches!(started[..], [Command::Start { start: 2, .. }]),
        "{started:?}"
    );
    machine.running(2, 51, seconds(113));
    machine.observed(2, writes(true), seconds(113));
    assert_eq!(hangs(&mut machine, 2, 114..126), [Command::Kill]);
    machine.ended(2, "killed", seconds(126));
    assert_eq!(
        hangs(&mut machine, 2, 126..127),
        [Command::GiveBack { epoch: 7 }]
    );
    let status = machine.status(seconds(127)).unwrap();
    assert!(
        matches!(status.process, Process::GaveUp { .. }),
        "{status:?}"
    );
}

#[test]
fn a_server_that_is_asked_seldom_is_not_silent_between_two_questions() {
    let mut terms = lease(7);
    terms.check_interval_ms = 15_000;
    let mut machine = leading();
    machine.order(order(2, Some(terms), Some(program())), seconds(100));
    for now in 101..160 {
        if (now - 101) % 15 == 0 {
            machine.answered(7, seconds(now), seconds(60));
        }
        let commands = machine.step(seconds(now));
        assert!(!commands.contains(&Command::Kill), "at {now}");
        if commands.contains(&Command::Observe { start: 1 }) {
            machine.observed(1, writes(true), seconds(now));
        }
    }
    // Once it doesn't answer, three intervals have to go by.
    machine.observe_at = seconds(160);
    assert_eq!(hangs(&mut machine, 1, 160..205), []);
    assert_eq!(hangs(&mut machine, 1, 205..206), [Command::Kill]);
}

#[test]
fn a_guard_that_stood_still_itself_counts_no_silence_from_before() {
    let mut machine = leading();
    assert_eq!(hangs(&mut machine, 1, 101..104), []);
    // It stood still for seven seconds: neither a question of before nor one without an answer counts.
    assert_eq!(hangs(&mut machine, 1, 111..121), []);
    assert_eq!(hangs(&mut machine, 1, 121..122), [Command::Kill]);
}

/// A full disk lets nobody in from the start on.
#[test]
fn a_server_that_never_answered_is_started_again_once_and_then_given_up() {
    let mut machine = leading();
    machine.ended(1, "killed", seconds(101));
    machine.is_restart = false;
    let started = acts(&mut machine, seconds(101));
    assert!(matches!(started[..], [Command::Start { start: 2, .. }]));
    machine.running(2, 51, seconds(101));
    assert_eq!(hangs(&mut machine, 2, 102..132), []);
    assert_eq!(hangs(&mut machine, 2, 132..133), [Command::Kill]);
    machine.ended(2, "killed", seconds(133));
    let back = Command::GiveBack { epoch: 7 };
    assert_eq!(hangs(&mut machine, 2, 133..134), [back]);
}

#[test]
fn a_server_that_says_it_is_starting_is_waited_for_as_long_as_it_takes() {
    let mut machine = leading();
    machine.ended(1, "killed", seconds(101));
    machine.is_restart = false;
    acts(&mut machine, seconds(101));
    machine.running(2, 51, seconds(101));
    for now in 102..1000 {
        machine.answered(7, seconds(now), TTL);
        let commands = acts(&mut machine, seconds(now));
        assert!(!commands.contains(&Command::Kill), "at {now}");
        machine.observed(2, Err(Unanswered::Starting), seconds(now));
    }
    assert_eq!(hangs(&mut machine, 2, 1000..1030), []);
    assert_eq!(hangs(&mut machine, 2, 1030..1031), [Command::Kill]);
}

#[test]
fn few_questions_without_an_answer_are_no_silence() {
    let mut machine = leading();
    for now in 101..130 {
        machine.answered(7, seconds(now), TTL);
        let commands = acts(&mut machine, seconds(now));
        assert!(!commands.contains(&Command::Kill), "at {now}");
        // The answer is late, and there is one of four in time.
        if now % 5 == 0 {
            machine.observed(1, Err(Unanswered::Silent), seconds(now));
            machine.observe_at = seconds(now + 1);
        }
        if now == 120 {
            machine.observed(1, writes(true), seconds(now));
        }
    }
}

#[test]
fn a_plan_that_is_no_more_ends_nothing() {
    let mut machine = leading();
    assert!(machine.no_plan(7, seconds(101)));
    assert!(!machine.no_plan(7, seconds(101)), "it is no news");
    let disarmed = Command::Arm { at_ms: None };
    assert_eq!(acts(&mut machine, seconds(101)), [disarmed]);
    machine.armed(1, None);
    assert!(machine.may_write(seconds(101)));
    assert_eq!(acts(&mut machine, seconds(1000)), []);
    machine.jumped(seconds(1001));
    machine.lost(7);
    assert_eq!(acts(&mut machine, seconds(1002)), []);
    assert!(machine.is_steady(), "it can be let go");
    // It is asked again, and not all the time.
    assert_eq!(asks(&mut machine, seconds(1006)), [7]);
    assert!(asks(&mut machine, seconds(1010)).is_empty());
    assert_eq!(asks(&mut machine, seconds(1011)), [7]);
}

#[test]
fn what_ended_with_its_lease_is_not_begun_again_when_its_plan_is_no_more() {
    let mut machine = leading();
    assert_eq!(acts(&mut machine, seconds(200)), [Command::Kill]);
    machine.ended(1, "killed", seconds(201));
    assert!(!machine.no_plan(7, seconds(202)));
    for now in 203..300 {
        let commands = acts(&mut machine, seconds(now));
        let begins = |command: &Command| matches!(command, Command::Start { .. });
        assert!(!commands.iter().any(begins), "{commands:?}");
    }
}

#[test]
fn a_server_whose_plan_is_no_more_is_started_again_without_a_limit() {
    let mut machine = leading();
    machine.no_plan(7, seconds(101));
    for start in 1..9 {
        let now = seconds(100 * start + 1);
        machine.ended(start, "exit 1", now);
        let commands: Vec<_> = (0..60)
            .flat_map(|second| acts(&mut machine, now + seconds(second)))
            .collect();
        let next = start + 1;
        let is_next =
            |command: &Command| matches!(command, Command::Start { start, .. } if *start == next);
        assert!(
            commands.iter().any(is_next) && !commands.contains(&Command::Kill),
            "{commands:?}"
        );
        machine.running(next, 51, now + seconds(60));
    }
}

#[test]
fn a_lease_that_was_lost_stays_so_whatever_becomes_of_the_plan() {
    let mut machine = leading();
    machine.lost(7);
    assert!(!machine.no_plan(7, seconds(101)));
    assert_eq!(acts(&mut machine, seconds(101)), [Command::Kill]);
}

/// A guard that finds that an earlier one began to give lease 7 back, with this order.
fn after_going_back(order: Order, is_known: bool) -> Machine {
    let mut machine = Machine::new(0);
    let back = Back { epoch: 7, is_known };
    machine.goes_back(back, seconds(100));
    machine.order(order, seconds(100));
    machine
}

#[test]
fn a_lease_that_an_earlier_guard_gave_back_is_lost_and_goes_back_until_that_is_answered() {
    let back = Command::GiveBack { epoch: 7 };
    let leads = || order(1, Some(lease(7)), Some(program()));
    let mut machine = after_going_back(leads(), false);
    assert_eq!(machine.step(seconds(100)), std::slice::from_ref(&back));
    machine.answered(7, seconds(100), TTL);
    assert_eq!(machine.step(seconds(101)), std::slice::from_ref(&back));
    machine.went_back(7);
    assert_eq!(machine.step(seconds(103)), []);

    let mut known = after_going_back(leads(), true);
    known.answered(7, seconds(100), TTL);
    assert_eq!(known.step(seconds(101)), []);

    let mut follows = after_going_back(order(1, None, Some(program())), false);
    let commands = acts(&mut follows, seconds(100));
    assert!(
        matches!(&commands[..], [Command::Start { start: 1, .. }, last] if *last == back),
        "{commands:?}"
    );

    let mut other = after_going_back(order(1, Some(lease(9)), Some(program())), false);
    assert_eq!(asks(&mut other, seconds(100)), [9]);
    other.answered(9, seconds(100), TTL);
    let commands = acts(&mut other, seconds(100));
    assert!(matches!(commands[..], [Command::Start { start: 1, .. }]));
}
