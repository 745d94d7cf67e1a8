//! A device of wireguard-go, driven over its socket.
//!
//! The socket is reached through its folder's descriptor, because a socket's path may have no
//! more than 107 bytes and a data folder may be anywhere. Every exchange is bounded in time and
//! size: a daemon that hangs must not hang the agent.

mod codec;

use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hanse_core::object::vpn_mesh::InterfaceName;
use hanse_core::wireguard::DeviceDelta;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::{DeviceState, operation};
use crate::config::shown;
use crate::error::Error;
use crate::key::PrivateKey;

/// The longest time for one exchange: a thousand peers take a quarter of a second.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer: more than a hundred thousand allowed IPs with their peers.
const ANSWER_SIZE_MAX: u64 = 32 << 20;

/// A device of wireguard-go.
#[derive(Debug, Clone)]
pub(crate) struct UserspaceDevice {
    interface: InterfaceName,
    socket_folder: PathBuf,
}

impl UserspaceDevice {
    pub(crate) fn new(interface: InterfaceName, socket_folder: PathBuf) -> Self {
        Self {
            interface,
            socket_folder,
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        socket(&self.socket_folder, &self.interface)
    }

    pub(crate) async fn observe(&self) -> Result<DeviceState, Error> {
        let operation = operation("read", &self.interface);
        let answer = self.exchange(&operation, b"get=1\n\n").await?;
        let malformed = |error: codec::Malformed| {
            Error::problem(format!(
                "unable to {operation}: the daemon behind {} answered what no WireGuard daemon \
                 does ({error}); stop it, and it is started again",
                shown(&self.socket())
            ))
        };
        let answer = codec::parse(&answer, SystemTime::now()).map_err(malformed)?;
        refusal(&operation, answer.errno)?;
        Ok(answer.state)
    }

    pub(crate) async fn apply(&self, key: &PrivateKey, delta: &DeviceDelta) -> Result<(), Error> {
        let operation = operation("change", &self.interface);
        let request = codec::set_request(key, delta);
        let answer = self.exchange(&operation, request.as_bytes()).await?;
        let errno = codec::parse(&answer, SystemTime::now()).map(|answer| answer.errno);
        refusal(
            &operation,
            errno.map_err(|error| Error::problem(error.to_string()))?,
        )
    }

    async fn exchange(&self, operation: &str, request: &[u8]) -> Result<Vec<u8>, Error> {
        let path = self.socket();
        let exchange = async {
            // Only a handle for the path below: it is closed with the exchange.
            let folder = std::fs::File::open(&self.socket_folder)?;
            let name = path.file_name().unwrap_or_default();
            let short = Path::new("/proc/self/fd")
                .join(folder.as_raw_fd().to_string())
                .join(name);
            let mut stream = UnixStream::connect(short).await?;
            stream.write_all(request).await?;
            read_answer(&mut stream).await
        };
        let late = || std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer in 10 s");
        timeout(EXCHANGE_TIMEOUT, exchange)
            .await
            .unwrap_or_else(|_| Err(late()))
            .map_err(Error::io(format!("{operation} over {}", shown(&path))))
    }
}

/// Where a daemon listens for an interface.
pub(crate) fn socket(folder: &Path, interface: &InterfaceName) -> PathBuf {
    folder.join(format!("{interface}.sock"))
}

/// An answer ends in an empty line; the connection stays open for more requests.
async fn read_answer(stream: &mut UnixStream) -> std::io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    let mut limited = stream.take(ANSWER_SIZE_MAX);
    while !answer.ends_with(b"\n\n") {
        if limited.read_buf(&mut answer).await? == 0 {
            let cut = "the answer was cut short or is larger than 32 MiB";
            return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, cut));
        }
    }
    Ok(answer)
}

fn refusal(operation: &str, errno: i32) -> Result<(), Error> {
    if errno == 0 {
        return Ok(());
    }
    let source = std::io::Error::from_raw_os_error(errno.saturating_abs());
    Err(Error::Refused {
        operation: operation.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::*;

    /// A device whose daemon answers the first request with these bytes and hangs up.
    fn device_that_answers(folder: &Path, answer: Vec<u8>) -> UserspaceDevice {
        let interface: InterfaceName = "wg0".parse().unwrap();
        let listener = UnixListener::bind(socket(folder, &interface)).unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(&answer).await;
        });
        UserspaceDevice::new(interface, folder.to_path_buf())
    }

    #[tokio::test]
    async fn an_errno_is_told_by_its_meaning() {
        let folder = tempfile::tempdir().unwrap();
        let device = device_that_answers(folder.path(), b"errno=-98\n\n".to_vec());
        let error = device.observe().await.unwrap_err().sentence();
        assert!(error.contains("in use"), "{error}");
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_short_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let device = device_that_answers(folder.path(), b"listen_port=1\nerrno=0\n".to_vec());
        let error = device.observe().await.unwrap_err().sentence();
        assert!(error.contains("cut short"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_daemon_that_hangs_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let interface: InterfaceName = "wg0".parse().unwrap();
        let _listener = UnixListener::bind(socket(folder.path(), &interface)).unwrap();
        let device = UserspaceDevice::new(interface, folder.path().to_path_buf());
        let error = device.observe().await.unwrap_err().sentence();
        assert!(error.contains("no answer"), "{error}");
    }

    #[tokio::test]
    async fn a_socket_in_a_deep_folder_is_reached() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("x".repeat(120));
        std::fs::create_dir(&deep).unwrap();
        let near = folder.path().join("near");
        std::os::unix::fs::symlink(&deep, &near).unwrap();
        let listener = UnixListener::bind(near.join("wg0.sock")).unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.write_all(b"listen_port=7\nerrno=0\n\n").await;
        });
        let device = UserspaceDevice::new("wg0".parse().unwrap(), deep);
        assert_eq!(device.observe().await.unwrap().observed.listen_port, 7);
    }
}
