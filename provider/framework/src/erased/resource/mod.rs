//! A resource behind its type: each call decoded, handed to the author's code, and what came of it
//! checked.

mod adopt;
mod apply;
mod plan;
mod stored;

use std::sync::OnceLock;

use async_trait::async_trait;

use super::{Known, LazySchema, checked, model, without_unknown};
use crate::identity::{self, IdentitySchema};
use crate::plan::unknown_paths;
use crate::value::Value;
use crate::{Cx, Diagnostic, Diagnostics, MoveSource, Path, PlanCx, Resource};

/// A value, and the identity of the object that it is the value of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Identified {
    pub(crate) value: Value,
    /// Absent where the resource has none, or the caller sent none.
    pub(crate) identity: Option<Value>,
}

/// What Terraform says about a plan.
pub(crate) struct PlanRequest {
    pub(crate) prior: Identified,
    pub(crate) proposed: Value,
    pub(crate) config: Value,
}

/// The plan.
#[derive(Default)]
pub(crate) struct PlanResponse {
    pub(crate) planned: Identified,
    pub(crate) requires_replace: Vec<Path>,
}

/// What Terraform says about an apply.
pub(crate) struct ApplyRequest {
    pub(crate) prior: Value,
    pub(crate) planned: Identified,
    pub(crate) config: Value,
}

/// The state that an apply left, in success and failure alike.
pub(crate) struct Applied {
    pub(crate) state: Identified,
    pub(crate) diagnostics: Diagnostics,
}

/// What names an object to import.
pub(crate) enum ImportBy {
    Id(String),
    Identity(Value),
}

#[async_trait]
pub(crate) trait AnyResource<C>: Send + Sync {
    fn type_name(&self) -> &'static str;
    fn known(&self) -> &Known;
    fn identity(&self) -> Option<&IdentitySchema>;
    async fn validate(&self, cx: &Cx<C>, config: Value) -> Diagnostics;
    /// The context comes back with what the author's code said.
    async fn plan(
        &self,
        cx: Cx<C>,
        request: PlanRequest,
    ) -> (PlanCx<C>, Result<PlanResponse, Diagnostics>);
    async fn apply(&self, cx: &Cx<C>, request: ApplyRequest) -> Applied;
    async fn read(&self, cx: &Cx<C>, state: Identified) -> Result<Identified, Diagnostics>;
    /// An object that a search found, as Terraform may see it.
    fn found(&self, value: Value) -> Result<Identified, Diagnostics>;
    async fn import(&self, cx: &Cx<C>, by: ImportBy) -> Result<Identified, Diagnostics>;
    async fn take_over(&self, cx: &Cx<C>, source: MoveSource) -> Result<Identified, Diagnostics>;
    /// The configuration that would produce a state.
    async fn generate(&self, cx: &Cx<C>, state: Value) -> Result<Value, Diagnostics>;
    async fn upgrade(&self, cx: &Cx<C>, version: i64, json: &[u8]) -> Result<Value, Diagnostics>;
    async fn upgrade_identity(
        &self,
        cx: &Cx<C>,
        version: i64,
        json: &[u8],
    ) -> Result<Value, Diagnostics>;
}

pub(crate) struct TypedResource<R> {
    resource: R,
    schema: LazySchema,
    identity: OnceLock<Option<IdentitySchema>>,
}

impl<R: Resource> TypedResource<R> {
    pub(crate) fn new(resource: R) -> Self {
        Self {
            resource,
            schema: LazySchema::default(),
            identity: OnceLock::new(),
        }
    }

    /// A value with its identity. What the value leaves open is taken from another identity of
    /// the same object.
    fn identified(&self, value: Value, other: Option<&Value>) -> Identified {
        let schema = self.identity().filter(|_| !value.is_null());
        let identity = schema.map(|schema| schema.of_value(&value, other));
        Identified { value, identity }
    }

