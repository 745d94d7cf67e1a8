//! A process that runs in the background on a host of the laboratory.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use super::anchor::wait_for_child;
use super::invocation::Invocation;
use crate::wait::wait_until;

/// How long a process that was killed may take to be gone.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// A background process; it is killed when dropped.
#[derive(Debug)]
pub struct Process {
    description: String,
    /// `nsenter`, outside the host; it ends as its child ends.
    wrapper: Child,
    /// None for a process that ended before anybody could see it.
    pid: Option<Pid>,
    log: PathBuf,
}

impl Process {
    pub(super) fn start(invocation: &Invocation, enter: &[OsString], log: PathBuf) -> Result<Self> {
        let description = invocation.description();
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("unable to open the log {}", log.display()))?;
        let errors = output.try_clone().context("unable to share the log")?;
        let mut wrapper = invocation
            .background(enter)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("unable to start `{description}`"))?;
        match wait_for_child(&mut wrapper) {
            Ok(pid) => Ok(Self {
                description,
                wrapper,
                pid,
                log,
            }),
            Err(error) => {
                let _ = wrapper.kill();
                let _ = wrapper.wait();
                let said = fs::read_to_string(&log).unwrap_or_default();
                Err(error.context(format!("unable to start `{description}`: {said}")))
            }
        }
    }

    /// Ends it at once, as `kill -9` does, and waits until it is gone.
    ///
    /// # Errors
    ///
    /// When it can't be killed.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::KILL)?;
        self.wait(KILL_TIMEOUT)
    }

    /// Asks it to end (SIGTERM).
    ///
    /// # Errors
    ///
    /// When it can't be told.
    pub fn terminate(&mut self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Interrupts it, as Ctrl-C does (SIGINT).
    ///
    /// # Errors
    ///
    /// When it can't be told.
    pub fn interrupt(&mut self) -> Result<()> {
        self.signal(Signal::INT)
    }

    /// Stops it where it stands (SIGSTOP).
    ///
    /// # Errors
    ///
    /// When it can't be told.
    pub fn stop(&mut self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a stopped process go on (SIGCONT).
    ///
    /// # Errors
    ///
    /// When it can't be told.
    pub fn resume(&mut self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    ///
    /// When it still runs after `timeout`.
    pub fn wait(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let what = format!("`{}` ends", self.description);
        wait_until(&what, timeout, || self.ended())
    }

    /// Whether it still runs; a stopped process does.
    ///
    /// # Errors
    ///
    /// When the system can't say.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.ended()?.is_none())
    }

    /// All that it has written so far.
    ///
    /// # Errors
    ///
    /// When the log can't be read.
    pub fn log(&self) -> Result<String> {
        let bytes = fs::read(&self.log)
            .with_context(|| format!("unable to read the log {}", self.log.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Where it writes.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Its pid as the caller sees it (the host sees another).
    ///
    /// # Errors
    ///
    /// When it ended before it was seen.
    pub fn pid(&self) -> Result<i32> {
        let pid = self
            .pid
            .with_context(|| format!("`{}` ended before it was seen", self.description))?;
        Ok(pid.as_raw_nonzero().get())
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        if self
            .wrapper
            .try_wait()
            .context("unable to wait for nsenter")?
            .is_some()
        {
            return Ok(());
        }
        let Some(pid) = self.pid else {
            return Ok(());
        };
        match kill_process(pid, signal) {
            // It ended between the look and the signal.
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error)
                .with_context(|| format!("unable to send {signal:?} to `{}`", self.description)),
        }
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>> {
        let status = self
            .wrapper
            .try_wait()
            .context("unable to wait for nsenter")?;
        if status.is_none() {
            self.wake_wrapper();
        }
        Ok(status)
    }

    /// nsenter stops itself when it sees its child stopped, and then sees no end of it. Waking it
    /// wakes the child too, so it sleeps for as long as the child does.
    fn wake_wrapper(&self) {
        let wrapper = i32::try_from(self.wrapper.id())
            .ok()
            .and_then(Pid::from_raw);
        if let Some(wrapper) = wrapper
            && let Some(pid) = self.pid
            && is_stopped(wrapper)
            && !is_stopped(pid)
        {
            let _ = kill_process(wrapper, Signal::CONT);
        }
    }
}

/// Whether the process stands still by SIGSTOP.
fn is_stopped(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    // The state follows the name, which stands in parentheses and may hold some itself.
    stat.is_ok_and(|stat| {
        stat.rsplit_once(')')
            .is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
    })
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// The last lines of a log.
pub(crate) fn last_lines(log: &str, count: usize) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
