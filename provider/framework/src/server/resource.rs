//! The calls about resources.

use super::data_source::deferred;
use super::{Server, decode, decode_refined, encode, encode_refined, identity};
use crate::context::Call;
use crate::erased::{ApplyRequest, Identified, PlanRequest};
use crate::private::Private;
use crate::proto::tfplugin6 as wire;
use crate::timeouts::Operation;
use crate::value::Value;
use crate::{Diagnostic, Diagnostics, Path, Provider, plan};

impl<P: Provider> Server<P> {
    pub(super) async fn validate_resource(
        &self,
        request: wire::validate_resource_config::Request,
        call: Call,
    ) -> Result<wire::validate_resource_config::Response, Diagnostics> {
        let resource = self.resource(&request.type_name)?;
        let known = resource.known();
        let config = decode(request.config, &known.of)?;
        let call = call.with(request.client_capabilities.as_ref());
        let cx = self.cx(call, Private::default());
        let refused = if cx.write_only_attributes_allowed() {
            Diagnostics::new()
        } else {
            let paths = plan::write_only_set(&known.schema.block, &config);
            paths.into_iter().map(write_only_refused).collect()
        };
        let mut diagnostics = resource.validate(&cx, config).await;
        diagnostics.extend(refused);
        diagnostics.extend(cx.take_outcome().diagnostics);
        Ok(wire::validate_resource_config::Response {
            diagnostics: diagnostics.into_wire(),
        })
    }

    pub(super) async fn upgrade_resource(
        &self,
        request: wire::upgrade_resource_state::Request,
        call: Call,
    ) -> Result<wire::upgrade_resource_state::Response, Diagnostics> {
        let resource = self.resource(&request.type_name)?;
        let raw = request.raw_state.unwrap_or_default();
        if raw.json.is_empty() {
            return Err(Diagnostic::error(
                format!("Unable to read the stored state of {}", request.type_name),
                "The state was written by a Terraform before 0.12. Upgrade it with that one first.",
            )
            .into());
        }
        let cx = self.cx(call, Private::default());
        let state = resource.upgrade(&cx, request.version, &raw.json).await?;
        Ok(wire::upgrade_resource_state::Response {
            upgraded_state: encode(&state, &resource.known().of)?,
            diagnostics: cx.take_outcome().diagnostics.into_wire(),
        })
    }

    pub(super) async fn read_resource(
        &self,
        request: wire::read_resource::Request,
        call: Call,
    ) -> Result<wire::read_resource::Response, Diagnostics> {
        let resource = self.resource(&request.type_name)?;
        let of = &resource.known().of;
        let state = decode(request.current_state, of)?;
        if state.is_null() {
            return Ok(wire::read_resource::Response {
                new_state: encode(&Value::Null, of)?,
                ..wire::read_resource::Response::default()
            });
        }
        let call = call
            .with(request.client_capabilities.as_ref())
            .with_meta(self.provider_meta(request.provider_meta)?)
            .within(Operation::Read, &state);
        let cx = self.cx(call, Private::from_wire(&request.private)?);
        let state = Identified {
            value: state,
            identity: identity::from_wire(request.current_identity, resource.identity())?,
        };
        let result = resource.read(&cx, state.clone()).await;
        let mut outcome = cx.take_outcome();
        let new_state = match (result, outcome.deferred) {
            (_, Some(_)) => state,
            (Ok(new_state), None) => new_state,
            (Err(diagnostics), None) => {
                outcome.diagnostics.extend(diagnostics);
                return Err(outcome.diagnostics);
            }
        };
        Ok(wire::read_resource::Response {
            new_state: encode(&new_state.value, of)?,
            diagnostics: outcome.diagnostics.into_wire(),
            private: outcome.private.to_wire(),
            deferred: outcome.deferred.map(deferred),
            new_identity: identity::to_wire(new_state.identity, resource.identity())?,
        })
    }

