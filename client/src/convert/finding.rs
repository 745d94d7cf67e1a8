//! Findings and paths.

use hanse_core::finding::{Finding, Path, Severity, Step};

use crate::proto::{self, finding, path_step};

/// A finding for the wire.
#[must_use]
pub fn finding_to_proto(finding: &Finding) -> proto::Finding {
    let severity = match finding.severity {
        Severity::Warning => finding::Severity::Warning,
        Severity::Error => finding::Severity::Error,
    };
    proto::Finding {
        severity: severity.into(),
        path: finding.path.steps().iter().map(step_to_proto).collect(),
        summary: finding.summary.clone(),
        detail: finding.detail.clone(),
    }
}

/// A finding from the wire. A severity that is not known here counts as an error, and a path ends
/// where it can't be followed.
#[must_use]
pub fn finding_from_proto(finding: &proto::Finding) -> Finding {
    let severity = match finding.severity() {
        finding::Severity::Warning => Severity::Warning,
        finding::Severity::Error | finding::Severity::Unspecified => Severity::Error,
    };
    let steps: Vec<Step> = finding.path.iter().map_while(step_from_proto).collect();
    Finding {
        severity,
        path: Path::from(steps),
        summary: finding.summary.clone(),
        detail: finding.detail.clone(),
    }
}

fn step_to_proto(step: &Step) -> proto::PathStep {
    let step = match step {
        Step::Attribute(name) => path_step::Step::Attribute(name.clone()),
        Step::Key(key) => path_step::Step::Key(key.clone()),
        Step::Index(index) => path_step::Step::Index(*index as u64),
    };
    proto::PathStep { step: Some(step) }
}

fn step_from_proto(step: &proto::PathStep) -> Option<Step> {
    match step.step.as_ref()? {
        path_step::Step::Attribute(name) => Some(Step::Attribute(name.clone())),
        path_step::Step::Key(key) => Some(Step::Key(key.clone())),
        path_step::Step::Index(index) => usize::try_from(*index).ok().map(Step::Index),
    }
}
