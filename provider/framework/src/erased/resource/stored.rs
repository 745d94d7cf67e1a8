//! State and identities as they were stored, by this version of a resource or an earlier one.

use super::{TypedResource, incomplete};
use crate::erased::AnyResource as _;
use crate::plan;
use crate::value::{UnknownAttributes, Value};
use crate::{Cx, Diagnostic, Diagnostics, Model, Resource};

impl<R: Resource> TypedResource<R> {
    pub(super) async fn upgrade_state(
        &self,
        cx: &Cx<R::Client>,
        version: i64,
        json: &[u8],
    ) -> Result<Value, Diagnostics> {
        if version > R::VERSION {
            let detail = newer("state", version, R::VERSION);
            return Err(unreadable_state(R::TYPE_NAME, &detail));
        }
        if version == R::VERSION {
            return self.decode_stored(json);
        }
        let state = serde_json::from_slice(json)
            .map_err(|error| unreadable_state(R::TYPE_NAME, &error.to_string()))?;
        let state = self
            .resource
            .upgrade(cx, version, state)
            .await?
            .into_value();
        Ok(self.complete(state, None)?.value)
    }

    pub(super) async fn upgrade_stored_identity(
        &self,
        cx: &Cx<R::Client>,
        version: i64,
        json: &[u8],
    ) -> Result<Value, Diagnostics> {
        let unreadable = |why: &str| -> Diagnostics {
            let summary = format!("Unable to read the stored identity of {}", R::TYPE_NAME);
            Diagnostic::error(summary, why).into()
        };
        let schema = self
            .identity()
            .ok_or_else(|| unreadable("This resource has no identity any more."))?;
        if version > R::IDENTITY_VERSION {
            return Err(unreadable(&newer("identity", version, R::IDENTITY_VERSION)));
        }
        let identity = if version == R::IDENTITY_VERSION {
            Value::from_json(json, &schema.of, UnknownAttributes::Ignore)
                .map_err(|error| unreadable(&error.to_string()))?
        } else {
            let identity =
                serde_json::from_slice(json).map_err(|error| unreadable(&error.to_string()))?;
            let upgraded = self
                .resource
                .upgrade_identity(cx, version, identity)
                .await?;
            schema.of_value(&upgraded.into_value(), None)
        };
        match incomplete(R::TYPE_NAME, &identity) {
            found if found.is_empty() => Ok(identity),
            found => Err(found),
        }
    }

    /// State as it was stored, at this version. Attributes since removed are left out.
    fn decode_stored(&self, json: &[u8]) -> Result<Value, Diagnostics> {
        let known = self.known();
        let mut state = Value::from_json(json, &known.of, UnknownAttributes::Ignore)
            .map_err(|error| unreadable_state(R::TYPE_NAME, &error.to_string()))?;
        plan::absent_blocks(&known.schema.block, &mut state);
        Ok(state)
    }
}

fn newer(what: &str, version: i64, newest: i64) -> String {
    format!(
        "The {what} has version {version} of this resource, and this provider reads up to \
         {newest}. Use the provider release that wrote it, or a newer one."
    )
}

fn unreadable_state(type_name: &str, why: &str) -> Diagnostics {
    Diagnostic::error(
        format!("Unable to read the stored state of {type_name}"),
        why,
    )
    .into()
}
