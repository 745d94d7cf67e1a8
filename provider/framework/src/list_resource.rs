//! The trait that finds existing objects of a resource, for `terraform query`.

use std::fmt;

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::proto::tfplugin6::list_resource::Event;
use crate::value::Value;
use crate::{Cx, Diagnostics, Model, Resource};

/// Finds the objects of one resource, whether Terraform made them or not.
///
/// It needs an identity on the resource's model. It never needs to count or to cut: what is found
/// is sent on at once, as fast as Terraform takes it.
#[async_trait]
pub trait ListResource: Send + Sync + 'static {
    /// What the provider's `configure` returns.
    type Client: Send + Sync + 'static;
    /// What the `config` block may say. [`Empty`](crate::Empty) where there is nothing to say.
    type Config: Model;
    /// The resource whose objects it finds; the two share a name.
    type Resource: Resource<Client = Self::Client>;

    /// Checks a configuration, which may hold unknown values; skip what isn't known. The client
    /// is usually absent.
    async fn validate(
        &self,
        cx: &Cx<Self::Client>,
        config: &Self::Config,
        diagnostics: &mut Diagnostics,
    ) {
        let _ = (cx, config, diagnostics);
    }

    /// Finds the objects and pushes each. A push fails once no more are wanted; `?` then ends the
    /// search, and that is a success.
    async fn list(
        &self,
        cx: &Cx<Self::Client>,
        query: ListQuery<Self::Config>,
        found: &mut Found<<Self::Resource as Resource>::Model>,
    ) -> Result<(), Diagnostics>;
}

/// What is looked for.
#[derive(Debug, Clone, PartialEq)]
pub struct ListQuery<M> {
    /// The `config` block.
    pub config: M,
    /// How many are wanted at most, for a service that pages; `None` for all.
    pub limit: Option<u64>,
    /// Whether the whole objects are wanted, and not only their identities: a hint to spare the
    /// calls that fetch the rest.
    pub include_resource: bool,
}

/// Where the objects go that a search finds.
pub struct Found<M> {
    taker: Taker<M>,
    left: Option<u64>,
    /// Why an object couldn't be sent on; no more are taken after that.
    failure: Option<Diagnostics>,
}

/// Makes an event of an object's name and value.
pub(crate) type MakeEvent = Box<dyn Fn(String, Value) -> Result<Event, Diagnostics> + Send + Sync>;

enum Taker<M> {
    Caller(MakeEvent, mpsc::Sender<Event>),
    Test(Vec<(String, M)>),
}

impl<M: Model> Found<M> {
    /// A place of its own, for tests of an author's code.
    pub fn for_test(limit: Option<u64>) -> Self {
        Self {
            taker: Taker::Test(Vec::new()),
            left: limit,
            failure: None,
        }
    }

    pub(crate) fn new(limit: Option<u64>, make: MakeEvent, events: mpsc::Sender<Event>) -> Self {
        Self {
            taker: Taker::Caller(make, events),
            left: limit,
            failure: None,
        }
    }

    /// Sends an object on, under a name that a person knows it by. It waits while Terraform is
    /// behind. The error is empty and says that no more are wanted: the limit is reached, nobody
    /// listens any more, or the object is none that Terraform would take.
    pub async fn push(
        &mut self,
        display_name: impl Into<String> + Send,
        object: M,
    ) -> Result<(), Diagnostics> {
        if self.is_done() {
            return Err(Diagnostics::new());
        }
        match &mut self.taker {
            Taker::Test(kept) => kept.push((display_name.into(), object)),
            Taker::Caller(make, events) => {
                let event = make(display_name.into(), object.into_value()).map_err(|why| {
                    self.failure = Some(why);
                    Diagnostics::new()
                })?;
                events.send(event).await.map_err(|_| Diagnostics::new())?;
            }
        }
        self.left = self.left.map(|left| left.saturating_sub(1));
        Ok(())
    }

    /// Whether no more are wanted, for work that is better not begun.
    pub fn is_done(&self) -> bool {
        let is_gone = match &self.taker {
            Taker::Caller(_, events) => events.is_closed(),
            Taker::Test(_) => false,
        };
        is_gone || self.left == Some(0) || self.failure.is_some()
    }

    /// What was found in a test.
    pub fn into_vec(self) -> Vec<(String, M)> {
        match self.taker {
            Taker::Test(kept) => kept,
            Taker::Caller(..) => Vec::new(),
        }
    }

    pub(crate) fn into_failure(self) -> Option<Diagnostics> {
        self.failure
    }
}

impl<M> fmt::Debug for Found<M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Found")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}
