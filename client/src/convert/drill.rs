//! Drills: what is declared of them, what a node is told to do, and what it tells.

use std::time::Duration;

use hanse_core::dr::drill::SignedReport;
use hanse_core::dr::duty::DrillOrder;
use hanse_core::dr::timings::Prediction;
use hanse_core::duration::Span;
use hanse_core::finding::Path;
use hanse_core::object::dr_plan::{
    DRILL_DATABASE_DEFAULT, DRILL_TIMEOUT_DEFAULT_S, DrillCheck, DrillPolicy,
};

use super::collector::Collector;
use crate::proto;

/// What is declared, for the wire.
pub(super) fn policy_to_proto(policy: &DrillPolicy) -> proto::DrillPolicy {
    let schedule = policy.schedule.as_ref();
    proto::DrillPolicy {
        schedule: schedule.map(ToString::to_string).unwrap_or_default(),
        checks: policy.checks.iter().map(check_to_proto).collect(),
        command: policy.command.clone(),
        timeout: policy.timeout.to_string(),
    }
}

pub(super) fn read_policy(
    collector: &mut Collector,
    policy: &proto::DrillPolicy,
) -> Option<DrillPolicy> {
    let path = |name: &str| Path::of("drill").attribute(name);
    let schedule = collector.optional(path("schedule"), "schedule", &policy.schedule);
    let default = Span::from_secs(DRILL_TIMEOUT_DEFAULT_S);
    let timeout = collector.parse_or(path("timeout"), "duration", &policy.timeout, default);
    Some(DrillPolicy {
        schedule: schedule?,
        checks: policy.checks.iter().map(check_from_proto).collect(),
        command: policy.command.clone(),
        timeout: timeout?,
    })
}

pub(super) fn order_to_proto(order: &DrillOrder) -> proto::DrillOrder {
    let predicted = &order.predicted;
    proto::DrillOrder {
        federation: order.federation.to_string(),
        node: order.node.to_string(),
        number: order.number,
        began_unix_s: order.began_unix_s,
        lag_bytes: order.lag_bytes,
        timeout_ms: milliseconds(order.timeout),
        checks: order.checks.iter().map(check_to_proto).collect(),
        command: order.command.clone(),
        detection_ms: milliseconds(predicted.detection),
        fencing_ms: milliseconds(predicted.fencing),
        promotion_ms: milliseconds(predicted.promotion),
        redirect_ms: milliseconds(predicted.redirect),
    }
}

pub(super) fn read_order(
    collector: &mut Collector,
    order: &proto::DrillOrder,
) -> Option<DrillOrder> {
    let path = Path::of("drill").attribute("federation");
    let federation = collector.parse(path, "name", &order.federation);
    let node = collector.parse(Path::of("drill").attribute("node"), "name", &order.node);
    Some(DrillOrder {
        federation: federation?,
        node: node?,
        number: order.number,
        began_unix_s: order.began_unix_s,
        lag_bytes: order.lag_bytes,
        timeout: Duration::from_millis(order.timeout_ms),
        checks: order.checks.iter().map(check_from_proto).collect(),
        command: order.command.clone(),
        predicted: Prediction {
            detection: Duration::from_millis(order.detection_ms),
            fencing: Duration::from_millis(order.fencing_ms),
            promotion: Duration::from_millis(order.promotion_ms),
            redirect: Duration::from_millis(order.redirect_ms),
        },
    })
}

/// A signed report for the wire.
#[must_use]
pub fn signed_report_to_proto(report: &SignedReport) -> proto::SignedReport {
    proto::SignedReport {
        text: report.text.clone(),
        signature: report.signature.clone(),
        public_key: report.public_key.clone(),
    }
}

/// A signed report from the wire. Nothing of it is believed yet.
#[must_use]
pub fn signed_report_from_proto(report: proto::SignedReport) -> SignedReport {
    SignedReport {
        text: report.text,
        signature: report.signature,
        public_key: report.public_key,
    }
}

fn check_to_proto(check: &DrillCheck) -> proto::DrillCheck {
    proto::DrillCheck {
        name: check.name.clone(),
        sql: check.sql.clone(),
        database: check.database.clone(),
    }
}

fn check_from_proto(check: &proto::DrillCheck) -> DrillCheck {
    DrillCheck {
        name: check.name.clone(),
        sql: check.sql.clone(),
        database: match check.database.as_str() {
            "" => DRILL_DATABASE_DEFAULT.to_owned(),
            database => database.to_owned(),
        },
    }
}

fn milliseconds(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}
