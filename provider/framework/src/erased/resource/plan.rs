//! Plans: what the framework settles by itself, then the author's hook, then whether the hook kept
//! to what is its to change.

use super::{Identified, PlanRequest, PlanResponse, TypedResource, model};
use crate::erased::AnyResource as _;
use crate::plan::{self, write_back};
use crate::value::Value;
use crate::{Cx, Diagnostic, Diagnostics, Model, Path, PlanAction, PlanCx, Resource};

impl<R: Resource> TypedResource<R> {
    pub(super) async fn plan_change(
        &self,
        cx: Cx<R::Client>,
        request: PlanRequest,
    ) -> (PlanCx<R::Client>, Result<PlanResponse, Diagnostics>) {
        if request.proposed.is_null() {
            let cx = PlanCx::new(cx, PlanAction::Destroy);
            let response = self.hook_destroy(&cx, request.prior).await;
            return (cx, response);
        }
        let prior = &request.prior.value;
        let schema = &self.known().schema;
        let mut planned = plan::plan(schema, prior, request.proposed.clone(), &request.config);
        if cx.computed_blocks_allowed() && planned.value != *prior {
            plan::open_computed_blocks(&schema.block, &mut planned.value, &request.config);
        }
        let action = match (prior.is_null(), planned.requires_replace.is_empty()) {
            (true, _) => PlanAction::Create,
            (false, _) if planned.value == *prior => PlanAction::Unchanged,
            (false, false) => PlanAction::Replace,
            (false, true) => PlanAction::Update,
        };
        let cx = PlanCx::new(cx, action);
        let response = match self.hook(&cx, &request, planned.value).await {
            Ok(value) => {
                let mut requires_replace = planned.requires_replace;
                requires_replace.extend(cx.take_requires_replace());
                requires_replace.sort();
                requires_replace.dedup();
                self.planned(&request.prior, value, requires_replace)
            }
            Err(diagnostics) => Err(diagnostics),
        };
        (cx, response)
    }

    /// The plan with its identity: of another object where it is one, and otherwise the same.
    fn planned(
        &self,
        prior: &Identified,
        value: Value,
        requires_replace: Vec<Path>,
    ) -> Result<PlanResponse, Diagnostics> {
        let is_another = prior.value.is_null() || !requires_replace.is_empty();
        // When Terraform plans the second half of a replacement it sends the first half's.
        let before = prior.identity.as_ref().filter(|_| !prior.value.is_null());
        let mut planned = self.identified(value, before);
        if let Some(identity) = planned.identity.take_if(|_| !is_another) {
            self.identity_changes(&identity, before).into_result()?;
            // Terraform refuses an identity that comes to be unknown.
            planned.identity = Some(identity).filter(Value::is_wholly_known);
        }
        Ok(PlanResponse {
            planned,
            requires_replace,
        })
    }

    async fn hook(
        &self,
        cx: &PlanCx<R::Client>,
        request: &PlanRequest,
        planned: Value,
    ) -> Result<Value, Diagnostics> {
        let prior = match &request.prior.value {
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
        plan::keep_equivalent(block, &mut hooked, &planned);
        plan::keep_equivalent(block, &mut hooked, &request.prior.value);
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
        prior: Identified,
    ) -> Result<PlanResponse, Diagnostics> {
        // Terraform asks to plan the end of something that never was.
        if !prior.value.is_null() {
            self.resource.plan_destroy(cx, &model(prior.value)?).await?;
        }
        let planned = Identified {
            value: Value::Null,
            identity: prior.identity,
        };
        Ok(PlanResponse {
            planned,
            requires_replace: Vec::new(),
        })
    }
}
