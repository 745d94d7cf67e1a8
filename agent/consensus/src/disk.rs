//! The file: the log since the last snapshot, the snapshot, and the vote.
//!
//! What [`Disk::write`] has done is safe. All of this blocks: it belongs on the journal's thread.
//! A file that can't be trusted is an error that names it, and never a fresh start.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hanse_core::level::{FeatureLevel, PROGRAM_VERSION};
use hanse_core::name::FederationName;
use hanse_core::state::FederationState;
use redb::{Database, Durability, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use crate::form::{
    EntryForm, LogIdForm, MembershipForm, NodeForm, PayloadForm, SnapshotForm, VoteForm,
};
use crate::record::{self, Record, RecordError};
use crate::types::VoterId;

/// Everything but the log.
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Entries by their place in the log.
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("raft_log");
const KEY_FEDERATION: &str = "federation";
const KEY_VOTER: &str = "voter";
const KEY_VOTE: &str = "vote";
const KEY_PURGED: &str = "purged";
const KEY_COMMITTED: &str = "committed";
const KEY_SNAPSHOT: &str = "snapshot";
const KEY_STATE: &str = "state";
/// The version that opened the file last.
const KEY_PROGRAM: &str = "program";
/// The state is in memory already: the file needs little of it.
const CACHE_BYTES: usize = 1 << 20;

/// Why the state can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no file.
    #[error(
        "{0} is missing: without it this voter would forget what it promised; remove this voter, empty its folder and join it again, or restore the folder"
    )]
    Missing(PathBuf),
    /// The file is no state, or not a whole one.
    #[error(
        "{path} is damaged ({reason}): restore the folder; or, where other voters are alive, remove this voter, empty its folder and join it again"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A later version of this program wrote it.
    #[error("{path} was written at {}; nothing was changed", record::too_new(*level, program.as_deref()))]
    Newer {
        /// The file.
        path: PathBuf,
        /// At which level.
        level: FeatureLevel,
        /// The version that wrote it, where that is known.
        program: Option<String>,
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

/// Opens the database of a path; tests put one that fails or forgets in its place.
pub type Opener = Box<dyn Fn(&Path) -> Result<Database, redb::DatabaseError> + Send>;

/// One thing to write.
#[derive(Debug, Clone)]
pub enum Write {
    /// Entries by their place, each a record.
    Entries(Vec<(u64, Vec<u8>)>),
    /// Whom this voter votes for.
    Vote(VoteForm),
    /// Entries from this place on go.
    Truncate(u64),
    /// Entries up to this one go.
    Purge(LogIdForm),
    /// Entries up to this one are known to be committed.
    Committed(LogIdForm),
    /// The state at an entry.
    Snapshot {
        /// At which entry.
        form: SnapshotForm,
        /// The state.
        state: Arc<FederationState>,
    },
}

/// What a file holds.
#[derive(Debug, Clone)]
pub struct Contents {
    /// Which voter it belongs to.
    pub voter: VoterId,
    /// Whom this voter voted for last.
    pub vote: Option<VoteForm>,
    /// The last entry that is gone from the log.
    pub purged: Option<LogIdForm>,
    /// The last entry that is known to be committed.
    pub committed: Option<LogIdForm>,
    /// The log, in order, without gaps.
    pub log: Vec<EntryForm>,
    /// What the snapshot says about itself.
    pub snapshot: SnapshotForm,
    /// The state at the snapshot.
    pub state: FederationState,
}

/// The file, open.
pub struct Disk {
    path: PathBuf,
    opener: Opener,
    database: Option<Database>,
}

impl Contents {
    /// Whether this is the only voter, and nobody learns to become another.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        let entries = self.log.iter().rev();
        let latest = entries.filter_map(|entry| match &entry.payload {
            PayloadForm::Membership(membership) => Some(membership),
            PayloadForm::Blank | PayloadForm::Batch(_) | PayloadForm::Checkpoint { .. } => None,
        });
        let membership = latest.chain([&self.snapshot.membership]).next();
        membership.is_some_and(|membership| {
            let mut members = membership.nodes.keys();
            members.next() == Some(&self.voter) && members.next().is_none()
        })
    }
}

impl Disk {
    /// Makes the file of a federation's first voter, which begins alone and with that state.
    pub fn found(
        path: &Path,
        voter: VoterId,
        node: NodeForm,
        state: &FederationState,
    ) -> Result<(), StoreError> {
        let first = LogIdForm {
            term: 0,
            leader: voter,
            index: 0,
        };
        // Whoever joins later gets this state as a snapshot: its making is in no log.
        let form = SnapshotForm {
            last_log_id: Some(first),
            membership_log_id: Some(first),
            membership: MembershipForm {
                voters: vec![BTreeSet::from([voter])],
                nodes: BTreeMap::from([(voter, node)]),
            },
        };
        let federation = state.inventory().name();
        Self::create(path, federation, voter, Some((&form, state)))
    }

