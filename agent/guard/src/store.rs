//! The guard's folder: its order, which survives everything, and the one process that it started,
//! which the next guard must know of.
//!
//! A file that can't be believed is never taken for one that isn't there: then nothing is started.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::file;
use crate::let_go::LetGo;
use crate::order::{Order, Program};

const ORDER_FILE: &str = "order";
const PROCESS_FILE: &str = "process";
const BACK_FILE: &str = "back";
const LOCK_FILE: &str = "lock";
/// More than any order that comes over the socket.
pub(crate) const SIZE_MAX: u64 = 8 << 20;

/// The folder of a guard, held by it alone.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
    _lock: File,
}

/// A process that was started, so that nobody takes another of its number for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Started {
    boot: String,
    pub(crate) pid: u32,
    ticks: u64,
}

impl Started {
    pub(crate) fn of(pid: u32) -> Result<Self, Error> {
        Ok(Self {
            boot: boot_id()?,
            pid,
            ticks: start_ticks(pid).ok_or_else(|| {
                Error::problem(format!(
                    "process {pid} is not in /proc: is /proc mounted, and of this PID namespace?"
                ))
            })?,
        })
    }

    /// Whether it is there, and runs.
    pub(crate) fn is_there(&self) -> bool {
        boot_id().is_ok_and(|boot| boot == self.boot)
            && start_ticks(self.pid) == Some(self.ticks)
            && !is_dead(self.pid)
    }
}

/// A lease that goes back: nothing runs under it ever again, whatever becomes of this guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Back {
    pub(crate) epoch: u64,
    /// The federation knows.
    pub(crate) is_known: bool,
}

impl Store {
    /// Takes the folder. Two guards never share one.
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        let shown = folder.display();
        file::make_private_folder(folder).map_err(Error::io(format!("make the folder {shown}")))?;
        let path = folder.join(LOCK_FILE);
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(Error::io(format!("open {}", path.display())))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            Error::problem(format!(
                "another guard works in {shown}: stop it before another is started"
            ))
        })?;
        Ok(Self {
            folder: folder.to_owned(),
            _lock: lock,
        })
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the order is.
    pub(crate) fn order_path(&self) -> PathBuf {
        self.folder.join(ORDER_FILE)
    }

    /// The latest order; none: there was none yet.
    pub(crate) fn order(&self) -> Result<Option<Order>, Error> {
        let path = self.order_path();
        let Some(content) = file::read_bounded(&path, SIZE_MAX)
            .map_err(Error::io(format!("read {}", path.display())))?
        else {
            return Ok(None);
        };
        parse(&content).map(Some).ok_or_else(|| {
            Error::problem(format!(
                "the guard's order in {} is damaged, so nothing is started: remove the file, and \
                 the agent gives its order again",
                path.display()
            ))
        })
    }

    /// Notes that what runs goes on without any guard.
    pub(crate) fn let_go(&self, program: &Program) -> Result<(), Error> {
        let path = self.process_path();
        let content = file::read_bounded(&path, SIZE_MAX);
        let content = content.map_err(Error::io(format!("read {}", path.display())))?;
        let started = content.and_then(|content| serde_json::from_slice::<Started>(&content).ok());
        match started.and_then(|started| LetGo::of(started.pid, program.clone())) {
            Some(found) => found.note(&self.folder),
            None => Ok(()),
        }
    }

    /// Forgets order and process: the guard's work is done.
    pub(crate) fn forget(&self) -> Result<(), Error> {
        for name in [ORDER_FILE, PROCESS_FILE] {
            let path = self.folder.join(name);
            file::remove(&path).map_err(Error::io(format!("remove {}", path.display())))?;
        }
        Ok(())
    }

    /// Where it is noted which lease goes back.
    pub(crate) fn back_path(&self) -> PathBuf {
        self.folder.join(BACK_FILE)
    }

    /// The latest lease that goes back, or went.
    pub(crate) fn back(&self) -> Result<Option<Back>, Error> {
        let path = self.back_path();
        let Some(content) = file::read_bounded(&path, SIZE_MAX)
            .map_err(Error::io(format!("read {}", path.display())))?
        else {
            return Ok(None);
        };
        serde_json::from_slice(&content).map(Some).map_err(|_| {
            Error::problem(format!(
                "{} is damaged, so nobody knows which lease was given back: see in `hanse dr` that \
                 the plan has another lease by now, then remove the file",
                path.display()
            ))
        })
    }

    /// Where the process that was started last is noted.
    pub(crate) fn process_path(&self) -> PathBuf {
        self.folder.join(PROCESS_FILE)
    }

    /// What an earlier guard started and may not be gone yet, as a file that can be read once it is.
    /// It is ended.
    pub(crate) fn leftover(&self) -> Result<Option<std::os::fd::OwnedFd>, Error> {
        let path = self.process_path();
        let Some(content) = file::read_bounded(&path, SIZE_MAX)
            .map_err(Error::io(format!("read {}", path.display())))?
        else {
            return Ok(None);
        };
        let started: Started = serde_json::from_slice(&content).map_err(|_| {
            Error::problem(format!(
                "{} is damaged, so nobody knows what an earlier guard left running: see that \
                 nothing of the workload runs, then remove the file",
                path.display()
            ))
        })?;
        if started.boot != boot_id()? {
            return Ok(None);
        }
        let Some(pid) = i32::try_from(started.pid).ok().and_then(Pid::from_raw) else {
            return Ok(None);
        };
        // Opened before it is compared: what is compared is then what was opened.
        let Ok(process) = pidfd_open(pid, PidfdFlags::NONBLOCK) else {
            return Ok(None);
        };
        if start_ticks(started.pid) != Some(started.ticks) {
            return Ok(None);
        }
        let _ = pidfd_send_signal(&process, Signal::KILL);
        Ok(Some(process))
    }
}