    /// What is wrong with the identity of an object that exists, given what it was called
    /// before.
    fn identity_mistakes(&self, now: &Identified, before: Option<&Value>) -> Diagnostics {
        let (Some(schema), Some(identity)) = (self.identity(), &now.identity) else {
            return Diagnostics::new();
        };
        let mut found = identity::gaps(R::TYPE_NAME, &schema.missing(identity));
        found.extend(self.identity_changes(identity, before));
        found
    }

    fn identity_changes(&self, now: &Value, before: Option<&Value>) -> Diagnostics {
        match (self.identity(), before) {
            (Some(schema), Some(before)) if !R::MUTABLE_IDENTITY => {
                identity::changes(R::TYPE_NAME, &schema.changed(before, now))
            }
            _ => Diagnostics::new(),
        }
    }
}

#[async_trait]
impl<R: Resource> AnyResource<R::Client> for TypedResource<R> {
    fn type_name(&self) -> &'static str {
        R::TYPE_NAME
    }

    fn known(&self) -> &Known {
        self.schema.of_model::<R::Model>(R::VERSION)
    }

    fn identity(&self) -> Option<&IdentitySchema> {
        let schema = || {
            let block = &self.known().schema.block;
            IdentitySchema::of_block(block, R::IDENTITY_VERSION)
        };
        self.identity.get_or_init(schema).as_ref()
    }

    async fn validate(&self, cx: &Cx<R::Client>, config: Value) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        if let Some(config) = checked::<R::Model>(self.known(), config, &mut diagnostics) {
            self.resource.validate(cx, &config, &mut diagnostics).await;
        }
        diagnostics
    }

    async fn plan(
        &self,
        cx: Cx<R::Client>,
        request: PlanRequest,
    ) -> (PlanCx<R::Client>, Result<PlanResponse, Diagnostics>) {
        self.plan_change(cx, request).await
    }

    async fn apply(&self, cx: &Cx<R::Client>, request: ApplyRequest) -> Applied {
        if request.planned.value.is_null() {
            self.apply_delete(cx, request).await
        } else {
            self.apply_change(cx, request).await
        }
    }

    async fn read(&self, cx: &Cx<R::Client>, state: Identified) -> Result<Identified, Diagnostics> {
        self.read_state(cx, state).await
    }

    fn found(&self, value: Value) -> Result<Identified, Diagnostics> {
        let found = self.complete(value, None)?;
        self.identity_mistakes(&found, None).into_result()?;
        Ok(found)
    }

    async fn import(&self, cx: &Cx<R::Client>, by: ImportBy) -> Result<Identified, Diagnostics> {
        self.import_state(cx, by).await
    }

    async fn take_over(
        &self,
        cx: &Cx<R::Client>,
        source: MoveSource,
    ) -> Result<Identified, Diagnostics> {
        self.take_over_state(cx, source).await
    }

    async fn generate(&self, cx: &Cx<R::Client>, state: Value) -> Result<Value, Diagnostics> {
        self.generate_config(cx, state).await
    }

    async fn upgrade(
        &self,
        cx: &Cx<R::Client>,
        version: i64,
        json: &[u8],
    ) -> Result<Value, Diagnostics> {
        self.upgrade_state(cx, version, json).await
    }

    async fn upgrade_identity(
        &self,
        cx: &Cx<R::Client>,
        version: i64,
        json: &[u8],
    ) -> Result<Value, Diagnostics> {
        self.upgrade_stored_identity(cx, version, json).await
    }
}

/// One error for each value that is still unknown where everything has to be known.
fn incomplete(type_name: &str, state: &Value) -> Diagnostics {
    let error = |path: Path| {
        let detail = format!(
            "{path} is still unknown afterwards. The provider has to set it or leave it null; \
             please report this to its authors."
        );
        Diagnostic::error(format!("Incomplete state of {type_name}"), detail).at(path)
    };
    unknown_paths(state).into_iter().map(error).collect()
}
