//! The state machine, as Raft drives it: committed entries in, the state out to whoever watches.
//!
//! It decides nothing: `hanse-core` applies. It is in memory; a start goes on from the snapshot
//! and applies the log again.

use std::io;
use std::sync::Arc;

use aws_lc_rs::digest;
use futures::{Stream, TryStreamExt as _};
use hanse_core::command::Outcome;
use hanse_core::state::FederationState;
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{AsyncRuntime, OptionalSend};
use tokio::sync::watch;

use crate::disk::{Contents, StoreError, Write};
use crate::form::SnapshotForm;
use crate::journal::Journal;
use crate::record;
use crate::types::{
    Checkpoint, Decision, LeaderId, LogEntry, LogId, Payload, SnapshotMeta, StoredMembership,
    Types, VoterId, VoterNode,
};

/// A snapshot: the state itself, written only where it leaves the process.
pub type Snapshot = openraft::storage::Snapshot<LeaderId, VoterId, VoterNode, Arc<FederationState>>;

/// The state machine of one voter.
#[derive(Debug)]
pub struct Machine {
    journal: Journal,
    state: watch::Sender<Arc<FederationState>>,
    applied: Option<LogId>,
    membership: StoredMembership,
    snapshot: Option<(SnapshotMeta, Arc<FederationState>)>,
    checkpoints: watch::Sender<u64>,
}

/// Keeps the state as it was when this was made.
#[derive(Debug)]
pub struct Builder {
    journal: Journal,
    meta: SnapshotMeta,
    state: Arc<FederationState>,
}

/// What others watch of the state machine.
#[derive(Debug, Clone)]
pub struct Watched {
    /// The state, now and whenever it changes.
    pub state: watch::Receiver<Arc<FederationState>>,
    /// How many checkpoints passed since the start: after each, a snapshot is due.
    pub checkpoints: watch::Receiver<u64>,
}

impl Machine {
    /// The state machine of a file, and what others may watch.
    pub fn new(contents: Contents, journal: Journal) -> Result<(Self, Watched), StoreError> {
        let meta = SnapshotMeta::try_from(contents.snapshot);
        let meta = meta.map_err(|error| StoreError::Damaged {
            path: "the snapshot".into(),
            reason: error.to_string(),
        })?;
        let first = Arc::new(contents.state);
        let (state, watched) = watch::channel(first.clone());
        let (checkpoints, passed) = watch::channel(0);
        let machine = Self {
            journal,
            state,
            applied: meta.last_log_id,
            membership: meta.last_membership.clone(),
            // Before anything happened there is nothing to send to others.
            snapshot: meta.last_log_id.is_some().then_some((meta, first)),
            checkpoints,
        };
        let watched = Watched {
            state: watched,
            checkpoints: passed,
        };
        Ok((machine, watched))
    }

    fn take(&mut self, entry: &LogEntry, next: &mut Arc<FederationState>) -> io::Result<Outcome> {
        self.applied = Some(entry.log_id);
        let revision = next.revision();
        match &entry.payload {
            Payload::Blank => Ok(Outcome::Applied { revision }),
            Payload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(entry.log_id), membership.clone());
                Ok(Outcome::Applied { revision })
            }
            Payload::Normal(Decision::Batch(batch)) => {
                let term = entry.log_id.leader_id.term;
                Ok(Arc::make_mut(next).apply_batch(batch, term))
            }
            Payload::Normal(Decision::Checkpoint(checkpoint)) => self.compare(checkpoint, next),
        }
    }

    /// Compares this voter's state with the leader's. A voter that came to another state must not
    /// go on: it would answer wrongly, and once it leads, decide wrongly.
    fn compare(&self, checkpoint: &Checkpoint, state: &FederationState) -> io::Result<Outcome> {
        let revision = state.revision();
        if checkpoint.revision != revision {
            return Ok(Outcome::Stale { revision });
        }
        if state_hash(state)? != checkpoint.state_hash {
            return Err(io::Error::other(format!(
                "the state of this voter differs from the leader's at revision {revision}; remove \
                 this voter with `hanse voter remove`, empty its folder and join it again"
            )));
        }
        tracing::info!(revision, "this voter's state is the leader's");
        self.checkpoints.send_modify(|passed| *passed += 1);
        Ok(Outcome::Applied { revision })
    }
}

/// SHA-256 of a state as it is written.
pub fn state_hash(state: &FederationState) -> io::Result<[u8; 32]> {
    let text = record::encode(state).map_err(io::Error::other)?;
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, &text).as_ref());
    Ok(hash)
}

impl<R: AsyncRuntime> RaftStateMachine<Types<R>> for Machine {
    type SnapshotData = Arc<FederationState>;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<Types<R>>, io::Error>> + Unpin + OptionalSend,
    {
        let mut next = self.state.borrow().clone();
        let mut answers = Vec::new();
        while let Some((entry, responder)) = entries.try_next().await? {
            let outcome = self.take(&entry, &mut next)?;
            answers.extend(responder.map(|responder| (responder, outcome)));
        }
        // Whoever gets an answer finds its change in the state.
        self.state.send_replace(next);
        for (responder, outcome) in answers {
            responder.send(outcome);
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        let meta = SnapshotMeta {
            last_log_id: self.applied,
            last_membership: self.membership.clone(),
        };
        let state = self.state.borrow().clone();
        self.snapshot = Some((meta.clone(), state.clone()));
        Builder {
            journal: self.journal.clone(),
            meta,
            state,
        }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        state: Arc<FederationState>,
    ) -> Result<(), io::Error> {
        let write = Write::Snapshot {
            form: SnapshotForm::from(meta),
            state: state.clone(),
        };
        let written = self.journal.write(vec![write]).await;
        written.map_err(io::Error::other)?;
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.snapshot = Some((meta.clone(), state.clone()));
        self.state.send_replace(state);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        let snapshot = self.snapshot.clone();
        Ok(snapshot.map(|(meta, snapshot)| Snapshot { meta, snapshot }))
    }
}

impl<R: AsyncRuntime> RaftSnapshotBuilder<Types<R>> for Builder {
    type SnapshotData = Arc<FederationState>;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        let write = Write::Snapshot {
            form: SnapshotForm::from(&self.meta),
            state: self.state.clone(),
        };
        let written = self.journal.write(vec![write]).await;
        written.map_err(io::Error::other)?;
        Ok(Snapshot {
            meta: self.meta.clone(),
            snapshot: self.state.clone(),
        })
    }
}
