//! Finds a voter that answers: every endpoint is tried, and a failure names each with its reason.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hanse_core::endpoint::Endpoint;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Uri};

use crate::clock::Clock;
use crate::credentials::Credentials;
use crate::error::ClientError;
use crate::tls;

/// The largest message that either side takes.
pub const MESSAGE_LIMIT_BYTES: usize = 16 << 20;

/// How long one endpoint may take to answer, TCP and TLS together.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// The same, and how soon silence is noticed, between voters: an election waits for it.
const BETWEEN_VOTERS: Duration = Duration::from_secs(2);
/// How long one endpoint is waited for before the next is tried beside it.
const HEAD_START: Duration = Duration::from_secs(1);
/// A silent connection is asked for a sign of life so often: a node whose voter is gone hears of nothing
/// before it has noticed, not even where the primary is now.
const KEEPALIVE: Duration = Duration::from_secs(2);
/// How long that sign may take. A voter that is busy for a moment is not left by everybody at once.
const SILENCE_MAX: Duration = Duration::from_secs(4);
/// The same where somebody waits for the answer.
const SILENCE_ATTENDED_MAX: Duration = Duration::from_secs(2);
/// Room for a refusal's findings, which travel in a header.
const HEADERS_LIMIT_BYTES: u32 = 64 << 10;
/// The longest path of a Unix socket on Linux, with its terminating zero.
const SOCKET_PATH_LENGTH_MAX: usize = 108;

/// What a voter's TLS says of certificates that it doesn't take, and what that means.
const REFUSALS: [(AlertDescription, &str); 6] = [
    (
        AlertDescription::CertificateExpired,
        "the certificate has ended, or its time has not come by the voter's clock",
    ),
    (
        AlertDescription::UnknownCA,
        "another authority signed the certificate (UnknownCA); is it of another federation?",
    ),
    (
        AlertDescription::DecryptError,
        "another authority of the same name signed the certificate; is it of another federation?",
    ),
    (
        AlertDescription::AccessDenied,
        "the certificate is of another federation",
    ),
    (
        AlertDescription::CertificateUnknown,
        "the certificate names nobody of a federation",
    ),
    (
        AlertDescription::UnsupportedCertificate,
        "the certificate is not for callers",
    ),
];

/// One endpoint that was tried in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The endpoint, as the user wrote it.
    pub endpoint: String,
    /// Why it failed.
    pub reason: String,
}

/// Every endpoint was tried in vain.
#[derive(Debug, Clone)]
pub(crate) struct NoEndpoint(pub(crate) Vec<Attempt>);

/// Where to connect.
#[derive(Clone)]
enum Target {
    Voters {
        endpoints: Vec<Endpoint>,
        tls: Arc<ClientConfig>,
        attempt_timeout: Duration,
    },
    Local(PathBuf),
}

/// Where to connect, and how soon silence is noticed.
pub(crate) struct Route {
    connector: Connector,
    silence_max: Duration,
}

/// What tonic asks for a connection, the first time and whenever one is lost.
#[derive(Clone)]
struct Connector {
    target: Target,
    /// The endpoint that answered last is tried first.
    preferred: Arc<AtomicUsize>,
    /// Those that did not answer when they were last tried, by their places.
    missed: Arc<Mutex<BTreeMap<usize, Attempt>>>,
}

/// A connection of either sort.
enum Stream {
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

impl Route {
    /// Connects.
    pub(crate) async fn connect(&self) -> Result<Channel, ClientError> {
        channel(self.silence_max)
            .connect_with_connector(self.connector.clone())
            .await
            .map_err(|error| {
                unreachable_from(&error)
                    .or_else(|| refused_from(&error))
                    .unwrap_or_else(|| ClientError::Interrupted {
                        reason: deepest(&error),
                    })
            })
    }

    /// Connects with the first call.
    pub(crate) fn connect_lazily(&self) -> Channel {
        channel(self.silence_max).connect_with_connector_lazy(self.connector.clone())
    }

    /// The endpoint that answered last, as the user wrote it.
    pub(crate) fn endpoint(&self) -> String {
        match &self.connector.target {
            Target::Local(socket) => socket.display().to_string(),
            Target::Voters { endpoints, .. } => {
                let preferred = self.connector.preferred.load(Ordering::Relaxed);
                let endpoint = endpoints.get(preferred % endpoints.len().max(1));
                endpoint.map(ToString::to_string).unwrap_or_default()
            }
        }
    }

