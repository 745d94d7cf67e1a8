//! One voter: propose, read, wait for changes; who votes, and who leads.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hanse_core::admission::Refusal;
use hanse_core::command::Request;
use hanse_core::finding::Finding;
use hanse_core::state::FederationState;
use openraft::AsyncRuntime;
use openraft::async_runtime::watch::WatchReceiver as _;
use tokio::sync::{mpsc, oneshot, watch};

use crate::contact::Heard;
use crate::disk::{Contents, StoreError};
use crate::form::LogIdForm;
use crate::journal::Journal;
use crate::lease::Ledger;
use crate::log::Log;
use crate::machine::Machine;
use crate::proposer::{Proposal, Proposer, confirm};
use crate::timing::Timing;
use crate::types::{Types, VoterId, VoterNode};
use crate::wire::{Ways, Wire};

/// Proposals that may wait.
const QUEUE_LENGTH: usize = 256;

/// How long a voter without others may take to lead: its disk must take a vote.
const ALONE_TIMEOUT: Duration = Duration::from_secs(5);

/// The library's handle.
pub type Raft<R> = openraft::Raft<Types<R>, Machine>;
/// The time for new entries, in seconds since 1970.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// A proposal that stands.
#[derive(Debug, Clone)]
pub struct Committed {
    /// The revision that carries it.
    pub revision: u64,
    /// The state at that revision or a later one.
    pub state: Arc<FederationState>,
    /// What is worth saying.
    pub warnings: Vec<Finding>,
    /// Whether it is new, and no repetition.
    pub is_new: bool,
    /// The entry of the log that carries it; none for a repetition.
    pub log_id: Option<LogIdForm>,
}

/// A proposal that doesn't stand, or a question without an answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProposeError {
    /// The rules refuse it.
    #[error("refused")]
    Refused(Refusal),
    /// Another voter leads, or none does just now.
    #[error("{}", describe_leader(.0.as_ref()))]
    NotLeader(Option<VoterNode>),
    /// It is unknown what became of it; the same request id may be proposed again.
    #[error("{0}")]
    Failed(String),
}

