//! One task that turns proposals into entries, one batch at a time.
//!
//! Only the leader's counts. A batch names the state that it was decided on; should another leader
//! have written meanwhile, it does nothing and is decided again, under the same request ids.

use std::sync::Arc;
use std::time::Duration;

use hanse_core::command::{Batch, Outcome, Request};
use hanse_core::state::FederationState;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::errors::{ClientWriteError, RaftError};
use openraft::{AsyncRuntime, ReadPolicy};
use tokio::sync::{mpsc, oneshot, watch};

use crate::decide::{Verdict, decide};
use crate::form::LogIdForm;
use crate::journal::Journal;
use crate::machine::state_hash;
use crate::replica::{Clock, Committed, ProposeError, Raft, leader_of};
use crate::types::{Checkpoint, Decision};

/// Proposals that share one batch.
const BATCH_LENGTH_MAX: usize = 64;
/// So many batches make a checkpoint worth while.
const CHECKPOINT_INTERVAL: u64 = 512;
/// How often a batch is decided again before its proposals are given back.
const ATTEMPTS_MAX: u32 = 8;
/// How long a batch may take to reach a majority. What is given up may still be written: the
/// request id tells.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(8);

/// What somebody wants, and where the answer goes.
pub(crate) struct Proposal {
    pub(crate) request_id: String,
    pub(crate) request: Request,
    /// The only term in which it may be written; none: any.
    pub(crate) term: Option<u64>,
    pub(crate) answer: oneshot::Sender<Result<Committed, ProposeError>>,
}

/// The task.
pub(crate) struct Proposer<R: AsyncRuntime> {
    pub(crate) raft: Raft<R>,
    pub(crate) state: watch::Receiver<Arc<FederationState>>,
    pub(crate) journal: Journal,
    pub(crate) clock: Clock,
    pub(crate) queue: mpsc::Receiver<Proposal>,
    /// Batches since the last checkpoint.
    pub(crate) batches: u64,
    /// The election after which this voter wrote last.
    pub(crate) term: u64,
}

/// Why a batch was not written.
enum Failure {
    /// Decide again.
    Stale,
    /// Give the proposals back.
    Gone(ProposeError),
}

impl<R: AsyncRuntime> Proposer<R> {
    /// Until the last handle is gone.
    pub(crate) async fn run(mut self) {
        let mut waiting = Vec::new();
        loop {
            let room = BATCH_LENGTH_MAX.saturating_sub(waiting.len());
            if waiting.is_empty() && self.queue.recv_many(&mut waiting, room).await == 0 {
                return;
            }
            waiting = self.commit(waiting).await;
            if self.batches >= CHECKPOINT_INTERVAL {
                self.batches = 0;
                self.checkpoint().await;
            }
        }
    }

    /// Yields the proposals for which there was no room in the batch.
    async fn commit(&mut self, mut proposals: Vec<Proposal>) -> Vec<Proposal> {
        let mut reason = ProposeError::Failed("the leader changed again and again".to_owned());
        for _ in 0..ATTEMPTS_MAX {
            let term = leads_in(&self.raft);
            proposals = self.give_back_outdated(proposals, term);
            if proposals.is_empty() {
                return proposals;
            }
            let state = self.state.borrow().clone();
            let asked = proposals
                .iter()
                .map(|p| (p.request_id.as_str(), &p.request));
            let decided = decide(&state, asked, (self.clock)());
            let mut looked_at = proposals.iter().take(decided.verdicts.len());
            let batch = Batch {
                base_revision: state.revision(),
                entries: decided.entries,
                decided_in_term: term.filter(|_| looked_at.any(|one| one.term.is_some())),
            };
            match self.write(batch).await {
                Ok(log_id) => {
                    let rest = proposals.split_off(decided.verdicts.len());
                    self.answer(proposals, decided.verdicts, log_id);
                    return rest;
                }
                Err(Failure::Stale) => {}
                Err(Failure::Gone(error)) => {
                    reason = error;
                    break;
                }
            }
        }
        for proposal in proposals {
            let _ = proposal.answer.send(Err(reason.clone()));
        }
        Vec::new()
    }

    /// What rests on another term than this one is not written any more.
    fn give_back_outdated(&self, proposals: Vec<Proposal>, term: Option<u64>) -> Vec<Proposal> {
        let is_timely = |one: &Proposal| one.term.is_none() || one.term == term;
        let (timely, outdated): (Vec<_>, Vec<_>) = proposals.into_iter().partition(is_timely);
        for proposal in outdated {
            let error = ProposeError::NotLeader(leader_of(&self.raft));
            let _ = proposal.answer.send(Err(error));
        }
        timely
    }

