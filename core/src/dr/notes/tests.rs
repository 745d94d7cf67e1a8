//! When a mark is worth committing.

use super::super::machine::Next;
use super::super::machine::tests::{Case, copy};
use super::*;

/// The primary told so long ago that it is at 700 bytes; the mark is at 500, and ten seconds old.
fn told(case: Case, ago_s: u64) -> Case {
    let primary = CopySight {
        ago: Duration::from_secs(ago_s),
        ..copy(CopyRole::Primary, 700)
    };
    let mut case = case.copy("a", primary);
    case.sight.now_unix_s = 1010;
    case
}

fn marks(case: &Case) -> bool {
    match case.next() {
        Next::Commit(PlanChange::Marked { position }) => position.offset_bytes == 700,
        _ => false,
    }
}

#[test]
fn what_the_primary_told_lately_is_marked_and_what_it_told_long_ago_is_no_mark_of_now() {
    assert!(marks(&told(Case::new(), 0)));
    assert_eq!(told(Case::new(), 4).next(), Next::Rest);
}

#[test]
fn a_primary_that_writes_on_during_a_long_run_is_marked() {
    for phase in [Phase::Demoting, Phase::Redirecting] {
        let running = |step_s| {
            let case = Case::new().running(RunKind::Switchover, phase, Some("b"));
            let mut case = told(case, 0);
            case.sight.redirected = false;
            case.sight.step_for = Duration::from_secs(step_s);
            case
        };
        assert!(!marks(&running(1)), "{phase}: it has just begun");
        assert!(marks(&running(2)), "{phase}");
    }
}
