//! What a node found in a drill: the text that it signs, and that is kept.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::DrillOutcome;
use crate::dr::duty::DrillOrder;
use crate::hexadecimal;
use crate::name::{ClusterName, FederationName, NodeName, PlanName};
use crate::object::words;

/// The longest report that is kept, in bytes.
pub const REPORT_LENGTH_MAX: usize = 32 << 10;

words! {
    /// How one check of a drill ended.
    CheckOutcome {
        /// It is as it should be.
        Passed = "passed",
        /// It is not.
        Failed = "failed",
        /// It was not made.
        Skipped = "skipped",
    }
}

/// What a node says of a drill, with its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedReport {
    /// A [`DrillReport`] as JSON: these very bytes are signed.
    pub text: String,
    /// By the node's key.
    #[serde(with = "hexadecimal")]
    pub signature: Vec<u8>,
    /// That key (SubjectPublicKeyInfo, DER), whose digest the node was enrolled with.
    #[serde(with = "hexadecimal")]
    pub public_key: Vec<u8>,
}

/// What a node found in a drill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillReport {
    /// The federation.
    pub federation: FederationName,
    /// The plan.
    pub plan: PlanName,
    /// Which drill of it.
    pub number: u64,
    /// Where.
    pub cluster: ClusterName,
    /// On which node.
    pub node: NodeName,
    /// What kind of workload it is.
    pub workload: String,
    /// When it began, by the federation's word, in seconds since 1970.
    pub began_unix_s: u64,
    /// How long it took, in milliseconds, without the cleaning up.
    pub took_ms: u64,
    /// How it ended.
    pub outcome: DrillOutcome,
    /// Why it did not pass; empty: it did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub trouble: String,
    /// The size of the copy, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied_bytes: Option<u64>,
    /// How long it took to make it, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied_ms: Option<u64>,
    /// What would have been lost.
    #[serde(default)]
    pub rpo: MeasuredRpo,
    /// How long a failover would have taken; none: it got not so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rto: Option<MeasuredRto>,
    /// What was verified, in order.
    #[serde(default)]
    pub checks: Vec<CheckResult>,
}

/// How far behind the primary the standby was when the drill began. None: not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasuredRpo {
    /// In bytes that the primary had written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_bytes: Option<u64>,
    /// In time, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_ms: Option<u64>,
}

/// How long a failover takes, in milliseconds: what is predicted, and what was measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasuredRto {
    /// Predicted: until the primary counts as dead.
    pub predicted_detection_ms: u64,
    /// Predicted: until it certainly can't write.
    pub predicted_fencing_ms: u64,
    /// Predicted: the promotion. It is not in the sum.
    pub predicted_promotion_ms: u64,
    /// Predicted: until clients are led.
    pub predicted_redirect_ms: u64,
    /// Measured: from the promotion's begin until the copy had committed a write.
    pub measured_promotion_ms: u64,
    /// What is predicted, with the promotion as it was measured.
    pub total_ms: u64,
}

/// One thing that was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// What.
    pub name: String,
    /// How it ended.
    pub outcome: CheckOutcome,
    /// Why it is not as it should be, or was not made; empty: it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

impl MeasuredRto {
    /// What is predicted in an order, with a promotion that was measured.
    #[must_use]
    pub fn of(order: &DrillOrder, measured_promotion_ms: u64) -> Self {
        let predicted = &order.predicted;
        let ms = |length: Duration| u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        let [detection, fencing, redirect] =
            [predicted.detection, predicted.fencing, predicted.redirect].map(ms);
        Self {
            predicted_detection_ms: detection,
            predicted_fencing_ms: fencing,
            predicted_promotion_ms: ms(predicted.promotion),
            predicted_redirect_ms: redirect,
            measured_promotion_ms,
            total_ms: detection
                .saturating_add(fencing)
                .saturating_add(redirect)
                .saturating_add(measured_promotion_ms),
        }
    }
}
