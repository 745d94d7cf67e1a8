//! The `timeouts` block: how long an apply waits.

use std::time::Duration;

use hanse_core::duration::Span;
use terraform_plugin::{Attr, Model};

/// How long each operation may take.
#[derive(Clone, Model)]
pub(crate) struct Timeouts {
    /// How long a create waits, like `10m`. By default 10 minutes.
    #[attribute(optional, validate = duration)]
    pub(crate) create: Attr<String>,
    /// How long an update waits. By default 10 minutes.
    #[attribute(optional, validate = duration)]
    pub(crate) update: Attr<String>,
    /// How long a delete waits. By default 5 minutes.
    #[attribute(optional, validate = duration)]
    pub(crate) delete: Attr<String>,
}

/// What an apply does with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// It is new.
    Create,
    /// It changes.
    Update,
    /// It goes.
    Delete,
}

impl Operation {
    /// How long it may take.
    pub(crate) fn limit(self, timeouts: Option<&Timeouts>) -> Duration {
        let (written, default_s) = match self {
            Self::Create => (timeouts.map(|block| &block.create), 600),
            Self::Update => (timeouts.map(|block| &block.update), 600),
            Self::Delete => (timeouts.map(|block| &block.delete), 300),
        };
        written
            .and_then(Attr::as_known)
            .and_then(|text| text.parse::<Span>().ok())
            .map_or(Duration::from_secs(default_s), |span| span.value())
    }
}

/// Checks that a text is a duration.
pub(crate) fn duration(text: &str) -> Result<(), String> {
    text.parse::<Span>()
        .map(|_| ())
        .map_err(|error| error.to_string())
}
