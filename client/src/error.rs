//! What can go wrong between a program and its federation.

use std::time::Duration;

use hanse_core::admission::RefusalKind;
use hanse_core::finding::Finding;

use crate::connect::{Attempt, MESSAGE_LIMIT_BYTES, describe_attempts};
use crate::credentials::CredentialsError;
use crate::refusal::describe;

/// Why a call did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The federation understood and refused.
    #[error("{}", describe_refusal(*kind, findings))]
    Refused {
        /// Which sort of refusal.
        kind: RefusalKind,
        /// What is wrong, and where.
        findings: Vec<Finding>,
    },
    /// No voter could be reached.
    #[error("no voter could be reached: {}", describe_attempts(tried))]
    Unreachable {
        /// Every endpoint that was tried, and why it failed.
        tried: Vec<Attempt>,
    },
    /// A voter was reached, but the connection ended before the answer.
    #[error("the connection to the federation was lost during the call: {reason}")]
    Interrupted {
        /// What the transport says.
        reason: String,
    },
    /// A voter answered that it cannot do this now.
    #[error("the federation can't do this now: {reason}")]
    Unavailable {
        /// Its own words.
        reason: String,
    },
    /// No voter could do it, for as long as the caller has patience.
    #[error(
        "no voter could do this within {} s: {}. Mend what they say, see that a majority of the \
         voters run, reach one another and can be reached from here, then try again",
        waited.as_secs(),
        describe_attempts(said)
    )]
    GaveUp {
        /// How long it was tried.
        waited: Duration,
        /// The last that each voter said, or why it could not be reached.
        said: Vec<Attempt>,
    },
    /// The caller did not prove who it is.
    #[error("the federation does not accept these credentials: {reason}")]
    Unauthenticated {
        /// Its own words.
        reason: String,
    },
    /// The caller is known and may not do this.
    #[error("not allowed: {reason}")]
    Forbidden {
        /// Its own words.
        reason: String,
    },
    /// A message is larger than either side takes.
    #[error("a message exceeds the limit of {} MiB: {reason}", MESSAGE_LIMIT_BYTES >> 20)]
    TooLarge {
        /// Which message, as far as known.
        reason: String,
    },
    /// The answer makes no sense here, for example since the federation is newer.
    #[error(
        "the federation's answer can't be understood (is this program older than the federation?): {reason}"
    )]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// The credentials can't be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// `HANSE_ENDPOINTS` or an argument like it is unusable.
    #[error("{0}")]
    Configuration(String),
    /// Anything else that a voter answers.
    #[error("the federation failed at this: {reason}")]
    Failed {
        /// Its own words.
        reason: String,
    },
}

impl ClientError {
    /// Whether the same call may succeed a little later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Interrupted { .. }
            | Self::Unavailable { .. }
            | Self::GaveUp { .. } => true,
            Self::Refused { .. }
            | Self::Unauthenticated { .. }
            | Self::Forbidden { .. }
            | Self::TooLarge { .. }
            | Self::Malformed { .. }
            | Self::Credentials(_)
            | Self::Configuration(_)
            | Self::Failed { .. } => false,
        }
    }
}

fn describe_refusal(kind: RefusalKind, findings: &[Finding]) -> String {
    if findings.is_empty() {
        return format!("refused: {}", describe(kind));
    }
    findings
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}
