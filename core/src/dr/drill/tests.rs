//! When a drill begins, where, and how it ends.

use super::super::machine::Next;
use super::super::machine::next as next_of_plan;
use super::super::machine::tests::{Case, cluster, copy, node};
use super::super::record::{Phase, RunKind};
use super::super::sight::CopyRole;
use super::*;

/// Noon of a day, and a drill at each noon.
const NOON: u64 = 1_795_262_400;

impl Case {
    fn admit(&self, on: Option<&str>) -> Result<PlanChange, String> {
        let on = on.map(cluster);
        let asked = (on.as_ref(), "a test asks".to_owned());
        let answer = admit(&self.terms, &self.record, &self.sight, asked);
        answer.map_err(|refused| refused.to_string())
    }

    #[track_caller]
    fn is_refused(&self, on: Option<&str>, why: &str) {
        let refused = self.admit(on).unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }

    /// Drill 1 is under way in `c` since a moment.
    fn drilling(mut self, began_unix_s: u64) -> Self {
        let begun = self.admit(Some("c")).unwrap();
        self.record.apply(&begun, (30, began_unix_s));
        self.sight.now_unix_s = began_unix_s;
        self
    }

    fn told(mut self, number: u64, outcome: Option<DrillOutcome>) -> Self {
        self.sight.drill = Some(DrillSight {
            number,
            progress: "copying".to_owned(),
            end: outcome.map(|outcome| DrillEnd {
                outcome,
                trouble: String::new(),
                report: None,
            }),
        });
        self
    }

    fn ends(&self) -> Option<DrillEnd> {
        match next_of_plan(&self.terms, &self.record, &self.sight) {
            Next::Commit(PlanChange::DrillEnded { end, .. }) => Some(*end),
            _ => None,
        }
    }

    fn at(mut self, now_unix_s: u64) -> Self {
        self.sight.now_unix_s = now_unix_s;
        if let Some(mark) = &mut self.record.mark {
            mark.at_unix_s = now_unix_s;
        }
        self
    }

    fn daily(mut self) -> Self {
        self.terms.drill.schedule = Some("0 12 * * *".parse().unwrap());
        self.record.drilled_unix_s = NOON - 7200;
        self
    }

    fn begins(&self) -> bool {
        let next = next_of_plan(&self.terms, &self.record, &self.sight);
        matches!(next, Next::Commit(PlanChange::DrillBegun { .. }))
    }
}

fn where_of(change: &PlanChange) -> &ClusterName {
    match change {
        PlanChange::DrillBegun { cluster, .. } => cluster,
        other => panic!("{other}"),
    }
}

#[test]
fn a_drill_burdens_the_standby_that_would_be_promoted_last() {
    let begun = Case::new().admit(None).unwrap();
    assert_eq!(*where_of(&begun), cluster("c"));
    let away = Case::new().copy("c", copy(CopyRole::Detached, 480));
    assert_eq!(*where_of(&away.admit(None).unwrap()), cluster("b"));
    assert_eq!(
        *where_of(&Case::new().admit(Some("b")).unwrap()),
        cluster("b")
    );
}

#[test]
fn a_drill_needs_a_primary_and_a_standby_that_follows() {
    Case::new().is_refused(Some("a"), "primary already");
    Case::new().is_refused(Some("x"), "it has `b`, `c`");
    let away = || Case::new().copy("c", copy(CopyRole::Detached, 480));
    away().is_refused(Some("c"), "does not receive");
    let none = away().copy("b", copy(CopyRole::Seeding, 0));
    none.is_refused(None, "no standby is ready");
    let mut silent = copy(CopyRole::Following, 480);
    silent.ago = Duration::from_secs(60);
    Case::new()
        .copy("c", silent)
        .is_refused(Some("c"), "silent for 60 s");
    let mut unwell = copy(CopyRole::Following, 480);
    unwell.trouble = Some("its disk is full".to_owned());
    Case::new()
        .copy("c", unwell)
        .is_refused(Some("c"), "its disk is full");
    let dead = Case::new().silent(60).heard(false);
    dead.is_refused(None, "renews its lease no more");
    let mut held = Case::new();
    held.record.held = Some(node("a-1"));
    held.is_refused(None, "restored");
}

#[test]
fn one_thing_happens_at_a_time() {
    let running = Case::new().running(RunKind::Switchover, Phase::Demoting, Some("b"));
    running.is_refused(None, "a switchover is under way");
    Case::new()
        .drilling(NOON)
        .is_refused(None, "drill 1 is under way in `c`");
}

