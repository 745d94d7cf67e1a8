//! Ends every call whose caller's standing changes while it runs, whichever call it is.
//!
//! Before a call is begun, [`super::voter::Voter::admit`] asks the table who may make it. From then
//! on this layer watches: a stream, a call that waits and a call that works are all ended with a
//! sentence as soon as the certificate ends or is revoked. It knows no call by name, so that none
//! can be forgotten. What was committed by then stays committed.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use http_body::Frame;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{Bytes, Service, http};

use super::caller::Standing;
use super::session::Session;

/// With each request: lets a call answer that takes its own caller's standing away.
#[derive(Debug, Clone, Default)]
pub(super) struct Excuse(Arc<AtomicBool>);

type Ended = Pin<Box<dyn Future<Output = Standing> + Send>>;

/// A service whose calls end with their caller's standing.
#[derive(Debug, Clone)]
pub(super) struct Guard<S>(pub(super) S);

/// The body of a response that is cut off with its caller's standing.
struct Guarded {
    body: Body,
    ended: Ended,
    is_over: bool,
}

impl Excuse {
    /// The call's answer is owed to the caller, whatever becomes of them.
    pub(super) fn grant(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_granted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl<S> Service<http::Request<Body>> for Guard<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let excuse = Excuse::default();
        request.extensions_mut().insert(excuse.clone());
        let session = request.extensions().get::<Session>().cloned();
        let calling = self.0.call(request);
        Box::pin(async move {
            let Some(session) = session else {
                return calling.await;
            };
            let mut ended: Ended = Box::pin(session.changed());
            tokio::pin!(calling);
            let response = tokio::select! {
                biased;
                response = &mut calling => response?,
                standing = &mut ended => {
                    if !excuse.is_granted() {
                        return Ok(farewell(standing).into_http());
                    }
                    calling.await?
                }
            };
            if excuse.is_granted() {
                return Ok(response);
            }
            let is_over = false;
            Ok(response.map(|body| {
                Body::new(Guarded {
                    body,
                    ended,
                    is_over,
                })
            }))
        })
    }
}

impl http_body::Body for Guarded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if this.is_over {
            return Poll::Ready(None);
        }
        if let Poll::Ready(standing) = this.ended.as_mut().poll(context) {
            this.is_over = true;
            let mut trailers = http::HeaderMap::new();
            let written = farewell(standing).add_header(&mut trailers);
            return Poll::Ready(Some(written.map(|()| Frame::trailers(trailers))));
        }
        Pin::new(&mut this.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

/// What a caller is told whose call is ended.
fn farewell(standing: Standing) -> Status {
    Status::unauthenticated(match standing {
        Standing::Refused(fault) => fault.to_string(),
        Standing::ExpiredNode => "the node's certificate has ended; renew it".to_owned(),
        Standing::Anonymous | Standing::Node | Standing::Voter | Standing::User(_) => {
            "what this certificate gives has changed; call again".to_owned()
        }
    })
}
