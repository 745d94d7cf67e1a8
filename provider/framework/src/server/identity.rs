//! The calls about identities of resources, and identities on the wire.

use super::{Server, decode, encode};
use crate::context::Call;
use crate::identity::IdentitySchema;
use crate::private::Private;
use crate::proto::tfplugin6 as wire;
use crate::value::Value;
use crate::{Diagnostic, Diagnostics, Provider};

/// How msgpack says null.
const MSGPACK_NIL: u8 = 0xc0;

impl<P: Provider> Server<P> {
    pub(super) async fn identity_schemas(
        &self,
        _: wire::get_resource_identity_schemas::Request,
        _: Call,
    ) -> Result<wire::get_resource_identity_schemas::Response, Diagnostics> {
        let resources = self.registry().resources.iter();
        let identity_schemas = resources
            .filter_map(|resource| {
                let schema = resource.identity()?.to_wire();
                Some((resource.type_name().to_owned(), schema))
            })
            .collect();
        Ok(wire::get_resource_identity_schemas::Response {
            identity_schemas,
            diagnostics: Vec::new(),
        })
    }

    pub(super) async fn upgrade_identity(
        &self,
        request: wire::upgrade_resource_identity::Request,
        call: Call,
    ) -> Result<wire::upgrade_resource_identity::Response, Diagnostics> {
        let resource = self.resource(&request.type_name)?;
        let raw = request.raw_identity.unwrap_or_default();
        if raw.json.is_empty() {
            return Err(Diagnostic::error(
                format!(
                    "Unable to read the stored identity of {}",
                    request.type_name
                ),
                "There is none. Run terraform apply -refresh-only to store one.",
            )
            .into());
        }
        let cx = self.cx(call, Private::default());
        let upgraded = resource.upgrade_identity(&cx, request.version, &raw.json);
        let identity = upgraded.await?;
        Ok(wire::upgrade_resource_identity::Response {
            upgraded_identity: to_wire(Some(identity), resource.identity())?,
            diagnostics: cx.take_outcome().diagnostics.into_wire(),
        })
    }
}

/// An identity that Terraform sent. One that is absent, empty or null is none, and so is any
/// for a resource without identities.
pub(super) fn from_wire(
    data: Option<wire::ResourceIdentityData>,
    schema: Option<&IdentitySchema>,
) -> Result<Option<Value>, Diagnostics> {
    let (Some(data), Some(schema)) = (data, schema) else {
        return Ok(None);
    };
    let identity = decode(data.identity_data, &schema.of)?;
    Ok(Some(identity).filter(|identity| !identity.is_null() && !identity.is_unknown()))
}

pub(super) fn to_wire(
    identity: Option<Value>,
    schema: Option<&IdentitySchema>,
) -> Result<Option<wire::ResourceIdentityData>, Diagnostics> {
    let (Some(identity), Some(schema)) = (identity, schema) else {
        return Ok(None);
    };
    Ok(Some(wire::ResourceIdentityData {
        identity_data: encode(&identity, &schema.of)?,
    }))
}

/// What an object is still called where its apply broke off: the same as before, if it was.
pub(super) fn kept(
    request: &wire::apply_resource_change::Request,
) -> Option<wire::ResourceIdentityData> {
    let is_null = |state: &wire::DynamicValue| {
        (state.msgpack.is_empty() && state.json.is_empty())
            || state.msgpack == [MSGPACK_NIL]
            || state.json == b"null"
    };
    let prior = request.prior_state.as_ref();
    let existed = prior.is_some_and(|state| !is_null(state));
    request.planned_identity.clone().filter(|_| existed)
}
