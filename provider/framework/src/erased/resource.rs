//! A resource behind its type.

use async_trait::async_trait;

use super::{Known, LazySchema, model, without_unknown};
use crate::plan::{self, write_back};
use crate::value::{UnknownAttributes, Value};
use crate::{Cx, Diagnostic, Diagnostics, Failure, Model, Path, PlanAction, PlanCx, Resource};

/// What Terraform says about a plan.
pub(crate) struct PlanRequest {
    pub(crate) prior: Value,
    pub(crate) proposed: Value,
    pub(crate) config: Value,
}

/// The plan.
#[derive(Default)]
pub(crate) struct PlanResponse {
    pub(crate) planned: Value,
    pub(crate) requires_replace: Vec<Path>,
}

/// What Terraform says about an apply.
pub(crate) struct ApplyRequest {
    pub(crate) prior: Value,
    pub(crate) planned: Value,
    pub(crate) config: Value,
}

/// The state that an apply left, in success and failure alike.
pub(crate) struct Applied {
    pub(crate) state: Value,
    pub(crate) diagnostics: Diagnostics,
}

#[async_trait]
pub(crate) trait AnyResource<C>: Send + Sync {
    fn type_name(&self) -> &'static str;
    fn known(&self) -> &Known;
    async fn validate(&self, cx: &Cx<C>, config: Value) -> Diagnostics;
    /// The context comes back with what the author's code said.
    async fn plan(
        &self,
        cx: Cx<C>,
        request: PlanRequest,
    ) -> (PlanCx<C>, Result<PlanResponse, Diagnostics>);
    async fn apply(&self, cx: &Cx<C>, request: ApplyRequest) -> Applied;
    async fn read(&self, cx: &Cx<C>, state: Value) -> Result<Value, Diagnostics>;
    async fn import(&self, cx: &Cx<C>, id: &str) -> Result<Value, Diagnostics>;
    async fn upgrade(&self, cx: &Cx<C>, version: i64, json: &[u8]) -> Result<Value, Diagnostics>;
}

pub(crate) struct TypedResource<R> {
    resource: R,
    schema: LazySchema,
}

impl<R: Resource> TypedResource<R> {
    pub(crate) fn new(resource: R) -> Self {
        Self {
            resource,
            schema: LazySchema::default(),
        }
    }

    async fn hook(
        &self,
        cx: &PlanCx<R::Client>,
        request: &PlanRequest,
        planned: Value,
    ) -> Result<Value, Diagnostics> {
        let prior = match &request.prior {
            Value::Null => None,
            prior => Some(model::<R::Model>(prior.clone())?),
        };
        let config = model::<R::Model>(request.config.clone())?;
        let before = model::<R::Model>(planned.clone())?.into_value();
        let mut after = model::<R::Model>(planned.clone())?;
        self.resource
            .plan(cx, prior.as_ref(), &config, &mut after)
            .await?;
        let block = &self.known().schema.block;
        let mut hooked = write_back(planned.clone(), before, after.into_value());
        plan::nullify_write_only(block, &mut hooked);
        let contradiction = |path: Path| {
            let detail = format!(
                "The plan changes {path}, which the configuration decides. This is a mistake in \
                 the provider; please report it to its authors."
            );
            Diagnostic::error(format!("Invalid plan of {}", R::TYPE_NAME), detail).at(path)
        };
        let found = plan::contradictions(block, &planned, &hooked, &request.config);
        let found: Diagnostics = found.into_iter().map(contradiction).collect();
        found.into_result().map(|()| hooked)
    }

    async fn hook_destroy(
        &self,
        cx: &PlanCx<R::Client>,
        prior: Value,
    ) -> Result<PlanResponse, Diagnostics> {
        // Terraform asks to plan the end of something that never was.
        if !prior.is_null() {
            self.resource.plan_destroy(cx, &model(prior)?).await?;
        }
        Ok(PlanResponse::default())
    }

    async fn create_or_update(
        &self,
        cx: &Cx<R::Client>,
        request: &ApplyRequest,
    ) -> Result<Value, Failure<Value>> {
        let mut planned = request.planned.clone();
        plan::overlay_write_only(&self.known().schema.block, &mut planned, &request.config);
        let before = model::<R::Model>(planned.clone())?.into_value();
        let model_planned = model::<R::Model>(planned.clone())?;
        let result = if request.prior.is_null() {
            self.resource.create(cx, model_planned).await
        } else {
            let prior = model(request.prior.clone())?;
            self.resource.update(cx, prior, model_planned).await
        };
        let state = |after: R::Model| {
            let mut state = write_back(planned, before, after.into_value());
            plan::nullify_write_only(&self.known().schema.block, &mut state);
            state
        };
        match result {
            Ok(after) => Ok(state(after)),
            Err(Failure {
                diagnostics,
                partial,
            }) => Err(Failure {
                diagnostics,
                partial: partial.map(state),
            }),
        }
    }

