//! One voter on tokio and on a real disk: the embedded default.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

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

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_voter_leads_from_its_start_and_keeps_what_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    let node = NodeForm {
        name: "home-1".into(),
        endpoint: "192.0.2.1:7443".into(),
    };
    Disk::found(&path, 1, node, &FederationState::new(acme())).unwrap();
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
