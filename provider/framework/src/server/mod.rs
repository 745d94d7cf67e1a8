//! Answers the protocol: decodes each request by schema, runs the author's code in a task of its
//! own, and encodes what came of it.
//!
//! It never fails a call at the transport's level for something that a diagnostic can say, and a
//! panic in author code ends one call only.

mod action;
mod adopt;
mod answer;
mod call;
mod catalogue;
mod data_source;
mod ephemeral;
mod function;
mod identity;
mod lifecycle;
mod list_resource;
mod resource;
mod rpc;
mod state_chunks;
mod state_store;

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use tokio_util::sync::CancellationToken;

use crate::context::{Call, Outcome};
use crate::erased::{
    AnyAction, AnyDataSource, AnyEphemeralResource, AnyResource, AnyStateStore, Known, LazySchema,
};
use crate::private::Private;
use crate::proto::tfplugin6 as wire;
use crate::timeouts::Operation;
use crate::value::{Refinements, Type, UnknownAttributes, Value};
use crate::{Cx, Diagnostic, Diagnostics, Provider, Registry};

/// A provider as a service of the protocol, without the plugin around it. [`run`](crate::run)
/// makes one; tests that speak the protocol may too.
pub struct Service<P: Provider>(Arc<Server<P>>);

/// What all calls share.
pub(crate) struct Server<P: Provider> {
    provider: P,
    registry: OnceLock<Registry<P::Client>>,
    schema: LazySchema,
    configured: RwLock<Configured<P::Client>>,
    /// Cancelled and replaced when Terraform asks to stop.
    running: Mutex<CancellationToken>,
}

/// What ConfigureProvider left behind.
struct Configured<C> {
    client: Option<Arc<C>>,
    terraform_version: Arc<str>,
}

impl<P: Provider> Service<P> {
    /// The service of this provider, not configured yet.
    pub fn new(provider: P) -> Self {
        Self(Arc::new(Server {
            provider,
            registry: OnceLock::new(),
            schema: LazySchema::default(),
            configured: RwLock::new(Configured {
                client: None,
                terraform_version: "".into(),
            }),
            running: Mutex::default(),
        }))
    }
}

impl<P: Provider> fmt::Debug for Service<P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Service").field(&P::ADDRESS).finish()
    }
}

impl<P: Provider> Server<P> {
    fn begin(&self) -> Call {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let configured = self
            .configured
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        Call {
            terraform_version: Arc::clone(&configured.terraform_version),
            cancellation: running.child_token(),
            ..Call::default()
        }
    }

    fn stop(&self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *running).cancel();
    }

    fn registry(&self) -> &Registry<P::Client> {
        self.registry.get_or_init(|| {
            let mut registry = Registry::default();
            self.provider.register(&mut registry);
            registry
        })
    }

    fn known(&self) -> &Known {
        self.schema.of_model::<P::Config>(0)
    }

    fn resource(&self, type_name: &str) -> Result<&dyn AnyResource<P::Client>, Diagnostics> {
        let mut resources = self.registry().resources.iter();
        resources
            .find(|resource| resource.type_name() == type_name)
            .map(AsRef::as_ref)
            .ok_or_else(|| no_such("resource", type_name))
    }

    fn data_source(&self, type_name: &str) -> Result<&dyn AnyDataSource<P::Client>, Diagnostics> {
        let mut data_sources = self.registry().data_sources.iter();
        data_sources
            .find(|data_source| data_source.type_name() == type_name)
            .map(AsRef::as_ref)
            .ok_or_else(|| no_such("data source", type_name))
    }

    fn ephemeral_resource(
        &self,
        type_name: &str,
    ) -> Result<&dyn AnyEphemeralResource<P::Client>, Diagnostics> {
        let mut ephemeral_resources = self.registry().ephemeral_resources.iter();
        ephemeral_resources
            .find(|ephemeral_resource| ephemeral_resource.type_name() == type_name)
            .map(AsRef::as_ref)
            .ok_or_else(|| no_such("ephemeral resource", type_name))
    }

    fn action(&self, type_name: &str) -> Result<&dyn AnyAction<P::Client>, Diagnostics> {
        let mut actions = self.registry().actions.iter();
        actions
            .find(|action| action.type_name() == type_name)
            .map(AsRef::as_ref)
            .ok_or_else(|| no_such("action", type_name))
    }

    fn state_store(&self, type_name: &str) -> Result<&dyn AnyStateStore<P::Client>, Diagnostics> {
        let mut state_stores = self.registry().state_stores.iter();
        state_stores
            .find(|state_store| state_store.type_name() == type_name)
            .map(AsRef::as_ref)
            .ok_or_else(|| no_such("state store", type_name))
    }

    /// What a module says about itself, where the provider asks for it.
    fn provider_meta(&self, meta: Option<wire::DynamicValue>) -> Result<Value, Diagnostics> {
        match &self.registry().provider_meta {
            Some(known) => decode(meta, &known.of),
            None => Ok(Value::Null),
        }
    }

    fn cx(&self, call: Call, private: Private) -> Cx<P::Client> {
        let configured = self
            .configured
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        Cx::new(configured.client.clone(), call, private)
    }
}

