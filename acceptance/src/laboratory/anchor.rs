//! An anchor is a small process that holds namespaces open, as pid 1 of its own.
//!
//! Whoever drops the anchor, or dies by whatever signal, closes the pipe that the anchor reads;
//! then the anchor ends, and the kernel kills every process of its pid namespace with it. So
//! nothing survives the test that raised it. An anchor never does the work of a host itself.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::requirements;
use crate::wait::{wait_until, wait_until_true};

/// What an anchor prints once its namespaces are set up.
const READY: &str = "ready";

/// How long the kernel may take to end a pid namespace.
const END_TIMEOUT: Duration = Duration::from_secs(30);

/// Removes the laboratory's folder, while what was just killed may still be writing to it, and the disks
/// that are mounted there.
const REMOVE: &str = r#"umount -- "$1"/*/disk 2>/dev/null; for try in 1 2 3 4 5 6 7 8; do
    rm -rf --one-file-system -- "$1" 2>/dev/null && break; sleep 0.1; done"#;

/// Runs in every anchor. `cat` ends when the pipe closes; bash, as pid 1, reaps orphans.
const HOLD: &str = "cat >/dev/null";

/// Which users there are in a laboratory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Users {
    /// The caller alone, who is root there.
    Caller,
    /// Others too, such as `postgres`: whoever may be one on this machine may be there.
    All,
}

impl Users {
    /// Whether the laboratory has users of its own. Root has all of them without.
    fn is_apart(self) -> bool {
        match self {
            Self::Caller => true,
            Self::All => !rustix::process::geteuid().is_root(),
        }
    }
}

/// The program that lets an ordinary user be several, and its Debian package.
const SUBORDINATE_USERS: (&str, &str) = ("newuidmap", "uidmap");

/// A process that holds namespaces open.
#[derive(Debug)]
pub(super) struct Anchor {
    child: Child,
    pid: Pid,
    users: Users,
}

impl Anchor {
    /// Holds the laboratory's own user, network, mount and pid namespaces. At its end it removes
    /// `folder`, also when its owner was killed.
    pub(super) fn of_laboratory(folder: &Path, keeps_files: bool, users: Users) -> Result<Self> {
        let mut command = Command::new("unshare");
        if users.is_apart() {
            command.args(["--user", "--map-root-user"]);
        }
        if users.is_apart() && users == Users::All {
            requirements::check_programs("a laboratory with several users", &[SUBORDINATE_USERS])?;
            command.arg("--map-auto");
        }
        let leave = if keeps_files { "" } else { REMOVE };
        // `kill -9 -1` spares pid 1 itself and goes no further than this pid namespace.
        let script = format!(
            "set -e; mount -t tmpfs tmpfs /run; echo {READY}; set +e; {HOLD}; \
             kill -9 -1 2>/dev/null; {leave}"
        );
        let folder = folder.as_os_str().to_owned();
        Self::start(command, &script, &[folder], users).with_context(|| {
            format!(
                "unable to raise the laboratory; {}",
                requirements::NAMESPACES_REFUSED
            )
        })
    }

    /// Holds one host's namespaces inside those of `outer`.
    pub(super) fn of_host(outer: &Self, name: &str) -> Result<Self> {
        let mut command = Command::new("nsenter");
        command
            .args(outer.enter_arguments())
            .args(["--", "unshare"]);
        let script = format!(
            "set -e; mount -t tmpfs tmpfs /run; mkdir /run/wireguard; hostname \"$1\"; \
             ip link set lo up; echo {READY}; set +e; {HOLD}"
        );
        Self::start(command, &script, &[name.into()], outer.users)
            .with_context(|| format!("unable to raise the host {name}"))
    }

    /// Arguments of `nsenter` that lead into this anchor's namespaces.
    pub(super) fn enter_arguments(&self) -> Vec<OsString> {
        enter_arguments(self.pid, self.users)
    }

    /// The anchor's pid as the laboratory sees it, whose pid namespace lies one deeper than ours.
    pub(super) fn pid_in_laboratory(&self) -> Result<i32> {
        let path = format!("/proc/{}/status", self.pid.as_raw_nonzero());
        let status = fs::read_to_string(&path).with_context(|| format!("unable to read {path}"))?;
        status
            .lines()
            .find_map(|line| line.strip_prefix("NSpid:"))
            .and_then(|pids| pids.split_whitespace().nth(1))
            .and_then(|pid| pid.parse().ok())
            .with_context(|| format!("{path} names no pid of the inner namespace"))
    }

    /// Kills pid 1, and with it every process of the namespace, as a power cut does.
    pub(super) fn kill(mut self) -> Result<()> {
        kill_process(self.pid, Signal::KILL).context("unable to kill the anchor")?;
        self.wait_for_end()
    }