    /// State as it was stored, at this version. Attributes since removed are left out.
    fn decode_stored(&self, json: &[u8]) -> Result<Value, Diagnostics> {
        let known = self.known();
        let mut state = Value::from_json(json, &known.of, UnknownAttributes::Ignore)
            .map_err(|error| unreadable_state(R::TYPE_NAME, &error.to_string()))?;
        plan::absent_blocks(&known.schema.block, &mut state);
        Ok(state)
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

    async fn validate(&self, cx: &Cx<R::Client>, config: Value) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        plan::validate(&self.known().schema.block, &config, &mut diagnostics);
        match model::<R::Model>(config) {
            Ok(config) => self.resource.validate(cx, &config, &mut diagnostics).await,
            Err(found) => diagnostics.extend(found),
        }
        diagnostics
    }

    async fn plan(
        &self,
        cx: Cx<R::Client>,
        request: PlanRequest,
    ) -> (PlanCx<R::Client>, Result<PlanResponse, Diagnostics>) {
        if request.proposed.is_null() {
            let cx = PlanCx::new(cx, PlanAction::Destroy);
            let response = self.hook_destroy(&cx, request.prior).await;
            return (cx, response);
        }
        let schema = &self.known().schema;
        let planned = plan::plan(
            schema,
            &request.prior,
            request.proposed.clone(),
            &request.config,
        );
        let action = match (request.prior.is_null(), planned.requires_replace.is_empty()) {
            (true, _) => PlanAction::Create,
            (false, _) if planned.value == request.prior => PlanAction::Unchanged,
            (false, false) => PlanAction::Replace,
            (false, true) => PlanAction::Update,
        };
        let cx = PlanCx::new(cx, action);
        let response = self.hook(&cx, &request, planned.value).await.map(|value| {
            let mut requires_replace = planned.requires_replace;
            requires_replace.extend(cx.take_requires_replace());
            requires_replace.sort();
            requires_replace.dedup();
            PlanResponse {
                planned: value,
                requires_replace,
            }
        });
        (cx, response)
    }

    async fn apply(&self, cx: &Cx<R::Client>, request: ApplyRequest) -> Applied {
        if request.planned.is_null() {
            let deleted = match model(request.prior.clone()) {
                Ok(prior) => self.resource.delete(cx, prior).await,
                Err(diagnostics) => Err(diagnostics),
            };
            return match deleted {
                Ok(()) => Applied {
                    state: Value::Null,
                    diagnostics: Diagnostics::new(),
                },
                Err(diagnostics) => Applied {
                    state: request.prior,
                    diagnostics,
                },
            };
        }
        match self.create_or_update(cx, &request).await {
            Ok(state) => {
                let diagnostics = incomplete(R::TYPE_NAME, &state);
                Applied {
                    state: without_unknown(state),
                    diagnostics,
                }
            }
            Err(Failure {
                diagnostics,
                partial,
            }) => {
                let state = partial.map_or(request.prior, without_unknown);
                Applied { state, diagnostics }
            }
        }
    }

    async fn read(&self, cx: &Cx<R::Client>, state: Value) -> Result<Value, Diagnostics> {
        let before = model::<R::Model>(state.clone())?.into_value();
        let Some(after) = self.resource.read(cx, model(state.clone())?).await? else {
            return Ok(Value::Null);
        };
        let mut state = write_back(state, before, after.into_value());
        plan::nullify_write_only(&self.known().schema.block, &mut state);
        match incomplete(R::TYPE_NAME, &state) {
            found if found.is_empty() => Ok(state),
            found => Err(found),
        }
    }

    async fn import(&self, cx: &Cx<R::Client>, id: &str) -> Result<Value, Diagnostics> {
        let mut state = self.resource.import(cx, id).await?.into_value();
        plan::nullify_write_only(&self.known().schema.block, &mut state);
        match incomplete(R::TYPE_NAME, &state) {
            found if found.is_empty() => Ok(state),
            found => Err(found),
        }
    }

    async fn upgrade(
        &self,
        cx: &Cx<R::Client>,
        version: i64,
        json: &[u8],
    ) -> Result<Value, Diagnostics> {
        if version > R::VERSION {
            let detail = format!(
                "The state has version {version} of this resource, and this provider reads up to \
                 {}. Use the provider release that wrote it, or a newer one.",
                R::VERSION
            );
            return Err(unreadable_state(R::TYPE_NAME, &detail));
        }
        if version == R::VERSION {
            return self.decode_stored(json);
        }
        let state = serde_json::from_slice(json)
            .map_err(|error| unreadable_state(R::TYPE_NAME, &error.to_string()))?;
        let state = self
            .resource
            .upgrade(cx, version, state)
            .await?
            .into_value();
        match incomplete(R::TYPE_NAME, &state) {
            found if found.is_empty() => Ok(state),
            found => Err(found),
        }
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
    plan::unknown_paths(state).into_iter().map(error).collect()
}

fn unreadable_state(type_name: &str, why: &str) -> Diagnostics {
    Diagnostic::error(
        format!("Unable to read the stored state of {type_name}"),
        why,
    )
    .into()
}
