//! Where what lies, and who may use it.
//!
//! A folder is finished once it has settings and no mark. The mark is set before the first file
//! and taken away after the last, so that an interrupted bootstrap, join or restore can be run again,
//! and so that data of an earlier agent is never overwritten.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use hanse_core::name::PlanName;
use rustix::fs::{FlockOperation, flock};

/// The file that is locked.
const LOCK_NAME: &str = "agent.lock";

/// What a process holds so that no other agent uses the folder.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

/// The folder of one agent.
#[derive(Debug, Clone)]
pub struct DataFolder {
    path: PathBuf,
}

/// Why a folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The system refused.
    #[error("unable to {operation} {path}: {source}", path = path.display())]
    Io {
        /// What was attempted.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Anything else, in a sentence.
    #[error("{0}")]
    Problem(String),
}

impl DataError {
    /// For `map_err`.
    pub fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            operation,
            path,
            source,
        }
    }
}

impl DataFolder {
    /// The folder at `path`, whether or not there is one.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What flags hold, once there is an identity.
    #[must_use]
    pub fn settings(&self) -> PathBuf {
        self.path.join("agent.toml")
    }

    /// The node's private key. It never leaves this file.
    #[must_use]
    pub fn node_key(&self) -> PathBuf {
        self.path.join("node.key")
    }

    /// The certificates of the authorities that the node trusts, and by which they vouch for each
    /// other.
    #[must_use]
    pub fn authorities(&self) -> PathBuf {
        self.path.join("authorities.crt")
    }

    /// The same before a restore in place that is not finished yet.
    #[must_use]
    pub fn authorities_before(&self) -> PathBuf {
        self.path.join("authorities.crt.before")
    }

    /// The node's own certificate.
    #[must_use]
    pub fn node_certificates(&self) -> PathBuf {
        self.path.join("node.crt")
    }

    /// The private key for which the federation's secrets are sealed, on voters. It never leaves
    /// this file.
    #[must_use]
    pub fn sealing_key(&self) -> PathBuf {
        self.path.join("sealing.key")
    }

    /// What changed while the federation was out of reach.
    #[must_use]
    pub fn backlog(&self) -> PathBuf {
        self.path.join("backlog.json")
    }