    /// The endpoints that did not answer when they were last tried.
    pub(crate) fn missed(&self) -> Vec<Attempt> {
        let missed = &self.connector.missed;
        let missed = missed.lock().unwrap_or_else(PoisonError::into_inner);
        missed.values().cloned().collect()
    }

    /// Has the next connection begin at the next endpoint; false: there is only one.
    pub(crate) fn turn(&self) -> bool {
        match &self.connector.target {
            Target::Voters { endpoints, .. } if endpoints.len() > 1 => {
                self.connector.preferred.fetch_add(1, Ordering::Relaxed);
                true
            }
            Target::Voters { .. } | Target::Local(_) => false,
        }
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.endpoint, self.reason)
    }
}

impl fmt::Display for NoEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&describe_attempts(&self.0))
    }
}

impl std::error::Error for NoEndpoint {}

/// To the first voter that answers. `is_attended`: somebody waits for the answers.
pub(crate) fn to_voters(
    endpoints: Vec<Endpoint>,
    tls: Arc<ClientConfig>,
    is_attended: bool,
) -> Result<Route, ClientError> {
    if endpoints.is_empty() {
        return Err(ClientError::Configuration(
            "no endpoint of a voter is given: name one as host:port, for example in \
             HANSE_ENDPOINTS"
                .to_owned(),
        ));
    }
    let target = Target::Voters {
        endpoints,
        tls,
        attempt_timeout: ATTEMPT_TIMEOUT,
    };
    Ok(Route {
        connector: Connector::new(target),
        silence_max: match is_attended {
            true => SILENCE_ATTENDED_MAX,
            false => SILENCE_MAX,
        },
    })
}

/// The way from one voter to another: it connects with the first call and whenever it must, and
/// finds out soon when the other is gone.
pub fn between_voters(
    endpoint: &Endpoint,
    credentials: &Credentials,
    clock: Arc<dyn Clock>,
) -> Result<Channel, ClientError> {
    let tls = tls::client_config(credentials, clock)
        .map_err(|error| ClientError::Configuration(error.to_string()))?;
    let connector = Connector::new(Target::Voters {
        endpoints: vec![endpoint.clone()],
        tls,
        attempt_timeout: BETWEEN_VOTERS,
    });
    Ok(channel(BETWEEN_VOTERS).connect_with_connector_lazy(connector))
}

/// To an agent on this machine.
pub(crate) fn to_local(socket: &Path) -> Route {
    Route {
        connector: Connector::new(Target::Local(socket.to_owned())),
        silence_max: SILENCE_MAX,
    }
}

/// Calls `operation` with a path that reaches `socket` and is short enough for the system: a long
/// one is reached through the open folder, as /proc/self/fd shows it.
pub async fn with_socket_path<T, F>(
    socket: &Path,
    operation: impl FnOnce(PathBuf) -> F,
) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    if socket.as_os_str().len() < SOCKET_PATH_LENGTH_MAX {
        return operation(socket.to_owned()).await;
    }
    let (Some(folder), Some(name)) = (socket.parent(), socket.file_name()) else {
        return Err(io::Error::from(io::ErrorKind::InvalidFilename));
    };
    let folder = std::fs::File::open(folder)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
    operation(path).await
}

fn channel(silence_max: Duration) -> tonic::transport::Endpoint {
    // The address is the connector's business; this one only fills the `:authority` header.
    tonic::transport::Endpoint::from_static("http://federation.invalid")
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(silence_max)
        .keep_alive_while_idle(true)
        .http2_max_header_list_size(HEADERS_LIMIT_BYTES)
        // Nobody remembers headers for us: each answer has another time and date, and a voter would
        // keep the last 4 KiB of them for every node that follows it (RFC 7541, section 4.2).
        .http2_header_table_size(0)
}

/// The endpoints that were tried, if the error stems from a connection that was never made.
pub(crate) fn unreachable_from(error: &(dyn std::error::Error + 'static)) -> Option<ClientError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(NoEndpoint(tried)) = error.downcast_ref() {
            return Some(ClientError::Unreachable {
                tried: tried.clone(),
            });
        }
        next = error.source();
    }
    None
}

