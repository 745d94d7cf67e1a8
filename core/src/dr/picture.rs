//! The picture of a run in docs/dr.md shows what the machine does: no step more, and none less.

use std::collections::BTreeSet;
use std::time::Duration;

use super::ask::{Ask, admit};
use super::change::PlanChange;
use super::machine::tests::{Case, RUN, at, cluster, copy, node};
use super::machine::{Next, next};
use super::record::{Phase, PlanRecord, RunKind};
use super::sight::{CopyRole, CopySight, LeaseSight};

const PAGE: &str = include_str!("../../../docs/dr.md");

type Steps = BTreeSet<(String, String)>;

/// What the picture shows.
fn drawn() -> Steps {
    let (_, picture) = PAGE.split_once("```mermaid\n").unwrap();
    let (picture, _) = picture.split_once("```").unwrap();
    let arrows = picture.lines().filter_map(|line| line.split_once(" --> "));
    let steps = arrows.map(|(from, to)| {
        let to = to.split(':').next().unwrap_or(to);
        (from.trim().to_owned(), to.trim().to_owned())
    });
    steps.filter(|(from, _)| from != "[*]").collect()
}

/// How a plan stands, in the picture's words.
fn state(record: &PlanRecord) -> &'static str {
    match (&record.run, &record.primary) {
        (None, None) => "nobody",
        (None, Some(_)) => "serving",
        (Some(run), _) => run.phase.as_str(),
    }
}

/// Every combination of what a leader may see while nobody is primary, somebody is, or a run is under way.
fn cases() -> Vec<Case> {
    let phases = [
        None,
        Some(Phase::Demoting),
        Some(Phase::Fencing),
        Some(Phase::Promoting),
        Some(Phase::Redirecting),
    ];
    let mut all = Vec::new();
    for phase in phases {
        for kind in [RunKind::Failover, RunKind::Switchover] {
            for silent_s in [None, Some(0), Some(9), Some(60)] {
                for old in [CopyRole::Primary, CopyRole::Stopped] {
                    for other in [CopyRole::Following, CopyRole::Detached] {
                        for step_s in [0, 15, 40, 120] {
                            all.push(case((phase, kind), silent_s, (old, other), step_s));
                        }
                    }
                }
            }
        }
    }
    let with = |change: fn(&mut Case)| {
        let more = all.iter().cloned().map(|case: Case| case.change(change));
        more.collect::<Vec<_>>()
    };
    let stopped = with(|case| {
        let last = at(case.record.epoch, 510);
        if let Some(run) = &mut case.record.run {
            run.last_position = Some(last);
        }
    });
    let unheard = with(|case| (case.sight.is_heard, case.sight.redirected) = (false, false));
    let first = with(|case| {
        case.record.primary = None;
        case.record.run = None;
        case.sight.lease = LeaseSight::Free;
        case.sight.copies.retain(|site, _| *site == case.terms.home);
    });
    all.into_iter()
        .chain(stopped)
        .chain(unheard)
        .chain(first)
        .collect()
}

fn case(
    (phase, kind): (Option<Phase>, RunKind),
    silent_s: Option<u64>,
    (old, other): (CopyRole, CopyRole),
    step_s: u64,
) -> Case {
    let answered = |role| CopySight {
        barrier: RUN,
        ..copy(role, 510)
    };
    let case = match silent_s {
        Some(silent_s) => Case::new().silent(silent_s),
        None => Case::new().free(),
    };
    let case = match phase {
        Some(phase) => case.running(kind, phase, Some("b")),
        None => case,
    };
    case.copy("a", answered(old))
        .copy("b", answered(other))
        .change(|case| case.sight.step_for = Duration::from_secs(step_s))
}

/// What the machine and an operator make of all of them.
fn done() -> Steps {
    let mut steps = Steps::new();
    for case in cases() {
        let asks = [
            Ask::Switchover { to: cluster("b") },
            Ask::Failback,
            Ask::Failover {
                to: None,
                allows_data_loss: false,
            },
            Ask::ConfirmFenced {
                holder: node("a-1"),
            },
        ];
        let asked = asks.into_iter().filter_map(|ask| {
            let ask = (ask, "a test asks".to_owned());
            admit(&case.terms, &case.record, &case.sight, ask).ok()
        });
        let decided = match next(&case.terms, &case.record, &case.sight) {
            Next::Commit(change) => Some(change),
            Next::Rest | Next::Wait(_) | Next::FenceOutside(_) => None,
        };
        let changes: Vec<PlanChange> = asked.chain(decided).collect();
        for change in changes {
            let mut record = case.record.clone();
            record.apply(&change, (RUN + 10, 1000));
            let step = (state(&case.record), state(&record));
            if step.0 != step.1 {
                steps.insert((step.0.to_owned(), step.1.to_owned()));
            }
        }
    }
    steps
}

#[test]
fn the_picture_of_a_run_is_what_the_machine_does() {
    assert_eq!(drawn(), done());
}

#[test]
fn each_phase_of_a_run_is_in_the_picture() {
    let steps = drawn();
    for phase in Phase::WORDS {
        assert!(steps.iter().any(|(from, _)| from == phase), "{phase}");
        assert!(steps.iter().any(|(_, to)| to == phase), "{phase}");
    }
}
