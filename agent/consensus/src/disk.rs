//! The file: the log since the last snapshot, the snapshot, and the vote.
//!
//! What [`Disk::write`] has done is safe. All of this blocks: it belongs on the journal's thread.
//! A file that can't be trusted is an error that names it, and never a fresh start.

mod contents;
mod error;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hanse_core::level::PROGRAM_VERSION;
use hanse_core::name::FederationName;
use hanse_core::state::FederationState;
use redb::{Database, Durability, ReadableDatabase as _, TableDefinition};

use crate::form::{LogIdForm, MembershipForm, NodeForm, SnapshotForm, VoteForm};
use crate::record::{self, Record, RecordError};
use crate::types::VoterId;
pub use contents::Contents;
pub use error::StoreError;
use error::{damaged, from_redb};

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

/// The file, open.
pub struct Disk {
    path: PathBuf,
    opener: Opener,
    database: Option<Database>,
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

    fn load(&self, federation: &FederationName) -> Result<Contents, StoreError> {
        match &self.database {
            Some(database) => contents::load(database, &self.path, federation),
            None => Err(StoreError::Missing(self.path.clone())),
        }
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
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Disk({})", self.path.display())
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

fn restrict(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

#[cfg(test)]
mod tests;