    fn answer(&self, proposals: Vec<Proposal>, verdicts: Vec<Verdict>, log_id: Option<LogIdForm>) {
        let state = self.state.borrow().clone();
        for (proposal, verdict) in proposals.into_iter().zip(verdicts) {
            let answer = match verdict {
                Verdict::Refused(refusal) => Err(ProposeError::Refused(refusal)),
                Verdict::Stands {
                    revision,
                    warnings,
                    is_new,
                } => Ok(Committed {
                    revision,
                    state: state.clone(),
                    warnings,
                    is_new,
                    log_id: log_id.filter(|_| is_new),
                }),
            };
            let _ = proposal.answer.send(answer);
        }
    }

    /// On return the batch stands, and so what was decided on its state is certain. A batch of
    /// nothing is a question: is this still the state?
    async fn write(&mut self, batch: Batch) -> Result<Option<LogIdForm>, Failure> {
        let base_revision = batch.base_revision;
        if batch.entries.is_empty() {
            let state = confirm(&self.raft, &self.state)
                .await
                .map_err(Failure::Gone)?;
            return match state.revision() == base_revision {
                true => Ok(None),
                false => Err(Failure::Stale),
            };
        }
        self.batches += 1;
        match self.propose(Decision::Batch(batch)).await? {
            (Outcome::Applied { .. }, log_id) => {
                // A leader begins with a comparison: a voter that differs shows early.
                if std::mem::replace(&mut self.term, log_id.term) != log_id.term {
                    self.batches = CHECKPOINT_INTERVAL;
                }
                Ok(Some(log_id))
            }
            (Outcome::Stale { .. }, _) => Err(Failure::Stale),
        }
    }

    async fn propose(&self, decision: Decision) -> Result<(Outcome, LogIdForm), Failure> {
        let written = R::timeout(COMMIT_TIMEOUT, self.raft.client_write(decision)).await;
        let error = match written {
            Ok(Ok(written)) => return Ok((written.data, written.log_id.into())),
            Ok(Err(error)) => error,
            Err(_) => {
                let why = self.journal.complaint().unwrap_or_else(|| {
                    format!(
                        "no majority of the voters took the change within {} s",
                        COMMIT_TIMEOUT.as_secs()
                    )
                });
                return Err(Failure::Gone(ProposeError::Failed(why)));
            }
        };
        Err(Failure::Gone(match error {
            RaftError::APIError(ClientWriteError::ForwardToLeader(_)) => {
                ProposeError::NotLeader(leader_of(&self.raft))
            }
            RaftError::APIError(ClientWriteError::LogEntryDiscarded(_)) => ProposeError::Failed(
                "the leader changed before the change was safe; try again".to_owned(),
            ),
            other => ProposeError::Failed(other.to_string()),
        }))
    }

    /// Has all voters compare their states and keep them.
    async fn checkpoint(&self) {
        let state = self.state.borrow().clone();
        let state_hash = match state_hash(&state) {
            Ok(state_hash) => state_hash,
            Err(error) => return tracing::error!(%error, "unable to write the state down"),
        };
        let revision = state.revision();
        let checkpoint = Checkpoint {
            revision,
            state_hash,
        };
        if self
            .propose(Decision::Checkpoint(checkpoint))
            .await
            .is_err()
        {
            tracing::debug!(revision, "the checkpoint has to wait for the next batch");
        }
    }
}

/// The term in which this voter believes that it leads.
pub(crate) fn leads_in<R: AsyncRuntime>(raft: &Raft<R>) -> Option<u64> {
    let metrics = raft.server_metrics();
    let metrics = metrics.borrow_watched();
    let leads = metrics.current_leader == Some(metrics.id);
    leads.then(|| metrics.vote.leader_id.term)
}

/// The state, once a majority confirmed after the call that this voter leads: nothing that was
/// acknowledged before the call is missing (Raft dissertation, section 6.4).
pub(crate) async fn confirm<R: AsyncRuntime>(
    raft: &Raft<R>,
    state: &watch::Receiver<Arc<FederationState>>,
) -> Result<Arc<FederationState>, ProposeError> {
    let failed = |error: &dyn std::fmt::Display| ProposeError::Failed(error.to_string());
    let confirmed = R::timeout(COMMIT_TIMEOUT, async {
        match raft.get_read_linearizer(ReadPolicy::ReadIndex).await {
            Ok(linearizer) => linearizer
                .await_ready(raft)
                .await
                .map(|_| ())
                .map_err(|e| failed(&e)),
            Err(RaftError::APIError(_)) => Err(ProposeError::NotLeader(leader_of(raft))),
            Err(RaftError::Fatal(error)) => Err(failed(&error)),
        }
    });
    let silent = |_| failed(&"no majority of the voters answers");
    confirmed
        .await
        .unwrap_or_else(|elapsed| Err(silent(elapsed)))?;
    Ok(state.borrow().clone())
}
