//! What a drill has found so far, and how far it is.

use std::time::{Duration, Instant};

use hanse_core::dr::drill::{
    CheckOutcome, CheckResult, DrillOutcome, DrillReport, MeasuredRpo, MeasuredRto,
};
use hanse_core::dr::duty::{CopyPlan, DrillOrder};
use hanse_core::name::{ClusterName, PlanName};
use hanse_core::object::dr_plan::Workload;
use tokio::sync::watch;

use super::DrillNews;
use crate::trouble::Trouble;

/// The longest reason that is kept of a check, and of the drill, in bytes: all of them go into the record,
/// which has its own limit.
const DETAIL_LENGTH_MAX: usize = 300;
const TROUBLE_LENGTH_MAX: usize = 800;

/// What a drill has found so far.
pub(crate) struct Findings {
    report: DrillReport,
    progress: String,
    news: watch::Sender<Option<DrillNews>>,
}

impl Findings {
    pub(super) fn new(
        order: &DrillOrder,
        plan: &CopyPlan,
        news: watch::Sender<Option<DrillNews>>,
    ) -> Self {
        let workload = match &plan.workload {
            Workload::Postgresql(_) => "postgresql",
            Workload::Directory(_) => "directory",
            Workload::Command(_) => "command",
        };
        let mut findings = Self::of((&plan.plan, &plan.cluster, workload), order, news);
        findings.say("it begins");
        findings
    }

    fn of(
        (plan, cluster, workload): (&PlanName, &ClusterName, &str),
        order: &DrillOrder,
        news: watch::Sender<Option<DrillNews>>,
    ) -> Self {
        let report = DrillReport {
            federation: order.federation.clone(),
            plan: plan.clone(),
            number: order.number,
            cluster: cluster.clone(),
            node: order.node.clone(),
            workload: workload.to_owned(),
            began_unix_s: order.began_unix_s,
            took_ms: 0,
            outcome: DrillOutcome::Failed,
            trouble: String::new(),
            copied_bytes: None,
            copied_ms: None,
            rpo: MeasuredRpo {
                lag_bytes: order.lag_bytes,
                lag_ms: None,
            },
            rto: None,
            checks: Vec::new(),
        };
        Self {
            report,
            progress: String::new(),
            news,
        }
    }

    /// Says how far it is.
    pub(crate) fn say(&mut self, progress: &str) {
        progress.clone_into(&mut self.progress);
        self.news.send_replace(Some(DrillNews {
            number: self.report.number,
            progress: self.progress.clone(),
            report: None,
        }));
    }

    pub(super) fn progress(&self) -> &str {
        &self.progress
    }

    /// How far behind the primary the copy is, where the node knows it better than the leader did.
    pub(crate) fn lags(&mut self, bytes: Option<u64>, ms: Option<u64>) {
        let rpo = &mut self.report.rpo;
        rpo.lag_bytes = rpo.lag_bytes.max(bytes);
        rpo.lag_ms = ms;
    }

    pub(crate) fn copied(&mut self, bytes: u64, took: Duration) {
        self.report.copied_bytes = Some(bytes);
        self.report.copied_ms = Some(milliseconds(took));
    }

    pub(crate) fn promoted(&mut self, order: &DrillOrder, took: Duration) {
        self.report.rto = Some(MeasuredRto::of(order, milliseconds(took)));
    }

    /// Something was verified since a moment.
    pub(crate) fn checked(&mut self, name: &str, since: Instant, verdict: Result<(), Trouble>) {
        let (outcome, detail) = match verdict {
            Ok(()) => (CheckOutcome::Passed, String::new()),
            Err(trouble) => (CheckOutcome::Failed, trouble.0),
        };
        self.note(name, since.elapsed(), outcome, &detail);
    }

    /// Something was not verified.
    pub(crate) fn skipped(&mut self, name: &str, why: &str) {
        self.note(name, Duration::ZERO, CheckOutcome::Skipped, why);
    }

    fn note(&mut self, name: &str, took: Duration, outcome: CheckOutcome, detail: &str) {
        self.report.checks.push(CheckResult {
            name: name.to_owned(),
            outcome,
            detail: shortened(detail, DETAIL_LENGTH_MAX),
            took_ms: milliseconds(took),
        });
    }

    /// Whether all that was verified is as it should be.
    pub(super) fn verdict(&self) -> (DrillOutcome, String) {
        let checks = self.report.checks.iter();
        let failed = checks.filter(|check| check.outcome == CheckOutcome::Failed);
        let failed: Vec<String> = failed
            .map(|check| format!("`{}`: {}", check.name, check.detail))
            .collect();
        match failed.as_slice() {
            [] => (DrillOutcome::Passed, String::new()),
            [one] => (DrillOutcome::Failed, format!("a check failed: {one}")),
            all => {
                let count = all.len();
                (
                    DrillOutcome::Failed,
                    format!("{count} checks failed: {}", all.join("; ")),
                )
            }
        }
    }

    pub(super) fn finish(
        mut self,
        outcome: DrillOutcome,
        trouble: String,
        took: Duration,
    ) -> DrillReport {
        self.report.outcome = outcome;
        self.report.trouble = shortened(&trouble, TROUBLE_LENGTH_MAX);
        self.report.took_ms = milliseconds(took);
        self.report
    }
}

/// The first of a text, in plain characters.
fn shortened(text: &str, bytes_max: usize) -> String {
    let end = text.floor_char_boundary(bytes_max);
    let plain = |char: char| if char.is_control() { ' ' } else { char };
    text[..end].chars().map(plain).collect()
}

fn milliseconds(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use hanse_core::dr::drill::REPORT_LENGTH_MAX;
    use hanse_core::dr::timings::Prediction;

    use super::*;

    #[test]
    fn whatever_checks_say_it_fits_into_the_record() {
        let order = DrillOrder {
            federation: "f".parse().unwrap(),
            node: "n".parse().unwrap(),
            number: u64::MAX,
            began_unix_s: u64::MAX,
            lag_bytes: None,
            timeout: Duration::MAX,
            checks: Vec::new(),
            command: Vec::new(),
            predicted: Prediction {
                detection: Duration::MAX,
                fencing: Duration::MAX,
                promotion: Duration::MAX,
                redirect: Duration::MAX,
            },
        };
        let (plan, cluster) = ("p".parse().unwrap(), "c".parse().unwrap());
        for char in ["\u{1}", "\"", "\\", "ü", "\u{10ffff}"] {
            let (news, _) = watch::channel(None);
            let mut findings = Findings::of((&plan, &cluster, "postgresql"), &order, news);
            findings.promoted(&order, Duration::MAX);
            for _ in 0..34 {
                let why = Trouble(char.repeat(10_000));
                findings.checked(&"\"".repeat(63), Instant::now(), Err(why));
            }
            let (outcome, trouble) = findings.verdict();
            let report = findings.finish(outcome, trouble, Duration::MAX);
            let length = serde_json::to_string(&report).unwrap().len();
            assert!(length <= REPORT_LENGTH_MAX, "{char:?}: {length}");
        }
    }
}
