//! A run of a DR plan in words, for everybody who waits for its end: the command line and the
//! provider say the same.
//!
//! Nothing is decided here, and giving up the wait stops nothing: the run is the federation's.

use std::time::Duration;

use hanse_core::dr::record::Outcome;
use hanse_core::finding::{Finding, Path};
use hanse_core::name::PlanName;
use hanse_core::object::ObjectRef;

use crate::client::Client;
use crate::error::ClientError;
use crate::proto;
use hanse_core::admission::RefusalKind;

/// The longest that one look waits for news.
pub(crate) const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause after a look that failed.
pub(crate) const PAUSE: Duration = Duration::from_millis(250);
/// So often a plan that is declared is looked for.
const LOOKS_MAX: usize = 40;

/// Looks at a plan until a run ends, and says what is new.
#[derive(Debug)]
pub struct RunWatch {
    past: Option<proto::PastPlanRun>,
    was_seen: bool,
    run: String,
    waits_for: String,
}

impl RunWatch {
    /// For a run that is asked for now; `before` is how the plan was before it was.
    #[must_use]
    pub fn new(before: &proto::PlanStatus) -> Self {
        Self {
            past: before.past.clone(),
            was_seen: false,
            run: String::new(),
            waits_for: String::new(),
        }
    }

    /// What is new since the last look, in sentences.
    pub fn news(&mut self, status: &proto::PlanStatus) -> Vec<String> {
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

    /// The run, if it has ended. One that was never seen has ended if the latest of the past is a new
    /// one.
    #[must_use]
    pub fn ended(&self, status: &proto::PlanStatus) -> Option<proto::PastPlanRun> {
        let is_new = self.was_seen || status.past != self.past;
        let past = status.past.clone();
        past.filter(|_| status.run.is_none() && is_new)
    }
}

impl Client {
    /// How one plan is now. A voter that began to lead just now can't tell yet: it is asked again.
    pub async fn plan(&self, plan: &PlanName) -> Result<proto::PlanStatus, ClientError> {
        for _ in 0..LOOKS_MAX {
            let answer = self.plan_status(Some(plan), 0, Duration::ZERO).await?;
            if let Some(status) = of(plan, answer) {
                return Ok(status);
            }
            self.expect_plan(plan).await?;
            tokio::time::sleep(PAUSE).await;
        }
        let reason = format!("no voter tells how the DR plan `{plan}` is");
        Err(ClientError::Unavailable { reason })
    }

    /// Waits until the run ends that was asked for after the plan was as in `before`, however long
    /// that takes; `tell` hears what is new. A federation that can't be reached for a while is no
    /// reason to give up.
    pub async fn follow_run(
        &self,
        plan: &PlanName,
        before: &proto::PlanStatus,
        mut tell: impl FnMut(&str),
    ) -> Result<proto::PastPlanRun, ClientError> {
        let mut watch = RunWatch::new(before);
        let (mut version, mut complaint) = (0, String::new());
        loop {
            let answer = match self.plan_status(Some(plan), version, LOOK_TIMEOUT).await {
                Ok(answer) => answer,
                Err(error) if error.is_transient() => {
                    let said = error.to_string();
                    if complaint != said {
                        tell(&format!("{said}; looking again"));
                        complaint = said;
                    }
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            version = answer.version;
            complaint.clear();
            let Some(status) = of(plan, answer) else {
                self.expect_plan(plan).await?;
                continue;
            };
            watch.news(&status).iter().for_each(|line| tell(line));
            if let Some(past) = watch.ended(&status) {
                return Ok(past);
            }
        }
    }

    /// Refuses to go on with a plan that is not declared.
    pub(crate) async fn expect_plan(&self, plan: &PlanName) -> Result<(), ClientError> {
        match self.get(&ObjectRef::DrPlan(plan.clone())).await {
            // Whoever can't be asked says nothing of it.
            Ok(Some(_)) => Ok(()),
            Err(error) if error.is_transient() => Ok(()),
            Err(error) => Err(error),
            Ok(None) => {
                let detail = format!("No DR plan `{plan}` is declared. `hanse dr` shows all.");
                Err(ClientError::Refused {
                    kind: RefusalKind::NotFound,
                    findings: vec![Finding::error(Path::root(), "Unknown DR plan", detail)],
                })
            }
        }
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

/// The one plan that was asked for, if it is told of.
pub(crate) fn of(plan: &PlanName, answer: proto::PlanStatusResponse) -> Option<proto::PlanStatus> {
    let mut plans = answer.plans.into_iter();
    plans.find(|status| status.plan == plan.as_str())
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
