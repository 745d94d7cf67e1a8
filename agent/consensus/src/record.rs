//! How an entry or a snapshot is written: a version, a checksum, then JSON.
//!
//! The version is the feature level that one needs to understand what is written. So a voter of an
//! older version reads whatever was written before the level rose, and refuses the rest instead of
//! reading half of it.

use hanse_core::command::Entry;
use hanse_core::level::{FeatureLevel, PROGRAM_VERSION};
use hanse_core::state::FederationState;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::form::{EntryForm, LogIdForm, PayloadForm, SnapshotForm, VoteForm};
use crate::types::VoterId;

/// The version and the checksum.
const HEADER_LENGTH: usize = 5;

/// What can be written, by which level's rules.
pub trait Record: Serialize {
    /// The level that one needs to understand it.
    fn level(&self) -> FeatureLevel {
        FeatureLevel::FIRST
    }
}

/// Why a record can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It has no whole header.
    #[error("a record was cut short")]
    Short,
    /// It has no version.
    #[error("a record has the format version {0}, which never was")]
    Version(u8),
    /// It is of a later version of this program.
    #[error("a record belongs to {}", too_new(*.0, None))]
    Newer(FeatureLevel),
    /// It was changed since it was written.
    #[error("a record does not match its checksum")]
    Checksum,
    /// It is no such thing.
    #[error("a record can't be understood: {0}")]
    Content(String),
}

/// Why this program can't go on with what a newer one wrote, and what to do.
#[must_use]
pub fn too_new(level: FeatureLevel, program: Option<&str>) -> String {
    let newer = match program {
        Some(program) => format!("hanse {program} or later"),
        None => "the version that the other voters run (`hanse status` shows it)".to_owned(),
    };
    format!(
        "the feature level {level}; hanse {PROGRAM_VERSION} supports {} at most: install {newer} on \
         this node",
        FeatureLevel::SUPPORTED
    )
}

/// Writes a value.
pub fn encode(value: &impl Record) -> Result<Vec<u8>, RecordError> {
    let content =
        serde_json::to_vec(value).map_err(|error| RecordError::Content(error.to_string()))?;
    let mut record = Vec::with_capacity(HEADER_LENGTH + content.len());
    record.push(value.level().number());
    record.extend(crc32fast::hash(&content).to_le_bytes());
    record.extend(content);
    Ok(record)
}

/// Reads a value; any bytes give a value or an error.
pub fn decode<T: DeserializeOwned>(record: &[u8]) -> Result<T, RecordError> {
    let (level, content) = open(record)?;
    if !level.is_supported() {
        return Err(RecordError::Newer(level));
    }
    serde_json::from_slice(content).map_err(|error| RecordError::Content(error.to_string()))
}

/// Reads what all versions say alike, whatever else a newer one says.
pub(crate) fn peek<T: DeserializeOwned>(record: &[u8]) -> Result<T, RecordError> {
    let (_, content) = open(record)?;
    serde_json::from_slice(content).map_err(|error| RecordError::Content(error.to_string()))
}

fn open(record: &[u8]) -> Result<(FeatureLevel, &[u8]), RecordError> {
    let (header, content) = record
        .split_at_checked(HEADER_LENGTH)
        .ok_or(RecordError::Short)?;
    let [version, checksum @ ..] = header else {
        return Err(RecordError::Short);
    };
    let level = FeatureLevel::new(*version).ok_or(RecordError::Version(*version))?;
    if crc32fast::hash(content).to_le_bytes() != *checksum {
        return Err(RecordError::Checksum);
    }
    Ok((level, content))
}

impl Record for VoterId {}
impl Record for LogIdForm {}
impl Record for VoteForm {}
impl Record for SnapshotForm {}

impl Record for FederationState {
    fn level(&self) -> FeatureLevel {
        self.feature_level()
    }
}

impl Record for Entry {
    fn level(&self) -> FeatureLevel {
        self.command.level()
    }
}

impl Record for EntryForm {
    fn level(&self) -> FeatureLevel {
        match &self.payload {
            PayloadForm::Batch(batch) => batch.level(),
            PayloadForm::Blank | PayloadForm::Checkpoint { .. } | PayloadForm::Membership(_) => {
                FeatureLevel::FIRST
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl Record for Vec<String> {}

    fn some() -> Vec<u8> {
        encode(&vec!["some".to_owned(), "words".to_owned()]).unwrap()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(words in proptest::collection::vec(".*", 0..5)) {
            prop_assert_eq!(decode::<Vec<String>>(&encode(&words).unwrap()), Ok(words));
        }

        #[test]
        fn a_changed_byte_is_noticed(place in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let mut record = some();
            let place = place.index(record.len() - 1) + 1;
            record[place] ^= 1_u8 << bit;
            prop_assert!(decode::<Vec<String>>(&record).is_err());
        }

        #[test]
        fn any_bytes_give_a_value_or_an_error(bytes in any::<Vec<u8>>()) {
            let _ = decode::<Vec<String>>(&bytes);
        }
    }

    #[test]
    fn a_record_of_a_later_version_names_its_level_and_what_to_do() {
        let mut record = some();
        record[0] = u8::MAX;
        let error = decode::<Vec<String>>(&record).unwrap_err().to_string();
        assert!(
            error.contains("level 255") && error.contains("install"),
            "{error}"
        );
        record[0] = 0;
        assert_eq!(decode::<Vec<String>>(&record), Err(RecordError::Version(0)));
    }
}
