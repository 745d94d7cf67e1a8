//! The small services beside the provider: shutdown, forwarded output, further connections.
//!
//! A provider prints nothing and needs no second connection, so the two streams stay silent until
//! the end.

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::proto::plugin::grpc_broker_server::GrpcBroker;
use crate::proto::plugin::grpc_controller_server::GrpcController;
use crate::proto::plugin::grpc_stdio_server::GrpcStdio;
use crate::proto::plugin::{ConnInfo, Empty, StdioData};

#[derive(Clone)]
pub(super) struct Companion {
    shutdown: CancellationToken,
}

impl Companion {
    pub(super) fn new(shutdown: CancellationToken) -> Self {
        Self { shutdown }
    }

    /// A stream that says nothing and ends with the server, which couldn't end otherwise.
    fn silence<T: Send + 'static>(&self) -> BoxStream<'static, Result<T, Status>> {
        let shutdown = self.shutdown.clone();
        stream::pending()
            .take_until(async move { shutdown.cancelled().await })
            .boxed()
    }
}

#[tonic::async_trait]
impl GrpcController for Companion {
    async fn shutdown(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        self.shutdown.cancel();
        Ok(Response::new(Empty {}))
    }
}

#[tonic::async_trait]
impl GrpcStdio for Companion {
    type StreamStdioStream = BoxStream<'static, Result<StdioData, Status>>;

    async fn stream_stdio(
        &self,
        _: Request<()>,
    ) -> Result<Response<Self::StreamStdioStream>, Status> {
        Ok(Response::new(self.silence()))
    }
}

#[tonic::async_trait]
impl GrpcBroker for Companion {
    type StartStreamStream = BoxStream<'static, Result<ConnInfo, Status>>;

    async fn start_stream(
        &self,
        _: Request<Streaming<ConnInfo>>,
    ) -> Result<Response<Self::StartStreamStream>, Status> {
        Ok(Response::new(self.silence()))
    }
}
