//! The file: a log of entries since the last snapshot.
//!
//! An append is acknowledged only after it is safe on the disk. All of this blocks: it belongs on
//! the writer's thread.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use hanse_core::command::Entry;
use hanse_core::name::FederationName;
use hanse_core::state::FederationState;
use redb::{Database, Durability, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use super::record::{self, RecordError};

/// The name of the federation, and the snapshot.
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Entries by the revision that they lead to.
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const KEY_FEDERATION: &str = "federation";
const KEY_SNAPSHOT: &str = "snapshot";
/// The state is in memory already: the file needs little of it.
const CACHE_BYTES: usize = 1 << 20;

/// Why the state can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no file.
    #[error(
        "{0} is missing: restore it from a backup of this folder; without it this voter would forget the federation"
    )]
    Missing(PathBuf),
    /// The file is no state, or not a whole one.
    #[error("{path} is damaged ({reason}): restore it from a backup of this folder")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file belongs to another federation.
    #[error(
        "{path} holds the state of the federation `{found}` and not of `{expected}`: restore the right file"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: FederationName,
    },
    /// Another process has it open.
    #[error("{0} is in use by another process; stop it first")]
    Busy(PathBuf),
    /// The disk has no room.
    #[error("the disk that holds {0} is full; make room and try again")]
    Full(PathBuf),
    /// The system refused otherwise.
    #[error("unable to write {path}: {reason}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Opens the database of a path; tests put one that fails in its place.
pub(super) type Opener = Box<dyn Fn(&Path) -> Result<Database, redb::DatabaseError> + Send>;

/// The file, open.
pub struct Disk {
    path: PathBuf,
    federation: FederationName,
    opener: Opener,
    database: Option<Database>,
    log_length: u64,
}

impl Disk {
    /// Makes a new file for a federation in which nothing has happened.
    pub fn create(path: &Path, federation: &FederationName) -> Result<(), StoreError> {
        let fail = |error: redb::Error| from_redb(path, &error);
        match std::fs::remove_file(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(fail(redb::Error::Io(error))),
        }
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(path)
            .map_err(|error| fail(error.into()))?;
        restrict(path).map_err(|error| fail(redb::Error::Io(error)))?;
        let state = FederationState::new(federation.clone());
        let snapshot = record::encode(&state).map_err(|error| damaged(path, &error))?;
        let name = federation.to_string();
        let write = || -> Result<(), redb::Error> {
            let transaction = database.begin_write()?;
            {
                let mut meta = transaction.open_table(META)?;
                meta.insert(KEY_FEDERATION, name.as_bytes())?;
                meta.insert(KEY_SNAPSHOT, snapshot.as_slice())?;
                transaction.open_table(LOG)?;
            }
            transaction.commit()?;
            Ok(())
        };
        write().map_err(fail)
    }

    /// Opens a file and reads the state that it holds.
    pub fn open(
        path: &Path,
        federation: &FederationName,
    ) -> Result<(Self, FederationState), StoreError> {
        let opener: Opener =
            Box::new(|path| Database::builder().set_cache_size(CACHE_BYTES).open(path));
        Self::open_with(path, federation, opener)
    }

    pub(super) fn open_with(
        path: &Path,
        federation: &FederationName,
        opener: Opener,
    ) -> Result<(Self, FederationState), StoreError> {
        let mut disk = Self {
            path: path.to_owned(),
            federation: federation.clone(),
            opener,
            database: None,
            log_length: 0,
        };
        let state = disk.reopen()?;
        Ok((disk, state))
    }

    /// How many entries stand in the log since the snapshot.
    #[must_use]
    pub fn log_length(&self) -> u64 {
        self.log_length
    }

