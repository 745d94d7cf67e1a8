//! The calls about objects that Terraform takes in: by import, from another resource, and as
//! configuration.

use super::data_source::deferred;
use super::{Server, decode, encode, identity, settle};
use crate::context::Call;
use crate::erased::ImportBy;
use crate::private::Private;
use crate::proto::tfplugin6 as wire;
use crate::{Diagnostic, Diagnostics, MoveSource, Provider};

impl<P: Provider> Server<P> {
    pub(super) async fn import_resource(
        &self,
        request: wire::import_resource_state::Request,
        call: Call,
    ) -> Result<wire::import_resource_state::Response, Diagnostics> {
        let resource = self.resource(&request.type_name)?;
        let by = match identity::from_wire(request.identity, resource.identity())? {
            Some(identity) => ImportBy::Identity(identity),
            None => ImportBy::Id(request.id),
        };
        let call = call.with(request.client_capabilities.as_ref());
        let cx = self.cx(call, Private::default());
        let result = resource.import(&cx, by).await;
        let mut outcome = cx.take_outcome();
        let state = match result {
            Ok(state) => state,
            Err(diagnostics) => {
                outcome.diagnostics.extend(diagnostics);
                return Err(outcome.diagnostics);
            }
        };
        let imported = wire::import_resource_state::ImportedResource {
            type_name: request.type_name,
            state: encode(&state.value, &resource.known().of)?,
            private: outcome.private.to_wire(),
            identity: identity::to_wire(state.identity, resource.identity())?,
        };
        Ok(wire::import_resource_state::Response {
            imported_resources: vec![imported],
            diagnostics: outcome.diagnostics.into_wire(),
            deferred: outcome.deferred.map(deferred),
        })
    }

    pub(super) async fn move_resource(
        &self,
        request: wire::move_resource_state::Request,
        call: Call,
    ) -> Result<wire::move_resource_state::Response, Diagnostics> {
        let resource = self.resource(&request.target_type_name)?;
        let source = source(request)?;
        let cx = self.cx(call, Private::default());
        let moved = resource.take_over(&cx, source).await;
        let (moved, outcome) = settle(&cx, moved)?;
        Ok(wire::move_resource_state::Response {
            target_state: encode(&moved.value, &resource.known().of)?,
            target_private: outcome.private.to_wire(),
            target_identity: identity::to_wire(moved.identity, resource.identity())?,
            diagnostics: outcome.diagnostics.into_wire(),
        })
    }

    pub(super) async fn generate_config(
        &self,
        request: wire::generate_resource_config::Request,
        call: Call,
    ) -> Result<wire::generate_resource_config::Response, Diagnostics> {
        let resource = self.resource(&request.type_name)?;
        let of = &resource.known().of;
        let state = decode(request.state, of)?;
        let cx = self.cx(call, Private::default());
        let config = resource.generate(&cx, state).await;
        let (config, outcome) = settle(&cx, config)?;
        Ok(wire::generate_resource_config::Response {
            config: encode(&config, of)?,
            diagnostics: outcome.diagnostics.into_wire(),
        })
    }
}

fn source(request: wire::move_resource_state::Request) -> Result<MoveSource, Diagnostics> {
    let type_name = request.source_type_name;
    let read = |what: &str, json: &[u8]| {
        serde_json::from_slice(json).map_err(|error| {
            let summary = format!("Unable to read the stored {what} of {type_name}");
            Diagnostics::from(Diagnostic::error(summary, error.to_string()))
        })
    };
    let state = read("state", &request.source_state.unwrap_or_default().json)?;
    let identity = request.source_identity.unwrap_or_default().json;
    let identity = match identity.as_slice() {
        [] => None,
        identity => Some(read("identity", identity)?),
    };
    Ok(MoveSource {
        provider_address: request.source_provider_address,
        version: request.source_schema_version,
        state,
        identity,
        identity_version: request.source_identity_schema_version,
        private: request.source_private,
        type_name,
    })
}
