//! Whatever stands in a voter's file, or comes from another voter, is read or an error; what was
//! read is written as it was.
//!
//! An input is a byte that says what it is, and its content. The header is put in front, since
//! nothing gets past a wrong checksum.

use std::fmt::Debug;

use hanse_consensus::form::{EntryForm, LogIdForm, PayloadForm, SnapshotForm, VoteForm};
use hanse_consensus::message::{Answer, Question};
use hanse_consensus::record::{Record, decode, encode};
use hanse_consensus::types::{LogEntry, SnapshotMeta};
use hanse_core::level::FeatureLevel;
use hanse_core::state::FederationState;
use serde_json::Value;

use super::federation;

/// Reads an input; panics at what must not be.
pub fn read(input: &[u8]) {
    let [kind, content @ ..] = input else { return };
    // As it comes, header and all.
    let _ = decode::<EntryForm>(input);
    let record = with_header(content);
    match kind % 8 {
        0 => {
            if let Some(form) = there_and_back::<EntryForm>(&record) {
                entry(form);
            }
        }
        1 => {
            if let Some(form) = there_and_back::<SnapshotForm>(&record) {
                let _ = SnapshotMeta::try_from(form);
            }
        }
        2 => drop(there_and_back::<FederationState>(&record)),
        3 => drop(there_and_back::<Question>(&record)),
        4 => drop(there_and_back::<Answer>(&record)),
        5 => drop(there_and_back::<VoteForm>(&record)),
        6 => drop(there_and_back::<LogIdForm>(&record)),
        _ => drop(decode::<Value>(&record)),
    }
}

fn with_header(content: &[u8]) -> Vec<u8> {
    let level = FeatureLevel::SUPPORTED.number();
    let mut record = vec![level];
    record.extend(crc32fast::hash(content).to_le_bytes());
    record.extend(content);
    record
}

fn there_and_back<T: Record + serde::de::DeserializeOwned + Debug>(record: &[u8]) -> Option<T> {
    let value: T = decode(record).ok()?;
    let written = encode(&value).expect("what was read is written");
    let again: T = decode(&written).expect("what was written is read");
    assert_eq!(format!("{value:?}"), format!("{again:?}"));
    Some(value)
}

/// An entry is taken as Raft hands it over.
fn entry(form: EntryForm) {
    let Ok(taken) = LogEntry::try_from(form.clone()) else {
        return;
    };
    let again = LogEntry::try_from(EntryForm::from(&taken));
    assert_eq!(again.ok(), Some(taken));
    if let PayloadForm::Batch(mut batch) = form.payload {
        let mut state = federation();
        batch.base_revision = state.revision();
        state.apply_batch(&batch, 1);
    }
}
