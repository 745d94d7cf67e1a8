//! Between voters: whoever uses this crate carries bytes, and this makes questions of them.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hanse_core::level::FeatureLevel;
use hanse_core::state::FederationState;
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::network::RPCOption;
use openraft::network::v2::RaftNetworkV2;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{AnyError, AsyncRuntime, OptionalSend, RPCTypes, RaftNetworkFactory};

use crate::form::SnapshotForm;
use crate::machine::Snapshot;
use crate::message::{Address, Answer, Candidacy, Question, QuestionContent, append_request};
use crate::record::{self, RecordError};
use crate::replica::{Raft, Replica};
use crate::types::{SnapshotMeta, Types, Vote, VoterId, VoterNode};

/// A slow link carries at least so much, so larger questions get more time.
const BYTES_PER_SECOND_MIN: u64 = 64 << 10;

/// Carries questions to other voters and brings their answers.
pub trait Wire: Clone + Send + Sync + 'static {
    /// Asks a voter and waits for so long.
    fn ask(
        &self,
        to: VoterId,
        node: &VoterNode,
        question: Vec<u8>,
        patience: Duration,
    ) -> impl Future<Output = Result<Vec<u8>, WireError>> + Send;
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The other can't be reached.
    #[error("{0}")]
    Unreachable(String),
    /// The other did not answer in time.
    #[error("no answer in time")]
    Late,
}

/// Ways to all voters.
#[derive(Debug, Clone)]
pub(crate) struct Ways<W> {
    pub(crate) own: VoterId,
    pub(crate) wire: W,
}

/// The way to one voter.
#[derive(Debug)]
pub(crate) struct Way<W> {
    own: VoterId,
    to: VoterId,
    node: VoterNode,
    wire: W,
}

impl<R: AsyncRuntime> Replica<R> {
    /// Answers another voter, which whoever calls this has authenticated.
    pub async fn answer(&self, question: &[u8]) -> Vec<u8> {
        let answer = match record::decode::<Question>(question) {
            Ok(Question { to, content, .. }) if to == self.voter() => answer(self.raft(), content)
                .await
                .unwrap_or_else(Answer::Refused),
            Ok(Question { to, .. }) => {
                let own = self.voter();
                Answer::Refused(format!("this is voter {own} and not {to}"))
            }
            Err(RecordError::Newer(level)) => Answer::Refused(self.outgrown(question, level)),
            Err(error) => Answer::Refused(error.to_string()),
        };
        self.heard().note(&answer);
        record::encode(&answer).unwrap_or_default()
    }

    /// The federation went on to a level that this program doesn't know: it takes nothing that it
    /// would only half understand, and stops. What it has stays as it is.
    fn outgrown(&self, question: &[u8], level: FeatureLevel) -> String {
        let address = record::peek::<Address>(question).ok();
        let program = address.as_ref().map(|address| address.program.as_str());
        let too_new = record::too_new(level, program.filter(|program| !program.is_empty()));
        let reason = format!("the federation is at {too_new}");
        if address.is_some_and(|address| address.to == self.voter()) {
            self.give_up(reason.clone());
        }
        reason
    }
}

async fn answer<R: AsyncRuntime>(
    raft: &Raft<R>,
    content: QuestionContent,
) -> Result<Answer, String> {
    let fail = |error: &dyn std::fmt::Display| error.to_string();
    match content {
        QuestionContent::Append {
            vote,
            previous,
            entries,
            committed,
        } => {
            let request = append_request(vote, previous, entries, committed);
            let request = request.map_err(|error| fail(&error))?;
            let response = raft.append_entries(request).await;
            response.map(Answer::appended).map_err(|error| fail(&error))
        }
        QuestionContent::Vote(candidacy) => {
            let response = raft.vote(candidacy.request()).await;
            response.map(Answer::voted).map_err(|error| fail(&error))
        }
        QuestionContent::PreVote(candidacy) => {
            let response = raft.pre_vote(candidacy.request()).await;
            response.map(Answer::voted).map_err(|error| fail(&error))
        }
        QuestionContent::Snapshot { vote, form, state } => {
            let meta = SnapshotMeta::try_from(form).map_err(|error| fail(&error))?;
            let snapshot = Snapshot {
                meta,
                snapshot: state,
            };
            let response = raft.install_full_snapshot(vote.into(), snapshot).await;
            let response = response.map_err(|error| fail(&error))?;
            Ok(Answer::Snapshot(response.vote.into()))
        }
        QuestionContent::Transfer { vote, last_log_id } => {
            let to = *raft.node_id();
            let last_log_id = last_log_id.map(Into::into);
            let request = TransferLeaderRequest::new(vote.into(), to, last_log_id);
            let response = raft.handle_transfer_leader(request).await;
            response
                .map(Answer::transferred)
                .map_err(|error| fail(&error))
        }
    }
}

