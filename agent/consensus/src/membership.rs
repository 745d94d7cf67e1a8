//! Who votes: what a voter knows of the others, and the steps by which that changes.
//!
//! Which step is next is for `hanse-core` to say. A change of voters is itself an entry of the
//! log, so nothing here can leave two majorities behind (joint consensus).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::errors::{ClientWriteError, RaftError};
use openraft::{AsyncRuntime, ChangeMembers, Instant as _};

use crate::replica::{ProposeError, Raft, Replica, leader_of};
use crate::types::{VoterId, VoterNode};

/// How long a change of voters may take.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a voter that stops waits for another one to lead.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(2);

/// What a voter knows of all voters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// Which voter this is.
    pub voter: VoterId,
    /// Which voter leads.
    pub leader: Option<VoterId>,
    /// The election that it won.
    pub term: u64,
    /// The last entry of this voter's log.
    pub last_index: u64,
    /// The last entry that this voter applied.
    pub applied_index: u64,
    /// Whether a change of voters was begun and not ended: majorities of two lists are needed.
    pub is_joint: bool,
    /// The voters, and those that learn to become one.
    pub members: BTreeMap<VoterId, Member>,
}

/// One of the voters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who it is and where.
    pub node: VoterNode,
    /// Whether it votes; else it learns.
    pub is_voter: bool,
    /// The last entry that it is known to have; only the leader knows.
    pub matched_index: Option<u64>,
    /// For how long the leader has not heard from it; only the leader knows.
    pub silent_for: Option<Duration>,
}

impl<R: AsyncRuntime> Replica<R> {
    /// What this voter knows of all voters.
    #[must_use]
    pub fn survey(&self) -> Survey {
        let metrics = self.raft().metrics();
        let metrics = metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        let voters: BTreeSet<VoterId> = membership.voter_ids().collect();
        let leads = metrics.current_leader == Some(metrics.id);
        let last_index = metrics.last_log_index.unwrap_or(0);
        let member = |id: &VoterId, node: &VoterNode| {
            let is_self = *id == metrics.id;
            let matched = metrics.replication.as_ref().and_then(|all| all.get(id));
            let heard = metrics.heartbeat.as_ref().and_then(|all| all.get(id));
            let heard = heard.and_then(|at| at.as_ref()).map(|at| at.elapsed());
            Member {
                node: node.clone(),
                is_voter: voters.contains(id),
                matched_index: match is_self {
                    true => Some(last_index),
                    false => matched.and_then(|at| at.as_ref()).map(|at| at.index),
                },
                silent_for: if is_self {
                    leads.then_some(Duration::ZERO)
                } else {
                    heard
                },
            }
        };
        Survey {
            voter: metrics.id,
            leader: metrics.current_leader,
            term: metrics.current_term,
            last_index,
            applied_index: metrics.last_applied.map_or(0, |applied| applied.index),
            is_joint: membership.get_joint_config().len() > 1,
            members: membership
                .nodes()
                .map(|(id, node)| (*id, member(id, node)))
                .collect(),
        }
    }

    /// Sends the log to one more, which does not vote yet.
    pub async fn add_learner(&self, id: VoterId, node: VoterNode) -> Result<(), ProposeError> {
        let change = ChangeMembers::AddNodes(BTreeMap::from([(id, node)]));
        self.change(change).await
    }

    /// Lets a learner vote.
    pub async fn promote(&self, id: VoterId) -> Result<(), ProposeError> {
        self.change(ChangeMembers::AddVoterIds(BTreeSet::from([id])))
            .await
    }

    /// Ends a change of voters that was begun and not ended, by this voter or by one before it.
    pub async fn settle(&self) -> Result<(), ProposeError> {
        // One that was taken out leads on until that is certain, and then steps down. Before it does,
        // the library takes a change by it for a mistake in its own state, and gives up.
        if !self.survey().members.contains_key(&self.voter()) {
            return Err(ProposeError::NotLeader(None));
        }
        self.submit(ChangeMembers::AddVoterIds(BTreeSet::new()))
            .await
    }

    /// Takes one out, voter or learner. A leader that takes itself out hands over first.
    pub async fn remove(&self, id: VoterId) -> Result<(), ProposeError> {
        let ids = BTreeSet::from([id]);
        let is_voter = self.raft().voter_ids().any(|voter| voter == id);
        let change = match is_voter {
            // Whoever votes no more is no learner either: the library keeps none.
            true => ChangeMembers::RemoveVoters(ids),
            false => ChangeMembers::RemoveNodes(ids),
        };
        self.change(change).await
    }

    /// Has another voter lead, if this one does and there is one that has the whole log. Yields
    /// whether this voter leads no more.
    pub async fn hand_over(&self) -> bool {
        let Some(heir) = self.heir() else {
            return !self.is_leader();
        };
        if self.raft().trigger().transfer_leader(heir).await.is_err() {
            return true;
        }
        let own = self.voter();
        let mut metrics = self.raft().server_metrics();
        let handed_over = R::timeout(TRANSFER_TIMEOUT, async {
            while metrics.borrow_watched().current_leader == Some(own) {
                if metrics.changed().await.is_err() {
                    return;
                }
            }
        });
        handed_over.await.is_ok()
    }

    /// Has another voter lead, if this one does and is not alone: before it stops, and while the others
    /// still reach it, from which it hears who leads.
    pub async fn step_aside(&self) {
        let is_alone = self.survey().members.len() < 2;
        if !is_alone && self.is_leader() && !self.hand_over().await {
            tracing::info!("no other voter could take over; they will elect one");
        }
    }

    /// Takes part no more, after stepping aside. On return the file is closed.
    pub async fn stop(&self) {
        self.step_aside().await;
        self.abandon().await;
    }

    /// Takes part no more, at once. On return the file is closed.
    pub async fn abandon(&self) {
        let _ = self.raft().shutdown().await;
        self.journal().close().await;
    }

    /// The voter that is the least behind and was heard of lately. Of several, each has its turn: the next
    /// by its id.
    fn heir(&self) -> Option<VoterId> {
        let survey = self.survey();
        if survey.leader != Some(survey.voter) {
            return None;
        }
        let others = survey.members.iter().filter(|(id, member)| {
            **id != survey.voter && member.is_voter && member.silent_for.is_some()
        });
        let heir = others.max_by_key(|(id, member)| {
            let silent_s = member.silent_for.map(|silent| silent.as_secs());
            let turn = (**id > survey.voter, Reverse(**id));
            (member.matched_index, Reverse(silent_s), turn)
        });
        heir.map(|(id, _)| *id)
    }

    /// Makes a change where none is under way. On top of one the library would make both in one, and
    /// go on even if that takes out the leader by which it does.
    async fn change(&self, change: ChangeMembers<VoterId, VoterNode>) -> Result<(), ProposeError> {
        if self.survey().is_joint {
            return Err(ProposeError::Failed(
                "another change of the voters is under way".to_owned(),
            ));
        }
        self.submit(change).await
    }

    async fn submit(&self, change: ChangeMembers<VoterId, VoterNode>) -> Result<(), ProposeError> {
        let raft: &Raft<R> = self.raft();
        let changed = R::timeout(CHANGE_TIMEOUT, raft.change_membership(change, false)).await;
        match changed {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_)))) => {
                Err(ProposeError::NotLeader(leader_of(raft)))
            }
            Ok(Err(error)) => Err(ProposeError::Failed(error.to_string())),
            Err(_) => Err(ProposeError::Failed(
                "no majority of the voters took the change in time".to_owned(),
            )),
        }
    }
}