    /// The federation's state, on voters.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.path.join("state.redb")
    }

    /// What hooks of DR plans are still to be told, on voters.
    #[must_use]
    pub fn hooks(&self) -> PathBuf {
        self.path.join("hooks")
    }

    /// Who did what, on voters.
    #[must_use]
    pub fn audit(&self) -> PathBuf {
        self.path.join("audit.jsonl")
    }

    /// The last plan.
    #[must_use]
    pub fn plan(&self) -> PathBuf {
        self.path.join("plan.bin")
    }

    /// What the copies of workloads that are here have to be.
    #[must_use]
    pub fn copies(&self) -> PathBuf {
        self.path.join("copies.bin")
    }

    /// What is kept for the copy of a plan's workload: its guard's order and socket among it.
    #[must_use]
    pub fn copy(&self, plan: &PlanName) -> PathBuf {
        self.path.join("plans").join(plan.as_str())
    }

    /// Where the federation said that its voters are.
    #[must_use]
    pub fn voters(&self) -> PathBuf {
        self.path.join("voters.txt")
    }

    /// The last known time.
    #[must_use]
    pub fn clock(&self) -> PathBuf {
        self.path.join("clock.json")
    }

    /// Where a voter serves programs of this machine.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.path.join("hanse.sock")
    }

    /// Whether there is a finished agent.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.settings().exists() && !self.mark().exists()
    }

    /// Makes the folder, locks it and sets the mark; refuses a folder that holds anything already,
    /// unless it is what an interrupted attempt left.
    pub fn begin(&self) -> Result<FolderLock, DataError> {
        self.require_unfinished()?;
        if let Some(parent) = self.path.parent() {
            fs::create_dir_all(parent).map_err(DataError::io("make the folder", parent))?;
        }
        match DirBuilder::new().mode(0o700).create(&self.path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.adopt()?,
            Err(error) => return Err(DataError::io("make the folder", &self.path)(error)),
        }
        let lock = self.lock()?;
        // Another attempt may have come to its end before the lock was ours.
        self.require_unfinished()?;
        // Empty, and so whole as soon as it is there: nothing beside it may outlive a crash.
        self.begin_anew()?;
        Ok(lock)
    }

    /// Sets the mark on a folder that is finished and locked: whoever comes back into a federation
    /// runs the same command again if this attempt is interrupted.
    pub fn begin_anew(&self) -> Result<(), DataError> {
        File::create(self.mark())
            .and_then(|_| File::open(&self.path)?.sync_all())
            .map_err(DataError::io("write to", &self.path))
    }

    /// Deletes a file, if it is there.
    pub fn forget(&self, path: &Path) -> Result<(), DataError> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(DataError::io("delete", path)(error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Gives a file a name that nothing reads and nothing has, and yields it; none: there was no
    /// such file. The folder is locked.
    pub fn set_aside(&self, path: &Path) -> Result<Option<PathBuf>, DataError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".before");
        let mut aside = PathBuf::from(&name);
        let mut number = 1_u32;
        while fs::symlink_metadata(&aside).is_ok() {
            number = number.saturating_add(1);
            let mut numbered = name.clone();
            numbered.push(format!("-{number}"));
            aside = PathBuf::from(numbered);
        }
        match fs::rename(path, &aside) {
            Ok(()) => Ok(Some(aside)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DataError::io("rename", path)(error)),
        }
    }

    /// Takes the mark away: everything is in place. A mark that came back with a power failure
    /// would invite to begin anew, over a folder that is in use.
    pub fn finish(&self) -> Result<(), DataError> {
        fs::remove_file(self.mark())
            .and_then(|()| File::open(&self.path)?.sync_all())
            .map_err(DataError::io("finish", &self.path))
    }

    /// Sees to it that no other process uses the folder.
    pub fn lock(&self) -> Result<FolderLock, DataError> {
        let path = self.path.join(LOCK_NAME);
        let file = File::create(&path).map_err(DataError::io("open", &path))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|errno| match errno {
            rustix::io::Errno::WOULDBLOCK => DataError::Problem(format!(
                "another agent runs on {}; stop it first",
                self.path.display()
            )),
            other => DataError::io("lock", &path)(other.into()),
        })?;
        Ok(FolderLock { _file: file })
    }

    /// Says what is missing where there is no finished agent.
    pub fn require_finished(&self) -> Result<(), DataError> {
        if self.is_finished() {
            return Ok(());
        }
        let shown = self.path.display();
        Err(DataError::Problem(if self.mark().exists() {
            format!(
                "the bootstrap, join or restore of {shown} was interrupted; run the same command \
                 again"
            )
        } else {
            format!(
                "{shown} holds no agent: run `hanse bootstrap` for a new federation or \
                 `hanse join` for an existing one"
            )
        }))
    }

    /// Deletes everything in the folder, what makes it an agent's last, and the folder itself where
    /// that is possible. Run again, it goes on where it was interrupted.
    pub fn erase(&self) -> Result<(), DataError> {
        let io = |operation| DataError::io(operation, &self.path);
        let settings = self.settings();
        for entry in fs::read_dir(&self.path).map_err(io("read"))? {
            let path = entry.map_err(io("read"))?.path();
            if path == settings {
                continue;
            }
            let is_folder = fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir());
            let removed = if is_folder {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.map_err(DataError::io("delete", &path))?;
        }
        File::open(&self.path)
            .and_then(|folder| folder.sync_all())
            .map_err(io("write to"))?;
        fs::remove_file(&settings).map_err(DataError::io("delete", &settings))?;
        // A folder that others made for it, or that is a mount, may stay.
        let _ = fs::remove_dir(&self.path);
        Ok(())
    }

    fn mark(&self) -> PathBuf {
        self.path.join("unfinished")
    }

    fn require_unfinished(&self) -> Result<(), DataError> {
        if !self.is_finished() {
            return Ok(());
        }
        let shown = self.path.display();
        Err(DataError::Problem(format!(
            "{shown} holds an agent already; start it with `hanse agent --data-dir {shown}`, or \
             choose another folder"
        )))
    }

    fn adopt(&self) -> Result<(), DataError> {
        let io = |operation| DataError::io(operation, &self.path);
        // An attempt that ended before it set its mark leaves its lock's file alone.
        let empty = fs::read_dir(&self.path)
            .map_err(io("read"))?
            .all(|entry| entry.is_ok_and(|entry| entry.file_name() == LOCK_NAME));
        if !empty && !self.mark().exists() {
            return Err(DataError::Problem(format!(
                "{} is not empty and holds no finished agent; choose a new folder, or empty this \
                 one if nothing in it is needed",
                self.path.display()
            )));
        }
        fs::set_permissions(&self.path, fs::Permissions::from_mode(0o700))
            .map_err(io("restrict the permissions of"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, DataFolder) {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::new(parent.path().join("data"));
        (parent, folder)
    }

    #[test]
    fn a_new_folder_belongs_to_its_owner_alone() {
        let (_parent, folder) = folder();
        folder.begin().unwrap();
        assert_eq!(
            fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777,
            0o700
        );
    }

    #[test]
    fn an_interrupted_attempt_can_be_run_again_and_a_finished_one_not() {
        let (_parent, folder) = folder();
        folder.begin().unwrap();
        fs::write(folder.node_key(), "key").unwrap();
        assert!(
            folder
                .require_finished()
                .unwrap_err()
                .to_string()
                .contains("join or restore")
        );
        folder.begin().unwrap();
        fs::write(folder.settings(), "").unwrap();
        folder.finish().unwrap();
        folder.require_finished().unwrap();
        assert!(
            folder
                .begin()
                .unwrap_err()
                .to_string()
                .contains("holds an agent already")
        );
    }

    #[test]
    fn an_attempt_that_meets_another_one_changes_nothing() {
        let (_parent, folder) = folder();
        let first = folder.begin();
        let second = folder.begin().map(|_| ());
        assert!(second.unwrap_err().to_string().contains("another agent"));
        fs::write(folder.settings(), "").unwrap();
        folder.finish().unwrap();
        drop(first);
        assert!(folder.begin().is_err());
        folder.require_finished().unwrap();
    }

    #[test]
    fn an_attempt_that_ended_before_its_mark_can_be_run_again() {
        let (_parent, folder) = folder();
        fs::create_dir(folder.path()).unwrap();
        drop(folder.lock().unwrap());
        folder.begin().unwrap();
    }

    #[test]
    fn somebody_elses_folder_is_left_alone() {
        let (_parent, folder) = folder();
        fs::create_dir(folder.path()).unwrap();
        fs::write(folder.path().join("letter"), "dear").unwrap();
        assert!(
            folder
                .begin()
                .unwrap_err()
                .to_string()
                .contains("not empty")
        );
    }

    #[test]
    fn nothing_is_left_of_an_erased_folder_and_an_interruption_does_no_harm() {
        let (_parent, folder) = folder();
        folder.begin().unwrap();
        fs::write(folder.node_key(), "key").unwrap();
        fs::create_dir(folder.path().join("wireguard")).unwrap();
        fs::write(folder.path().join("wireguard/core.key"), "key").unwrap();
        fs::write(folder.settings(), "").unwrap();
        folder.finish().unwrap();
        let lock = folder.lock().unwrap();
        folder.erase().unwrap();
        drop(lock);
        assert!(!folder.path().exists());
        // Interrupted before the last file, which makes it an agent's, was gone.
        folder.begin().unwrap();
        fs::write(folder.settings(), "").unwrap();
        folder.finish().unwrap();
        folder.require_finished().unwrap();
        folder.erase().unwrap();
        assert!(!folder.path().exists());
    }

    #[test]
    fn two_agents_never_share_a_folder() {
        let (_parent, folder) = folder();
        folder.begin().unwrap();
        let lock = folder.lock().unwrap();
        assert!(
            folder
                .lock()
                .unwrap_err()
                .to_string()
                .contains("another agent")
        );
        drop(lock);
        folder.lock().unwrap();
    }
}