#[test]
fn a_run_that_begins_takes_the_drill_away_with_its_entry() {
    let case = Case::new()
        .drilling(NOON)
        .running(RunKind::Failover, Phase::Fencing, None);
    assert_eq!(case.record.drill, None);
    let past = case.record.drills.last().unwrap();
    assert_eq!(past.outcome, DrillOutcome::Abandoned);
    assert!(past.trouble.contains("a failover began"), "{past:?}");
}

#[test]
fn a_number_is_begun_once_and_ended_once() {
    let mut case = Case::new();
    let begun = case.admit(None).unwrap();
    case.record.apply(&begun, (30, NOON));
    let end = PlanChange::DrillEnded {
        number: 1,
        end: Box::new(DrillEnd {
            outcome: DrillOutcome::Passed,
            trouble: String::new(),
            report: None,
        }),
    };
    case.record.apply(&end, (31, NOON + 9));
    case.record.apply(&end, (32, NOON + 10));
    case.record.apply(&begun, (33, NOON + 11));
    assert_eq!(case.record.drills.len(), 1);
    assert_eq!(case.record.drill, None, "1 was begun before");
    assert!(matches!(
        case.admit(None).unwrap(),
        PlanChange::DrillBegun { number: 2, .. }
    ));
}

#[test]
fn what_its_node_says_ends_it_and_what_it_said_of_another_does_not() {
    let case = || Case::new().drilling(NOON).at(NOON + 5);
    assert_eq!(case().ends(), None);
    assert_eq!(case().told(1, None).ends(), None);
    assert_eq!(case().told(7, Some(DrillOutcome::Passed)).ends(), None);
    let end = case().told(1, Some(DrillOutcome::Passed)).ends().unwrap();
    assert_eq!(end.outcome, DrillOutcome::Passed);
}

#[test]
fn a_drill_of_which_nobody_tells_ends_as_failed() {
    let mut silent = copy(CopyRole::Following, 480);
    silent.ago = SILENCE_MAX;
    let case = Case::new().drilling(NOON).copy("c", silent);
    assert!(case.ends().unwrap().trouble.contains("silent for 60 s"));
    // A leader that heard nobody yet waits as long.
    let mut new = Case::new().drilling(NOON);
    new.sight.copies.remove(&cluster("c"));
    assert_eq!(new.ends(), None);
    new.sight.step_for = SILENCE_MAX;
    assert!(new.ends().is_some());
    let timeout = Case::new().terms.drill.timeout + GRACE;
    let late = Case::new().drilling(NOON).at(NOON + timeout.as_secs());
    assert!(late.ends().unwrap().trouble.contains("no end within"));
    let early = Case::new().drilling(NOON).at(NOON + timeout.as_secs() - 1);
    assert_eq!(early.ends(), None);
    let mut moved = Case::new().drilling(NOON);
    moved.record.nodes.insert(cluster("c"), node("c-2"));
    assert!(moved.ends().unwrap().trouble.contains("no copy"));
}

#[test]
fn a_drill_ends_although_its_primary_is_dead_and_nobody_may_act() {
    let mut case = Case::new()
        .drilling(NOON)
        .told(1, Some(DrillOutcome::Passed));
    case.terms.automatic_failover = false;
    let case = case.silent(60).heard(false);
    assert!(case.ends().is_some());
}

#[test]
fn a_schedule_begins_one_drill_for_each_moment() {
    assert!(!Case::new().daily().at(NOON - 1).begins());
    assert!(Case::new().daily().at(NOON).begins());
    // Nobody could see to it in time.
    assert!(Case::new().daily().at(NOON + 600).begins());
    assert!(!Case::new().daily().at(NOON + 7200).begins());
    let mut done = Case::new().daily().at(NOON + 60);
    done.record.drilled_unix_s = NOON + 1;
    assert!(!done.begins());
    let mut paused = Case::new().daily().at(NOON);
    paused.record.paused = true;
    assert!(!paused.begins());
    let next = |case: &Case| next_unix_s(&case.terms, &case.record, case.sight.now_unix_s);
    assert_eq!(next(&done), Some(NOON + 86_400));
    assert_eq!(next(&Case::new()), None);
}

#[test]
fn the_latest_drills_are_remembered_and_the_oldest_forgotten() {
    let mut record = Case::new().record;
    for number in 1..=25 {
        let begun = PlanChange::DrillBegun {
            number,
            cluster: cluster("c"),
            node: node("c-1"),
            lag_bytes: None,
            reason: "a test".to_owned(),
        };
        record.apply(&begun, (30 + number, NOON));
        record.abandon_drill(NOON, "a test".to_owned());
    }
    let numbers: Vec<u64> = record.drills.iter().map(|drill| drill.number).collect();
    assert_eq!(numbers, (6..=25).collect::<Vec<u64>>());
}