/// A voter that can't begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its file can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The library refuses.
    #[error("unable to take part in consensus with {path}: {reason}")]
    Raft {
        /// The voter's file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// One voter. Cheap to clone.
pub struct Replica<R: AsyncRuntime> {
    raft: Raft<R>,
    voter: VoterId,
    proposals: mpsc::Sender<Proposal>,
    state: watch::Receiver<Arc<FederationState>>,
    journal: Journal,
    heard: Heard<R>,
    ledger: Ledger<R>,
    /// Why this voter gave up; none: it did not.
    given_up: watch::Sender<Option<String>>,
}

impl<R: AsyncRuntime> Replica<R> {
    /// Begins to take part, from what the file holds.
    pub async fn start(
        contents: Contents,
        journal: Journal,
        timing: Timing,
        wire: impl Wire,
        clock: Clock,
    ) -> Result<Self, StartError> {
        let refuse = |reason: &dyn std::fmt::Display| StartError::Raft {
            path: journal.path().to_owned(),
            reason: reason.to_string(),
        };
        let voter = contents.voter;
        let is_alone = contents.is_alone();
        let federation = contents.state.inventory().name().to_string();
        let config = timing.config(&federation).validate();
        let config = Arc::new(config.map_err(|error| refuse(&error))?);
        let log = Log::new(&contents, journal.clone())?;
        let (machine, watched) = Machine::new(contents, journal.clone())?;
        let ways = Ways { own: voter, wire };
        let raft = Raft::<R>::new(voter, config, ways, log, machine).await;
        let raft = raft.map_err(|error| refuse(&error))?;
        let (proposals, queue) = mpsc::channel(QUEUE_LENGTH);
        let proposer = Proposer {
            raft: raft.clone(),
            state: watched.state.clone(),
            journal: journal.clone(),
            clock,
            queue,
            batches: 0,
            term: 0,
        };
        let _runs_on = R::spawn(proposer.run());
        let _runs_on = R::spawn(keep_checkpoints(raft.clone(), watched.checkpoints));
        let replica = Self {
            raft,
            voter,
            proposals,
            state: watched.state,
            journal,
            heard: Heard::now(),
            ledger: Ledger::new(),
            given_up: watch::channel(None).0,
        };
        let _runs_on = R::spawn(replica.clone().keep_ledger());
        if is_alone {
            replica.lead_alone().await;
        }
        Ok(replica)
    }

    /// Asks for a change; on return it is safe on a majority, or it is refused, or it may be tried
    /// again under the same id. Only the leader can.
    pub async fn propose(
        &self,
        request_id: String,
        request: Request,
    ) -> Result<Committed, ProposeError> {
        self.propose_in(None, request_id, request).await
    }

    /// The same, in that term or not at all.
    pub(crate) async fn propose_in(
        &self,
        term: Option<u64>,
        request_id: String,
        request: Request,
    ) -> Result<Committed, ProposeError> {
        let gone = || ProposeError::Failed("this voter is stopping; try again".to_owned());
        let (answer, answered) = oneshot::channel();
        let proposal = Proposal {
            request_id,
            request,
            term,
            answer,
        };
        self.proposals.send(proposal).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// The state with everything in it that was acknowledged before this call. Only the leader
    /// can tell.
    pub async fn confirmed(&self) -> Result<Arc<FederationState>, ProposeError> {
        confirm(&self.raft, &self.state).await
    }

    /// The state as this voter has it, which may lag behind the leader's.
    #[must_use]
    pub fn read(&self) -> Arc<FederationState> {
        self.state.borrow().clone()
    }

    /// The state as this voter has it, now and whenever it changes.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Arc<FederationState>> {
        self.state.clone()
    }

    /// Whether this voter believes that it leads: enough to begin something, never to decide it.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.raft.is_leader()
    }

    /// The voter that leads, as far as this one knows.
    #[must_use]
    pub fn leader(&self) -> Option<VoterNode> {
        leader_of(&self.raft)
    }

    /// Waits until this voter knows who leads.
    pub async fn somebody_leads(&self) -> (VoterId, VoterNode) {
        let mut metrics = self.raft.server_metrics();
        loop {
            let known = {
                let metrics = metrics.borrow_watched();
                let leader = metrics.current_leader;
                leader.and_then(|id| Some((id, metrics.membership_config.get_node(&id)?.clone())))
            };
            if let Some(known) = known {
                return known;
            }
            if metrics.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Waits until this voter knows that another one leads.
    pub async fn somebody_else_leads(&self, than: VoterId) -> VoterNode {
        let mut metrics = self.raft.server_metrics();
        loop {
            let other = {
                let metrics = metrics.borrow_watched();
                let leader = metrics.current_leader.filter(|leader| *leader != than);
                leader.and_then(|id| metrics.membership_config.get_node(&id).cloned())
            };
            if let Some(other) = other {
                return other;
            }
            if metrics.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Which voter this is.
    #[must_use]
    pub fn voter(&self) -> VoterId {
        self.voter
    }

    pub(crate) fn heard(&self) -> &Heard<R> {
        &self.heard
    }

    pub(crate) fn ledger(&self) -> &Ledger<R> {
        &self.ledger
    }

    pub(crate) fn raft(&self) -> &Raft<R> {
        &self.raft
    }

    pub(crate) fn give_up(&self, reason: String) {
        self.given_up
            .send_if_modified(|given_up| given_up.is_none() && given_up.replace(reason).is_none());
    }

    /// Waits until this voter can't go on, and yields why.
    pub async fn failed(&self) -> String {
        let mut given_up = self.given_up.subscribe();
        let given_up = async {
            match given_up.wait_for(Option::is_some).await {
                Ok(reason) => reason.clone().unwrap_or_default(),
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            reason = given_up => reason,
            reason = self.died() => reason,
        }
    }

    async fn died(&self) -> String {
        let mut metrics = self.raft.metrics();
        loop {
            if let Err(error) = &metrics.borrow_watched().running_state {
                return error.to_string();
            }
            if metrics.changed().await.is_err() {
                return "it ended".to_owned();
            }
        }
    }

    /// Why nothing is being written at the moment; none: all is well.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        self.journal.complaint()
    }

    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// A voter without others needs nobody's consent, and nobody needs to wait for its patience: on
    /// return it leads, and its state is all that it ever acknowledged.
    async fn lead_alone(&self) {
        if self.raft.trigger().elect(false).await.is_err() {
            return;
        }
        let won = self.raft.wait(Some(ALONE_TIMEOUT));
        let _ = won.current_leader(self.voter, "a lone voter leads").await;
        if let Err(error) = self.confirmed().await {
            tracing::warn!(%error, "this voter does not lead yet");
        }
    }
}

impl<R: AsyncRuntime> Clone for Replica<R> {
    fn clone(&self) -> Self {
        Self {
            raft: self.raft.clone(),
            voter: self.voter,
            proposals: self.proposals.clone(),
            state: self.state.clone(),
            journal: self.journal.clone(),
            heard: self.heard.clone(),
            ledger: self.ledger.clone(),
            given_up: self.given_up.clone(),
        }
    }
}

impl<R: AsyncRuntime> std::fmt::Debug for Replica<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Replica({})", self.voter)
    }
}

/// The leader that a voter knows of.
pub(crate) fn leader_of<R: AsyncRuntime>(raft: &Raft<R>) -> Option<VoterNode> {
    let metrics = raft.server_metrics();
    let metrics = metrics.borrow_watched();
    let leader = metrics.current_leader?;
    metrics.membership_config.get_node(&leader).cloned()
}

/// After each checkpoint the state is kept and the log before it may go.
async fn keep_checkpoints<R: AsyncRuntime>(raft: Raft<R>, mut passed: watch::Receiver<u64>) {
    while passed.changed().await.is_ok() {
        if raft.trigger().snapshot().await.is_err() {
            return;
        }
    }
}

fn describe_leader(leader: Option<&VoterNode>) -> String {
    match leader {
        Some(leader) => format!("the voter `{}` leads", leader.name),
        None => "no voter leads just now".to_owned(),
    }
}