    pub(super) async fn plan_resource(
        &self,
        request: wire::plan_resource_change::Request,
        call: Call,
    ) -> Result<wire::plan_resource_change::Response, Diagnostics> {
        let resource = self.resource(&request.type_name)?;
        let of = &resource.known().of;
        let call = call
            .with(request.client_capabilities.as_ref())
            .with_meta(self.provider_meta(request.provider_meta)?);
        let private = planned_or_prior(&request.planned_private, &request.prior_private);
        let cx = self.cx(call, Private::from_wire(private)?);
        let (proposed, refinements) = decode_refined(request.proposed_new_state, of)?;
        let request = PlanRequest {
            prior: Identified {
                value: decode(request.prior_state, of)?,
                identity: identity::from_wire(request.prior_identity, resource.identity())?,
            },
            proposed,
            config: decode(request.config, of)?,
        };
        let opened = Identified {
            value: request.proposed.clone(),
            identity: request.prior.identity.clone(),
        };
        let (cx, result) = resource.plan(cx, request).await;
        let mut promises = cx.take_promises();
        promises.complete_with(refinements);
        let mut outcome = cx.take_outcome();
        let (planned, requires_replace) = match (result, outcome.deferred) {
            (Ok(response), _) => (response.planned, response.requires_replace),
            (Err(_), Some(_)) => (opened, Vec::new()),
            (Err(diagnostics), None) => {
                outcome.diagnostics.extend(diagnostics);
                return Err(outcome.diagnostics);
            }
        };
        // Terraform can't print a plan with an identity that isn't known in full, and OpenTofu can't
        // store one. The apply tells it.
        let identity = planned.identity.filter(Value::is_wholly_known);
        Ok(wire::plan_resource_change::Response {
            planned_state: encode_refined(&planned.value, of, &promises)?,
            requires_replace: requires_replace.iter().map(crate::Path::to_wire).collect(),
            planned_private: outcome.private.to_wire(),
            diagnostics: outcome.diagnostics.into_wire(),
            legacy_type_system: false,
            deferred: outcome.deferred.map(deferred),
            planned_identity: identity::to_wire(identity, resource.identity())?,
        })
    }

    pub(super) async fn apply_resource(
        &self,
        request: wire::apply_resource_change::Request,
        call: Call,
    ) -> Result<wire::apply_resource_change::Response, Diagnostics> {
        let resource = self.resource(&request.type_name)?;
        let of = &resource.known().of;
        let private = Private::from_wire(&request.planned_private)?;
        let meta = self.provider_meta(request.provider_meta)?;
        let request = ApplyRequest {
            prior: decode(request.prior_state, of)?,
            planned: Identified {
                value: decode(request.planned_state, of)?,
                identity: identity::from_wire(request.planned_identity, resource.identity())?,
            },
            config: decode(request.config, of)?,
        };
        let (prior, planned) = (&request.prior, &request.planned.value);
        let call = match (prior.is_null(), planned.is_null()) {
            (_, true) => call.within(Operation::Delete, prior),
            (true, false) => call.within(Operation::Create, planned),
            (false, false) => call.within(Operation::Update, planned),
        };
        let cx = self.cx(call.with_meta(meta), private);
        let applied = resource.apply(&cx, request).await;
        let outcome = cx.take_outcome();
        let mut diagnostics = outcome.diagnostics;
        diagnostics.extend(applied.diagnostics);
        Ok(wire::apply_resource_change::Response {
            new_state: encode(&applied.state.value, of)?,
            private: outcome.private.to_wire(),
            diagnostics: diagnostics.into_wire(),
            legacy_type_system: false,
            new_identity: identity::to_wire(applied.state.identity, resource.identity())?,
        })
    }
}

/// What an earlier round of the same plan left behind, where the caller keeps that.
fn planned_or_prior<'a>(planned: &'a [u8], prior: &'a [u8]) -> &'a [u8] {
    if planned.is_empty() { prior } else { planned }
}

fn write_only_refused(path: Path) -> Diagnostic {
    let detail = format!(
        "{path} is never stored, and this Terraform would store it. Use Terraform or OpenTofu \
         1.11 or newer."
    );
    Diagnostic::error("Write-only attribute not supported", detail).at(path)
}
