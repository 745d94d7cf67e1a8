//! A small provider, and a bench that plays Terraform's part.

mod provider;

use std::sync::Arc;

pub(crate) use provider::{HOST, TestProvider, lookup_type};
use terraform_plugin::proto::tfplugin6 as wire;
use terraform_plugin::value::{Type, Value};
use terraform_plugin::{Model, Service};
use tokio::sync::Notify;
pub(crate) use tonic::IntoRequest;
use wire::provider_server::Provider as _;

/// The provider, and Terraform's side of it.
pub(crate) struct Bench {
    pub(crate) service: Service<TestProvider>,
    /// Told when a create begins to wait.
    pub(crate) started: Arc<Notify>,
    of: Type,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let started = Arc::new(Notify::new());
        let service = Service::new(TestProvider {
            started: Arc::clone(&started),
        });
        Self {
            service,
            started,
            of: provider::HostModel::block().value_type(),
        }
    }

    pub(crate) async fn configured() -> Self {
        let bench = Self::new();
        let request = wire::configure_provider::Request {
            terraform_version: "1.15.5".to_owned(),
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

    pub(crate) fn wire(&self, value: &Value) -> Option<wire::DynamicValue> {
        wire_of(value, &self.of)
    }

    pub(crate) fn value(&self, value: Option<&wire::DynamicValue>) -> Value {
        value.map_or(Value::Null, |value| {
            Value::from_msgpack(&value.msgpack, &self.of).unwrap()
        })
    }

    pub(crate) async fn plan(
        &self,
        prior: Value,
        proposed: Value,
        config: Value,
    ) -> wire::plan_resource_change::Response {
        let request = wire::plan_resource_change::Request {
            type_name: HOST.to_owned(),
            prior_state: self.wire(&prior),
            proposed_new_state: self.wire(&proposed),
            config: self.wire(&config),
            ..Default::default()
        };
        self.service
            .plan_resource_change(request.into_request())
            .await
            .unwrap()
            .into_inner()
    }

    pub(crate) async fn apply(
        &self,
        prior: Value,
        planned: Value,
        config: Value,
        private: Vec<u8>,
    ) -> wire::apply_resource_change::Response {
        let request = wire::apply_resource_change::Request {
            type_name: HOST.to_owned(),
            prior_state: self.wire(&prior),
            planned_state: self.wire(&planned),
            config: self.wire(&config),
            planned_private: private,
            ..Default::default()
        };
        self.service
            .apply_resource_change(request.into_request())
            .await
            .unwrap()
            .into_inner()
    }

    /// Plans and applies a create.
    pub(crate) async fn create(&self, name: &str) -> wire::apply_resource_change::Response {
        let config = host(name, &[]);
        let plan = self.plan(Value::Null, config.clone(), config.clone()).await;
        assert_no_errors(&plan.diagnostics);
        let planned = self.value(plan.planned_state.as_ref());
        self.apply(Value::Null, planned, config, plan.planned_private)
            .await
    }

    /// The state of a host that was created without a finding.
    pub(crate) async fn created(&self, name: &str) -> Value {
        let applied = self.create(name).await;
        assert_no_errors(&applied.diagnostics);
        self.value(applied.new_state.as_ref())
    }

    pub(crate) async fn validate(&self, config: Value) -> wire::validate_resource_config::Response {
        let request = wire::validate_resource_config::Request {
            type_name: HOST.to_owned(),
            config: self.wire(&config),
            client_capabilities: None,
        };
        self.service
            .validate_resource_config(request.into_request())
            .await
            .unwrap()
            .into_inner()
    }

    pub(crate) async fn upgrade(
        &self,
        version: i64,
        json: &[u8],
    ) -> wire::upgrade_resource_state::Response {
        let raw_state = wire::RawState {
            json: json.to_vec(),
            ..Default::default()
        };
        let request = wire::upgrade_resource_state::Request {
            type_name: HOST.to_owned(),
            version,
            raw_state: Some(raw_state),
        };
        self.service
            .upgrade_resource_state(request.into_request())
            .await
            .unwrap()
            .into_inner()
    }
}

/// A host's configuration: a name, and what else is given.
pub(crate) fn host(name: &str, others: &[(&str, Value)]) -> Value {
    let names = [
        "id", "name", "port", "token", "note", "seen", "disks", "timeouts",
    ];
    let null = Value::object(names.map(|name| (name, Value::Null)));
    let named = with(null, "name", name.into());
    others
        .iter()
        .fold(named, |host, (name, value)| with(host, name, value.clone()))
}

/// The same object with one attribute changed.
pub(crate) fn with(object: Value, name: &str, value: Value) -> Value {
    let Value::Object(mut attributes) = object else {
        panic!("an object")
    };
    attributes.insert(name.to_owned(), value);
    Value::Object(attributes)
}

pub(crate) fn wire_of(value: &Value, of: &Type) -> Option<wire::DynamicValue> {
    Some(wire::DynamicValue {
        msgpack: value.to_msgpack(of).unwrap(),
        json: Vec::new(),
    })
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

/// The attribute names in some paths.
pub(crate) fn path_names(paths: &[wire::AttributePath]) -> Vec<String> {
    use wire::attribute_path::step::Selector;
    let steps = paths.iter().flat_map(|path| path.steps.clone());
    steps
        .map(|step| match step.selector {
            Some(Selector::AttributeName(name)) => name,
            other => format!("{other:?}"),
        })
        .collect()
}
