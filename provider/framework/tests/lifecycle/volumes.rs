//! Plays Terraform's part for a volume.

use terraform_plugin::Model as _;
use terraform_plugin::proto::tfplugin6 as wire;
use terraform_plugin::value::{Type, Value};
use wire::provider_server::Provider as _;

use crate::bench::*;
use crate::volume::{VOLUME, VolumeModel};

/// What a caller of 1.16 can do.
pub(crate) const EVERYTHING: wire::ClientCapabilities = wire::ClientCapabilities {
    deferral_allowed: true,
    write_only_attributes_allowed: true,
    store_planned_private: true,
    computed_blocks_allowed: true,
};

/// Terraform's side of a volume.
pub(crate) struct Volumes {
    pub(crate) bench: Bench,
    pub(crate) capabilities: Option<wire::ClientCapabilities>,
    pub(crate) meta: Option<wire::DynamicValue>,
}

impl Volumes {
    pub(crate) async fn new() -> Self {
        Self {
            bench: Bench::configured().await,
            capabilities: None,
            meta: None,
        }
    }

    pub(crate) async fn plan(
        &self,
        prior: &Value,
        config: &Value,
        planned_private: &[u8],
    ) -> wire::plan_resource_change::Response {
        let proposed = if config.is_null() {
            Value::Null
        } else {
            let kept = |config, name| with(&config, name, prior.attribute(name).clone());
            ["told", "digest"].into_iter().fold(config.clone(), kept)
        };
        let request = wire::plan_resource_change::Request {
            type_name: VOLUME.to_owned(),
            prior_state: wire_of(prior, &volume_type()),
            proposed_new_state: wire_of(&proposed, &volume_type()),
            config: wire_of(config, &volume_type()),
            planned_private: planned_private.to_vec(),
            provider_meta: self.meta.clone(),
            client_capabilities: self.capabilities,
            ..Default::default()
        };
        let answer = self
            .bench
            .service
            .plan_resource_change(request.into_request());
        answer.await.unwrap().into_inner()
    }

    pub(crate) async fn apply(
        &self,
        prior: &Value,
        config: &Value,
        plan: wire::plan_resource_change::Response,
    ) -> wire::apply_resource_change::Response {
        let request = wire::apply_resource_change::Request {
            type_name: VOLUME.to_owned(),
            prior_state: wire_of(prior, &volume_type()),
            planned_state: plan.planned_state,
            config: wire_of(config, &volume_type()),
            planned_private: plan.planned_private,
            provider_meta: self.meta.clone(),
            ..Default::default()
        };
        let answer = self
            .bench
            .service
            .apply_resource_change(request.into_request());
        answer.await.unwrap().into_inner()
    }

    pub(crate) async fn created(&self, config: &Value) -> Value {
        let plan = self.plan(&Value::Null, config, b"").await;
        assert_no_errors(&plan.diagnostics);
        let applied = self.apply(&Value::Null, config, plan).await;
        assert_no_errors(&applied.diagnostics);
        volume_of(applied.new_state.as_ref())
    }

    pub(crate) async fn read(&self, state: &Value) -> Value {
        let request = wire::read_resource::Request {
            type_name: VOLUME.to_owned(),
            current_state: wire_of(state, &volume_type()),
            provider_meta: self.meta.clone(),
            ..Default::default()
        };
        let answer = self.bench.service.read_resource(request.into_request());
        let answer = answer.await.unwrap().into_inner();
        assert_no_errors(&answer.diagnostics);
        volume_of(answer.new_state.as_ref())
    }

    pub(crate) async fn validate(&self, config: &Value) -> Vec<wire::Diagnostic> {
        let request = wire::validate_resource_config::Request {
            type_name: VOLUME.to_owned(),
            config: wire_of(config, &volume_type()),
            client_capabilities: None,
        };
        let answer = self
            .bench
            .service
            .validate_resource_config(request.into_request());
        answer.await.unwrap().into_inner().diagnostics
    }
}

pub(crate) fn volume_type() -> Type {
    VolumeModel::block().value_type()
}

pub(crate) fn volume_of(value: Option<&wire::DynamicValue>) -> Value {
    Value::from_msgpack(&value.unwrap().msgpack, &volume_type()).unwrap()
}

pub(crate) fn part(mode: Value) -> Value {
    Value::object([("mode", mode)])
}

/// A volume's configuration.
pub(crate) fn volume(others: &[(&str, Value)]) -> Value {
    let nothing = Value::object([
        ("name", "a".into()),
        ("mode", Value::Null),
        ("tags", Value::Null),
        ("labels", Value::Null),
        ("parts", Value::Null),
        ("zones", Value::Null),
        ("digest", Value::Null),
        ("told", Value::Null),
        ("limits", Value::Map([].into())),
        ("placement", part(Value::Null)),
        ("routes", Value::List(Vec::new())),
        ("origin", Value::Null),
        ("former", Value::Set(Vec::new())),
        ("timeouts", Value::Null),
    ]);
    others.iter().fold(nothing, |volume, (name, value)| {
        with(&volume, name, value.clone())
    })
}
