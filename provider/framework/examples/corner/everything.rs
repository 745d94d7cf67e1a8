//! One of each kind of attribute and block: as a resource, as a data source that says what it was
//! asked, and as an ephemeral resource that does the same.

use std::collections::BTreeMap;

use terraform_plugin::schema::Shape;
use terraform_plugin::value::Type;
use terraform_plugin::{
    Attr, Cx, DataSource, Diagnostics, EphemeralResource, Failure, Field, Model, Number, Registry,
    Resource, Set, Undecodable, Value, async_trait,
};

use crate::store::{Kept, Store, file_name};

const TYPE_NAME: &str = "corner_everything";

/// One of each kind of attribute and block.
#[derive(Model, Clone, Default)]
pub(crate) struct Everything {
    /// Where it is kept.
    #[attribute(computed, use_state_for_unknown)]
    id: Attr<String>,
    /// What it is called.
    #[attribute(required, requires_replace, validate = file_name)]
    name: Attr<String>,
    #[attribute(optional)]
    text: Attr<String>,
    #[attribute(optional)]
    truth: Attr<bool>,
    /// A number with all its digits.
    #[attribute(optional)]
    number: Attr<Number>,
    #[attribute(optional)]
    float: Attr<f64>,
    #[attribute(optional)]
    short_float: Attr<f32>,
    #[attribute(optional)]
    integer: Attr<i64>,
    #[attribute(optional)]
    small: Attr<i32>,
    /// A value of any type.
    #[attribute(optional)]
    anything: Attr<Value>,
    #[attribute(optional)]
    list: Attr<Vec<Attr<String>>>,
    #[attribute(optional)]
    set: Attr<Set<Attr<String>>>,
    #[attribute(optional)]
    map: Attr<BTreeMap<String, Attr<String>>>,
    #[attribute(optional)]
    lists: Attr<Vec<Vec<Attr<Number>>>>,
    /// An object that is an attribute's type, and no nested attribute.
    #[attribute(optional)]
    object: Attr<Pair>,
    #[attribute(optional)]
    single: Attr<Special>,
    #[attribute(optional)]
    list_nested: Attr<Vec<Attr<Part>>>,
    #[attribute(optional)]
    set_nested: Attr<Set<Attr<Part>>>,
    #[attribute(optional)]
    map_nested: Attr<BTreeMap<String, Attr<Part>>>,
    #[block]
    single_block: Option<Special>,
    #[block]
    list_block: Attr<Vec<Outer>>,
    #[block]
    set_block: Set<Part>,
    #[block]
    map_block: BTreeMap<String, Part>,
    /// It is always there.
    #[block]
    group_block: Special,
}

/// What may be gathered in collections.
#[derive(Model, Clone, Default)]
pub(crate) struct Part {
    #[attribute(optional)]
    text: Attr<String>,
    #[attribute(optional)]
    number: Attr<Number>,
    #[attribute(optional)]
    deeper: Attr<BTreeMap<String, Attr<Deep>>>,
}

/// The innermost.
#[derive(Model, Clone, Default)]
pub(crate) struct Deep {
    #[attribute(optional)]
    truth: Attr<bool>,
    #[attribute(optional)]
    list: Attr<Vec<Attr<String>>>,
}

/// What holds a value of any type, which collections can't.
#[derive(Model, Clone, Default)]
pub(crate) struct Special {
    #[attribute(optional)]
    text: Attr<String>,
    #[attribute(optional)]
    anything: Attr<Value>,
}

/// A block with a block in it.
#[derive(Model, Clone, Default)]
pub(crate) struct Outer {
    #[attribute(optional)]
    text: Attr<String>,
    #[block]
    inner: Attr<Vec<Part>>,
}

/// An object of a string and a value of any type, as a plain type.
#[derive(Debug, Clone)]
pub(crate) struct Pair(Value);

impl Field for Pair {
    fn shape() -> Shape {
        Shape::Type(Type::object([
            ("left", Type::String),
            ("right", Type::Dynamic),
        ]))
    }

    fn decode(value: Value) -> Result<Self, Undecodable> {
        Ok(Self(value))
    }

    fn encode(self) -> Value {
        self.0
    }
}

impl Kept for Everything {
    const KIND: &'static str = "everything";

    fn name(&self) -> &Attr<String> {
        &self.name
    }
}

impl Everything {
    fn identified(mut self) -> Self {
        self.id = self.name.clone().map(|name| format!("everything/{name}"));
        self
    }
}

struct EverythingResource;

#[async_trait]
impl Resource for EverythingResource {
    type Client = Store;
    type Model = Everything;
    const TYPE_NAME: &'static str = TYPE_NAME;

    async fn create(
        &self,
        cx: &Cx<Store>,
        plan: Everything,
    ) -> Result<Everything, Failure<Everything>> {
        let made = plan.identified();
        cx.client()?.save(&made)?;
        Ok(made)
    }

    async fn read(
        &self,
        cx: &Cx<Store>,
        state: Everything,
    ) -> Result<Option<Everything>, Diagnostics> {
        Ok(cx.client()?.load(&state.name)?)
    }

    async fn update(
        &self,
        cx: &Cx<Store>,
        _: Everything,
        plan: Everything,
    ) -> Result<Everything, Failure<Everything>> {
        cx.client()?.save(&plan)?;
        Ok(plan)
    }

    async fn delete(&self, cx: &Cx<Store>, state: Everything) -> Result<(), Diagnostics> {
        Ok(cx.client()?.remove::<Everything>(&state.name)?)
    }

    async fn import(&self, _: &Cx<Store>, id: &str) -> Result<Everything, Diagnostics> {
        Ok(Everything {
            name: id.into(),
            ..Everything::default()
        })
    }
}

struct EverythingLookup;

#[async_trait]
impl DataSource for EverythingLookup {
    type Client = Store;
    type Model = Everything;
    const TYPE_NAME: &'static str = TYPE_NAME;

    async fn read(&self, _: &Cx<Store>, config: Everything) -> Result<Everything, Diagnostics> {
        Ok(config.identified())
    }
}

struct EverythingOpened;

#[async_trait]
impl EphemeralResource for EverythingOpened {
    type Client = Store;
    type Model = Everything;
    const TYPE_NAME: &'static str = TYPE_NAME;

    async fn open(&self, _: &Cx<Store>, config: Everything) -> Result<Everything, Diagnostics> {
        Ok(config.identified())
    }
}

/// Adds all three.
pub(crate) fn register(registry: &mut Registry<Store>) {
    registry
        .resource(EverythingResource)
        .data_source(EverythingLookup)
        .ephemeral_resource(EverythingOpened);
}
