//! The calls about actions.

use std::panic::{AssertUnwindSafe, resume_unwind};

use futures::FutureExt as _;
use tokio::sync::mpsc;

use super::data_source::deferred;
use super::{Server, decode, settle};
use crate::context::Call;
use crate::private::Private;
use crate::proto::tfplugin6 as wire;
use crate::{Diagnostics, Provider};

/// How many messages of progress wait for a slow caller before further ones are dropped.
const PROGRESS_WAITING_MAX: usize = 1024;

impl<P: Provider> Server<P> {
    pub(super) async fn validate_action(
        &self,
        request: wire::validate_action_config::Request,
        call: Call,
    ) -> Result<wire::validate_action_config::Response, Diagnostics> {
        let action = self.action(&request.type_name)?;
        let config = decode(request.config, &action.known().of)?;
        let cx = self.cx(call, Private::default());
        let mut diagnostics = action.validate(&cx, config).await;
        diagnostics.extend(cx.take_outcome().diagnostics);
        Ok(wire::validate_action_config::Response {
            diagnostics: diagnostics.into_wire(),
        })
    }

    pub(super) async fn plan_action(
        &self,
        request: wire::plan_action::Request,
        call: Call,
    ) -> Result<wire::plan_action::Response, Diagnostics> {
        let action = self.action(&request.action_type)?;
        let config = decode(request.config, &action.known().of)?;
        let call = call.with(request.client_capabilities.as_ref());
        let cx = self.cx(call, Private::default());
        let result = action.plan(&cx, config).await;
        let outcome = match cx.take_deferral() {
            Some(outcome) => outcome,
            None => settle(&cx, result)?.1,
        };
        Ok(wire::plan_action::Response {
            diagnostics: outcome.diagnostics.into_wire(),
            deferred: outcome.deferred.map(deferred),
        })
    }

    /// An invocation can't be deferred any more: its answer has no place for that.
    pub(super) async fn invoke_action(
        &self,
        request: wire::invoke_action::Request,
        mut call: Call,
        events: mpsc::Sender<wire::invoke_action::Event>,
    ) -> Result<(), Diagnostics> {
        use wire::invoke_action::event::{Completed, Progress, Type};
        let event = |of: Type| wire::invoke_action::Event { r#type: Some(of) };
        let action = self.action(&request.action_type)?;
        let config = decode(request.config, &action.known().of)?;
        let (progress, mut said) = mpsc::channel(PROGRESS_WAITING_MAX);
        call.progress = Some(progress);
        let cx = self.cx(call, Private::default());
        let invocation = async {
            let result = settle(&cx, action.invoke(&cx, config).await);
            // No more progress follows, and what waits is passed on before the end is told.
            drop(cx);
            result
        };
        // What was said before a panic is passed on too.
        let invocation = AssertUnwindSafe(invocation).catch_unwind();
        let passing_on = async {
            while let Some(message) = said.recv().await {
                // A caller that is gone gets nothing, and the action ends when it likes.
                let _ = events
                    .send(event(Type::Progress(Progress { message })))
                    .await;
            }
        };
        let (result, ()) = tokio::join!(invocation, passing_on);
        let ((), outcome) = result.unwrap_or_else(|panic| resume_unwind(panic))?;
        let diagnostics = outcome.diagnostics.into_wire();
        let _ = events
            .send(event(Type::Completed(Completed { diagnostics })))
            .await;
        Ok(())
    }
}