    /// Whether the file is open: after a failed write it isn't.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.database.is_some()
    }

    /// Opens the file anew and reads the state that it holds. What was in doubt after a failed
    /// write is then settled.
    pub fn reopen(&mut self) -> Result<FederationState, StoreError> {
        self.database = None;
        if !self.path.exists() {
            return Err(StoreError::Missing(self.path.clone()));
        }
        // The library asserts some of what it reads: for a damaged file that must be an error.
        let read = catch_unwind(AssertUnwindSafe(|| {
            let mut database =
                (self.opener)(&self.path).map_err(|error| from_redb(&self.path, &error.into()))?;
            database
                .check_integrity()
                .map_err(|error| from_redb(&self.path, &error.into()))?;
            let (state, log_length) = self.load(&database)?;
            Ok((database, state, log_length))
        }));
        let (database, state, log_length) =
            read.unwrap_or_else(|_| Err(damaged(&self.path, &"its structure is broken")))?;
        self.database = Some(database);
        self.log_length = log_length;
        Ok(state)
    }

    /// Appends entries, the first of which leads to `revision_first`. On return they are safe; on
    /// an error it is unknown, and the file is closed until [`Disk::reopen`].
    pub fn append(&mut self, revision_first: u64, entries: &[Entry]) -> Result<(), StoreError> {
        let records: Vec<Vec<u8>> = entries
            .iter()
            .map(record::encode)
            .collect::<Result<_, _>>()
            .map_err(|error| damaged(&self.path, &error))?;
        self.write(|transaction| {
            let mut log = transaction.open_table(LOG)?;
            for (revision, record) in (revision_first..).zip(&records) {
                log.insert(revision, record.as_slice())?;
            }
            Ok(())
        })?;
        self.log_length += entries.len() as u64;
        Ok(())
    }

    /// Replaces the log by a snapshot.
    pub fn snapshot(&mut self, state: &FederationState) -> Result<(), StoreError> {
        let snapshot = record::encode(state).map_err(|error| damaged(&self.path, &error))?;
        self.write(|transaction| {
            transaction
                .open_table(META)?
                .insert(KEY_SNAPSHOT, snapshot.as_slice())?;
            transaction
                .open_table(LOG)?
                .retain(|revision, _| revision > state.revision())?;
            Ok(())
        })?;
        self.log_length = 0;
        Ok(())
    }

    fn write(
        &mut self,
        change: impl FnOnce(&redb::WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), StoreError> {
        let Some(database) = &self.database else {
            return Err(StoreError::Io {
                path: self.path.clone(),
                reason: "it is closed after an earlier failure".to_owned(),
            });
        };
        let write = || -> Result<(), redb::Error> {
            let mut transaction = database.begin_write()?;
            transaction.set_durability(Durability::Immediate)?;
            change(&transaction)?;
            transaction.commit()?;
            Ok(())
        };
        write().map_err(|error| {
            let error = from_redb(&self.path, &error);
            self.database = None;
            error
        })
    }

    fn load(&self, database: &Database) -> Result<(FederationState, u64), StoreError> {
        let fail = |error: redb::Error| from_redb(&self.path, &error);
        let broken = |error: RecordError| damaged(&self.path, &error);
        let transaction = database.begin_read().map_err(|error| fail(error.into()))?;
        let meta = transaction
            .open_table(META)
            .map_err(|error| fail(error.into()))?;
        let value = |key| -> Result<Vec<u8>, StoreError> {
            let value = meta.get(key).map_err(|error| fail(error.into()))?;
            let value = value.ok_or_else(|| damaged(&self.path, &format!("it has no {key}")))?;
            Ok(value.value().to_vec())
        };
        let found = String::from_utf8_lossy(&value(KEY_FEDERATION)?).into_owned();
        if found != self.federation.as_str() {
            return Err(StoreError::Foreign {
                path: self.path.clone(),
                found,
                expected: self.federation.clone(),
            });
        }
        let mut state: FederationState = record::decode(&value(KEY_SNAPSHOT)?).map_err(broken)?;
        let log = transaction
            .open_table(LOG)
            .map_err(|error| fail(error.into()))?;
        let mut log_length = 0;
        for row in log.iter().map_err(|error| fail(error.into()))? {
            let (revision, record) = row.map_err(|error| fail(error.into()))?;
            let expected = state.revision() + 1;
            if revision.value() != expected {
                let reason = format!("revision {expected} is missing");
                return Err(damaged(&self.path, &reason));
            }
            let entry: Entry = record::decode(record.value()).map_err(broken)?;
            state.apply(&entry);
            log_length += 1;
        }
        Ok((state, log_length))
    }
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Disk({})", self.path.display())
    }
}

