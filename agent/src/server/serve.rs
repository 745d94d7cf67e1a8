//! Brings a voter's API onto the network and onto the socket of its data folder.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hanse_client::Credentials;
use hanse_client::MESSAGE_LIMIT_BYTES;
use hanse_client::clock::TIME_HEADER;
use hanse_client::proto::api_server::ApiServer;
use hanse_proto::raft::v1::consensus_server::ConsensusServer;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::codegen::http;
use tower::util::MapResponseLayer;

use super::guard::Guard;
use super::listen;
use super::service::Service;
use super::tls::{self, TlsError};
use super::voter::Voter;
use crate::clock::FederationClock;
use crate::consensus;
use crate::data::{DataError, DataFolder};
use crate::identity::Trust;

/// Calls at a time on one connection.
const STREAMS_MAX: u32 = 64;
/// A silent connection is asked for a sign of life so often, and given up after as long again.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// How long calls may take to end when the voter stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// Why a voter doesn't serve.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address can't be listened on.
    #[error("unable to listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The socket of the data folder can't be made.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The certificate can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A voter's API, being served.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves until the voter's `stop`. Each new connection meets the newest of `credentials`.
    pub async fn start(
        voter: Arc<Voter>,
        folder: &DataFolder,
        listen: SocketAddr,
        mut credentials: watch::Receiver<Arc<Credentials>>,
    ) -> Result<Self, ServerError> {
        let fail = |source| ServerError::Listen {
            address: listen,
            source,
        };
        let tcp = TcpListener::bind(listen).await.map_err(fail)?;
        let address = tcp.local_addr().map_err(fail)?;
        let socket = folder.socket();
        let unix = listen::bind_unix(&socket)
            .await
            .map_err(DataError::io("listen on", &socket))?;
        let mut trust = voter.trust();
        let first = tls::server_config(
            &credentials.borrow_and_update(),
            &trust,
            voter.clock.clone(),
            voter.replica.changes(),
        )?;
        let (configs, config) = watch::channel(first);
        let stop = voter.stop.clone();
        tokio::spawn({
            let (voter, stop) = (voter.clone(), stop.clone());
            async move {
                while let Some(Some(())) = stop
                    .run_until_cancelled(changed(&voter, &mut trust, &mut credentials))
                    .await
                {
                    match tls::server_config(
                        &credentials.borrow_and_update(),
                        &trust,
                        voter.clock.clone(),
                        voter.replica.changes(),
                    ) {
                        Ok(config) => {
                            configs.send_replace(config);
                        }
                        Err(error) => {
                            tracing::error!(%error, "the new certificate can't be served");
                        }
                    }
                }
            }
        });
        let sessions = voter.sessions.clone();
        let connections = listen::accept(tcp, unix, config, sessions, stop.clone());
        let voter_clock = voter.clock.clone();
        let consensus = ConsensusServer::new(consensus::service::Service(voter.clone()));
        let api = ApiServer::new(Service(voter))
            .max_decoding_message_size(MESSAGE_LIMIT_BYTES)
            .max_encoding_message_size(MESSAGE_LIMIT_BYTES);
        let serving = tonic::transport::Server::builder()
            .max_concurrent_streams(STREAMS_MAX)
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE))
            .layer(MapResponseLayer::new(stamp(voter_clock)))
            .layer(tower::layer::layer_fn(Guard))
            .add_service(api)
            .add_service(consensus)
            .serve_with_incoming_shutdown(
                ReceiverStream::new(connections),
                stop.clone().cancelled_owned(),
            );
        let task = tokio::spawn(async move {
            let stopped = async {
                stop.cancelled().await;
                tokio::time::sleep(STOP_TIMEOUT).await;
            };
            tokio::select! {
                served = serving => {
                    if let Err(error) = served {
                        tracing::error!(%error, "the API ended");
                    }
                }
                () = stopped => tracing::warn!("calls that did not end were cut off"),
            }
        });
        Ok(Self { address, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the last call has ended.
    pub async fn stopped(mut self) {
        self.ended().await;
    }

    /// Waits for the end of serving, told or not.
    pub async fn ended(&mut self) {
        let _ = (&mut self.task).await;
    }
}

/// Tells the federation's time with every answer.
fn stamp(
    clock: Arc<FederationClock>,
) -> impl Fn(http::Response<Body>) -> http::Response<Body> + Clone {
    move |mut response| {
        let now = http::HeaderValue::from(clock.now_ms());
        response.headers_mut().insert(TIME_HEADER, now);
        response
    }
}

/// Waits for a new certificate of this voter, or for others to trust; none: nobody will tell.
async fn changed(
    voter: &Voter,
    trust: &mut Arc<Trust>,
    credentials: &mut watch::Receiver<Arc<Credentials>>,
) -> Option<()> {
    let mut states = voter.replica.changes();
    loop {
        states.mark_unchanged();
        let now = voter.trust();
        if now != *trust {
            *trust = now;
            return Some(());
        }
        tokio::select! {
            changed = credentials.changed() => return changed.ok(),
            changed = states.changed() => changed.ok()?,
        }
    }
}
