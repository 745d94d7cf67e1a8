//! `hanse drill`: proves a DR plan before it is needed.
//!
//! A drill is the federation's: whoever stops waiting for its end stops nothing.

use anyhow::Context as _;
use clap::Args;
use hanse_client::client::request_id;
use hanse_client::convert;
use hanse_client::drill_run::{describe_drill, has_passed};
use hanse_client::proto::{self, run_plan_request, run_plan_request::Ask};
use hanse_core::name::{ClusterName, PlanName};
use serde_json::{Value, json};

use super::connection::Connection;
use super::output;
use crate::identity::drill::read;
use crate::identity::identity_key;

const EXAMPLE: &str = "\
A copy of a standby is promoted where nobody reaches it, verified, and thrown away. The primary gives it
neither a connection nor disk; a host that both share has fewer processors for it meanwhile. A run that
begins ends the drill.

Examples:
  hanse drill orders
  hanse drill orders --on visby --json";

const RECORDS_EXAMPLE: &str = "\
Each record is signed by the node that held the drill, and the signature is verified here.

Examples:
  hanse dr records orders
  hanse dr records orders --json";

/// Proves a DR plan: promotes an isolated copy of a standby, and verifies it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct Drill {
    /// The DR plan
    #[arg(value_name = "PLAN")]
    plan: PlanName,
    /// The member cluster that holds it; by default the standby that would be promoted last
    #[arg(long, value_name = "CLUSTER")]
    on: Option<ClusterName>,
    /// Return once it has begun
    #[arg(long)]
    no_wait: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Shows the records of a DR plan's drills.
#[derive(Debug, Args)]
#[command(after_help = RECORDS_EXAMPLE)]
pub struct Records {
    /// The DR plan
    #[arg(value_name = "PLAN")]
    plan: PlanName,
    /// Print JSON, with all that the nodes signed
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Drill {
    /// Runs the command.
    pub async fn run(self) -> anyhow::Result<()> {
        let plan = &self.plan;
        let client = self.connection.open().await?;
        let unable = || format!("unable to begin a drill of the DR plan `{plan}`");
        let before = client.plan(plan).await.with_context(unable)?;
        let on = self.on.map(|on| on.to_string()).unwrap_or_default();
        let ask = Ask::Drill(run_plan_request::Drill { on });
        let revision = client.run_plan(plan, ask, &request_id()?).await;
        let revision = revision.with_context(unable)?;
        if self.no_wait {
            output::progress(&format!(
                "{plan}: the drill has begun; `hanse dr {plan} --watch` shows how far it is"
            ));
            return match self.json {
                true => output::print_json(&json!({ "plan": plan, "revision": revision })),
                false => Ok(()),
            };
        }
        output::progress(&format!(
            "{plan}: the drill has begun. Ctrl-C leaves it running; `hanse dr {plan}` shows it."
        ));
        let past = client.follow_drill(plan, &before, output::progress).await;
        let past = past.with_context(|| {
            format!("the drill goes on; only the wait for its end was given up (`hanse dr {plan}`)")
        })?;
        let past = match client.plan_with_reports(plan).await {
            Ok(Some(status)) => {
                let mut all = status.drills.into_iter();
                all.find(|drill| drill.number == past.number)
                    .unwrap_or(past)
            }
            Ok(None) | Err(_) => past,
        };
        let said = describe_drill(plan.as_str(), &past);
        if self.json {
            output::print_json(&record_to_json(&past))?;
        }
        if !has_passed(&past) {
            anyhow::bail!("{said}");
        }
        output::progress(&said);
        Ok(())
    }
}

impl Records {
    /// Runs the command.
    pub async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.open().await?;
        // Says it if there is no such plan, or if nobody leads yet.
        let known = client.plan(&self.plan).await?;
        let status = client.plan_with_reports(&self.plan).await?.unwrap_or(known);
        if self.json {
            let records: Vec<Value> = status.drills.iter().map(record_to_json).collect();
            return output::print_json(&json!({ "plan": self.plan, "drills": records }));
        }
        output::print(&text(&status))
    }
}

