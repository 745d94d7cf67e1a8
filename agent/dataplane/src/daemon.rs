//! wireguard-go, for hosts whose kernel has no WireGuard.
//!
//! The daemon lives in a session and a mount namespace of its own, where its socket folder is a
//! folder of ours: sockets are named by interface, and two agents of one machine must not meet
//! there. It is never ended by an agent that ends; it ends with its interface.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use hanse_core::object::vpn_mesh::InterfaceName;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change};
use rustix::thread::UnshareFlags;
use tokio::process::Command;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

use crate::config::{Config, shown};
use crate::device::UserspaceDevice;
use crate::error::Error;
use crate::file;
use crate::network::Network;

/// wireguard-go's folder of sockets is `wireguard` in this one.
const RUN_FOLDER: &str = "/var/run";
const DAEMON: &str = "wireguard-go";
const START_TIMEOUT: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(10);
const LOG_TAIL_BYTES: usize = 400;
const LOG_SIZE_MAX: u64 = 1 << 20;

/// Becomes the WireGuard daemon of an interface; returns only when it can't.
///
/// Call it early in a process of its own: it leaves the session, and enters a mount namespace in
/// which the daemon finds `socket_dir` where it makes its sockets.
///
/// # Errors
/// When the namespace can't be made or wireguard-go is not installed.
pub fn run_wireguard_daemon(
    interface: &InterfaceName,
    socket_dir: &Path,
) -> Result<Infallible, Error> {
    // A process group's leader has no need to leave, and can't.
    let _ = rustix::process::setsid();
    enter_mount_namespace(socket_dir)
        .map_err(std::io::Error::from)
        .map_err(Error::io(format!(
            "mount {} in a mount namespace",
            shown(socket_dir)
        )))?;
    // The daemon outlives whatever started it, and must hold neither its folder nor its secrets.
    std::env::set_current_dir("/").map_err(Error::io("enter the folder /"))?;
    let error = std::process::Command::new(DAEMON)
        .args(["-f", interface.as_str()])
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("LOG_LEVEL", "error")
        .exec();
    if error.kind() == std::io::ErrorKind::NotFound {
        return Err(Error::problem(
            "wireguard-go is not installed, and the kernel has no WireGuard: install the package \
             wireguard-go, or a kernel with WireGuard",
        ));
    }
    Err(Error::io("execute wireguard-go")(error))
}

#[expect(
    deprecated,
    reason = "the call became unsafe for unsharing the table of descriptors, which this does not"
)]
fn enter_mount_namespace(socket_dir: &Path) -> rustix::io::Result<()> {
    rustix::thread::unshare(UnshareFlags::NEWNS)?;
    mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )?;
    // Opened before /run is covered, since the data folder may be there.
    let sockets = rustix::fs::open(
        socket_dir,
        rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )?;
    mount(
        "tmpfs",
        RUN_FOLDER,
        "tmpfs",
        MountFlags::NOSUID | MountFlags::NODEV,
        None,
    )?;
    let target = Path::new(RUN_FOLDER).join("wireguard");
    rustix::fs::mkdir(&target, rustix::fs::Mode::RWXU)?;
    mount_bind(format!("/proc/self/fd/{}", sockets.as_raw_fd()), &target)
}

/// Where the daemon of an interface writes what it has to say.
pub(crate) fn log_file(config: &Config, interface: &InterfaceName) -> PathBuf {
    config.run_folder().join(format!("{interface}.log"))
}

