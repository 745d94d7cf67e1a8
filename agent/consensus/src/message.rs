//! What voters say to one another, as it is sent: a record, with a version and a checksum.

use std::sync::Arc;

use hanse_core::level::{FeatureLevel, PROGRAM_VERSION};
use hanse_core::state::FederationState;
use openraft::AsyncRuntime;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderError, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use serde::{Deserialize, Serialize};

use crate::form::{EntryForm, FormError, LogIdForm, SnapshotForm, VoteForm};
use crate::record::Record;
use crate::types::{LogEntry, LogId, Types, Vote, VoterId};

/// What one voter asks another.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Question {
    /// Whom it is for. An address may have changed hands: nobody else may answer.
    pub to: VoterId,
    /// Which version asks; empty: one that did not say.
    #[serde(default)]
    pub program: String,
    /// What is asked.
    pub content: QuestionContent,
}

/// What every version says alike about a question.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Address {
    pub(crate) to: VoterId,
    #[serde(default)]
    pub(crate) program: String,
}

/// What is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuestionContent {
    /// Take these entries; without any it is a sign of life.
    Append {
        /// Who leads.
        vote: VoteForm,
        /// The entry before the first.
        previous: Option<LogIdForm>,
        /// The entries.
        entries: Vec<EntryForm>,
        /// The last entry that a majority has.
        committed: Option<LogIdForm>,
    },
    /// Vote for me.
    Vote(Candidacy),
    /// Would you vote for me?
    PreVote(Candidacy),
    /// Take this state instead of the log before it.
    Snapshot {
        /// Who leads.
        vote: VoteForm,
        /// At which entry.
        form: SnapshotForm,
        /// The state.
        state: Arc<FederationState>,
    },
    /// Lead in my place.
    Transfer {
        /// Who leads until then.
        vote: VoteForm,
        /// The last entry that the heir must have.
        last_log_id: Option<LogIdForm>,
    },
}

/// Why somebody should be voted for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Candidacy {
    /// For whom, in which election.
    pub vote: VoteForm,
    /// The candidate's last entry.
    pub last_log_id: Option<LogIdForm>,
    /// Whether the leader asked for this election.
    pub is_transfer: bool,
}

/// What the other answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// All entries were taken.
    Appended,
    /// Entries up to this one were taken.
    AppendedUntil(Option<LogIdForm>),
    /// The entry before the first is another one here.
    Conflict,
    /// Somebody else leads.
    HigherVote(VoteForm),
    /// On a candidacy.
    Vote {
        /// The vote here.
        vote: VoteForm,
        /// Whether it was given.
        is_granted: bool,
        /// The last entry here.
        last_log_id: Option<LogIdForm>,
    },
    /// The state was taken, or this vote stands in its way.
    Snapshot(VoteForm),
    /// It will try to lead.
    TransferAccepted,
    /// Another vote stands in its way.
    TransferVoteChanged {
        /// Whose transfer it was.
        expected: VoteForm,
        /// The vote here.
        actual: VoteForm,
    },
    /// It does not have the log yet.
    TransferTooEarly {
        /// The last entry that it should have.
        expected: Option<LogIdForm>,
        /// The last one that it has.
        actual: Option<LogIdForm>,
    },
    /// The question was for another voter, or can't be answered just now.
    Refused(String),
}

impl Question {
    pub(crate) fn new(to: VoterId, content: QuestionContent) -> Self {
        Self {
            to,
            program: PROGRAM_VERSION.to_owned(),
            content,
        }
    }
}

impl Record for Question {
    fn level(&self) -> FeatureLevel {
        match &self.content {
            QuestionContent::Append { entries, .. } => {
                entries.iter().map(Record::level).max().unwrap_or_default()
            }
            QuestionContent::Snapshot { state, .. } => state.level(),
            QuestionContent::Vote(_)
            | QuestionContent::PreVote(_)
            | QuestionContent::Transfer { .. } => FeatureLevel::FIRST,
        }
    }
}

impl Record for Answer {}

impl QuestionContent {
    pub(crate) fn append<R: AsyncRuntime>(request: &AppendEntriesRequest<Types<R>>) -> Self {
        Self::Append {
            vote: request.vote.into(),
            previous: request.prev_log_id.map(LogIdForm::from),
            entries: request.entries.iter().map(EntryForm::from).collect(),
            committed: request.leader_commit.map(LogIdForm::from),
        }
    }

    pub(crate) fn transfer<R: AsyncRuntime>(request: &TransferLeaderRequest<Types<R>>) -> Self {
        Self::Transfer {
            vote: (*request.from_leader()).into(),
            last_log_id: request.last_log_id().copied().map(LogIdForm::from),
        }
    }
}

