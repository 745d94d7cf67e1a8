//! The calls about data sources.

use super::{Server, decode, encode};
use crate::context::{Call, DeferReason};
use crate::private::Private;
use crate::proto::tfplugin6 as wire;
use crate::timeouts::Operation;
use crate::{Diagnostics, Provider, plan};

impl<P: Provider> Server<P> {
    pub(super) async fn validate_data_source(
        &self,
        request: wire::validate_data_resource_config::Request,
        call: Call,
    ) -> Result<wire::validate_data_resource_config::Response, Diagnostics> {
        let data_source = self.data_source(&request.type_name)?;
        let config = decode(request.config, &data_source.known().of)?;
        let cx = self.cx(call, Private::default());
        let mut diagnostics = data_source.validate(&cx, config).await;
        diagnostics.extend(cx.take_outcome().diagnostics);
        Ok(wire::validate_data_resource_config::Response {
            diagnostics: diagnostics.into_wire(),
        })
    }

    pub(super) async fn read_data_source(
        &self,
        request: wire::read_data_source::Request,
        call: Call,
    ) -> Result<wire::read_data_source::Response, Diagnostics> {
        let data_source = self.data_source(&request.type_name)?;
        let of = &data_source.known().of;
        let config = decode(request.config, of)?;
        let call = call
            .with(request.client_capabilities.as_ref())
            .with_meta(self.provider_meta(request.provider_meta)?)
            .within(Operation::Read, &config);
        let cx = self.cx(call, Private::default());
        let result = data_source.read(&cx, config.clone()).await;
        let mut outcome = cx.take_outcome();
        if outcome.deferred.is_some() {
            let mut opened = config.clone();
            plan::mark_computed_unknown(&data_source.known().schema.block, &mut opened, &config);
            return Ok(wire::read_data_source::Response {
                state: encode(&opened, of)?,
                diagnostics: outcome.diagnostics.into_wire(),
                deferred: outcome.deferred.map(deferred),
            });
        }
        match result {
            Ok(state) => Ok(wire::read_data_source::Response {
                state: encode(&state, of)?,
                diagnostics: outcome.diagnostics.into_wire(),
                deferred: None,
            }),
            Err(diagnostics) => {
                outcome.diagnostics.extend(diagnostics);
                Err(outcome.diagnostics)
            }
        }
    }
}

pub(super) fn deferred(reason: DeferReason) -> wire::Deferred {
    use wire::deferred::Reason;
    let reason = match reason {
        DeferReason::ResourceConfigUnknown => Reason::ResourceConfigUnknown,
        DeferReason::ProviderConfigUnknown => Reason::ProviderConfigUnknown,
        DeferReason::AbsentPrerequisite => Reason::AbsentPrereq,
    };
    wire::Deferred {
        reason: reason.into(),
    }
}
