//! How long ago a voter last knew that it belongs to a majority: a leader from those who answer it,
//! all others from the leader. What a voter without contact knows may have been overtaken.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::{AsyncRuntime, Instant as _};

use crate::message::Answer;
use crate::replica::Replica;

/// When a leader was last heard.
pub(crate) struct Heard<R: AsyncRuntime>(Arc<Mutex<R::Instant>>);

impl<R: AsyncRuntime> Heard<R> {
    /// Just now.
    pub(crate) fn now() -> Self {
        Self(Arc::new(Mutex::new(R::Instant::now())))
    }

    /// Notes what was answered to another voter: whoever takes entries takes them from a leader.
    pub(crate) fn note(&self, answer: &Answer) {
        let is_of_leader = match answer {
            Answer::Appended
            | Answer::AppendedUntil(_)
            | Answer::Conflict
            | Answer::Snapshot(_) => true,
            Answer::HigherVote(_)
            | Answer::Vote { .. }
            | Answer::TransferAccepted
            | Answer::TransferVoteChanged { .. }
            | Answer::TransferTooEarly { .. }
            | Answer::Refused(_) => false,
        };
        if is_of_leader {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = R::Instant::now();
        }
    }

    fn elapsed(&self) -> Duration {
        let heard = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.elapsed()
    }
}

impl<R: AsyncRuntime> Clone for Heard<R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<R: AsyncRuntime> Replica<R> {
    /// For how long this voter has been without contact to a majority. As long as it runs, for one
    /// that is not among the voters.
    #[must_use]
    pub fn silent_for(&self) -> Duration {
        let metrics = self.raft().metrics();
        let metrics = metrics.borrow_watched();
        let mut voters = metrics.membership_config.membership().voter_ids();
        let is_alone = voters.next() == Some(metrics.id) && voters.next().is_none();
        if metrics.current_leader != Some(metrics.id) {
            return self.heard().elapsed();
        }
        match &metrics.last_quorum_acked {
            _ if is_alone => Duration::ZERO,
            Some(acked) => acked.elapsed(),
            None => self.heard().elapsed(),
        }
    }
}
