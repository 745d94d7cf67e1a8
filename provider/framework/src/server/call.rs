//! Runs the work of each call in a task of its own, so that a panic in author code ends one call
//! only, and tells that work to stop when the caller is gone. It never looks into a request or an
//! answer.

use std::future::Future;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::sync::mpsc;
use tokio::task::JoinError;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status};
use tracing::{Instrument as _, Span};

use super::{Server, Service};
use crate::context::Call;
use crate::{Diagnostic, Diagnostics, Provider};

/// A stream of answers.
pub(super) type Answers<T> = BoxStream<'static, Result<T, Status>>;

/// How many answers of one stream wait for a slow caller before the work waits too.
const WAITING_MAX: usize = 16;

/// Which call this is, and what it is about.
#[derive(Debug, Clone)]
pub(super) struct Topic {
    /// The call's name in the code: `read_resource` for ReadResource.
    pub(super) rpc: &'static str,
    /// The type's name, or words, as a finding says it.
    pub(super) subject: String,
}

impl<P: Provider> Service<P> {
    /// Runs the work of a call that has one answer.
    pub(super) async fn call<R, F, W>(
        &self,
        topic: Topic,
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
        let span = topic.span();
        let work = timed(work(Arc::clone(&self.0), call));
        let answer = match tokio::spawn(work.instrument(span.clone())).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(diagnostics)) => span.in_scope(|| failed(diagnostics)),
            Err(error) => span.in_scope(|| failed(panicked(&topic.subject, error).into())),
        };
        Ok(Response::new(answer))
    }

    /// Runs the work of a call that is answered by a stream. What the work returns as an error,
    /// or a panic, becomes the stream's last answer.
    pub(super) fn stream<R, F, W>(
        &self,
        topic: Topic,
        work: W,
        failed: impl FnOnce(Diagnostics) -> R + Send + 'static,
    ) -> Result<Response<Answers<R>>, Status>
    where
        R: Send + 'static,
        F: Future<Output = Result<(), Diagnostics>> + Send + 'static,
        W: FnOnce(Arc<Server<P>>, Call, mpsc::Sender<R>) -> F,
    {
        self.stream_of(WAITING_MAX, topic, work, failed)
    }

    /// The same for answers of which fewer may wait.
    pub(super) fn stream_of<R, F, W>(
        &self,
        waiting_max: usize,
        topic: Topic,
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
        let span = topic.span();
        let work = timed(work(Arc::clone(&self.0), call, answers.clone()));
        let work = tokio::spawn(work.instrument(span.clone()));
        tokio::spawn(async move {
            let diagnostics = match work.await {
                Ok(Ok(())) => return,
                Ok(Err(diagnostics)) => diagnostics,
                Err(error) => panicked(&topic.subject, error).into(),
            };
            let last = span.in_scope(|| failed(diagnostics));
            // Nobody is left to tell when this can't be sent.
            let _ = answers.send(last).await;
        });
        let answers = ReceiverStream::new(waiting).map(move |answer| {
            // The stream is dropped when Terraform hangs up, and the guard with it.
            let _ = &hung_up;
            Ok(answer)
        });
        Ok(Response::new(answers.boxed()))
    }
}

impl Topic {
    /// The span around all that is logged of one call. Its fields are named as Terraform's own
    /// library for providers names them, so that one search finds them all.
    fn span(&self) -> Span {
        static CALLS: AtomicU64 = AtomicU64::new(1);
        let request_id = || {
            let call = CALLS.fetch_add(1, Ordering::Relaxed);
            format!("{:x}-{call:x}", process::id())
        };
        tracing::error_span!(
            "call",
            tf_req_id = request_id(),
            tf_rpc = rpc_name(self.rpc),
            tf_subject = self.subject,
        )
    }
}

/// The same work, with its begin and end logged.
async fn timed<T>(work: impl Future<Output = T>) -> T {
    tracing::trace!("the call begins");
    let began = Instant::now();
    let result = work.await;
    let tf_req_duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::debug!(tf_req_duration_ms, "the call ended");
    result
}

/// As the protocol writes it.
fn rpc_name(rpc: &str) -> String {
    let words = rpc.split('_').map(|word| match word.split_at_checked(1) {
        Some((first, others)) => first.to_uppercase() + others,
        None => String::new(),
    });
    words.collect()
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
