//! Errors of this crate: each names the operation that failed, and its source says why.

use std::io;

/// Why something could not be put into effect.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused an operation.
    #[error("{operation}")]
    Io {
        /// What was attempted.
        operation: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The kernel refused a change of links, addresses, routes or rules.
    #[error("{operation}")]
    Netlink {
        /// What was attempted.
        operation: String,
        /// Why it failed.
        source: rtnetlink::Error,
    },
    /// A WireGuard daemon refused a request, by its errno.
    #[error("{operation}: the daemon answered with {source}")]
    Refused {
        /// What was attempted.
        operation: String,
        /// Its answer.
        source: io::Error,
    },
    /// Something is not as it must be, and the text says what to do.
    #[error("{0}")]
    Problem(String),
}

impl Error {
    pub(crate) fn io(operation: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let operation = operation.into();
        move |source| Self::Io { operation, source }
    }

    pub(crate) fn netlink(operation: impl Into<String>) -> impl FnOnce(rtnetlink::Error) -> Self {
        let operation = operation.into();
        move |source| Self::Netlink { operation, source }
    }

    pub(crate) fn problem(text: impl Into<String>) -> Self {
        Self::Problem(text.into())
    }

    /// The error and its sources in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Io { operation, source } => format!("unable to {operation}: {source}"),
            Self::Netlink { operation, source } => format!("unable to {operation}: {source}"),
            Self::Refused { operation, source } => {
                format!("unable to {operation}: the daemon answered with {source}")
            }
            Self::Problem(text) => text.clone(),
        }
    }

    /// The errno behind the error, if there is one.
    pub(crate) fn errno(&self) -> Option<rustix::io::Errno> {
        match self {
            Self::Io { source, .. } | Self::Refused { source, .. } => source
                .raw_os_error()
                .map(rustix::io::Errno::from_raw_os_error),
            Self::Netlink {
                source: rtnetlink::Error::NetlinkError(message),
                ..
            } => Some(rustix::io::Errno::from_raw_os_error(
                message.raw_code().saturating_abs(),
            )),
            Self::Netlink { .. } | Self::Problem(_) => None,
        }
    }
}