impl Candidacy {
    pub(crate) fn new<R: AsyncRuntime>(request: &VoteRequest<Types<R>>) -> Self {
        Self {
            vote: request.vote.into(),
            last_log_id: request.last_log_id.map(LogIdForm::from),
            is_transfer: request.leadership_transfer,
        }
    }

    pub(crate) fn request<R: AsyncRuntime>(self) -> VoteRequest<Types<R>> {
        VoteRequest {
            vote: self.vote.into(),
            last_log_id: self.last_log_id.map(LogId::from),
            leadership_transfer: self.is_transfer,
        }
    }
}

/// The request that a question to append stands for.
pub(crate) fn append_request<R: AsyncRuntime>(
    vote: VoteForm,
    previous: Option<LogIdForm>,
    entries: Vec<EntryForm>,
    committed: Option<LogIdForm>,
) -> Result<AppendEntriesRequest<Types<R>>, FormError> {
    let entries: Result<Vec<LogEntry>, FormError> =
        entries.into_iter().map(LogEntry::try_from).collect();
    Ok(AppendEntriesRequest {
        vote: vote.into(),
        prev_log_id: previous.map(LogId::from),
        entries: entries?,
        leader_commit: committed.map(LogId::from),
    })
}

impl Answer {
    pub(crate) fn appended<R: AsyncRuntime>(response: AppendEntriesResponse<Types<R>>) -> Self {
        match response {
            AppendEntriesResponse::Success => Self::Appended,
            AppendEntriesResponse::PartialSuccess(until) => {
                Self::AppendedUntil(until.map(LogIdForm::from))
            }
            AppendEntriesResponse::Conflict => Self::Conflict,
            AppendEntriesResponse::HigherVote(vote) => Self::HigherVote(vote.into()),
        }
    }

    pub(crate) fn append_response<R: AsyncRuntime>(
        self,
    ) -> Result<AppendEntriesResponse<Types<R>>, String> {
        match self {
            Self::Appended => Ok(AppendEntriesResponse::Success),
            Self::AppendedUntil(until) => Ok(AppendEntriesResponse::PartialSuccess(
                until.map(LogId::from),
            )),
            Self::Conflict => Ok(AppendEntriesResponse::Conflict),
            Self::HigherVote(vote) => Ok(AppendEntriesResponse::HigherVote(vote.into())),
            other => Err(other.misplaced()),
        }
    }

    pub(crate) fn voted<R: AsyncRuntime>(response: VoteResponse<Types<R>>) -> Self {
        Self::Vote {
            vote: response.vote.into(),
            is_granted: response.vote_granted,
            last_log_id: response.last_log_id.map(LogIdForm::from),
        }
    }

    pub(crate) fn vote_response<R: AsyncRuntime>(self) -> Result<VoteResponse<Types<R>>, String> {
        match self {
            Self::Vote {
                vote,
                is_granted,
                last_log_id,
            } => Ok(VoteResponse {
                vote: vote.into(),
                vote_granted: is_granted,
                last_log_id: last_log_id.map(LogId::from),
            }),
            other => Err(other.misplaced()),
        }
    }

    pub(crate) fn transferred<R: AsyncRuntime>(response: TransferLeaderResponse<Types<R>>) -> Self {
        match response {
            Ok(()) => Self::TransferAccepted,
            Err(TransferLeaderError::VoteChanged { expected, actual }) => {
                Self::TransferVoteChanged {
                    expected: expected.into(),
                    actual: actual.into(),
                }
            }
            Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
                Self::TransferTooEarly {
                    expected: expected.map(LogIdForm::from),
                    actual: actual.map(LogIdForm::from),
                }
            }
        }
    }

    pub(crate) fn transfer_response<R: AsyncRuntime>(
        self,
    ) -> Result<TransferLeaderResponse<Types<R>>, String> {
        match self {
            Self::TransferAccepted => Ok(Ok(())),
            Self::TransferVoteChanged { expected, actual } => {
                Ok(Err(TransferLeaderError::VoteChanged {
                    expected: Vote::from(expected),
                    actual: Vote::from(actual),
                }))
            }
            Self::TransferTooEarly { expected, actual } => {
                Ok(Err(TransferLeaderError::LogNotFlushed {
                    expected: expected.map(LogId::from),
                    actual: actual.map(LogId::from),
                }))
            }
            other => Err(other.misplaced()),
        }
    }

    /// Why this can't be the answer to what was asked.
    pub(crate) fn misplaced(self) -> String {
        match self {
            Self::Refused(reason) => reason,
            other => format!("the answer does not fit the question: {other:?}"),
        }
    }
}
