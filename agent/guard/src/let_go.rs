//! What a guard let go on when its plan ended: it is noted, so that whoever keeps the next plan here knows of
//! it, and nothing is begun beside it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::error::Error;
use crate::file;
use crate::keeping::wait_readable;
use crate::order::{Program, StopSignal};
use crate::store::{SIZE_MAX, Started};

const FILE: &str = "released";
/// How long the kernel may take to end what was killed.
const KILL_MAX: Duration = Duration::from_secs(10);

/// A program that a guard let go, and that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetGo {
    started: Started,
    /// What it is.
    pub program: Program,
}

impl LetGo {
    /// A process that runs on its own from now on; none: it is gone.
    #[must_use]
    pub fn of(pid: u32, program: Program) -> Option<Self> {
        let started = Started::of(pid).ok()?;
        Some(Self { started, program }).filter(Self::is_there)
    }

    /// Its process, as the host numbers it. With it ends all that it began.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.started.pid
    }

    /// Whether it runs still.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.started.is_there()
    }

    /// Ends it in good order, or by force once its time is over; nothing of it is left then.
    ///
    /// # Errors
    ///
    /// The kernel doesn't end it.
    pub async fn end(&self) -> Result<(), Error> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        // Opened before it is looked at: what is ended is then what was looked at.
        let process = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::NONBLOCK).ok());
        let Some(process) = process.filter(|_| self.is_there()) else {
            return Ok(());
        };
        let asks = match self.program.stop_signal {
            StopSignal::Terminate => Signal::TERM,
            StopSignal::Interrupt => Signal::INT,
        };
        let stop_max = Duration::from_millis(self.program.stop_max_ms);
        for (signal, limit) in [(asks, stop_max), (Signal::KILL, KILL_MAX)] {
            let _ = pidfd_send_signal(&process, signal);
            if timeout(limit, wait_readable(&process)).await.is_ok() {
                return Ok(());
            }
        }
        Err(Error::problem(format!(
            "process {}, which runs on from an earlier plan, does not end within {KILL_MAX:?} after it \
             was killed: see what it waits for",
            self.pid()
        )))
    }

    /// Notes it in its guard's folder.
    pub(crate) fn note(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(FILE);
        let failed = || Error::io::<std::io::Error>(format!("write {}", path.display()));
        let content = serde_json::to_vec(self)
            .map_err(std::io::Error::from)
            .map_err(failed())?;
        file::write_atomically(&path, &content).map_err(failed())
    }
}

/// What the guard of this folder let go, and what the guards beside it did whose programs print to the
/// same folder: those work on the same data, whatever their plan was called.
pub(crate) fn let_go(folder: &Path, log: &Path) -> Result<Vec<LetGo>, Error> {
    let mut all = Vec::new();
    let beside = folder.parent().map(std::fs::read_dir);
    let beside = beside.and_then(Result::ok).into_iter().flatten().flatten();
    let others = beside
        .map(|entry| entry.path())
        .filter(|other| other != folder && other.is_dir());
    for place in std::iter::once(folder.to_owned()).chain(others) {
        let Some(found) = read(&place)? else {
            continue;
        };
        let is_ours = place == folder || found.program.log.parent() == log.parent();
        if is_ours && found.is_there() {
            all.push(found);
        }
    }
    Ok(all)
}

fn read(folder: &Path) -> Result<Option<LetGo>, Error> {
    let path: PathBuf = folder.join(FILE);
    let content = file::read_bounded(&path, SIZE_MAX);
    let content = content.map_err(Error::io(format!("read {}", path.display())))?;
    let Some(content) = content else {
        return Ok(None);
    };
    serde_json::from_slice(&content).map(Some).map_err(|_| {
        Error::problem(format!(
            "{} is damaged, so nobody knows what runs on from an earlier plan: see that nothing of the \
             workload runs, then remove the file",
            path.display()
        ))
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn program(log: &str) -> Program {
        Program {
            command: vec!["sleep".to_owned()],
            environment: std::collections::BTreeMap::new(),
            folder: "/".into(),
            user_id: 0,
            group_id: 0,
            groups: Vec::new(),
            stop_signal: StopSignal::Terminate,
            stop_max_ms: 60_000,
            seal: "/run/seal".into(),
            log: log.into(),
        }
    }

    #[tokio::test]
    async fn what_was_let_go_is_found_by_its_plan_or_its_folder_until_it_is_gone() {
        let root = tempfile::tempdir().unwrap();
        let place = |plan: &str| root.path().join(plan);
        for plan in ["own", "other", "third"] {
            std::fs::create_dir(place(plan)).unwrap();
        }
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let found = LetGo::of(child.id(), program("/data.hanse/log")).unwrap();
        found.note(&place("own")).unwrap();
        let log = Path::new("/data.hanse/other");
        let found_by = |plan: &str, log: &Path| let_go(&place(plan), log).unwrap();
        let only = std::slice::from_ref(&found);
        assert_eq!(found_by("own", Path::new("/else/log")), only);
        assert_eq!(found_by("other", log), only);
        assert_eq!(found_by("third", Path::new("/else/log")), []);
        found.end().await.unwrap();
        assert_eq!(found_by("own", log), []);
        child.wait().unwrap();
        assert_eq!(found_by("own", log), []);
        found.end().await.unwrap();
        std::fs::write(place("own").join(FILE), "{").unwrap();
        assert!(let_go(&place("other"), log).is_err());
    }

    #[tokio::test]
    async fn what_does_not_listen_is_killed() {
        let mut child = Command::new("sh")
            .args(["-c", "trap '' TERM; while :; do sleep 1; done"])
            .spawn()
            .unwrap();
        let deaf = Program {
            stop_max_ms: 0,
            ..program("/log")
        };
        let found = LetGo::of(child.id(), deaf).unwrap();
        found.end().await.unwrap();
        assert!(!child.wait().unwrap().success());
    }
}
