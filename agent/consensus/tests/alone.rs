//! One voter on tokio and on a real disk: the embedded default.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use hanse_consensus::disk::Disk;
use hanse_consensus::form::NodeForm;
use hanse_consensus::journal::Journal;
use hanse_consensus::replica::Replica;
use hanse_consensus::timing::Timing;
use hanse_consensus::types::{VoterId, VoterNode};
use hanse_consensus::wire::{Wire, WireError};
use hanse_core::command::Request;
use hanse_core::name::FederationName;
use hanse_core::state::FederationState;
use openraft_rt_tokio::TokioRuntime;

/// There is nobody else.
#[derive(Clone)]
struct Nobody;

impl Wire for Nobody {
    async fn ask(
        &self,
        _: VoterId,
        node: &VoterNode,
        _: Vec<u8>,
        _: Duration,
    ) -> Result<Vec<u8>, WireError> {
        Err(WireError::Unreachable(node.to_string()))
    }
}

fn acme() -> FederationName {
    "acme".parse().unwrap()
}

async fn start(path: &Path) -> Replica<TokioRuntime> {
    let (disk, contents) = Disk::open(path, &acme()).unwrap();
    let journal = Journal::start(disk).unwrap();
    Replica::start(contents, journal, Timing::Wan, Nobody, Arc::new(|| 7))
        .await
        .unwrap()
}

fn forget(number: usize) -> Request {
    Request::RevokeUser {
        name: format!("user-{number}").parse().unwrap(),
    }
}

fn found(path: &Path, state: &FederationState) {
    let node = NodeForm {
        name: "home-1".into(),
        endpoint: "192.0.2.1:7443".into(),
    };
    Disk::found(path, 1, node, state).unwrap();
}

/// A record as a version of a later level writes it.
fn newer(content: &str) -> Vec<u8> {
    let checksum = crc32fast::hash(content.as_bytes()).to_le_bytes();
    [&[200], &checksum[..], content.as_bytes()].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voter_that_is_told_of_a_later_level_stops_with_its_file_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    found(&path, &FederationState::founded(acme()));
    let replica = start(&path).await;
    replica.propose("1".to_owned(), forget(1)).await.unwrap();

    // For somebody else: an address may have changed hands.
    let question = r#"{"to":2,"program":"9.9.9","content":{"unheard_of":{}}}"#;
    replica.answer(&newer(question)).await;
    assert_eq!(replica.failed().now_or_never(), None);

    let question = question.replace("2", "1");
    replica.answer(&newer(&question)).await;
    let reason = replica.failed().await;
    assert!(reason.contains("level 200"), "{reason}");
    assert!(reason.contains("install hanse 9.9.9 or later"), "{reason}");
    replica.stop().await;
    let replica = start(&path).await;
    assert_eq!(replica.read().revision(), 1);
    replica.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_voter_leads_from_its_start_and_keeps_what_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    found(&path, &FederationState::new(acme()));
    for round in 1..=3 {
        let replica = start(&path).await;
        assert!(replica.is_leader());
        assert_eq!(replica.read().revision(), (round - 1) * 700);
        // Enough for a checkpoint, a snapshot and a log after it.
        for number in 0..700 {
            let id = format!("{round}-{number}");
            let number = usize::try_from(round * 1000 + number).unwrap();
            let committed = replica.propose(id, forget(number)).await.unwrap();
            assert!(committed.is_new);
        }
        replica.stop().await;
    }
}