    /// Makes a new file. With `founding` it begins with that state, as its first voter alone has
    /// it; without, it begins with nothing and learns everything from the other voters.
    pub fn create(
        path: &Path,
        federation: &FederationName,
        voter: VoterId,
        founding: Option<(&SnapshotForm, &FederationState)>,
    ) -> Result<(), StoreError> {
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
        initialize(&database, path, federation, voter, founding)
    }

    /// Opens a file and reads what it holds.
    pub fn open(path: &Path, federation: &FederationName) -> Result<(Self, Contents), StoreError> {
        if !path.exists() {
            return Err(StoreError::Missing(path.to_owned()));
        }
        let opener: Opener =
            Box::new(|path| Database::builder().set_cache_size(CACHE_BYTES).open(path));
        let (disk, contents) = Self::open_with(path, federation, opener)?;
        disk.sign(PROGRAM_VERSION)
            .map_err(|error| from_redb(path, &error))?;
        Ok((disk, contents))
    }

    /// The same, through another opener.
    pub fn open_with(
        path: &Path,
        federation: &FederationName,
        opener: Opener,
    ) -> Result<(Self, Contents), StoreError> {
        let mut disk = Self {
            path: path.to_owned(),
            opener,
            database: None,
        };
        disk.reopen()?;
        // The library asserts some of what it reads: for a damaged file that must be an error.
        let read = catch_unwind(AssertUnwindSafe(|| disk.load(federation)));
        let contents = read.unwrap_or_else(|_| Err(damaged(path, &"its structure is broken")));
        let contents = contents.map_err(|error| disk.name_writer(error))?;
        Ok((disk, contents))
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file anew, after a failed write.
    pub fn reopen(&mut self) -> Result<(), StoreError> {
        self.database = None;
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let mut database =
                (self.opener)(&self.path).map_err(|error| from_redb(&self.path, &error.into()))?;
            database
                .check_integrity()
                .map_err(|error| from_redb(&self.path, &error.into()))?;
            Ok(database)
        }));
        let database =
            opened.unwrap_or_else(|_| Err(damaged(&self.path, &"its structure is broken")))?;
        self.database = Some(database);
        Ok(())
    }

    /// Writes all or nothing. On return it is safe; on an error it is unknown which, and the file
    /// is closed until [`Disk::reopen`]: then the same may be written again.
    pub fn write(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        let path = &self.path;
        let Some(database) = &self.database else {
            return Err(StoreError::Io {
                path: path.clone(),
                reason: "it is closed after an earlier failure".to_owned(),
            });
        };
        let commit = || -> Result<(), redb::Error> {
            let mut transaction = database.begin_write()?;
            transaction.set_durability(Durability::Immediate)?;
            for write in writes {
                put(&transaction, write)?;
            }
            transaction.commit()?;
            Ok(())
        };
        commit().map_err(|error| {
            let error = from_redb(path, &error);
            self.database = None;
            error
        })
    }

    /// Notes which version has the file, for older ones to name.
    fn sign(&self, program: &str) -> Result<(), redb::Error> {
        let Some(database) = &self.database else {
            return Ok(());
        };
        if self.signed().as_deref() == Some(program) {
            return Ok(());
        }
        let transaction = database.begin_write()?;
        transaction
            .open_table(META)?
            .insert(KEY_PROGRAM, program.as_bytes())?;
        transaction.commit()?;
        Ok(())
    }

    fn signed(&self) -> Option<String> {
        let transaction = self.database.as_ref()?.begin_read().ok()?;
        let meta = transaction.open_table(META).ok()?;
        let program = meta.get(KEY_PROGRAM).ok()??;
        String::from_utf8(program.value().to_vec()).ok()
    }

    fn name_writer(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::Newer { path, level, .. } => StoreError::Newer {
                path,
                level,
                program: self.signed(),
            },
            other => other,
        }
    }

    fn load(&self, federation: &FederationName) -> Result<Contents, StoreError> {
        let path = &self.path;
        let Some(database) = &self.database else {
            return Err(StoreError::Missing(path.clone()));
        };
        let fail = |error: redb::Error| from_redb(path, &error);
        let transaction = database.begin_read().map_err(|error| fail(error.into()))?;
        let meta = transaction
            .open_table(META)
            .map_err(|error| fail(error.into()))?;
        let value = |key| -> Result<Option<Vec<u8>>, StoreError> {
            let value = meta.get(key).map_err(|error| fail(error.into()))?;
            Ok(value.map(|value| value.value().to_vec()))
        };
        let found = needed(path, KEY_FEDERATION, value(KEY_FEDERATION)?)?;
        let found = String::from_utf8_lossy(&found).into_owned();
        if found != federation.as_str() {
            return Err(StoreError::Foreign {
                path: path.clone(),
                found,
                expected: federation.clone(),
            });
        }
        let log = transaction
            .open_table(LOG)
            .map_err(|error| fail(error.into()))?;
        let mut contents = Contents {
            voter: read(path, &needed(path, KEY_VOTER, value(KEY_VOTER)?)?)?,
            vote: read_some(path, value(KEY_VOTE)?)?,
            purged: read_some(path, value(KEY_PURGED)?)?,
            committed: read_some(path, value(KEY_COMMITTED)?)?,
            log: Vec::new(),
            snapshot: read(path, &needed(path, KEY_SNAPSHOT, value(KEY_SNAPSHOT)?)?)?,
            state: read(path, &needed(path, KEY_STATE, value(KEY_STATE)?)?)?,
        };
        let mut expected = contents.purged.map(|purged| purged.index + 1);
        for row in log.iter().map_err(|error| fail(error.into()))? {
            let (index, record) = row.map_err(|error| fail(error.into()))?;
            let entry: EntryForm = read(path, record.value())?;
            let index = index.value();
            if expected.is_some_and(|expected| index != expected) || entry.log_id.index != index {
                return Err(damaged(
                    path,
                    &format!("the entry before {index} is missing"),
                ));
            }
            expected = Some(index + 1);
            contents.log.push(entry);
        }
        let from = contents
            .snapshot
            .last_log_id
            .map_or(0, |last| last.index + 1);
        if contents.purged.is_some_and(|purged| purged.index >= from) {
            return Err(damaged(
                path,
                &"entries between snapshot and log are missing",
            ));
        }
        Ok(contents)
    }
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Disk({})", self.path.display())
    }
}

