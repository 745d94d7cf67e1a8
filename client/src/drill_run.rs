//! A drill of a DR plan in words, for everybody who waits for its end: the command line and the provider
//! say the same.
//!
//! Nothing is decided here, and giving up the wait stops nothing: the drill is the federation's.

use std::time::Duration;

use hanse_core::dr::drill::DrillOutcome;
use hanse_core::name::PlanName;

use crate::client::Client;
use crate::error::ClientError;
use crate::plan_watch::PlanWatch;
use crate::proto;

/// Looks at a plan until a drill ends, and says what is new.
#[derive(Debug)]
struct DrillWatch {
    /// Those up to here were before.
    before: u64,
    said: String,
}

impl DrillWatch {
    /// For a drill that is asked for now; `before` is how the plan was before it was.
    #[must_use]
    fn new(before: &proto::PlanStatus) -> Self {
        let past = before.drills.iter().map(|drill| drill.number);
        let own = before.drill.iter().map(|drill| drill.number);
        Self {
            before: past.chain(own).max().unwrap_or(0),
            said: String::new(),
        }
    }
}

impl PlanWatch for DrillWatch {
    type End = proto::PastDrill;

    fn news(&mut self, status: &proto::PlanStatus) -> Vec<String> {
        let drill = status.drill.as_ref();
        let Some(drill) = drill.filter(|drill| drill.number > self.before) else {
            return Vec::new();
        };
        let said = describe_running(&status.plan, drill);
        if self.said == said {
            return Vec::new();
        }
        self.said.clone_from(&said);
        vec![said]
    }

    fn ended(&self, status: &proto::PlanStatus) -> Option<proto::PastDrill> {
        let mut drills = status.drills.iter();
        let ended = drills.find(|drill| drill.number > self.before);
        ended.cloned()
    }
}

impl Client {
    /// Waits until the drill ends that was asked for after the plan was as in `before`, however long that
    /// takes; `tell` hears what is new.
    pub async fn follow_drill(
        &self,
        plan: &PlanName,
        before: &proto::PlanStatus,
        tell: impl FnMut(&str),
    ) -> Result<proto::PastDrill, ClientError> {
        self.watch_plan(plan, DrillWatch::new(before), tell).await
    }
}

/// A drill that is under way, in one sentence.
#[must_use]
pub fn describe_running(plan: &str, drill: &proto::DrillView) -> String {
    let progress = match drill.progress.as_str() {
        "" => String::new(),
        progress => format!(": {progress}"),
    };
    let (number, site) = (drill.number, &drill.member_cluster);
    format!("{plan}: drill {number} in `{site}`{progress}")
}

/// A drill that has ended, in one sentence.
#[must_use]
pub fn describe_drill(plan: &str, past: &proto::PastDrill) -> String {
    let (number, site) = (past.number, &past.member_cluster);
    let took_s = past.ended_unix_s.saturating_sub(past.began_unix_s);
    let trouble = match past.trouble.as_str() {
        "" => String::new(),
        trouble => format!(": {trouble}"),
    };
    let outcome = &past.outcome;
    let figures = describe_figures(past);
    let figures = figures.map_or_else(String::new, |figures| format!("; {figures}"));
    format!("{plan}: drill {number} in `{site}` {outcome} after {took_s} s{trouble}{figures}")
}

/// What was measured, in a few words; none: nothing was.
#[must_use]
pub fn describe_figures(past: &proto::PastDrill) -> Option<String> {
    let mut parts = Vec::new();
    if let (Some(rto), Some(promotion)) = (past.rto_ms, past.promotion_ms) {
        let (rto, promotion) = (Duration::from_millis(rto), Duration::from_millis(promotion));
        parts.push(format!(
            "RTO {rto:.1?} (promotion {promotion:.1?}, measured)"
        ));
    }
    let lag = match (past.lag_bytes, past.lag_ms.map(Duration::from_millis)) {
        (None, None) => None,
        (Some(bytes), None) => Some(format!("RPO {bytes} bytes")),
        (None, Some(time)) => Some(format!("RPO {time:.1?}")),
        (Some(bytes), Some(time)) => Some(format!("RPO {time:.1?} ({bytes} bytes)")),
    };
    parts.extend(lag);
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Whether a drill proved its plan.
#[must_use]
pub fn has_passed(past: &proto::PastDrill) -> bool {
    match past.outcome.parse() {
        Ok(DrillOutcome::Passed) => true,
        Ok(DrillOutcome::Failed | DrillOutcome::Abandoned) | Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(number: u64, outcome: &str) -> proto::PastDrill {
        proto::PastDrill {
            number,
            member_cluster: "visby".into(),
            outcome: outcome.into(),
            began_unix_s: 100,
            ended_unix_s: 142,
            ..Default::default()
        }
    }

    fn status(running: Option<(u64, &str)>, drills: Vec<proto::PastDrill>) -> proto::PlanStatus {
        proto::PlanStatus {
            plan: "orders".into(),
            drill: running.map(|(number, progress)| proto::DrillView {
                number,
                member_cluster: "visby".into(),
                progress: progress.into(),
                ..Default::default()
            }),
            drills,
            ..Default::default()
        }
    }

    #[test]
    fn each_step_is_said_once_and_a_drill_of_before_is_not_the_one_that_was_asked_for() {
        let before = status(None, vec![past(3, "passed")]);
        let mut watch = DrillWatch::new(&before);
        assert!(watch.news(&before).is_empty());
        assert_eq!(watch.ended(&before), None);
        let during = status(Some((4, "it copies")), vec![past(3, "passed")]);
        let said = watch.news(&during);
        assert_eq!(said, ["orders: drill 4 in `visby`: it copies"]);
        assert!(watch.news(&during).is_empty());
        assert_eq!(watch.ended(&during), None);
        let after = status(None, vec![past(3, "passed"), past(4, "failed")]);
        assert_eq!(watch.ended(&after), Some(past(4, "failed")));
    }

    #[test]
    fn the_end_says_why_and_what_was_measured() {
        let mut failed = past(4, "failed");
        failed.trouble = "a check failed".into();
        assert_eq!(
            describe_drill("orders", &failed),
            "orders: drill 4 in `visby` failed after 42 s: a check failed"
        );
        let mut passed = past(5, "passed");
        (passed.rto_ms, passed.promotion_ms) = (Some(9000), Some(150));
        (passed.lag_bytes, passed.lag_ms) = (Some(4096), Some(20));
        let said = describe_drill("orders", &passed);
        let figures = "RTO 9.0s (promotion 150.0ms, measured), RPO 20.0ms (4096 bytes)";
        assert!(said.ends_with(figures), "{said}");
        assert!(has_passed(&passed) && !has_passed(&failed) && !has_passed(&past(1, "newer")));
    }
}
