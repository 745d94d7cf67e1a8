//! A list resource behind its type.

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::{Known, LazySchema, checked, model};
use crate::list_resource::MakeEvent;
use crate::proto::tfplugin6::list_resource::Event;
use crate::value::Value;
use crate::{
    Cx, Diagnostic, Diagnostics, Found, ListQuery, ListResource, Path, Resource as _, plan,
};

#[async_trait]
pub(crate) trait AnyListResource<C>: Send + Sync {
    /// The name of the resource too.
    fn type_name(&self) -> &'static str;
    fn known(&self) -> &Known;
    async fn validate(&self, cx: &Cx<C>, config: Value) -> Diagnostics;
    async fn list(
        &self,
        cx: &Cx<C>,
        query: ListQuery<Value>,
        make: MakeEvent,
        events: mpsc::Sender<Event>,
    ) -> Result<(), Diagnostics>;
}

pub(crate) struct TypedListResource<L> {
    list: L,
    schema: LazySchema,
}

impl<L: ListResource> TypedListResource<L> {
    pub(crate) fn new(list: L) -> Self {
        Self {
            list,
            schema: LazySchema::default(),
        }
    }
}

#[async_trait]
impl<L: ListResource> AnyListResource<L::Client> for TypedListResource<L> {
    fn type_name(&self) -> &'static str {
        L::Resource::TYPE_NAME
    }

    fn known(&self) -> &Known {
        self.schema.of_model::<L::Config>(0)
    }

    async fn validate(&self, cx: &Cx<L::Client>, config: Value) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        if let Some(config) = checked::<L::Config>(self.known(), config, &mut diagnostics) {
            self.list.validate(cx, &config, &mut diagnostics).await;
        }
        diagnostics
    }

    async fn list(
        &self,
        cx: &Cx<L::Client>,
        query: ListQuery<Value>,
        make: MakeEvent,
        events: mpsc::Sender<Event>,
    ) -> Result<(), Diagnostics> {
        let unknown = |path: Path| {
            let summary = format!("Unable to list {}", L::Resource::TYPE_NAME);
            let detail = format!("{path} isn't known yet. Apply what it comes from first.");
            Diagnostic::error(summary, detail).at(path)
        };
        let unknown_paths = plan::unknown_paths(&query.config).into_iter();
        unknown_paths
            .map(unknown)
            .collect::<Diagnostics>()
            .into_result()?;
        let mut found = Found::new(query.limit, make, events);
        let query = ListQuery {
            config: model::<L::Config>(query.config)?,
            limit: query.limit,
            include_resource: query.include_resource,
        };
        let result = self.list.list(cx, query, &mut found).await;
        let mut diagnostics = found.into_failure().unwrap_or_default();
        // An empty error is the end that a push asked for.
        diagnostics.extend(result.err().unwrap_or_default());
        diagnostics.into_result()
    }
}
