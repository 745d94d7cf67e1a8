//! What nodes tell of drills, and how drills are shown. A report that its node did not sign is no word
//! of it.

use hanse_client::{convert, proto};
use hanse_core::dr::drill::{
    self, Drill, DrillEnd, DrillOutcome, DrillReport, DrillSight, PastDrill, SignedReport,
};
use hanse_core::name::{NodeName, PlanName};
use hanse_core::state::FederationState;

use super::conductor::Glance;
use crate::identity::drill::read;
use crate::identity::identity_key;

/// The longest sentence that is kept of a drill that goes on, in characters.
const SENTENCE_LENGTH_MAX: usize = 300;

/// What a node tells of its drill, as far as it can be believed.
pub(super) fn sight(
    state: &FederationState,
    (plan, node): (&PlanName, &NodeName),
    told: proto::DrillStatus,
) -> DrillSight {
    let number = told.number;
    let end = told.report.map(|report| {
        let report = convert::signed_report_from_proto(report);
        believe(state, (plan, node, number), report)
    });
    DrillSight {
        number,
        progress: shortened(&told.progress),
        end,
    }
}

/// The end of a drill by its node's word, which must be signed and of this very drill.
fn believe(
    state: &FederationState,
    (plan, node, number): (&PlanName, &NodeName, u64),
    record: SignedReport,
) -> DrillEnd {
    let failed = |trouble: String| DrillEnd {
        outcome: DrillOutcome::Failed,
        trouble,
        report: None,
    };
    if !is_of(state, node, &record) {
        return failed(format!(
            "its record is signed by another key than that of `{node}`"
        ));
    }
    let report = match read(&record) {
        Ok(report) => report,
        Err(error) => return failed(format!("its record can't be believed: {error}")),
    };
    let is_own = (&report.plan, &report.node, report.number) == (plan, node, number)
        && report.federation == *state.inventory().name();
    if !is_own {
        return failed("its record is of another drill".to_owned());
    }
    DrillEnd {
        outcome: report.outcome,
        trouble: report.trouble,
        report: Some(record),
    }
}

/// Whether a record names the key that a node is enrolled with.
fn is_of(state: &FederationState, node: &NodeName, record: &SignedReport) -> bool {
    let enrolled = state.identities().key_of(node);
    enrolled.is_some_and(|enrolled| identity_key(&record.public_key) == enrolled)
}

/// The drill that is under way.
pub(super) fn show(drill: &Drill, glance: &Glance) -> proto::DrillView {
    let told = glance.sight.drill.as_ref();
    proto::DrillView {
        number: drill.number,
        member_cluster: drill.cluster.to_string(),
        node: drill.node.to_string(),
        began_unix_s: drill.began_unix_s,
        reason: drill.reason.clone(),
        progress: told.map(|told| told.progress.clone()).unwrap_or_default(),
    }
}

/// A drill that ended; with all that its node said, if that is asked for.
pub(super) fn show_past(
    state: &FederationState,
    past: &PastDrill,
    with_reports: bool,
) -> proto::PastDrill {
    let record = past.report.as_ref();
    // It was verified before it was kept.
    let report: Option<DrillReport> =
        record.and_then(|record| serde_json::from_str(&record.text).ok());
    let rto = report.as_ref().and_then(|report| report.rto);
    let rpo = report.as_ref().map(|report| report.rpo).unwrap_or_default();
    let is_signed = record.is_some_and(|record| is_of(state, &past.node, record));
    proto::PastDrill {
        number: past.number,
        member_cluster: past.cluster.to_string(),
        node: past.node.to_string(),
        began_unix_s: past.began_unix_s,
        ended_unix_s: past.ended_unix_s,
        reason: past.reason.clone(),
        outcome: past.outcome.to_string(),
        trouble: past.trouble.clone(),
        rto_ms: rto.map(|rto| rto.total_ms),
        promotion_ms: rto.map(|rto| rto.measured_promotion_ms),
        lag_bytes: rpo.lag_bytes,
        lag_ms: rpo.lag_ms,
        signed: is_signed && report.is_some(),
        report: record
            .filter(|_| with_reports)
            .map(convert::signed_report_to_proto),
    }
}

/// When the next drill begins by itself.
pub(super) fn next_unix_s(glance: &Glance) -> Option<u64> {
    drill::next_unix_s(&glance.terms, &glance.record, glance.sight.now_unix_s)
}

fn shortened(sentence: &str) -> String {
    sentence.chars().take(SENTENCE_LENGTH_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_did_not_sign_is_no_word_of_its() {
        let state = FederationState::new("baltic".parse().unwrap());
        let (plan, node) = ("orders".parse().unwrap(), "visby-1".parse().unwrap());
        let told = |report| proto::DrillStatus {
            number: 7,
            progress: "x".repeat(1000),
            report,
        };
        let going_on = sight(&state, (&plan, &node), told(None));
        assert_eq!((going_on.number, going_on.end), (7, None));
        assert_eq!(going_on.progress.len(), SENTENCE_LENGTH_MAX);
        let forged = proto::SignedReport {
            text: "{\"outcome\": \"passed\"}".into(),
            signature: vec![1],
            public_key: vec![2],
        };
        let end = sight(&state, (&plan, &node), told(Some(forged)))
            .end
            .unwrap();
        assert_eq!((end.outcome, end.report), (DrillOutcome::Failed, None));
        assert!(end.trouble.contains("another key"), "{}", end.trouble);
    }
}
