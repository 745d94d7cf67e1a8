//! A run of a DR plan in words, for everybody who waits for its end: the command line and the
//! provider say the same.
//!
//! Nothing is decided here, and giving up the wait stops nothing: the run is the federation's.

use hanse_core::dr::record::Outcome;
use hanse_core::name::PlanName;

use crate::client::Client;
use crate::error::ClientError;
use crate::plan_watch::PlanWatch;
use crate::proto;

/// Looks at a plan until a run ends, and says what is new.
#[derive(Debug)]
struct RunWatch {
    past: Option<proto::PastPlanRun>,
    was_seen: bool,
    run: String,
    waits_for: String,
}

impl RunWatch {
    /// For a run that is asked for now; `before` is how the plan was before it was.
    #[must_use]
    fn new(before: &proto::PlanStatus) -> Self {
        Self {
            past: before.past.clone(),
            was_seen: false,
            run: String::new(),
            waits_for: String::new(),
        }
    }
}

impl PlanWatch for RunWatch {
    type End = proto::PastPlanRun;

    fn news(&mut self, status: &proto::PlanStatus) -> Vec<String> {
        let mut news = Vec::new();
        if let Some(run) = &status.run {
            self.was_seen = true;
            let said = describe_run(&status.plan, run);
            if self.run != said {
                news.push(said.clone());
                self.run = said;
            }
        }
        if self.waits_for != status.waits_for {
            if !status.waits_for.is_empty() {
                news.push(format!("{} waits: {}", status.plan, status.waits_for));
            }
            self.waits_for.clone_from(&status.waits_for);
        }
        news
    }

    /// One that was never seen has ended if the latest of the past is a new one.
    fn ended(&self, status: &proto::PlanStatus) -> Option<proto::PastPlanRun> {
        let is_new = self.was_seen || status.past != self.past;
        let past = status.past.clone();
        past.filter(|_| status.run.is_none() && is_new)
    }
}

impl Client {
    /// Waits until the run ends that was asked for after the plan was as in `before`, however long
    /// that takes; `tell` hears what is new. A federation that can't be reached for a while is no
    /// reason to give up.
    pub async fn follow_run(
        &self,
        plan: &PlanName,
        before: &proto::PlanStatus,
        tell: impl FnMut(&str),
    ) -> Result<proto::PastPlanRun, ClientError> {
        self.watch_plan(plan, RunWatch::new(before), tell).await
    }
}

/// A run that is under way, in one sentence.
#[must_use]
pub fn describe_run(plan: &str, run: &proto::PlanRun) -> String {
    let way = way(&run.from, &run.to);
    format!("{plan}: {}{way}: {}", run.kind, run.phase)
}

/// A run that has ended, in one sentence.
#[must_use]
pub fn describe_past(plan: &str, past: &proto::PastPlanRun) -> String {
    let (kind, to) = (&past.kind, &past.to);
    let way = way(&past.from, to);
    let end = match past.outcome.parse() {
        Ok(Outcome::Moved) => format!("`{to}` is primary"),
        Ok(Outcome::Recovered) => {
            format!("the old primary came back before anybody was promoted, and `{to}` stays it")
        }
        Ok(Outcome::Cancelled) => {
            format!("it was given up before the old primary stopped, and `{to}` stays primary")
        }
        Ok(Outcome::RolledBack) => {
            format!("the other one could not become primary, and `{to}` is it again")
        }
        // Something that a newer voter says.
        Err(_) => format!("{}, and `{to}` is primary", past.outcome),
    };
    let lost = match past.lost_bytes {
        Some(0) => ", nothing was lost".to_owned(),
        Some(bytes) => format!(", {bytes} bytes were lost"),
        None => String::new(),
    };
    let took_s = past.ended_unix_s.saturating_sub(past.began_unix_s);
    format!("{plan}: {kind}{way} ended after {took_s} s: {end}{lost}")
}

