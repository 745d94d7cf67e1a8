//! Terraform's side, with the kit behind it.

use std::sync::Arc;

use terraform_plugin::proto::tfplugin6 as wire;
use terraform_plugin::value::{Type, Value};
use terraform_plugin::{Model, Provider, Service};
use wire::provider_client::ProviderClient;
use wire::provider_server::ProviderServer;

use crate::kit::{Kit, Signals};

pub(crate) type Client<P = Kit> = ProviderClient<ProviderServer<Service<P>>>;

pub(crate) struct Bench {
    pub(crate) client: Client,
    pub(crate) signals: Arc<Signals>,
}

impl Bench {
    pub(crate) async fn configured() -> Self {
        let signals = Arc::new(Signals::default());
        let mut client = client(Kit(Arc::clone(&signals)));
        let request = wire::configure_provider::Request {
            config: object([]),
            ..Default::default()
        };
        let answer = client.configure_provider(request).await.unwrap();
        assert_no_errors(&answer.into_inner().diagnostics);
        Self { client, signals }
    }

    pub(crate) async fn stop(&self) {
        let request = wire::stop_provider::Request {};
        self.client.clone().stop_provider(request).await.unwrap();
    }
}

pub(crate) fn client<P: Provider>(provider: P) -> Client<P> {
    ProviderClient::new(ProviderServer::new(Service::new(provider)))
}

/// An object of a model's type, whose other attributes are null.
pub(crate) fn config<M: Model>(given: &[(&str, Value)]) -> Option<wire::DynamicValue> {
    let of = M::block().value_type();
    let names = M::block().attributes;
    let mut value = Value::object(names.iter().map(|of| (of.name.as_str(), Value::Null)));
    if let Value::Object(attributes) = &mut value {
        attributes.extend(
            given
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone())),
        );
    }
    dynamic(&value, &of)
}

pub(crate) fn object<const N: usize>(of: [(&str, Value); N]) -> Option<wire::DynamicValue> {
    assert_eq!(N, 0, "only an empty object says its type");
    dynamic(&Value::object(of), &Type::object::<&str>([]))
}

pub(crate) fn dynamic(value: &Value, of: &Type) -> Option<wire::DynamicValue> {
    Some(wire::DynamicValue {
        msgpack: value.to_msgpack(of).unwrap(),
        json: Vec::new(),
    })
}

pub(crate) fn value<M: Model>(of: Option<&wire::DynamicValue>) -> Value {
    Value::from_msgpack(&of.unwrap().msgpack, &M::block().value_type()).unwrap()
}

/// Bytes that are no value at all.
pub(crate) fn garbage() -> Option<wire::DynamicValue> {
    Some(wire::DynamicValue {
        msgpack: vec![0xdd; 64],
        json: Vec::new(),
    })
}

pub(crate) fn deferring() -> Option<wire::ClientCapabilities> {
    Some(wire::ClientCapabilities {
        deferral_allowed: true,
        ..Default::default()
    })
}

/// The summaries of the errors.
pub(crate) fn errors(diagnostics: &[wire::Diagnostic]) -> Vec<&str> {
    let is_error = |of: &&wire::Diagnostic| of.severity() == wire::diagnostic::Severity::Error;
    let found = diagnostics.iter().filter(is_error);
    found.map(|of| of.summary.as_str()).collect()
}

pub(crate) fn assert_no_errors(diagnostics: &[wire::Diagnostic]) {
    assert_eq!(errors(diagnostics), [""; 0], "{diagnostics:#?}");
}