impl StoreError {
    /// Whether the same write may succeed later, without anybody repairing the file.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Full(_) | Self::Io { .. } | Self::Busy(_) => true,
            Self::Missing(_) | Self::Damaged { .. } | Self::Newer { .. } | Self::Foreign { .. } => {
                false
            }
        }
    }
}

/// Writes what a new file begins with.
pub fn initialize(
    database: &Database,
    path: &Path,
    federation: &FederationName,
    voter: VoterId,
    founding: Option<(&SnapshotForm, &FederationState)>,
) -> Result<(), StoreError> {
    let unwritable = |error: RecordError| damaged(path, &error);
    let nothing = (
        SnapshotForm::default(),
        FederationState::new(federation.clone()),
    );
    let (form, state) = founding.unwrap_or((&nothing.0, &nothing.1));
    let voter = record::encode(&voter).map_err(unwritable)?;
    let snapshot = record::encode(form).map_err(unwritable)?;
    let state = record::encode(state).map_err(unwritable)?;
    let purged = form.last_log_id.map(|last| record::encode(&last));
    let purged = purged.transpose().map_err(unwritable)?;
    let write = || -> Result<(), redb::Error> {
        let transaction = database.begin_write()?;
        {
            let mut meta = transaction.open_table(META)?;
            meta.insert(KEY_FEDERATION, federation.as_str().as_bytes())?;
            meta.insert(KEY_VOTER, voter.as_slice())?;
            meta.insert(KEY_SNAPSHOT, snapshot.as_slice())?;
            meta.insert(KEY_STATE, state.as_slice())?;
            if let Some(purged) = &purged {
                meta.insert(KEY_PURGED, purged.as_slice())?;
            }
            transaction.open_table(LOG)?;
        }
        transaction.commit()?;
        Ok(())
    };
    write().map_err(|error| from_redb(path, &error))
}

fn put(transaction: &redb::WriteTransaction, write: &Write) -> Result<(), redb::Error> {
    let mut meta = transaction.open_table(META)?;
    let mut log = transaction.open_table(LOG)?;
    match write {
        Write::Entries(entries) => {
            for (index, record) in entries {
                log.insert(index, record.as_slice())?;
            }
        }
        Write::Vote(vote) => {
            meta.insert(KEY_VOTE, encoded(vote)?.as_slice())?;
        }
        Write::Truncate(first) => log.retain_in(*first.., |_, _| false)?,
        Write::Purge(last) => {
            log.retain_in(..=last.index, |_, _| false)?;
            meta.insert(KEY_PURGED, encoded(last)?.as_slice())?;
        }
        Write::Committed(last) => {
            meta.insert(KEY_COMMITTED, encoded(last)?.as_slice())?;
        }
        Write::Snapshot { form, state } => {
            meta.insert(KEY_SNAPSHOT, encoded(form)?.as_slice())?;
            meta.insert(KEY_STATE, encoded(&**state)?.as_slice())?;
        }
    }
    Ok(())
}

fn encoded(value: &impl Record) -> Result<Vec<u8>, redb::Error> {
    record::encode(value).map_err(|error| redb::Error::Io(io::Error::other(error)))
}

fn needed(path: &Path, key: &str, value: Option<Vec<u8>>) -> Result<Vec<u8>, StoreError> {
    value.ok_or_else(|| damaged(path, &format!("it has no {key}")))
}

fn read<T: serde::de::DeserializeOwned>(path: &Path, record: &[u8]) -> Result<T, StoreError> {
    record::decode(record).map_err(|error| match error {
        RecordError::Newer(level) => StoreError::Newer {
            path: path.to_owned(),
            level,
            program: None,
        },
        other => damaged(path, &other),
    })
}

fn read_some<T: serde::de::DeserializeOwned>(
    path: &Path,
    record: Option<Vec<u8>>,
) -> Result<Option<T>, StoreError> {
    record.map(|record| read(path, &record)).transpose()
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
mod tests;
