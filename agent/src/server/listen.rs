//! Connections, authenticated and bounded.
//!
//! A stranger can open connections at will, so handshakes are few at a time and short, and those
//! who show no certificate that counts have few connections, each for a short time and a small
//! message. A connection whose certificate counts no more is closed, once its caller was told why.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

use super::caller::{Caller, Certificate, Standing};
use super::quota::{Bounds, Quota, Share};
use super::session::{Seat, Session, Sessions};

/// Connections of all callers together.
const CONNECTIONS_MAX: usize = 4096;
/// Connections of callers who show no certificate that counts: all, and from one address.
const ANONYMOUS_MAX: Bounds = Bounds {
    all: 256,
    address: 32,
};
/// Handshakes at a time: all, and from one address, behind which there may be a whole site.
const HANDSHAKES_MAX: Bounds = Bounds {
    all: 512,
    address: 64,
};
/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a caller who shows none may stay: enough to join.
const ANONYMOUS_STAY: Duration = Duration::from_secs(30);
/// How much such a caller may send: a join is a few KiB, and whatever is sent may have to be held
/// in memory until the message is whole.
const ANONYMOUS_BYTES_MAX: usize = 256 << 10;
/// How long a caller whose certificate counts no more may read why.
const FAREWELL: Duration = Duration::from_secs(5);
/// After a failure to accept, for example when descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections that wait for the server to take them.
const QUEUE_LENGTH: usize = 16;

/// A connection whose other end is known.
pub struct Connection {
    stream: Stream,
    session: Session,
    /// When the connection ends, however busy it is.
    end: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// How much the caller may still send; none: as much as it likes.
    allowance_bytes: Option<usize>,
    _permit: OwnedSemaphorePermit,
    share: Option<Share>,
    _seat: Seat,
}

enum Stream {
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

/// What all acceptors share.
#[derive(Clone)]
struct Gate {
    connections: Arc<Semaphore>,
    anonymous: Arc<Quota>,
    handshakes: Arc<Quota>,
    sessions: Sessions,
    sender: mpsc::Sender<io::Result<Connection>>,
}

/// Accepts from the network, and from the socket of this machine, until `stop`.
///
/// `configs` may change: whoever connects next meets the newest certificate.
#[must_use]
pub fn accept(
    tcp: TcpListener,
    unix: UnixListener,
    configs: watch::Receiver<Arc<ServerConfig>>,
    sessions: Sessions,
    stop: CancellationToken,
) -> mpsc::Receiver<io::Result<Connection>> {
    let (sender, receiver) = mpsc::channel(QUEUE_LENGTH);
    let gate = Gate {
        connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        anonymous: Quota::new(ANONYMOUS_MAX),
        handshakes: Quota::new(HANDSHAKES_MAX),
        sessions,
        sender,
    };
    tokio::spawn({
        let (gate, stop) = (gate.clone(), stop.clone());
        async move {
            stop.run_until_cancelled(gate.accept_tcp(tcp, configs))
                .await
        }
    });
    tokio::spawn(async move { stop.run_until_cancelled(gate.accept_unix(unix)).await });
    receiver
}

/// Makes the socket that only its owner may open. A socket that an earlier agent left is replaced:
/// the lock on the folder says that it is dead.
pub async fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener =
        hanse_client::with_socket_path(path, |path| async move { UnixListener::bind(path) })
            .await?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

impl Gate {
    async fn accept_tcp(self, tcp: TcpListener, configs: watch::Receiver<Arc<ServerConfig>>) {
        loop {
            let (stream, address) = match tcp.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "unable to accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let permit = self.connections.clone().try_acquire_owned().ok();
            let handshake = self.handshakes.take(address.ip());
            let (Some(permit), Some(handshake)) = (permit, handshake) else {
                tracing::debug!(%address, "too many connections; one was refused");
                continue;
            };
            let config = configs.borrow().clone();
            let gate = self.clone();
            tokio::spawn(async move {
                match gate.shake_hands(stream, address, config, permit).await {
                    Ok(connection) => {
                        drop(handshake);
                        let _ = gate.sender.send(Ok(connection)).await;
                    }
                    Err(reason) => tracing::debug!(%address, %reason, "a connection was refused"),
                }
            });
        }
    }