/// Whether a record is as its node signed it, and by which key.
fn verdict(past: &proto::PastDrill) -> Result<String, String> {
    let Some(report) = past.report.clone() else {
        return Err("none: its node could not report".to_owned());
    };
    let record = convert::signed_report_from_proto(report);
    match (read(&record), past.signed) {
        (Ok(_), true) => Ok(identity_key(&record.public_key).to_string()),
        (Ok(_), false) => Err("by another key than the node has now".to_owned()),
        (Err(error), _) => Err(error.to_string()),
    }
}

fn text(status: &proto::PlanStatus) -> String {
    if status.drills.is_empty() {
        let plan = &status.plan;
        return format!("{plan}: no drill was held yet. Hold one: hanse drill {plan}");
    }
    let mut lines = Vec::new();
    for past in status.drills.iter().rev() {
        let began = output::since(past.began_unix_s);
        lines.push(format!("{}, {began}", describe_drill(&status.plan, past)));
        lines.push(match verdict(past) {
            Ok(key) => format!("  signed by `{}` with the key {key}", past.node),
            Err(why) => format!("  ! not signed: {why}"),
        });
        for check in checks(past) {
            lines.push(check);
        }
    }
    lines.join("\n")
}

/// A line for each check.
fn checks(past: &proto::PastDrill) -> Vec<String> {
    let record = past.report.clone().map(convert::signed_report_from_proto);
    let report = record.and_then(|record| read(&record).ok());
    let checks = report.into_iter().flat_map(|report| report.checks);
    let line = |check: hanse_core::dr::drill::CheckResult| {
        let detail = match check.detail.as_str() {
            "" => String::new(),
            detail => format!(": {detail}"),
        };
        format!("  {} {}{detail}", check.name, check.outcome)
    };
    checks.map(line).collect()
}

/// For programs.
pub(super) fn past_to_json(past: &proto::PastDrill) -> Value {
    json!({
        "number": past.number,
        "member_cluster": past.member_cluster,
        "node": past.node,
        "began_unix_s": past.began_unix_s,
        "ended_unix_s": past.ended_unix_s,
        "reason": past.reason,
        "outcome": past.outcome,
        "trouble": past.trouble,
        "rto_ms": past.rto_ms,
        "measured_promotion_ms": past.promotion_ms,
        "lag_bytes": past.lag_bytes,
        "lag_ms": past.lag_ms,
        "signed": past.signed,
    })
}

/// The same with all that the node signed, and the very text, for whoever verifies it again.
fn record_to_json(past: &proto::PastDrill) -> Value {
    let mut value = past_to_json(past);
    let record = past.report.clone().map(convert::signed_report_from_proto);
    let report = record.as_ref().and_then(|record| read(record).ok());
    value["verified"] = json!(verdict(past).is_ok());
    value["report"] = json!(report);
    value["record"] = json!(record);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_nobody_signed_says_so() {
        let mut status = proto::PlanStatus {
            plan: "orders".into(),
            ..Default::default()
        };
        assert!(text(&status).contains("Hold one: hanse drill orders"));
        status.drills.push(proto::PastDrill {
            number: 3,
            outcome: "abandoned".into(),
            trouble: "a failover began".into(),
            ..Default::default()
        });
        let shown = text(&status);
        assert!(shown.contains("! not signed: none"), "{shown}");
        let json = record_to_json(&status.drills[0]);
        assert_eq!(
            (&json["verified"], &json["report"]),
            (&json!(false), &Value::Null)
        );
    }

    #[test]
    fn a_record_that_was_changed_is_not_believed() {
        let record = proto::SignedReport {
            text: "{}".into(),
            signature: vec![1],
            public_key: vec![2],
        };
        let past = proto::PastDrill {
            report: Some(record),
            signed: true,
            ..Default::default()
        };
        assert!(
            verdict(&past)
                .unwrap_err()
                .contains("not as its node signed it")
        );
    }
}