    /// Lets the anchor tidy up and end, and waits for it.
    pub(super) fn end(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        self.wait_for_end()
    }

    fn start(
        mut command: Command,
        script: &str,
        arguments: &[OsString],
        users: Users,
    ) -> Result<Self> {
        command
            .args([
                "--net",
                "--mount",
                "--pid",
                "--uts",
                "--ipc",
                "--fork",
                "--kill-child",
            ])
            .args(["--mount-proc", "--", "bash", "-c", script, "anchor"])
            .args(arguments)
            .env("PATH", requirements::search_path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own: Ctrl-C is for the owner, and the anchor tidies up after it.
            .process_group(0);
        let mut child = command.spawn().context("unable to start unshare")?;
        let started = wait_for_ready(&mut child).and_then(|()| innermost_child(child.id()));
        match started {
            Ok(pid) => Ok(Self { child, pid, users }),
            Err(error) => {
                drop(child.stdin.take());
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    fn wait_for_end(&mut self) -> Result<()> {
        wait_until_true("the namespace ends", END_TIMEOUT, || {
            Ok(self
                .child
                .try_wait()
                .context("unable to wait for the anchor")?
                .is_some())
        })
    }
}

impl Drop for Anchor {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process(self.pid, Signal::KILL);
            let _ = self.wait_for_end();
        }
    }
}

/// Arguments of `nsenter` that lead into the namespaces of the process `pid`.
fn enter_arguments(pid: Pid, users: Users) -> Vec<OsString> {
    let mut arguments = vec!["--target".into(), pid.as_raw_nonzero().to_string().into()];
    if users.is_apart() {
        arguments.extend(["--user".into(), "--preserve-credentials".into()]);
    }
    let others = ["--mount", "--net", "--pid", "--uts", "--ipc"];
    arguments.extend(others.map(OsString::from));
    arguments
}

/// The child of `pid`'s child and so on, to the last that has one.
///
/// `nsenter` and `unshare` each fork once to enter a pid namespace; what they run is theirs.
fn innermost_child(pid: u32) -> Result<Pid> {
    let mut current = i32::try_from(pid).context("a pid beyond 31 bits")?;
    let mut found = None;
    while let Some(child) = only_child(current)? {
        // pid 1 of the anchor has a `cat` as its child; the anchor is what we look for.
        if is_program(current, "bash")? {
            break;
        }
        current = child;
        found = Pid::from_raw(child);
    }
    found.ok_or_else(|| anyhow!("the anchor {pid} has no process"))
}

/// The one child of the process `parent`, which may not have been born yet; none when both ended
/// before anybody looked.
pub(super) fn wait_for_child(parent: &mut Child) -> Result<Option<Pid>> {
    let pid = i32::try_from(parent.id()).context("a pid beyond 31 bits")?;
    wait_until("the command starts", END_TIMEOUT, || {
        // An ended parent keeps its entry in /proc until it is waited for, so this look is safe.
        if let Some(child) = only_child(pid)?.and_then(Pid::from_raw) {
            return Ok(Some(Some(child)));
        }
        let ended = parent.try_wait().context("unable to wait for nsenter")?;
        Ok(ended.map(|_| None))
    })
}

fn only_child(pid: i32) -> Result<Option<i32>> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let children = fs::read_to_string(&path).with_context(|| format!("unable to read {path}"))?;
    Ok(children
        .split_whitespace()
        .next()
        .and_then(|child| child.parse().ok()))
}

fn is_program(pid: i32, name: &str) -> Result<bool> {
    let path = format!("/proc/{pid}/comm");
    let comm = fs::read_to_string(&path).with_context(|| format!("unable to read {path}"))?;
    Ok(comm.trim_end() == name)
}

fn wait_for_ready(child: &mut Child) -> Result<()> {
    let stdout = child.stdout.take().context("the anchor has no output")?;
    let mut line = String::new();
    BufReader::new(stdout)
        .read_line(&mut line)
        .context("unable to read from the anchor")?;
    if line.trim_end() == READY {
        // Nobody reads what the anchor says after this, so it must not be able to block on it.
        drop(child.stderr.take());
        return Ok(());
    }
    bail!("{}", said(child.stderr.take()))
}

fn said(stderr: Option<ChildStderr>) -> String {
    let mut text = String::new();
    if let Some(stderr) = stderr {
        let _ = stderr.take(4096).read_to_string(&mut text);
    }
    match text.trim() {
        "" => "the anchor ended without a word".to_owned(),
        words => words.to_owned(),
    }
}
