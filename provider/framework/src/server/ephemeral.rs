//! The calls about ephemeral resources. What they obtain is secret: nothing of it is ever logged.

use super::data_source::deferred;
use super::{Server, decode, encode, settle};
use crate::context::Call;
use crate::private::Private;
use crate::proto::tfplugin6 as wire;
use crate::{Diagnostics, Provider, plan};

impl<P: Provider> Server<P> {
    pub(super) async fn validate_ephemeral(
        &self,
        request: wire::validate_ephemeral_resource_config::Request,
        call: Call,
    ) -> Result<wire::validate_ephemeral_resource_config::Response, Diagnostics> {
        let ephemeral = self.ephemeral_resource(&request.type_name)?;
        let config = decode(request.config, &ephemeral.known().of)?;
        let cx = self.cx(call, Private::default());
        let mut diagnostics = ephemeral.validate(&cx, config).await;
        diagnostics.extend(cx.take_outcome().diagnostics);
        Ok(wire::validate_ephemeral_resource_config::Response {
            diagnostics: diagnostics.into_wire(),
        })
    }

    pub(super) async fn open_ephemeral(
        &self,
        request: wire::open_ephemeral_resource::Request,
        call: Call,
    ) -> Result<wire::open_ephemeral_resource::Response, Diagnostics> {
        let ephemeral = self.ephemeral_resource(&request.type_name)?;
        let known = ephemeral.known();
        let config = decode(request.config, &known.of)?;
        let call = call.with(request.client_capabilities.as_ref());
        let cx = self.cx(call, Private::default());
        let result = ephemeral.open(&cx, config.clone()).await;
        if let Some(outcome) = cx.take_deferral() {
            let mut opened = config.clone();
            plan::mark_computed_unknown(&known.schema.block, &mut opened, &config);
            return Ok(wire::open_ephemeral_resource::Response {
                diagnostics: outcome.diagnostics.into_wire(),
                result: encode(&opened, &known.of)?,
                deferred: outcome.deferred.map(deferred),
                ..wire::open_ephemeral_resource::Response::default()
            });
        }
        let (opened, outcome) = settle(&cx, result)?;
        Ok(wire::open_ephemeral_resource::Response {
            diagnostics: outcome.diagnostics.into_wire(),
            renew_at: outcome.renew_at.map(Into::into),
            result: encode(&opened, &known.of)?,
            private: outcome.private.to_optional_wire(),
            deferred: None,
        })
    }

    pub(super) async fn renew_ephemeral(
        &self,
        request: wire::renew_ephemeral_resource::Request,
        call: Call,
    ) -> Result<wire::renew_ephemeral_resource::Response, Diagnostics> {
        let ephemeral = self.ephemeral_resource(&request.type_name)?;
        let private = Private::from_wire(&request.private.unwrap_or_default())?;
        let cx = self.cx(call, private);
        let ((), outcome) = settle(&cx, ephemeral.renew(&cx).await)?;
        Ok(wire::renew_ephemeral_resource::Response {
            diagnostics: outcome.diagnostics.into_wire(),
            renew_at: outcome.renew_at.map(Into::into),
            private: outcome.private.to_optional_wire(),
        })
    }

    pub(super) async fn close_ephemeral(
        &self,
        request: wire::close_ephemeral_resource::Request,
        call: Call,
    ) -> Result<wire::close_ephemeral_resource::Response, Diagnostics> {
        let ephemeral = self.ephemeral_resource(&request.type_name)?;
        let private = Private::from_wire(&request.private.unwrap_or_default())?;
        let cx = self.cx(call, private);
        let ((), outcome) = settle(&cx, ephemeral.close(&cx).await)?;
        Ok(wire::close_ephemeral_resource::Response {
            diagnostics: outcome.diagnostics.into_wire(),
        })
    }
}
