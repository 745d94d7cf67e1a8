//! Runs the work of each call in a task of its own, so that a panic in author code ends one call
//! only, and tells that work to stop when the caller is gone. It never looks into a request or an
//! answer.

use std::future::Future;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::sync::mpsc;
use tokio::task::JoinError;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status};

use super::{Server, Service};
use crate::context::Call;
use crate::{Diagnostic, Diagnostics, Provider};

/// A stream of answers.
pub(super) type Answers<T> = BoxStream<'static, Result<T, Status>>;

/// How many answers of one stream wait for a slow caller before the work waits too.
const WAITING_MAX: usize = 16;

impl<P: Provider> Service<P> {
    /// Runs the work of a call that has one answer.
    pub(super) async fn call<R, F, W>(
        &self,
        subject: &str,
        work: W,
        failed: impl FnOnce(Diagnostics) -> R,
    ) -> Result<Response<R>, Status>
    where
        R: Send + 'static,
        F: Future<Output = Result<R, Diagnostics>> + Send + 'static,
        W: FnOnce(Arc<Server<P>>, Call) -> F,
    {
        let call = self.0.begin();
        // When Terraform hangs up, this future is dropped and the work is told to stop.
        let _hung_up = call.cancellation.clone().drop_guard();
        let answer = match tokio::spawn(work(Arc::clone(&self.0), call)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(diagnostics)) => failed(diagnostics),
            Err(error) => failed(panicked(subject, error).into()),
        };
        Ok(Response::new(answer))
    }

    /// Runs the work of a call that is answered by a stream. What the work returns as an error,
    /// or a panic, becomes the stream's last answer.
    pub(super) fn stream<R, F, W>(
        &self,
        subject: &str,
        work: W,
        failed: impl FnOnce(Diagnostics) -> R + Send + 'static,
    ) -> Result<Response<Answers<R>>, Status>
    where
        R: Send + 'static,
        F: Future<Output = Result<(), Diagnostics>> + Send + 'static,
        W: FnOnce(Arc<Server<P>>, Call, mpsc::Sender<R>) -> F,
    {
        self.stream_of(WAITING_MAX, subject, work, failed)
    }

    /// The same for answers of which fewer may wait.
    pub(super) fn stream_of<R, F, W>(
        &self,
        waiting_max: usize,
        subject: &str,
        work: W,
        failed: impl FnOnce(Diagnostics) -> R + Send + 'static,
    ) -> Result<Response<Answers<R>>, Status>
    where
        R: Send + 'static,
        F: Future<Output = Result<(), Diagnostics>> + Send + 'static,
        W: FnOnce(Arc<Server<P>>, Call, mpsc::Sender<R>) -> F,
    {
        let call = self.0.begin();
        let hung_up = call.cancellation.clone().drop_guard();
        let (answers, waiting) = mpsc::channel(waiting_max);
        let work = tokio::spawn(work(Arc::clone(&self.0), call, answers.clone()));
        let subject = subject.to_owned();
        tokio::spawn(async move {
            let diagnostics = match work.await {
                Ok(Ok(())) => return,
                Ok(Err(diagnostics)) => diagnostics,
                Err(error) => panicked(&subject, error).into(),
            };
            // Nobody is left to tell when this can't be sent.
            let _ = answers.send(failed(diagnostics)).await;
        });
        let answers = ReceiverStream::new(waiting).map(move |answer| {
            // The stream is dropped when Terraform hangs up, and the guard with it.
            let _ = &hung_up;
            Ok(answer)
        });
        Ok(Response::new(answers.boxed()))
    }
}

fn panicked(subject: &str, error: JoinError) -> Diagnostic {
    let reason = match error.try_into_panic() {
        Ok(panic) => match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
            (Some(text), _) => (*text).to_owned(),
            (_, Some(text)) => text.clone(),
            (None, None) => "no reason given".to_owned(),
        },
        Err(error) => error.to_string(),
    };
    Diagnostic::error(
        format!("The provider failed in {subject}"),
        format!("{reason}. This is a mistake in the provider; please report it to its authors."),
    )
}
