//! A machine with systemd as its first process, without an emulator: the files of this one under a
//! layer of its own, in namespaces of its own. It can be rebooted and loses its power like any other.
//!
//! It takes root, since a container of an ordinary user has no control groups.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::wait::{wait_until, wait_until_true};
use crate::{binaries, checkout};

/// What boots it.
const BOOT: &str = include_str!("boot.sh");
/// How long a boot may take.
const BOOT_TIMEOUT: Duration = Duration::from_secs(60);

/// A machine that runs.
#[derive(Debug)]
pub struct Machine {
    folder: TempDir,
    anchor: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// Its first process, as this machine numbers it.
    first: u32,
}

impl Machine {
    /// Boots one with the program under test and the units that are packaged with it.
    ///
    /// # Errors
    ///
    /// When this is not root, systemd is missing, or it doesn't come up.
    pub fn boot() -> Result<Self> {
        ensure!(
            rustix::process::geteuid().is_root(),
            "a machine with systemd takes root: run the tests with sudo"
        );
        ensure!(
            Path::new("/lib/systemd/systemd").exists(),
            "systemd is missing. Run: apt-get install systemd dbus"
        );
        let folder = tempfile::tempdir()?;
        let (script, root) = (folder.path().join("boot.sh"), folder.path().join("disk"));
        fs::write(&script, BOOT)?;
        fs::create_dir(&root)?;
        // The machine's disk hides this folder from itself, so the program goes in by a copy.
        let program = folder.path().join("hanse");
        fs::copy(binaries::hanse()?, &program)?;
        let packaging = checkout::root().join("packaging");
        let mut anchor = Command::new("unshare")
            .args(["--mount", "--kill-child", "--fork", "bash"])
            .args([&script, &root, &program, &packaging])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("unable to start unshare")?;
        let input = anchor.stdin.take();
        let output = anchor.stdout.take().context("no output of the machine")?;
        let mut machine = Self {
            folder,
            anchor,
            input,
            output: BufReader::new(output),
            first: 0,
        };
        machine.power_on()?;
        Ok(machine)
    }

    /// Takes its power away, and gives it back: its disk is as it was, and nothing else.
    ///
    /// # Errors
    ///
    /// When it doesn't come up again.
    pub fn reboot(&mut self) -> Result<()> {
        kill(self.first, Signal::KILL)?;
        ensure!(self.line()? == "off", "the machine is not off");
        self.power_on()
    }

    /// Runs a script in it; the error is all that it said.
    ///
    /// # Errors
    ///
    /// When it fails.
    pub fn run(&self, script: &str) -> Result<String> {
        let mut command = self.enter(&["--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup"]);
        let output = command.args(["bash", "-euc", script]).output()?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            bail!("`{script}` ended with {}: {said}{complaint}", output.status);
        }
        Ok(said)
    }

    /// A command with this machine's files that talks to the other's network.
    #[must_use]
    pub fn on_its_network(&self, program: &Path) -> Command {
        let mut command = self.enter(&["--net"]);
        command.arg(program);
        command
    }

    /// The main process of a unit, as the machine numbers it; none: it has none.
    ///
    /// # Errors
    ///
    /// When systemd doesn't answer.
    pub fn main_process(&self, unit: &str) -> Result<Option<u32>> {
        let pid: u32 = self
            .run(&format!("systemctl show -P MainPID {unit}"))?
            .parse()?;
        Ok((pid != 0).then_some(pid))
    }

    /// Waits until a unit's main process is another one than `known`, and the unit is active.
    ///
    /// # Errors
    ///
    /// When it never is.
    pub fn wait_for_other(&self, unit: &str, known: u32) -> Result<u32> {
        wait_until(&format!("{unit} is back"), BOOT_TIMEOUT, || {
            self.run(&format!("systemctl is-active {unit}"))?;
            Ok(self.main_process(unit)?.filter(|pid| *pid != known))
        })
    }

    /// A folder beside it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The latest of a unit's log.
    #[must_use]
    pub fn log(&self, unit: &str) -> String {
        let told = self.run(&format!("journalctl -b -n 40 --no-pager -o cat -u {unit}"));
        told.unwrap_or_else(|error| format!("{error:#}"))
    }

    fn power_on(&mut self) -> Result<()> {
        let input = self.input.as_mut().context("the machine is gone")?;
        input.write_all(b"on\n")?;
        let anchor: u32 = self.line()?.parse().context("the machine did not start")?;
        let children = format!("/proc/{anchor}/task/{anchor}/children");
        self.first = wait_until("the machine's first process", BOOT_TIMEOUT, || {
            Ok(fs::read_to_string(&children)?.trim().parse().ok())
        })?;
        // `running` and `degraded` are both the end of a boot.
        wait_until_true("the machine is up", BOOT_TIMEOUT, || {
            let state = self.run("systemctl is-system-running || true")?;
            Ok(state == "running" || state == "degraded")
        })
    }

    fn enter(&self, namespaces: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        let target = self.first.to_string();
        command.args(["--target", &target]).args(namespaces);
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.stdin(Stdio::null());
        command
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = kill(self.first, Signal::KILL);
        self.input = None;
        let _ = self.anchor.wait();
    }
}

fn kill(pid: u32, signal: Signal) -> Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    kill_process(pid.context("no such process")?, signal).context("unable to send a signal")
}