/// Starts a daemon and waits until it answers and its interface exists. `ended` is told when it
/// ends, however much later.
pub(crate) async fn start(
    config: &Config,
    network: &Network,
    interface: &InterfaceName,
    ended: Arc<Notify>,
) -> Result<UserspaceDevice, Error> {
    let folder = config.socket_folder();
    file::make_private_folder(&folder)
        .map_err(Error::io(format!("make the folder {}", shown(&folder))))?;
    let log = log_file(config, interface);
    let mut exit = spawn(config, interface, &folder, &log, ended)?;
    let device = UserspaceDevice::new(interface.clone(), folder);
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        let answers = device.socket().exists() && device.observe().await.is_ok();
        if answers && network.links().await?.contains_key(interface.as_str()) {
            return Ok(device);
        }
        // A daemon of ours that was already on its way makes a second one give up at once.
        let has_ended = exit.borrow_and_update().is_some();
        if has_ended && !device.socket().exists() || Instant::now() > deadline {
            let said = last_words(&log);
            return Err(Error::problem(format!(
                "the daemon for {interface} did not come up; it says: {said}"
            )));
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// Spawns the daemon. A task waits for its end, so that it never stays a zombie.
fn spawn(
    config: &Config,
    interface: &InterfaceName,
    folder: &Path,
    log: &Path,
    ended: Arc<Notify>,
) -> Result<watch::Receiver<Option<()>>, Error> {
    let [program, arguments @ ..] = config.daemon_command.as_slice() else {
        return Err(Error::problem(
            "the command that starts a WireGuard daemon is empty",
        ));
    };
    let open = || Error::io(format!("open the daemon's log {}", shown(log)));
    file::remove(log).map_err(open())?;
    let output = fs::File::options()
        .create_new(true)
        .append(true)
        .open(log)
        .map_err(open())?;
    let errors = output.try_clone().map_err(open())?;
    let absolute = fs::canonicalize(folder)
        .map_err(Error::io(format!("find the folder {}", shown(folder))))?;
    let mut child = Command::new(program)
        .args(arguments)
        .args([
            OsString::from("--interface"),
            interface.as_str().into(),
            "--socket-dir".into(),
            absolute.into_os_string(),
        ])
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .map_err(Error::io(format!("start {}", program.to_string_lossy())))?;
    let (sender, receiver) = watch::channel(None);
    tokio::spawn(async move {
        let _ = child.wait().await;
        sender.send_replace(Some(()));
        ended.notify_one();
    });
    Ok(receiver)
}

/// Keeps a daemon's log from filling the disk: it appends, so it goes on at the new end.
pub(crate) fn bound_log(log: &Path) -> Result<(), Error> {
    let failed = || Error::io(format!("shorten the daemon's log {}", shown(log)));
    match fs::metadata(log) {
        Ok(known) if known.len() > LOG_SIZE_MAX => {
            let file = fs::File::options()
                .write(true)
                .open(log)
                .map_err(failed())?;
            file.set_len(0).map_err(failed())
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed()(error)),
    }
}

/// Waits until a daemon whose interface was deleted is gone, and clears a socket that a killed one
/// left behind.
pub(crate) async fn wait_until_gone(device: &UserspaceDevice) -> Result<(), Error> {
    let deadline = Instant::now() + START_TIMEOUT;
    let socket = device.socket();
    while socket.exists() {
        if let Err(Error::Io { source, .. }) = device.observe().await
            && source.kind() == std::io::ErrorKind::ConnectionRefused
        {
            return file::remove(&socket).map_err(Error::io(format!(
                "remove the stale socket {}",
                shown(&socket)
            )));
        }
        if Instant::now() > deadline {
            return Err(Error::problem(format!(
                "the daemon behind {} did not end with its interface: stop it by hand",
                shown(&socket)
            )));
        }
        sleep(POLL_INTERVAL).await;
    }
    Ok(())
}

fn last_words(log: &Path) -> String {
    let content = file::read_bounded(log, LOG_SIZE_MAX)
        .ok()
        .flatten()
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&content);
    let words: Vec<&str> = text.split_whitespace().collect();
    let joined = words.join(" ");
    let start = joined
        .char_indices()
        .rev()
        .nth(LOG_TAIL_BYTES)
        .map_or(0, |(index, _)| index);
    if joined.is_empty() {
        "nothing".to_owned()
    } else {
        joined[start..].to_owned()
    }
}