/// Whether a run did what it was for: another one is primary.
#[must_use]
pub fn has_moved(past: &proto::PastPlanRun) -> bool {
    match past.outcome.parse() {
        Ok(Outcome::Moved) => true,
        Ok(Outcome::Recovered | Outcome::Cancelled | Outcome::RolledBack) | Err(_) => false,
    }
}

fn way(from: &str, to: &str) -> String {
    let part = |word: &str, site: &str| match site {
        "" => String::new(),
        site => format!(" {word} `{site}`"),
    };
    part("from", from) + &part("to", to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(phase: &str, waits_for: &str) -> proto::PlanStatus {
        proto::PlanStatus {
            plan: "orders".into(),
            run: Some(proto::PlanRun {
                kind: "failover".into(),
                phase: phase.into(),
                from: "a".into(),
                ..Default::default()
            }),
            waits_for: waits_for.into(),
            ..Default::default()
        }
    }

    fn past(outcome: &str, began_unix_s: u64) -> proto::PastPlanRun {
        proto::PastPlanRun {
            kind: "failover".into(),
            outcome: outcome.into(),
            from: "a".into(),
            to: "b".into(),
            began_unix_s,
            ended_unix_s: began_unix_s + 7,
            ..Default::default()
        }
    }

    fn at_rest(past: Option<proto::PastPlanRun>) -> proto::PlanStatus {
        proto::PlanStatus {
            plan: "orders".into(),
            past,
            ..Default::default()
        }
    }

    #[test]
    fn each_change_is_said_once_and_every_change_of_what_it_waits_for() {
        let mut watch = RunWatch::new(&at_rest(None));
        let first = watch.news(&running("fencing", "`a-1` may still write"));
        assert_eq!(
            first,
            [
                "orders: failover from `a`: fencing",
                "orders waits: `a-1` may still write"
            ]
        );
        let same = watch.news(&running("fencing", "`a-1` may still write"));
        assert!(same.is_empty(), "{same:?}");
        let other = watch.news(&running("fencing", "too few voters"));
        assert_eq!(other, ["orders waits: too few voters"]);
        // It waited for nothing in between, and waits for the same again.
        assert!(watch.news(&running("fencing", "")).is_empty());
        let again = watch.news(&running("fencing", "too few voters"));
        assert_eq!(again, ["orders waits: too few voters"]);
    }

    #[test]
    fn a_run_of_before_is_not_the_end_of_the_one_that_was_asked_for() {
        let before = at_rest(Some(past("moved", 100)));
        let mut watch = RunWatch::new(&before);
        watch.news(&before);
        assert_eq!(watch.ended(&before), None, "it was not seen yet");
        let mut during = running("fencing", "");
        during.past = Some(past("moved", 100));
        watch.news(&during);
        assert_eq!(watch.ended(&during), None, "it is under way");
        let after = at_rest(Some(past("recovered", 200)));
        assert_eq!(watch.ended(&after), Some(past("recovered", 200)));
    }

    #[test]
    fn a_run_that_ended_between_two_looks_is_found_by_its_past() {
        let watch = RunWatch::new(&at_rest(Some(past("moved", 100))));
        let after = at_rest(Some(past("moved", 200)));
        assert_eq!(watch.ended(&after), Some(past("moved", 200)));
    }

    #[test]
    fn only_a_run_after_which_another_is_primary_did_what_it_was_for() {
        assert!(has_moved(&past("moved", 1)));
        for other in ["recovered", "cancelled", "rolled-back", "something-newer"] {
            assert!(!has_moved(&past(other, 1)), "{other}");
        }
    }

    #[test]
    fn the_end_says_how_long_it_took_and_what_was_lost() {
        let mut lossy = past("moved", 1);
        lossy.lost_bytes = Some(4096);
        assert_eq!(
            describe_past("orders", &lossy),
            "orders: failover from `a` to `b` ended after 7 s: `b` is primary, 4096 bytes were lost"
        );
        let unknown = describe_past("orders", &past("moved", 1));
        assert!(!unknown.contains("lost"), "{unknown}");
    }
}
