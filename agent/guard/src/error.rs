//! Errors of this crate: each names the operation that failed, and its source says why.

use std::io;

/// Why a guard can't do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused an operation.
    #[error("unable to {operation}")]
    Io {
        /// What was attempted.
        operation: String,
        /// Why it failed.
        source: io::Error,
    },
    /// Something is not as it must be, and the text says what to do.
    #[error("{0}")]
    Problem(String),
}

impl Error {
    pub(crate) fn io<E: Into<io::Error>>(operation: impl Into<String>) -> impl FnOnce(E) -> Self {
        let operation = operation.into();
        move |source| Self::Io {
            operation,
            source: source.into(),
        }
    }

    pub(crate) fn problem(text: impl Into<String>) -> Self {
        Self::Problem(text.into())
    }

    /// The error and its source in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Io { operation, source } => format!("unable to {operation}: {source}"),
            Self::Problem(text) => text.clone(),
        }
    }
}
