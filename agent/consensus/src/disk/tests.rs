use hanse_core::command::Batch;

use super::*;
use crate::form::{EntryForm, PayloadForm};

fn acme() -> FederationName {
    "acme".parse().unwrap()
}

fn log_id(index: u64) -> LogIdForm {
    LogIdForm {
        term: 1,
        leader: 1,
        index,
    }
}

fn entries(indexes: std::ops::RangeInclusive<u64>) -> Write {
    let record = |index| {
        let batch = Batch {
            base_revision: index,
            entries: Vec::new(),
            decided_in_term: None,
        };
        let form = EntryForm {
            log_id: log_id(index),
            payload: PayloadForm::Batch(batch),
        };
        (index, record::encode(&form).unwrap())
    };
    Write::Entries(indexes.map(record).collect())
}

fn founding() -> (SnapshotForm, FederationState) {
    let form = SnapshotForm {
        last_log_id: Some(log_id(0)),
        ..SnapshotForm::default()
    };
    (form, FederationState::new(acme()))
}

#[test]
fn a_file_of_a_later_version_is_refused_by_name_and_left_alone() {
    let (_folder, path) = filled();
    let (disk, contents) = Disk::open(&path, &acme()).unwrap();
    let mut state = record::encode(&contents.state).unwrap();
    let write = |state: &[u8]| {
        let transaction = disk.database.as_ref().unwrap().begin_write().unwrap();
        let mut meta = transaction.open_table(META).unwrap();
        meta.insert(KEY_STATE, state).unwrap();
        drop(meta);
        transaction.commit().unwrap();
    };
    state[0] = 200;
    write(&state);
    disk.sign("9.9.9").unwrap();
    drop(disk);
    let error = Disk::open(&path, &acme()).unwrap_err();
    assert!(!error.may_pass());
    let error = error.to_string();
    assert!(
        error.contains("level 200") && error.contains("hanse 9.9.9"),
        "{error}"
    );
    assert!(!error.contains("damaged"), "{error}");
}

/// A file with a vote, a snapshot at 5 and a log from 4 to 10.
fn filled() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    let (form, state) = founding();
    Disk::create(&path, &acme(), 1, Some((&form, &state))).unwrap();
    let (mut disk, _) = Disk::open(&path, &acme()).unwrap();
    disk.write(&[entries(1..=8)]).unwrap();
    let vote = VoteForm {
        term: 3,
        candidate: 2,
        won: false,
    };
    let snapshot = Write::Snapshot {
        form: SnapshotForm {
            last_log_id: Some(log_id(5)),
            ..SnapshotForm::default()
        },
        state: Arc::new(state),
    };
    disk.write(&[Write::Vote(vote), snapshot]).unwrap();
    disk.write(&[Write::Purge(log_id(3))]).unwrap();
    disk.write(&[Write::Truncate(7)]).unwrap();
    disk.write(&[entries(7..=10), Write::Committed(log_id(9))])
        .unwrap();
    (folder, path)
}

#[test]
fn what_is_written_is_there_after_a_restart() {
    let (_folder, path) = filled();
    let (_, contents) = Disk::open(&path, &acme()).unwrap();
    let indexes: Vec<u64> = contents
        .log
        .iter()
        .map(|entry| entry.log_id.index)
        .collect();
    assert_eq!(indexes, [4, 5, 6, 7, 8, 9, 10]);
    assert_eq!(contents.voter, 1);
    assert_eq!(contents.vote.map(|vote| vote.term), Some(3));
    assert_eq!(contents.purged, Some(log_id(3)));
    assert_eq!(contents.committed, Some(log_id(9)));
    assert_eq!(contents.snapshot.last_log_id, Some(log_id(5)));
}

#[test]
fn a_missing_a_foreign_and_a_garbage_file_each_say_what_to_do() {
    let (folder, path) = filled();
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
    assert!(error.to_string().contains("is missing"), "{error}");
}

#[test]
fn a_damaged_file_gives_the_old_contents_or_an_error_and_never_other_contents() {
    let (folder, path) = filled();
    let (disk, expected) = Disk::open(&path, &acme()).unwrap();
    drop(disk);
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
            Ok((_, read)) => {
                assert_eq!(format!("{read:?}"), format!("{expected:?}"), "step {step}")
            }
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
    let (_folder, path) = filled();
    let (mut disk, _) = Disk::open(&path, &acme()).unwrap();
    disk.write(&[entries(20..=20)]).unwrap();
    drop(disk);
    let error = Disk::open(&path, &acme()).unwrap_err().to_string();
    assert!(error.contains("the entry before 20 is missing"), "{error}");
}

#[test]
fn a_snapshot_that_does_not_reach_the_log_is_noticed() {
    let (_folder, path) = filled();
    let (mut disk, _) = Disk::open(&path, &acme()).unwrap();
    disk.write(&[Write::Purge(log_id(8))]).unwrap();
    drop(disk);
    let error = Disk::open(&path, &acme()).unwrap_err().to_string();
    assert!(error.contains("between snapshot and log"), "{error}");
}

#[test]
fn a_file_in_use_is_named() {
    let (_folder, path) = filled();
    let (_disk, _) = Disk::open(&path, &acme()).unwrap();
    let error = Disk::open(&path, &acme()).unwrap_err();
    assert!(matches!(error, StoreError::Busy(_)), "{error}");
}
