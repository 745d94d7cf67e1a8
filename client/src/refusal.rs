//! Refusals on the wire: a gRPC code for the kind, and the findings in the status details.
//!
//! Both directions stand here side by side, so that what a voter writes is what a client reads.
//! Details travel in HTTP headers, whose size is bounded: too many findings are cut, and the last
//! one says how many are missing.

use hanse_core::admission::RefusalKind;
use hanse_core::finding::{Finding, Path};
use prost::Message;
use tonic::{Code, Status};

use crate::convert::finding::{finding_from_proto, finding_to_proto};
use crate::error::ClientError;
use crate::proto;

/// Every kind; the codes of no two are the same.
const KINDS: [RefusalKind; 5] = [
    RefusalKind::Invalid,
    RefusalKind::NotFound,
    RefusalKind::AlreadyExists,
    RefusalKind::Conflict,
    RefusalKind::TokenUsed,
];
/// The most bytes of findings in one refusal.
const DETAILS_LENGTH_MAX: usize = 24 << 10;
/// The longest status message: it travels in a header too.
const MESSAGE_LENGTH_MAX: usize = 2 << 10;
/// The most bytes of one text inside a finding.
const TEXT_LENGTH_MAX: usize = 4 << 10;

/// The gRPC code that stands for a kind of refusal.
#[must_use]
pub fn code_of(kind: RefusalKind) -> Code {
    match kind {
        RefusalKind::Invalid => Code::InvalidArgument,
        RefusalKind::NotFound => Code::NotFound,
        RefusalKind::AlreadyExists => Code::AlreadyExists,
        RefusalKind::Conflict => Code::FailedPrecondition,
        RefusalKind::TokenUsed => Code::PermissionDenied,
    }
}

/// A refusal as a voter answers it.
#[must_use]
pub fn to_status(kind: RefusalKind, findings: &[Finding]) -> Status {
    let mut message = findings
        .first()
        .map_or_else(|| describe(kind).to_owned(), |first| first.to_string());
    cut(&mut message, MESSAGE_LENGTH_MAX);
    let mut refusal = proto::Refusal {
        findings: Vec::new(),
    };
    let mut length = 0;
    for (position, finding) in findings.iter().enumerate() {
        let mut finding = finding_to_proto(finding);
        cut(&mut finding.summary, TEXT_LENGTH_MAX);
        cut(&mut finding.detail, TEXT_LENGTH_MAX);
        length += finding.encoded_len() + 8;
        if length > DETAILS_LENGTH_MAX {
            let missing = findings.len() - position;
            let more = Finding::error(
                Path::root(),
                format!("{missing} more findings"),
                "There are too many to send at once: mend these first.",
            );
            refusal.findings.push(finding_to_proto(&more));
            break;
        }
        refusal.findings.push(finding);
    }
    Status::with_details(code_of(kind), message, refusal.encode_to_vec().into())
}

/// A kind of refusal in words.
#[must_use]
pub fn describe(kind: RefusalKind) -> &'static str {
    match kind {
        RefusalKind::Invalid => "invalid",
        RefusalKind::NotFound => "not found",
        RefusalKind::AlreadyExists => "it exists already",
        RefusalKind::Conflict => "changed by somebody else",
        RefusalKind::TokenUsed => "the token is used up",
    }
}

/// What a failed call means.
#[must_use]
pub fn from_status(status: &Status) -> ClientError {
    let reason = status.message().to_owned();
    if let (Some(kind), Ok(refusal)) = (
        kind_of(status.code()),
        proto::Refusal::decode(status.details()),
    ) && !refusal.findings.is_empty()
    {
        let findings = refusal.findings.iter().map(finding_from_proto).collect();
        return ClientError::Refused { kind, findings };
    }
    match status.code() {
        Code::OutOfRange => ClientError::TooLarge { reason },
        Code::Unauthenticated => ClientError::Unauthenticated { reason },
        Code::PermissionDenied => ClientError::Forbidden { reason },
        Code::Unavailable | Code::ResourceExhausted | Code::Aborted => {
            ClientError::Unavailable { reason }
        }
        Code::NotFound => ClientError::Refused {
            kind: RefusalKind::NotFound,
            findings: sole(reason),
        },
        Code::InvalidArgument => ClientError::Refused {
            kind: RefusalKind::Invalid,
            findings: sole(reason),
        },
        Code::AlreadyExists => ClientError::Refused {
            kind: RefusalKind::AlreadyExists,
            findings: sole(reason),
        },
        Code::FailedPrecondition => ClientError::Refused {
            kind: RefusalKind::Conflict,
            findings: sole(reason),
        },
        Code::Cancelled | Code::DeadlineExceeded => ClientError::Interrupted { reason },
        Code::Unimplemented => ClientError::Malformed {
            reason: format!("the call is not known there: {reason}"),
        },
        Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => {
            ClientError::Failed { reason }
        }
    }
}

fn kind_of(code: Code) -> Option<RefusalKind> {
    KINDS.into_iter().find(|kind| code_of(*kind) == code)
}

fn sole(reason: String) -> Vec<Finding> {
    vec![Finding::error(Path::root(), "Refused", reason)]
}

/// Shortens a text to at most `length` bytes, at a character's border.
fn cut(text: &mut String, length: usize) {
    if text.len() > length {
        let end = (0..=length)
            .rev()
            .find(|end| text.is_char_boundary(*end))
            .unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_arrives_as_it_was_written() {
        let path = Path::of("sites").key("berlin").attribute("routes").index(2);
        let findings = vec![
            Finding::error(path, "Overlap", "10.0.0.0/8 overlaps."),
            Finding::warning(Path::root(), "No node", "Enrol one."),
        ];
        for kind in KINDS {
            let ClientError::Refused {
                kind: read,
                findings: received,
            } = from_status(&to_status(kind, &findings))
            else {
                panic!("no refusal");
            };
            assert_eq!((read, &received), (kind, &findings));
        }
    }

    #[test]
    fn too_many_findings_are_cut_and_the_last_says_so() {
        let finding = Finding::error(Path::root(), "Wrong", "ä".repeat(10_000));
        let status = to_status(RefusalKind::Invalid, &vec![finding; 1000]);
        assert!(
            status.details().len() < 32 << 10,
            "{}",
            status.details().len()
        );
        let ClientError::Refused { findings, .. } = from_status(&status) else {
            panic!()
        };
        assert!(findings.last().unwrap().summary.ends_with("more findings"));
    }

    #[test]
    fn details_that_are_garbage_still_give_an_error() {
        let status = Status::with_details(Code::InvalidArgument, "no", vec![255; 100].into());
        assert!(matches!(from_status(&status), ClientError::Refused { .. }));
    }
}