/// What the voter says of the caller's certificate, if it ended the connection over it. In TLS 1.3
/// it says so only after the client takes the connection for made, so it comes with a call; and
/// HTTP/2 keeps no more of it than its words.
pub(crate) fn refused_from(error: &(dyn std::error::Error + 'static)) -> Option<ClientError> {
    let words = deepest(error);
    let is = |alert| words == rustls::Error::AlertReceived(alert).to_string();
    let (_, reason) = REFUSALS.iter().find(|(alert, _)| is(*alert))?;
    let reason = format!(
        "{reason}; make new ones with `hanse credentials issue` where there are valid ones, or on \
         a voter with --data-dir"
    );
    Some(ClientError::Unauthenticated { reason })
}

/// All of them, in a line.
pub(crate) fn describe_attempts(tried: &[Attempt]) -> String {
    let tried: Vec<String> = tried.iter().map(ToString::to_string).collect();
    tried.join("; ")
}

/// The innermost reason of an error.
pub(crate) fn deepest(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = NoEndpoint;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.find().await.map(TokioIo::new) })
    }
}

impl Connector {
    fn new(target: Target) -> Self {
        Self {
            target,
            preferred: Arc::default(),
            missed: Arc::default(),
        }
    }

    async fn find(&self) -> Result<Stream, NoEndpoint> {
        match &self.target {
            Target::Local(socket) => with_socket_path(socket, UnixStream::connect)
                .await
                .map(Stream::Unix)
                .map_err(|error| {
                    let endpoint = socket.display().to_string();
                    let reason = format!("{error}; is the agent running?");
                    NoEndpoint(vec![Attempt { endpoint, reason }])
                }),
            Target::Voters {
                endpoints,
                tls,
                attempt_timeout,
            } => {
                let first = self.preferred.load(Ordering::Relaxed);
                let mut failed = BTreeMap::new();
                let found = race(endpoints, first, tls, *attempt_timeout, &mut failed).await;
                let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
                missed.extend(failed.clone());
                let Some((position, stream)) = found else {
                    return Err(NoEndpoint(failed.into_values().collect()));
                };
                missed.remove(&position);
                self.preferred.store(position, Ordering::Relaxed);
                Ok(Stream::Tls(Box::new(stream)))
            }
        }
    }
}

/// The first of the endpoints that answers, beginning with `first`. One that is silent delays the
/// next only a little; one that refuses, not at all. Those that fail are added to `failed`.
async fn race(
    endpoints: &[Endpoint],
    first: usize,
    tls: &Arc<ClientConfig>,
    patience: Duration,
    failed: &mut BTreeMap<usize, Attempt>,
) -> Option<(usize, TlsStream<TcpStream>)> {
    let count = endpoints.len();
    let mut waiting = (0..count).map(|offset| (first + offset) % count).peekable();
    let mut racing = JoinSet::new();
    loop {
        if let Some(position) = waiting.next() {
            let (endpoint, tls) = (endpoints[position].clone(), tls.clone());
            racing.spawn(async move { (position, attempt(&endpoint, &tls, patience).await) });
        }
        tokio::select! {
            ended = racing.join_next() => match ended {
                Some(Ok((position, Ok(stream)))) => return Some((position, stream)),
                Some(Ok((position, Err(reason)))) => {
                    let endpoint = endpoints[position].to_string();
                    failed.insert(position, Attempt { endpoint, reason });
                }
                Some(Err(_)) => {}
                None => return None,
            },
            () = tokio::time::sleep(HEAD_START), if waiting.peek().is_some() => {}
        }
    }
}

async fn attempt(
    endpoint: &Endpoint,
    tls: &Arc<ClientConfig>,
    patience: Duration,
) -> Result<TlsStream<TcpStream>, String> {
    let connecting = async {
        let stream = TcpStream::connect((endpoint.host(), endpoint.port()))
            .await
            .map_err(|error| error.to_string())?;
        stream
            .set_nodelay(true)
            .map_err(|error| error.to_string())?;
        // No verifier of ours looks at this name: servers are known by their SPIFFE id.
        let name = ServerName::try_from("federation.invalid").map_err(|error| error.to_string())?;
        TlsConnector::from(tls.clone())
            .connect(name, stream)
            .await
            .map_err(|error| format!("TLS: {}", deepest(&error)))
    };
    tokio::time::timeout(patience, connecting)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {} s", patience.as_secs())))
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_write(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, buffer),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
