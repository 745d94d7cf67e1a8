//! The trait that a provider's author writes, and the register of what the provider has.

use async_trait::async_trait;

use crate::erased::{
    AnyAction, AnyDataSource, AnyEphemeralResource, AnyFunction, AnyListResource, AnyResource,
    AnyStateStore, Known, TypedAction, TypedDataSource, TypedEphemeralResource, TypedFunction,
    TypedListResource, TypedResource, TypedStateStore,
};
use crate::{
    Action, Cx, DataSource, Diagnostics, EphemeralResource, Function, ListResource, Model,
    Resource, StateStore,
};

/// The provider itself: its configuration, and what it has.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// The provider block. [`Empty`](crate::Empty) where it needs none.
    type Config: Model;
    /// What resources and data sources work with.
    type Client: Send + Sync + 'static;

    /// Where the registry has it: `registry.terraform.io/<namespace>/<name>`.
    const ADDRESS: &'static str;

    /// Where the examples are that `PROVIDER docs` shows, seen from where it is run.
    const EXAMPLES_FOLDER: &'static str = "examples";

    /// Names everything that the provider has. Called once, when first needed.
    fn register(&self, registry: &mut Registry<Self::Client>);

    /// Checks the provider block, which may hold unknown values; skip what isn't known.
    async fn validate(&self, cx: &Cx<()>, config: &Self::Config, diagnostics: &mut Diagnostics) {
        let _ = (cx, config, diagnostics);
    }

    /// Makes the client. The configuration may hold unknown values during a plan: return a client
    /// that knows what it lacks, or an error. Do no more work than needed here; most runs of
    /// Terraform start the provider several times.
    async fn configure(
        &self,
        cx: &Cx<()>,
        config: Self::Config,
    ) -> Result<Self::Client, Diagnostics>;
}

/// What a provider has.
pub struct Registry<C> {
    pub(crate) resources: Vec<Box<dyn AnyResource<C>>>,
    pub(crate) data_sources: Vec<Box<dyn AnyDataSource<C>>>,
    pub(crate) functions: Vec<Box<dyn AnyFunction>>,
    pub(crate) ephemeral_resources: Vec<Box<dyn AnyEphemeralResource<C>>>,
    pub(crate) actions: Vec<Box<dyn AnyAction<C>>>,
    pub(crate) state_stores: Vec<Box<dyn AnyStateStore<C>>>,
    pub(crate) list_resources: Vec<Box<dyn AnyListResource<C>>>,
    pub(crate) provider_meta: Option<Known>,
}

impl<C: Send + Sync + 'static> Registry<C> {
    /// Adds a resource.
    pub fn resource(&mut self, resource: impl Resource<Client = C>) -> &mut Self {
        self.resources.push(Box::new(TypedResource::new(resource)));
        self
    }

    /// Adds a data source.
    pub fn data_source(&mut self, data_source: impl DataSource<Client = C>) -> &mut Self {
        self.data_sources
            .push(Box::new(TypedDataSource::new(data_source)));
        self
    }

    /// Adds a search for the objects of a resource that is added too.
    pub fn list_resource(&mut self, list_resource: impl ListResource<Client = C>) -> &mut Self {
        self.list_resources
            .push(Box::new(TypedListResource::new(list_resource)));
        self
    }

    /// Says what modules may tell the provider in a `provider_meta` block;
    /// [`Cx::provider_meta`] reads it.
    pub fn provider_meta<M: Model>(&mut self) -> &mut Self {
        self.provider_meta = Some(Known::of_model::<M>(0));
        self
    }

    /// Adds a function.
    pub fn function(&mut self, function: impl Function) -> &mut Self {
        self.functions.push(Box::new(TypedFunction::new(function)));
        self
    }

    /// Adds an ephemeral resource.
    pub fn ephemeral_resource(
        &mut self,
        ephemeral_resource: impl EphemeralResource<Client = C>,
    ) -> &mut Self {
        self.ephemeral_resources
            .push(Box::new(TypedEphemeralResource::new(ephemeral_resource)));
        self
    }

    /// Adds an action.
    pub fn action(&mut self, action: impl Action<Client = C>) -> &mut Self {
        self.actions.push(Box::new(TypedAction::new(action)));
        self
    }

    /// Adds a state store.
    pub fn state_store(&mut self, state_store: impl StateStore<Client = C>) -> &mut Self {
        self.state_stores
            .push(Box::new(TypedStateStore::new(state_store)));
        self
    }
}

impl<C> Default for Registry<C> {
    fn default() -> Self {
        Self {
            resources: Vec::new(),
            data_sources: Vec::new(),
            functions: Vec::new(),
            ephemeral_resources: Vec::new(),
            actions: Vec::new(),
            state_stores: Vec::new(),
            list_resources: Vec::new(),
            provider_meta: None,
        }
    }
}

impl<C> std::fmt::Debug for Registry<C> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Registry")
            .field("resources", &self.resources.len())
            .field("data_sources", &self.data_sources.len())
            .field("functions", &self.functions.len())
            .field("ephemeral_resources", &self.ephemeral_resources.len())
            .field("actions", &self.actions.len())
            .field("state_stores", &self.state_stores.len())
            .field("list_resources", &self.list_resources.len())
            .finish()
    }
}
