//! From findings and errors to what Terraform shows: where, what, and what to do next.

use hanse_client::ClientError;
use hanse_core::finding::{self, Finding};
use terraform_plugin::{Diagnostic, Diagnostics, Path};

/// A path as Terraform knows it.
pub(crate) fn path(path: &finding::Path) -> Path {
    path.steps()
        .iter()
        .fold(Path::empty(), |path, step| match step {
            finding::Step::Attribute(name) => path.attribute(name),
            finding::Step::Key(key) => path.key(key),
            finding::Step::Index(index) => path.index(*index),
        })
}

/// A finding as Terraform shows it.
pub(crate) fn of_finding(finding: &Finding) -> Diagnostic {
    let diagnostic = match finding.severity {
        finding::Severity::Error => Diagnostic::error(&finding.summary, &finding.detail),
        finding::Severity::Warning => Diagnostic::warning(&finding.summary, &finding.detail),
    };
    match finding.path.steps() {
        [] => diagnostic,
        [..] => diagnostic.at(path(&finding.path)),
    }
}

/// All of them, in order.
pub(crate) fn of_findings<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    findings
        .into_iter()
        .for_each(|finding| diagnostics.push(of_finding(finding)));
    diagnostics
}

/// An error of a call: `what` is like "create VPN mesh `backbone`".
pub(crate) fn of_error(what: &str, error: &ClientError) -> Diagnostics {
    if let ClientError::Refused { findings, .. } = error
        && !findings.is_empty()
    {
        return of_findings(findings);
    }
    Diagnostic::error(format!("Unable to {what}"), error.to_string()).into()
}
