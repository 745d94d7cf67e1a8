//! The targets, and what they share: an input that begins with a type, and a provider that takes whatever
//! its schema lets through.

pub mod configuration;
pub mod json;
pub mod msgpack;
pub mod refinement;
pub mod stored_state;
pub mod types;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::future::Future;

use terraform_plugin::proto::tfplugin6 as wire;
use terraform_plugin::value::{Type, Value};
use terraform_plugin::{
    Attr, Cx, Diagnostics, Empty, Failure, Model, Number, Provider, Registry, Resource, Service,
    Set, async_trait,
};
use tokio::runtime::Runtime;

/// The resource type of [`service`].
pub const TYPE_NAME: &str = "fuzz_thing";

thread_local! {
    static RUNTIME: OnceCell<Runtime> = const { OnceCell::new() };
}

/// A thing with an attribute of every shape.
#[derive(Model)]
pub struct ThingModel {
    #[attribute(computed, use_state_for_unknown)]
    id: Attr<String>,
    #[attribute(required)]
    name: Attr<String>,
    #[attribute(optional, computed, default = 7)]
    port: Attr<u16>,
    #[attribute(optional)]
    number: Attr<Number>,
    #[attribute(optional, write_only, sensitive)]
    secret: Attr<String>,
    #[attribute(optional)]
    words: Attr<Set<String>>,
    #[attribute(optional)]
    parts: Attr<BTreeMap<String, PartModel>>,
    #[attribute(optional)]
    open: Attr<Value>,
}

/// A part of a thing.
#[derive(Model)]
pub struct PartModel {
    #[attribute(required)]
    flags: Attr<Vec<bool>>,
    #[attribute(computed)]
    serial: Attr<i64>,
}

struct Thing;

#[async_trait]
impl Resource for Thing {
    type Client = ();
    type Model = ThingModel;
    const TYPE_NAME: &'static str = TYPE_NAME;

    async fn create(
        &self,
        _: &Cx<()>,
        plan: ThingModel,
    ) -> Result<ThingModel, Failure<ThingModel>> {
        Ok(plan)
    }

    async fn read(&self, _: &Cx<()>, state: ThingModel) -> Result<Option<ThingModel>, Diagnostics> {
        Ok(Some(state))
    }

    async fn update(
        &self,
        _: &Cx<()>,
        _: ThingModel,
        plan: ThingModel,
    ) -> Result<ThingModel, Failure<ThingModel>> {
        Ok(plan)
    }

    async fn delete(&self, _: &Cx<()>, _: ThingModel) -> Result<(), Diagnostics> {
        Ok(())
    }
}

/// A provider of one resource.
pub struct Things;

#[async_trait]
impl Provider for Things {
    type Config = Empty;
    type Client = ();
    const ADDRESS: &'static str = "registry.terraform.io/example/fuzz";

    fn register(&self, registry: &mut Registry<()>) {
        registry.resource(Thing);
    }

    async fn configure(&self, _: &Cx<()>, _: Empty) -> Result<(), Diagnostics> {
        Ok(())
    }
}

/// The service of [`Things`].
pub fn service() -> Service<Things> {
    Service::new(Things)
}

/// The type of a thing's values.
pub fn thing_type() -> Type {
    ThingModel::block().value_type()
}

/// Waits for an answer. A panic in a call is an answer too, and the targets look for it.
pub fn wait<F: Future>(future: F) -> F::Output {
    RUNTIME.with(|runtime| {
        runtime
            .get_or_init(|| {
                tokio::runtime::Builder::new_current_thread()
                    .build()
                    .expect("a runtime without drivers is always there")
            })
            .block_on(future)
    })
}

/// Splits an input at its first line's end: a type in JSON, and bytes.
pub fn typed(input: &[u8]) -> Option<(Type, &[u8])> {
    let end = input.iter().position(|byte| *byte == b'\n')?;
    let of = Type::from_json_bytes(&input[..end]).ok()?;
    Some((of, &input[end + 1..]))
}

/// Panics if one of these tells of a panic.
fn no_panic(diagnostics: &[wire::Diagnostic]) {
    for found in diagnostics {
        assert!(
            !found.summary.starts_with("The provider failed"),
            "{found:?}"
        );
    }
}