    async fn shake_hands(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        config: Arc<ServerConfig>,
        permit: OwnedSemaphorePermit,
    ) -> Result<Connection, String> {
        stream
            .set_nodelay(true)
            .map_err(|error| error.to_string())?;
        let handshake = TlsAcceptor::from(config).accept(stream);
        let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake)
            .await
            .map_err(|_| "the handshake took too long".to_owned())?
            .map_err(|error| error.to_string())?;
        let certificate = stream
            .get_ref()
            .1
            .peer_certificates()
            .and_then(|chain| chain.first());
        let caller = match certificate {
            None => Caller::Anonymous,
            Some(der) => Caller::Certified(Certificate::read(der)?),
        };
        tracing::debug!(%address, %caller, "connected");
        let (session, seat) = self.sessions.open(caller);
        let mut connection = Connection {
            stream: Stream::Tls(Box::new(stream)),
            end: Some(Box::pin(ended(session.refused(), session.is_cut()))),
            session,
            allowance_bytes: None,
            _permit: permit,
            share: None,
            _seat: seat,
        };
        let counts = match connection.session.standing() {
            Standing::Node | Standing::Voter | Standing::ExpiredNode | Standing::User(_) => true,
            Standing::Refused(_) => false,
            Standing::Anonymous => {
                connection.end = Some(Box::pin(tokio::time::sleep(ANONYMOUS_STAY)));
                false
            }
        };
        if !counts {
            let taken = self.anonymous.take(address.ip());
            let share = taken.ok_or("too many callers without a certificate that counts")?;
            connection.share = Some(share);
            connection.allowance_bytes = Some(ANONYMOUS_BYTES_MAX);
        }
        Ok(connection)
    }

    async fn accept_unix(self, unix: UnixListener) {
        let own = rustix::process::geteuid().as_raw();
        loop {
            let stream = match unix.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "unable to accept a connection of this machine");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let user = stream.peer_cred().map(|credentials| credentials.uid());
            if !matches!(user, Ok(user) if user == own || user == 0) {
                tracing::warn!(
                    ?user,
                    "a connection of another user of this machine was refused"
                );
                continue;
            }
            let Ok(permit) = self.connections.clone().try_acquire_owned() else {
                continue;
            };
            let (session, seat) = self.sessions.open(Caller::Local);
            let connection = Connection {
                stream: Stream::Unix(stream),
                session,
                end: None,
                allowance_bytes: None,
                _permit: permit,
                share: None,
                _seat: seat,
            };
            if self.sender.send(Ok(connection)).await.is_err() {
                return;
            }
        }
    }
}

/// Ends when the connection is cut, and a while after the caller may do nothing any more.
async fn ended(refused: impl Future<Output = Standing>, cut: impl Future<Output = ()>) {
    let farewell = async {
        refused.await;
        tokio::time::sleep(FAREWELL).await;
    };
    tokio::select! {
        () = farewell => {}
        () = cut => {}
    }
}

impl Connected for Connection {
    type ConnectInfo = Session;

    fn connect_info(&self) -> Session {
        self.session.clone()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({})", self.session.caller())
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(end) = &mut this.end
            && end.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let filled = buffer.filled().len();
        let read = match &mut this.stream {
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        if let Some(left) = &mut this.allowance_bytes {
            let length = buffer.filled().len().saturating_sub(filled);
            match left.checked_sub(length) {
                Some(rest) => *left = rest,
                None => return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into())),
            }
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, buffer),
            Stream::Unix(stream) => Pin::new(stream).poll_write(context, buffer),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
            Stream::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