/// Writes an order so that it is there after any crash.
pub(crate) fn write_order(path: &Path, order: &Order) -> Result<(), Error> {
    let failed = || Error::io::<std::io::Error>(format!("write the order to {}", path.display()));
    let text = serde_json::to_string(order)
        .map_err(std::io::Error::from)
        .map_err(failed())?;
    let content = format!("{:08x}\n{text}", crc32fast::hash(text.as_bytes()));
    file::write_atomically(path, content.as_bytes()).map_err(failed())
}

/// Notes which lease goes back, before it does.
pub(crate) fn note_back(path: &Path, back: Back) -> Result<(), Error> {
    let failed = || Error::io::<std::io::Error>(format!("write {}", path.display()));
    let content = serde_json::to_vec(&back)
        .map_err(std::io::Error::from)
        .map_err(failed())?;
    file::write_atomically(path, &content).map_err(failed())
}

/// Notes which process was started, before it is the program.
pub(crate) fn note_process(path: &Path, pid: u32) -> Result<(), Error> {
    let failed = || Error::io::<std::io::Error>(format!("write {}", path.display()));
    let started = Started::of(pid)?;
    let content = serde_json::to_vec(&started)
        .map_err(std::io::Error::from)
        .map_err(failed())?;
    file::write_atomically(path, &content).map_err(failed())
}

/// The process that was noted last, if it is there still.
pub(crate) fn began(folder: &Path) -> Option<u32> {
    let content = file::read_bounded(&folder.join(PROCESS_FILE), SIZE_MAX).ok()??;
    let started: Started = serde_json::from_slice(&content).ok()?;
    let is_it = boot_id().is_ok_and(|boot| boot == started.boot)
        && start_ticks(started.pid) == Some(started.ticks);
    is_it.then_some(started.pid)
}

/// The program of a guard's latest order; none: it has no such order.
#[must_use]
pub fn ordered_program(folder: &Path) -> Option<Program> {
    let content = file::read_bounded(&folder.join(ORDER_FILE), SIZE_MAX).ok()??;
    parse(&content)?.program
}

fn parse(content: &[u8]) -> Option<Order> {
    let text = std::str::from_utf8(content).ok()?;
    let (checksum, text) = text.split_once('\n')?;
    if u32::from_str_radix(checksum, 16).ok()? != crc32fast::hash(text.as_bytes()) {
        return None;
    }
    serde_json::from_str(text).ok()
}

fn boot_id() -> Result<String, Error> {
    const PATH: &str = "/proc/sys/kernel/random/boot_id";
    std::fs::read_to_string(PATH)
        .map(|text| text.trim().to_owned())
        .map_err(Error::io(format!("read {PATH}")))
}

/// When a process began, in the kernel's ticks; none: there is no such process.
fn start_ticks(pid: u32) -> Option<u64> {
    told_of(pid, 19)?.parse().ok()
}

/// Whether a process ended, and nobody has asked how.
fn is_dead(pid: u32) -> bool {
    told_of(pid, 0).is_none_or(|state| matches!(state.as_str(), "Z" | "X"))
}

/// What the kernel tells of a process, by its place after the name.
fn told_of(pid: u32, place: usize) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Its name is in brackets and may contain anything.
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_whitespace().nth(place).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        Order {
            plan: "orders".parse().unwrap(),
            serial: 4,
            lease: None,
            program: None,
            gives_back: true,
            service_address: None,
        }
    }

    #[test]
    fn an_order_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(store.order().unwrap(), None);
        write_order(&store.order_path(), &order()).unwrap();
        assert_eq!(store.order().unwrap(), Some(order()));
        assert_eq!(ordered_program(folder.path()), None, "nothing is to run");
    }

    #[test]
    fn an_order_of_which_any_part_lacks_or_is_other_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        write_order(&store.order_path(), &order()).unwrap();
        let whole = std::fs::read(store.order_path()).unwrap();
        for length in 0..whole.len() {
            std::fs::write(store.order_path(), &whole[..length]).unwrap();
            let said = store.order().unwrap_err().sentence();
            assert!(said.contains("is damaged"), "{length}: {said}");
        }
        for index in 0..whole.len() {
            let mut other = whole.clone();
            other[index] ^= 1;
            std::fs::write(store.order_path(), &other).unwrap();
            assert!(store.order().is_err(), "{index}");
        }
    }

    #[test]
    fn the_lease_that_goes_back_is_read_as_it_was_noted_and_a_torn_note_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(store.back().unwrap(), None);
        let back = Back {
            epoch: 7,
            is_known: false,
        };
        note_back(&store.back_path(), back).unwrap();
        store.forget().unwrap();
        assert_eq!(store.back().unwrap(), Some(back));
        std::fs::write(store.back_path(), "{").unwrap();
        let said = store.back().unwrap_err().sentence();
        assert!(said.contains("is damaged"), "{said}");
    }

    #[test]
    fn two_guards_never_share_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Store::open(folder.path()).unwrap();
        let said = Store::open(folder.path()).unwrap_err().sentence();
        assert!(said.contains("another guard"), "{said}");
    }

    #[test]
    fn a_process_that_merely_has_the_number_of_an_earlier_one_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mut other = std::process::Command::new("sleep")
            .arg("1000")
            .spawn()
            .unwrap();
        let started = Started {
            boot: boot_id().unwrap(),
            pid: other.id(),
            ticks: start_ticks(other.id()).unwrap() + 1,
        };
        std::fs::write(
            folder.path().join(PROCESS_FILE),
            serde_json::to_vec(&started).unwrap(),
        )
        .unwrap();
        assert!(store.leftover().unwrap().is_none());
        assert_eq!(other.try_wait().unwrap(), None);
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
