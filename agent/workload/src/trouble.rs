//! What is wrong with a copy.

/// What failed, where, and what to do next, in one sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Trouble(pub String);

impl Trouble {
    /// An operation on a file or folder failed.
    pub(crate) fn io(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self(format!("unable to {what} {}: {error}", path.display()))
    }
}
