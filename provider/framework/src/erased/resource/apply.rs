//! Carries plans out, and says what exists afterwards, whatever went wrong.

use super::{Applied, ApplyRequest, Identified, TypedResource, incomplete, model, without_unknown};
use crate::erased::AnyResource as _;
use crate::plan::{self, write_back};
use crate::value::Value;
use crate::{Cx, Diagnostics, Failure, Model, Resource};

impl<R: Resource> TypedResource<R> {
    pub(super) async fn apply_delete(&self, cx: &Cx<R::Client>, request: ApplyRequest) -> Applied {
        let deleted = match model(request.prior.clone()) {
            Ok(prior) => self.resource.delete(cx, prior).await,
            Err(diagnostics) => Err(diagnostics),
        };
        match deleted {
            Ok(()) => Applied {
                state: Identified::default(),
                diagnostics: Diagnostics::new(),
            },
            Err(diagnostics) => Applied {
                state: self.identified(request.prior, request.planned.identity.as_ref()),
                diagnostics,
            },
        }
    }

    pub(super) async fn apply_change(&self, cx: &Cx<R::Client>, request: ApplyRequest) -> Applied {
        let planned = request.planned.identity.as_ref();
        match self.create_or_update(cx, &request).await {
            Ok(state) => {
                let mut diagnostics = incomplete(R::TYPE_NAME, &state);
                let state = self.identified(without_unknown(state), planned);
                let before = planned.filter(|_| !request.prior.is_null());
                diagnostics.extend(self.identity_mistakes(&state, before));
                Applied { state, diagnostics }
            }
            Err(Failure {
                diagnostics,
                partial,
            }) => {
                let state = partial.map_or_else(|| request.prior.clone(), without_unknown);
                Applied {
                    state: self.identified(state, planned),
                    diagnostics,
                }
            }
        }
    }

    async fn create_or_update(
        &self,
        cx: &Cx<R::Client>,
        request: &ApplyRequest,
    ) -> Result<Value, Failure<Value>> {
        let mut planned = request.planned.value.clone();
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
            let block = &self.known().schema.block;
            let mut state = write_back(planned, before, after.into_value());
            plan::nullify_write_only(block, &mut state);
            plan::keep_equivalent(block, &mut state, &request.planned.value);
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
}
