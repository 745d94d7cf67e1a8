//! What all resources here have in common: a value is drawn once, lives in the state alone, and
//! stays until something that it was drawn for changes.

use std::fmt;

use terraform_plugin::{
    Cx, Diagnostic, Diagnostics, Failure, Model, PlanCx, Resource, async_trait,
};

/// One kind of value that is drawn.
pub(crate) trait Draw: Send + Sync + 'static {
    type Model: Model;
    const TYPE_NAME: &'static str;
    const VERSION: i64 = 0;

    /// Finds what no single attribute can tell to be wrong.
    fn check(_config: &Self::Model, _: &mut Diagnostics) {}

    /// Has the last word on the plan.
    fn plan(
        _: &PlanCx<()>,
        _prior: Option<&Self::Model>,
        _config: &Self::Model,
        _plan: &mut Self::Model,
    ) {
    }

    /// Fills in what is computed.
    fn draw(planned: Self::Model) -> Result<Self::Model, Diagnostic>;
}

/// The resource of it.
pub(crate) struct Drawn<D>(pub(crate) D);

#[async_trait]
impl<D: Draw> Resource for Drawn<D> {
    type Client = ();
    type Model = D::Model;
    const TYPE_NAME: &'static str = D::TYPE_NAME;
    const VERSION: i64 = D::VERSION;

    async fn validate(&self, _: &Cx<()>, config: &D::Model, diagnostics: &mut Diagnostics) {
        D::check(config, diagnostics);
    }

    async fn plan(
        &self,
        cx: &PlanCx<()>,
        prior: Option<&D::Model>,
        config: &D::Model,
        plan: &mut D::Model,
    ) -> Result<(), Diagnostics> {
        D::plan(cx, prior, config, plan);
        Ok(())
    }

    async fn create(&self, _: &Cx<()>, plan: D::Model) -> Result<D::Model, Failure<D::Model>> {
        // A password's hash takes a while on purpose.
        let drawn = tokio::task::spawn_blocking(|| D::draw(plan)).await;
        Ok(drawn.map_err(|error| unable(D::TYPE_NAME, error))??)
    }

    async fn read(&self, _: &Cx<()>, state: D::Model) -> Result<Option<D::Model>, Diagnostics> {
        Ok(Some(state))
    }

    async fn update(
        &self,
        _: &Cx<()>,
        _: D::Model,
        plan: D::Model,
    ) -> Result<D::Model, Failure<D::Model>> {
        Ok(plan)
    }

    async fn delete(&self, _: &Cx<()>, _: D::Model) -> Result<(), Diagnostics> {
        Ok(())
    }
}

/// A finding about a value that could not be drawn.
pub(crate) fn unable(type_name: &str, reason: impl fmt::Display) -> Diagnostic {
    Diagnostic::error(format!("Unable to draw {type_name}"), reason.to_string())
}
