//! Plays Terraform's part.

use terraform_plugin::proto::tfplugin6 as wire;
use terraform_plugin::value::{Type, Value};
use terraform_plugin::{Model, Service};
pub(crate) use tonic::IntoRequest;
use wire::provider_server::Provider as _;

use crate::provider::{DISK, DiskModel, LifeProvider, Witness};

/// The provider, and Terraform's side of it.
pub(crate) struct Bench {
    pub(crate) service: Service<LifeProvider>,
    pub(crate) witness: Witness,
}

impl Bench {
    pub(crate) async fn configured() -> Self {
        let witness = Witness::default();
        let bench = Self {
            service: Service::new(LifeProvider(witness.clone())),
            witness,
        };
        let request = wire::configure_provider::Request {
            config: wire_of(&Value::object::<&str>([]), &Type::object::<&str>([])),
            ..Default::default()
        };
        let answer = bench
            .service
            .configure_provider(request.into_request())
            .await
            .unwrap();
        assert_no_errors(&answer.into_inner().diagnostics);
        bench
    }

    /// Plans a disk. The identity is that of the prior state.
    pub(crate) async fn plan(
        &self,
        prior: &Value,
        identity: Option<&Value>,
        config: &Value,
    ) -> wire::plan_resource_change::Response {
        let request = wire::plan_resource_change::Request {
            type_name: DISK.to_owned(),
            prior_state: wire_of(prior, &disk_type()),
            proposed_new_state: wire_of(&proposed(prior, config), &disk_type()),
            config: wire_of(config, &disk_type()),
            prior_identity: identity.map(identity_data),
            ..Default::default()
        };
        self.service
            .plan_resource_change(request.into_request())
            .await
            .unwrap()
            .into_inner()
    }

    /// Applies what was planned for a disk.
    pub(crate) async fn apply(
        &self,
        prior: &Value,
        config: &Value,
        plan: wire::plan_resource_change::Response,
    ) -> wire::apply_resource_change::Response {
        let request = wire::apply_resource_change::Request {
            type_name: DISK.to_owned(),
            prior_state: wire_of(prior, &disk_type()),
            planned_state: plan.planned_state,
            config: wire_of(config, &disk_type()),
            planned_private: plan.planned_private,
            planned_identity: plan.planned_identity,
            ..Default::default()
        };
        self.service
            .apply_resource_change(request.into_request())
            .await
            .unwrap()
            .into_inner()
    }

    /// A disk that was created without a finding: its state and its identity.
    pub(crate) async fn created(&self, config: &Value) -> (Value, Value) {
        let plan = self.plan(&Value::Null, None, config).await;
        assert_no_errors(&plan.diagnostics);
        let applied = self.apply(&Value::Null, config, plan).await;
        assert_no_errors(&applied.diagnostics);
        (
            disk_of(applied.new_state.as_ref()),
            identity_of(applied.new_identity.as_ref()),
        )
    }

    pub(crate) async fn read(
        &self,
        state: &Value,
        identity: Option<wire::ResourceIdentityData>,
    ) -> wire::read_resource::Response {
        let request = wire::read_resource::Request {
            type_name: DISK.to_owned(),
            current_state: wire_of(state, &disk_type()),
            current_identity: identity,
            ..Default::default()
        };
        self.service
            .read_resource(request.into_request())
            .await
            .unwrap()
            .into_inner()
    }
}

pub(crate) fn wire_of(value: &Value, of: &Type) -> Option<wire::DynamicValue> {
    Some(wire::DynamicValue {
        msgpack: value.to_msgpack(of).unwrap(),
        json: Vec::new(),
    })
}

pub(crate) fn disk_type() -> Type {
    DiskModel::block().value_type()
}

pub(crate) fn disk_of(value: Option<&wire::DynamicValue>) -> Value {
    Value::from_msgpack(&value.unwrap().msgpack, &disk_type()).unwrap()
}

/// What Terraform knows the identity of a disk to be.
pub(crate) fn identity_type() -> Type {
    Type::object([
        ("site", Type::String),
        ("slot", Type::Number),
        ("label", Type::String),
    ])
}

pub(crate) fn identity_data(identity: &Value) -> wire::ResourceIdentityData {
    wire::ResourceIdentityData {
        identity_data: wire_of(identity, &identity_type()),
    }
}

pub(crate) fn identity_of(data: Option<&wire::ResourceIdentityData>) -> Value {
    let data = data.and_then(|data| data.identity_data.as_ref()).unwrap();
    Value::from_msgpack(&data.msgpack, &identity_type()).unwrap()
}

pub(crate) fn identity(site: &str, slot: i64, label: Value) -> Value {
    Value::object([
        ("site", site.into()),
        ("slot", slot.into()),
        ("label", label),
    ])
}

/// A disk's configuration.
pub(crate) fn disk(site: &str, others: &[(&str, Value)]) -> Value {
    let Type::Object(attributes, _) = disk_type() else {
        panic!("a model is an object")
    };
    let null = Value::object(attributes.into_keys().map(|name| (name, Value::Null)));
    let named = with(&null, "site", site.into());
    others.iter().fold(named, |disk, (name, value)| {
        with(&disk, name, value.clone())
    })
}

/// The same object with one attribute changed.
pub(crate) fn with(object: &Value, name: &str, value: Value) -> Value {
    let Value::Object(mut attributes) = object.clone() else {
        panic!("not an object: {object:?}")
    };
    attributes.insert(name.to_owned(), value);
    Value::Object(attributes)
}

/// Terraform's own merge: what isn't configured stays as it was.
fn proposed(prior: &Value, config: &Value) -> Value {
    let Value::Object(attributes) = config else {
        return config.clone();
    };
    let merged = attributes.iter().map(|(name, configured)| {
        let value = if configured.is_null() {
            prior.attribute(name)
        } else {
            configured
        };
        (name.clone(), value.clone())
    });
    Value::object(merged)
}

/// The summaries of the errors.
pub(crate) fn errors(diagnostics: &[wire::Diagnostic]) -> Vec<&str> {
    let is_error = |of: &&wire::Diagnostic| of.severity() == wire::diagnostic::Severity::Error;
    diagnostics
        .iter()
        .filter(is_error)
        .map(|of| of.summary.as_str())
        .collect()
}

pub(crate) fn assert_no_errors(diagnostics: &[wire::Diagnostic]) {
    assert_eq!(errors(diagnostics), [""; 0], "{diagnostics:#?}");
}

/// The one error, and the attribute that it names.
pub(crate) fn only_error(diagnostics: &[wire::Diagnostic]) -> (&str, Option<&str>) {
    use wire::attribute_path::step::Selector;
    let [error] = diagnostics else {
        panic!("not one finding: {diagnostics:#?}")
    };
    let first = error.attribute.as_ref().and_then(|path| path.steps.first());
    let name = match first.and_then(|step| step.selector.as_ref()) {
        Some(Selector::AttributeName(name)) => Some(name.as_str()),
        Some(_) | None => None,
    };
    (&error.summary, name)
}
