//! What a file holds, read whole and checked: entries that follow one another, and nothing missing
//! between the snapshot and the log.

use std::path::Path;

use hanse_core::name::FederationName;
use hanse_core::state::FederationState;
use redb::{Database, ReadableDatabase as _, ReadableTable as _};

use super::error::{StoreError, damaged, from_redb};
use super::{
    KEY_COMMITTED, KEY_FEDERATION, KEY_PURGED, KEY_SNAPSHOT, KEY_STATE, KEY_VOTE, KEY_VOTER, LOG,
    META,
};
use crate::form::{EntryForm, LogIdForm, PayloadForm, SnapshotForm, VoteForm};
use crate::record::{self, RecordError};
use crate::types::VoterId;

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

/// Reads all of a file.
pub(super) fn load(
    database: &Database,
    path: &Path,
    federation: &FederationName,
) -> Result<Contents, StoreError> {
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
            path: path.to_owned(),
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
