//! What another resource left behind for one that takes its object over.

use std::fmt;

use crate::private::Private;
use crate::value::{UnknownAttributes, Value};
use crate::{Diagnostic, Diagnostics, Model};

/// The object of another resource type, perhaps of another provider, that a `moved` block hands
/// over.
#[derive(Clone, PartialEq)]
pub struct MoveSource {
    /// The provider that it was managed by, like `registry.terraform.io/example/notes`.
    pub provider_address: String,
    /// The resource type.
    pub type_name: String,
    /// The version of the state's form there.
    pub version: i64,
    /// The state as it was stored.
    pub state: serde_json::Value,
    /// The identity as it was stored, where there is one.
    pub identity: Option<serde_json::Value>,
    /// The version of the identity's form there.
    pub identity_version: i64,
    /// The private data as that provider wrote it; [`Self::private_value`] reads that of a
    /// provider made with this framework.
    pub private: Vec<u8>,
}

impl MoveSource {
    /// The state as a model, where the source is a resource of yours at the model's version.
    /// Attributes that the model doesn't have are left out.
    pub fn model<M: Model>(&self) -> Result<M, Diagnostics> {
        let unreadable = |why: String| {
            let summary = format!("Unable to read the state of {}", self.type_name);
            Diagnostic::error(summary, why)
        };
        let of = M::block().value_type();
        let json = self.state.to_string();
        let state = Value::from_json(json.as_bytes(), &of, UnknownAttributes::Ignore)
            .map_err(|error| unreadable(error.to_string()))?;
        M::from_value(state).map_err(|error| error.into_diagnostic().into())
    }

    /// Private data under a key, where a provider made with this framework wrote it.
    pub fn private_value(&self, key: &str) -> Option<Vec<u8>> {
        Private::from_wire(&self.private).ok()?.0.remove(key)
    }
}

/// State may hold secrets, so that only what it is of is shown.
impl fmt::Debug for MoveSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("MoveSource")
            .field("provider_address", &self.provider_address)
            .field("type_name", &self.type_name)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