fn restrict(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

fn damaged(path: &Path, reason: &dyn std::fmt::Display) -> StoreError {
    StoreError::Damaged {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

fn from_redb(path: &Path, error: &redb::Error) -> StoreError {
    let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
    let torn = [io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof];
    match error {
        redb::Error::DatabaseAlreadyOpen => StoreError::Busy(path.to_owned()),
        redb::Error::Io(error) if full.contains(&error.kind()) => StoreError::Full(path.to_owned()),
        redb::Error::Io(error) if torn.contains(&error.kind()) => damaged(path, error),
        redb::Error::Io(error) => StoreError::Io {
            path: path.to_owned(),
            reason: error.to_string(),
        },
        other => damaged(path, other),
    }
}

#[cfg(test)]
mod tests {
    use hanse_core::command::Command;
    use hanse_core::object::ObjectRef;

    use super::*;

    fn acme() -> FederationName {
        "acme".parse().unwrap()
    }

    fn entry(number: u64) -> Entry {
        let reference = ObjectRef::MemberCluster("c".parse().unwrap());
        Entry {
            request_id: format!("request-{number}"),
            at_unix_s: number,
            command: Command::Remove { reference },
        }
    }

    fn filled() -> (tempfile::TempDir, PathBuf, FederationState) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.redb");
        Disk::create(&path, &acme()).unwrap();
        let (mut disk, mut state) = Disk::open(&path, &acme()).unwrap();
        for number in 1..=10 {
            disk.append(number, &[entry(number)]).unwrap();
            state.apply(&entry(number));
            if number == 5 {
                disk.snapshot(&state).unwrap();
            }
        }
        drop(disk);
        (folder, path, state)
    }

    #[test]
    fn what_is_appended_is_there_after_a_restart() {
        let (_folder, path, state) = filled();
        let (disk, read) = Disk::open(&path, &acme()).unwrap();
        assert_eq!(read, state);
        assert_eq!(disk.log_length(), 5);
    }

    #[test]
    fn a_missing_a_foreign_and_a_garbage_file_each_say_what_to_do() {
        let (folder, path, _) = filled();
        let error = Disk::open(&path, &"other".parse().unwrap()).unwrap_err();
        assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
        let garbage = folder.path().join("garbage");
        for content in [vec![], b"no database".to_vec(), vec![7; 100_000]] {
            std::fs::write(&garbage, content).unwrap();
            let error = Disk::open(&garbage, &acme()).unwrap_err().to_string();
            assert!(
                error.contains("garbage") && error.contains("restore"),
                "{error}"
            );
        }
        let error = Disk::open(&folder.path().join("none"), &acme()).unwrap_err();
        assert!(error.to_string().contains("missing: restore"), "{error}");
    }

    #[test]
    fn a_damaged_file_gives_the_old_state_or_an_error_and_never_another_state() {
        let (folder, path, state) = filled();
        let whole = std::fs::read(&path).unwrap();
        let copy = folder.path().join("copy");
        let mut damaged = 0;
        for step in 0..200 {
            let mut content = whole.clone();
            if step % 4 == 0 {
                content.truncate(whole.len() * step / 200);
            } else {
                let place = whole.len() / 200 * step;
                content[place..place + 64]
                    .iter_mut()
                    .for_each(|byte| *byte ^= 0x5a);
            }
            std::fs::write(&copy, content).unwrap();
            match Disk::open(&copy, &acme()) {
                Ok((_, read)) => assert_eq!(read, state, "step {step}"),
                Err(error) => {
                    damaged += 1;
                    assert!(error.to_string().contains("copy"), "{error}");
                }
            }
        }
        assert!(damaged > 50, "{damaged}");
    }

    #[test]
    fn a_gap_in_the_log_is_noticed() {
        let (_folder, path, _) = filled();
        let (mut disk, _) = Disk::open(&path, &acme()).unwrap();
        disk.append(20, &[entry(20)]).unwrap();
        drop(disk);
        let error = Disk::open(&path, &acme()).unwrap_err().to_string();
        assert!(error.contains("revision 11 is missing"), "{error}");
    }

    #[test]
    fn two_processes_never_share_a_file() {
        let (_folder, path, _) = filled();
        let (_disk, _) = Disk::open(&path, &acme()).unwrap();
        assert!(matches!(
            Disk::open(&path, &acme()),
            Err(StoreError::Busy(_))
        ));
    }
}