impl<W: Wire> Way<W> {
    async fn ask<R: AsyncRuntime>(
        &self,
        kind: RPCTypes,
        content: QuestionContent,
        patience: Duration,
    ) -> Result<Answer, RPCError<Types<R>>> {
        let unreachable = |reason: String| unreachable::<R>(reason);
        let to = self.to;
        let question = record::encode(&Question::new(to, content));
        let question = question.map_err(|error| unreachable(error.to_string()))?;
        let patience = patience + Duration::from_secs(question.len() as u64 / BYTES_PER_SECOND_MIN);
        let answer = self.wire.ask(to, &self.node, question, patience).await;
        let answer = answer.map_err(|error| match error {
            WireError::Unreachable(reason) => unreachable(reason),
            WireError::Late => RPCError::Timeout(Timeout {
                action: kind,
                id: self.own,
                target: to,
                timeout: patience,
            }),
        })?;
        record::decode(&answer).map_err(|error| unreachable(error.to_string()))
    }
}

fn unreachable<R: AsyncRuntime>(reason: String) -> RPCError<Types<R>> {
    RPCError::Unreachable(Unreachable::new(&AnyError::error(reason)))
}

impl<R: AsyncRuntime, W: Wire> RaftNetworkFactory<Types<R>> for Ways<W> {
    type Network = Way<W>;

    async fn new_client(&mut self, target: VoterId, node: &VoterNode) -> Way<W> {
        Way {
            own: self.own,
            to: target,
            node: node.clone(),
            wire: self.wire.clone(),
        }
    }
}

impl<R: AsyncRuntime, W: Wire> RaftNetworkV2<Types<R>> for Way<W> {
    type SnapshotData = Arc<FederationState>;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types<R>>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types<R>>, RPCError<Types<R>>> {
        let content = QuestionContent::append(&request);
        let kind = RPCTypes::AppendEntries;
        let answer = self.ask::<R>(kind, content, option.soft_ttl()).await?;
        answer.append_response().map_err(unreachable)
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types<R>>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types<R>>, RPCError<Types<R>>> {
        let content = QuestionContent::Vote(Candidacy::new(&request));
        let answer = self
            .ask::<R>(RPCTypes::Vote, content, option.soft_ttl())
            .await?;
        answer.vote_response().map_err(unreachable)
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types<R>>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types<R>>, RPCError<Types<R>>> {
        let content = QuestionContent::PreVote(Candidacy::new(&request));
        let answer = self
            .ask::<R>(RPCTypes::Vote, content, option.soft_ttl())
            .await?;
        answer.vote_response().map_err(unreachable)
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<Types<R>>, StreamingError<Types<R>>> {
        let content = QuestionContent::Snapshot {
            vote: vote.into(),
            form: SnapshotForm::from(&snapshot.meta),
            state: snapshot.snapshot,
        };
        let kind = RPCTypes::InstallSnapshot;
        let answer = self.ask::<R>(kind, content, option.soft_ttl()).await;
        let answer = answer.map_err(|error| match error {
            RPCError::Timeout(timeout) => StreamingError::Timeout(timeout),
            other => StreamingError::Unreachable(Unreachable::new(&other)),
        })?;
        match answer {
            Answer::Snapshot(vote) => Ok(SnapshotResponse::new(vote.into())),
            other => {
                let reason = AnyError::error(other.misplaced());
                Err(StreamingError::Unreachable(Unreachable::new(&reason)))
            }
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types<R>>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types<R>>, RPCError<Types<R>>> {
        let content = QuestionContent::transfer(&request);
        let kind = RPCTypes::TransferLeader;
        let answer = self.ask::<R>(kind, content, option.soft_ttl()).await?;
        answer.transfer_response().map_err(unreachable)
    }
}
