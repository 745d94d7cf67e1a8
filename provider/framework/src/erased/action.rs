//! An action behind its type.

use async_trait::async_trait;

use super::{Known, LazySchema, checked, model};
use crate::value::Value;
use crate::{Action, Cx, Diagnostic, Diagnostics, Path, plan};

#[async_trait]
pub(crate) trait AnyAction<C>: Send + Sync {
    fn type_name(&self) -> &'static str;
    fn known(&self) -> &Known;
    async fn validate(&self, cx: &Cx<C>, config: Value) -> Diagnostics;
    async fn plan(&self, cx: &Cx<C>, config: Value) -> Result<(), Diagnostics>;
    async fn invoke(&self, cx: &Cx<C>, config: Value) -> Result<(), Diagnostics>;
}

pub(crate) struct TypedAction<A> {
    action: A,
    schema: LazySchema,
}

impl<A: Action> TypedAction<A> {
    pub(crate) fn new(action: A) -> Self {
        Self {
            action,
            schema: LazySchema::default(),
        }
    }
}

#[async_trait]
impl<A: Action> AnyAction<A::Client> for TypedAction<A> {
    fn type_name(&self) -> &'static str {
        A::TYPE_NAME
    }

    fn known(&self) -> &Known {
        self.schema.of_model::<A::Model>(0)
    }

    async fn validate(&self, cx: &Cx<A::Client>, config: Value) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        if let Some(config) = checked::<A::Model>(self.known(), config, &mut diagnostics) {
            self.action.validate(cx, &config, &mut diagnostics).await;
        }
        diagnostics
    }

    async fn plan(&self, cx: &Cx<A::Client>, config: Value) -> Result<(), Diagnostics> {
        self.action.plan(cx, &model(config)?).await
    }

    async fn invoke(&self, cx: &Cx<A::Client>, config: Value) -> Result<(), Diagnostics> {
        let unknown = |path: Path| {
            let summary = format!("Unable to invoke {}", A::TYPE_NAME);
            let detail = format!("{path} isn't known yet. Apply what it comes from first.");
            Diagnostic::error(summary, detail).at(path)
        };
        let found = plan::unknown_paths(&config).into_iter().map(unknown);
        found.collect::<Diagnostics>().into_result()?;
        self.action.invoke(cx, model(config)?).await
    }
}
