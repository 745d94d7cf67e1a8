//! Who holds a data directory: a server that runs on it, in whatever namespace. Its `postmaster.pid`
//! tells the number that it has in its own.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hanse_guard::{Process, Status};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::time::{Instant, sleep};

use super::STOP_MAX;
use super::layout::Server;
use crate::trouble::Trouble;

/// How often a server that was asked to stop is looked for.
const POLL: Duration = Duration::from_millis(50);

/// The first process of a server that runs on the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder {
    /// As this host numbers it.
    pub(crate) pid: u32,
    /// It sees the seal, so some guard started it.
    pub(crate) is_sealed: bool,
}

impl Holder {
    /// Whether the plan's guard started it. One that an earlier guard let go sees the seal too.
    /// `began`: the process that the guard began last.
    fn is_guarded(&self, status: Option<&Status>, began: Option<u32>) -> bool {
        if !self.is_sealed {
            return false;
        }
        match status.map(|status| &status.process) {
            _ if began == Some(self.pid) => true,
            // Nothing is done while nobody knows, or while it ends.
            None | Some(Process::Stopping) => true,
            Some(Process::Running { pid, .. }) => *pid == self.pid,
            Some(Process::Stopped { .. } | Process::GaveUp { .. }) => false,
        }
    }
}

impl Server {
    /// A server that runs on the data and that the plan's guard did not start.
    pub(crate) fn outsider(&self, status: Option<&Status>, began: Option<u32>) -> Option<Holder> {
        let mut holders = self.holders().into_iter();
        holders.find(|holder| !holder.is_guarded(status, began))
    }

    /// Refuses while anything runs on the data.
    pub(crate) fn check_unheld(&self) -> Result<(), Trouble> {
        match self.holders().first() {
            None => Ok(()),
            Some(holder) => Err(Trouble(format!(
                "process {} runs on {}, so its files stay as they are: stop it",
                holder.pid,
                self.data.display()
            ))),
        }
    }

    /// Asks a server to end in good order, and waits until it has.
    pub(crate) async fn stop_holder(&self, holder: Holder) -> Result<(), Trouble> {
        let failed = |why: String| {
            Trouble(format!(
                "unable to stop process {}, which runs on {}: {why}",
                holder.pid,
                self.data.display()
            ))
        };
        let Some(pid) = i32::try_from(holder.pid).ok().and_then(Pid::from_raw) else {
            return Ok(());
        };
        // Opened before it is looked at: what is asked is then what was looked at.
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
            return Ok(());
        };
        if !self.is_held_by(holder.pid) {
            return Ok(());
        }
        pidfd_send_signal(&process, Signal::INT).map_err(|error| failed(error.to_string()))?;
        let until = Instant::now() + STOP_MAX;
        while self.is_held_by(holder.pid) {
            if Instant::now() >= until {
                return Err(failed(format!("it did not end within {STOP_MAX:?}")));
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    pub(crate) fn is_held_by(&self, pid: u32) -> bool {
        folder_of(&self.data).is_some_and(|data| holds(pid, data))
    }

    /// The first process of each server; what it began itself is not told of.
    fn holders(&self) -> Vec<Holder> {
        let Some(data) = folder_of(&self.data) else {
            return Vec::new();
        };
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let held: Vec<u32> = processes
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid| holds(*pid, data))
            .collect();
        let first = |pid: &u32| !parent(*pid).is_some_and(|parent| held.contains(&parent));
        held.iter()
            .copied()
            .filter(first)
            .map(|pid| Holder {
                pid,
                is_sealed: self.is_sealed(pid),
            })
            .collect()
    }

    fn is_sealed(&self, pid: u32) -> bool {
        let seal = &self.setup.seal;
        let root = PathBuf::from(format!("/proc/{pid}/root"));
        root.join(seal.strip_prefix("/").unwrap_or(seal)).exists()
    }
}

/// Which folder it is, whatever it is called in another namespace.
fn folder_of(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// A server works in its data directory from its start to its end; so may somebody's shell.
fn holds(pid: u32, data: (u64, u64)) -> bool {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    folder_of(&folder.join("cwd")) == Some(data) && is_server(&folder)
}

fn is_server(folder: &Path) -> bool {
    let is_such = |name: &str| name.starts_with("postgres") || name.starts_with("postmaster");
    let program = fs::read_link(folder.join("exe"));
    let name = program.ok().and_then(|path| {
        let name = path.file_name()?;
        Some(name.to_string_lossy().into_owned())
    });
    name.is_some_and(|name| is_such(&name))
        || fs::read_to_string(folder.join("comm")).is_ok_and(|name| is_such(&name))
}

fn parent(pid: u32) -> Option<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Its name is in brackets and may contain anything.
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(process: Process) -> Status {
        Status {
            serial: 1,
            epoch: None,
            may_write: false,
            is_lost: false,
            process,
            observed: None,
            trouble: None,
            watchdog: false,
        }
    }

    #[test]
    fn only_what_the_plans_guard_started_is_guarded() {
        let sealed = Holder {
            pid: 7,
            is_sealed: true,
        };
        let bare = Holder {
            is_sealed: false,
            ..sealed
        };
        let running = |pid| Some(status(Process::Running { start: 1, pid }));
        let stopped = Some(status(Process::Stopped { ended: None }));
        let table = [
            (sealed, running(7), None, true),
            (sealed, running(8), None, false),
            (sealed, stopped.clone(), None, false),
            (sealed, stopped.clone(), Some(7), true),
            (sealed, stopped, Some(8), false),
            (sealed, Some(status(Process::Stopping)), None, true),
            (sealed, None, None, true),
            (bare, running(7), Some(7), false),
        ];
        for (holder, status, began, is_guarded) in table {
            let told = holder.is_guarded(status.as_ref(), began);
            assert_eq!(told, is_guarded, "{holder:?} {status:?} {began:?}");
        }
    }
}
