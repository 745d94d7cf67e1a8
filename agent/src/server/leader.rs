//! The leader as another voter calls it: a call ends when the leader is gone, or leads no more.
//!
//! Whoever waits for the answer hears in words that it may be tried again, and never what the
//! transport says of a connection that is not theirs.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use hanse_consensus::types::VoterId;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::transport::Channel;
use tower::Service;

use crate::consensus::Replica;

/// The way to the leader.
#[derive(Debug, Clone)]
pub(super) struct Leader {
    pub(super) channel: Channel,
    pub(super) replica: Replica,
    pub(super) id: VoterId,
    pub(super) name: String,
}

impl Service<http::Request<Body>> for Leader {
    type Response = http::Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Status>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        let ready = self.channel.poll_ready(context);
        ready.map_err(|error| gone(&self.name, &error))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answer = self.channel.call(request);
        let Self {
            replica, id, name, ..
        } = self.clone();
        Box::pin(async move {
            tokio::select! {
                answer = answer => answer.map_err(|error| gone(&name, &error)),
                other = replica.somebody_else_leads(id) => Err(Status::unavailable(format!(
                    "the voter `{name}` led and `{}` leads now; try again",
                    other.name
                ))),
            }
        })
    }
}

fn gone(name: &str, error: &dyn std::error::Error) -> Status {
    Status::unavailable(format!(
        "the voter `{name}`, which led, is out of reach ({}); another is elected where a \
         majority of the voters run",
        Innermost(error)
    ))
}

/// What an error comes from.
struct Innermost<'e>(&'e dyn std::error::Error);

impl fmt::Display for Innermost<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut error = self.0;
        while let Some(source) = error.source() {
            error = source;
        }
        fmt::Display::fmt(error, f)
    }
}