impl Call {
    fn with(mut self, capabilities: Option<&wire::ClientCapabilities>) -> Self {
        if let Some(capabilities) = capabilities {
            self.deferral_allowed = capabilities.deferral_allowed;
            self.write_only_attributes_allowed = capabilities.write_only_attributes_allowed;
            self.store_planned_private = capabilities.store_planned_private;
            self.computed_blocks_allowed = capabilities.computed_blocks_allowed;
        }
        self
    }

    fn within(mut self, operation: Operation, value: &Value) -> Self {
        self.timeout = operation.timeout(value);
        self
    }

    fn with_meta(mut self, meta: Value) -> Self {
        self.provider_meta = meta;
        self
    }
}

/// What came of an author's call, with what it said beside; a failure with what was said before.
fn settle<T, C>(cx: &Cx<C>, result: Result<T, Diagnostics>) -> Result<(T, Outcome), Diagnostics> {
    let mut outcome = cx.take_outcome();
    match result {
        Ok(value) => Ok((value, outcome)),
        Err(diagnostics) => {
            outcome.diagnostics.extend(diagnostics);
            Err(outcome.diagnostics)
        }
    }
}

/// A value that Terraform sent. An absent one is null.
fn decode(value: Option<wire::DynamicValue>, of: &Type) -> Result<Value, Diagnostics> {
    decode_refined(value, of).map(|(value, _)| value)
}

/// The same, and what is known of its unknown values.
fn decode_refined(
    value: Option<wire::DynamicValue>,
    of: &Type,
) -> Result<(Value, Refinements), Diagnostics> {
    let value = value.unwrap_or_default();
    let decoded = if !value.msgpack.is_empty() {
        Value::from_msgpack_refined(&value.msgpack, of)
    } else if !value.json.is_empty() {
        Value::from_json(&value.json, of, UnknownAttributes::Refuse)
            .map(|value| (value, Refinements::default()))
    } else {
        return Ok((Value::Null, Refinements::default()));
    };
    decoded.map_err(|error| {
        let detail = format!("{error}. Terraform and this provider disagree about the schema.");
        Diagnostic::error("Unable to decode a value from Terraform", detail).into()
    })
}

fn encode(value: &Value, of: &Type) -> Result<Option<wire::DynamicValue>, Diagnostics> {
    encode_refined(value, of, &Refinements::default())
}

fn encode_refined(
    value: &Value,
    of: &Type,
    refinements: &Refinements,
) -> Result<Option<wire::DynamicValue>, Diagnostics> {
    let msgpack = value.to_msgpack_refined(of, refinements).map_err(|error| {
        let detail = format!("{error}. Please report this to the provider's authors.");
        Diagnostics::from(Diagnostic::error(
            "Unable to encode a value for Terraform",
            detail,
        ))
    })?;
    Ok(Some(wire::DynamicValue {
        msgpack,
        json: Vec::new(),
    }))
}

fn no_such(kind: &str, name: &str) -> Diagnostics {
    let detail = format!("This provider has no {kind} named {name:?}. Check its version.");
    Diagnostic::error(format!("No such {kind}"), detail).into()
}
