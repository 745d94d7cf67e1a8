//! How Raft's own things are written, on the disk and between voters.
//!
//! Our own forms and not the library's, so that a newer library reads what an older one wrote.

use std::collections::{BTreeMap, BTreeSet};

use hanse_core::command::Batch;
use serde::{Deserialize, Serialize};

use crate::types::{
    Checkpoint, Decision, LeaderId, LogEntry, LogId, Membership, Payload, SnapshotMeta,
    StoredMembership, Vote, VoterId, VoterNode,
};

/// A place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogIdForm {
    /// The election.
    pub term: u64,
    /// Who won it.
    pub leader: VoterId,
    /// The place.
    pub index: u64,
}

/// A vote, given or won.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteForm {
    /// The election.
    pub term: u64,
    /// For whom.
    pub candidate: VoterId,
    /// Whether a majority gave it.
    pub won: bool,
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryForm {
    /// Its place.
    pub log_id: LogIdForm,
    /// What it holds.
    pub payload: PayloadForm,
}

/// What an entry holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayloadForm {
    /// Nothing: a leader's first entry.
    Blank,
    /// A change of the state.
    Batch(Batch),
    /// A comparison of states.
    Checkpoint {
        /// At which revision.
        revision: u64,
        /// SHA-256, hexadecimal.
        state_hash: String,
    },
    /// A change of the voters.
    Membership(MembershipForm),
}

/// Who votes and who learns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipForm {
    /// One set of voters; two while they change.
    pub voters: Vec<BTreeSet<VoterId>>,
    /// Voters and learners, with their places.
    pub nodes: BTreeMap<VoterId, NodeForm>,
}

/// Where a voter is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeForm {
    /// Its name.
    pub name: String,
    /// host:port of its API.
    pub endpoint: String,
}

/// What a snapshot says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotForm {
    /// The last entry that it contains; none: nothing happened yet.
    pub last_log_id: Option<LogIdForm>,
    /// The entry that the voters come from.
    pub membership_log_id: Option<LogIdForm>,
    /// The voters.
    pub membership: MembershipForm,
}

/// A form that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FormError(String);

impl From<LogId> for LogIdForm {
    fn from(log_id: LogId) -> Self {
        let leader = log_id.committed_leader_id();
        Self {
            term: leader.term,
            leader: leader.node_id,
            index: log_id.index(),
        }
    }
}

impl From<LogIdForm> for LogId {
    fn from(form: LogIdForm) -> Self {
        let LogIdForm {
            term,
            leader,
            index,
        } = form;
        let leader = LeaderId {
            term,
            node_id: leader,
        };
        Self::new(leader, index)
    }
}

impl From<Vote> for VoteForm {
    fn from(vote: Vote) -> Self {
        Self {
            term: vote.leader_id.term,
            candidate: vote.leader_id.node_id,
            won: vote.committed,
        }
    }
}

impl From<VoteForm> for Vote {
    fn from(form: VoteForm) -> Self {
        let VoteForm {
            term,
            candidate,
            won,
        } = form;
        if won {
            Self::new_committed(term, candidate)
        } else {
            Self::new(term, candidate)
        }
    }
}

impl From<&LogEntry> for EntryForm {
    fn from(entry: &LogEntry) -> Self {
        let payload = match &entry.payload {
            Payload::Blank => PayloadForm::Blank,
            Payload::Normal(Decision::Batch(batch)) => PayloadForm::Batch(batch.clone()),
            Payload::Normal(Decision::Checkpoint(checkpoint)) => PayloadForm::Checkpoint {
                revision: checkpoint.revision,
                state_hash: to_hexadecimal(&checkpoint.state_hash),
            },
            Payload::Membership(membership) => PayloadForm::Membership(membership.into()),
        };
        Self {
            log_id: entry.log_id.into(),
            payload,
        }
    }
}

impl TryFrom<EntryForm> for LogEntry {
    type Error = FormError;

    fn try_from(form: EntryForm) -> Result<Self, FormError> {
        let payload = match form.payload {
            PayloadForm::Blank => Payload::Blank,
            PayloadForm::Batch(batch) => Payload::Normal(Decision::Batch(batch)),
            PayloadForm::Checkpoint {
                revision,
                state_hash,
            } => Payload::Normal(Decision::Checkpoint(Checkpoint {
                revision,
                state_hash: from_hexadecimal(&state_hash)?,
            })),
            PayloadForm::Membership(membership) => Payload::Membership(membership.try_into()?),
        };
        Ok(Self {
            log_id: form.log_id.into(),
            payload,
        })
    }
}

impl From<&Membership> for MembershipForm {
    fn from(membership: &Membership) -> Self {
        let node = |node: &VoterNode| NodeForm {
            name: node.name.clone(),
            endpoint: node.endpoint.clone(),
        };
        Self {
            voters: membership.get_joint_config().clone(),
            nodes: membership.nodes().map(|(id, n)| (*id, node(n))).collect(),
        }
    }
}

impl TryFrom<MembershipForm> for Membership {
    type Error = FormError;

    fn try_from(form: MembershipForm) -> Result<Self, FormError> {
        let node = |node: NodeForm| VoterNode {
            name: node.name,
            endpoint: node.endpoint,
        };
        let nodes: BTreeMap<VoterId, VoterNode> = form
            .nodes
            .into_iter()
            .map(|(id, n)| (id, node(n)))
            .collect();
        if form.voters.is_empty() && nodes.is_empty() {
            return Ok(Self::default());
        }
        Self::new(form.voters, nodes).map_err(|error| FormError(error.to_string()))
    }
}

impl From<&SnapshotMeta> for SnapshotForm {
    fn from(meta: &SnapshotMeta) -> Self {
        Self {
            last_log_id: meta.last_log_id.map(LogIdForm::from),
            membership_log_id: meta.last_membership.log_id().map(LogIdForm::from),
            membership: meta.last_membership.membership().into(),
        }
    }
}

impl TryFrom<SnapshotForm> for SnapshotMeta {
    type Error = FormError;

    fn try_from(form: SnapshotForm) -> Result<Self, FormError> {
        let membership: Membership = form.membership.try_into()?;
        let log_id = form.membership_log_id.map(LogId::from);
        Ok(Self {
            last_log_id: form.last_log_id.map(LogId::from),
            last_membership: StoredMembership::new(log_id, membership),
        })
    }
}

fn to_hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hexadecimal(text: &str) -> Result<[u8; 32], FormError> {
    let wrong = || FormError(format!("`{text}` is no SHA-256"));
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return Err(wrong());
    }
    for (position, byte) in bytes.iter_mut().enumerate() {
        let digits = text.get(2 * position..2 * position + 2).ok_or_else(wrong)?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_id(index: u64) -> LogId {
        LogIdForm {
            term: 3,
            leader: 7,
            index,
        }
        .into()
    }

    #[test]
    fn every_entry_is_read_back_as_it_was_written() {
        let node = VoterNode {
            name: "home-1".into(),
            endpoint: "192.0.2.1:7443".into(),
        };
        let membership = Membership::new(
            vec![BTreeSet::from([1]), BTreeSet::from([1, 2])],
            BTreeMap::from([(1, node.clone()), (2, node.clone()), (3, node)]),
        )
        .unwrap();
        let batch = Batch {
            base_revision: 4,
            entries: Vec::new(),
            decided_in_term: None,
        };
        let checkpoint = Checkpoint {
            revision: 9,
            state_hash: std::array::from_fn(|position| position as u8 * 8),
        };
        let payloads = [
            Payload::Blank,
            Payload::Normal(Decision::Batch(batch)),
            Payload::Normal(Decision::Checkpoint(checkpoint)),
            Payload::Membership(membership),
        ];
        for payload in payloads {
            let entry = LogEntry {
                log_id: log_id(5),
                payload,
            };
            let text = serde_json::to_string(&EntryForm::from(&entry)).unwrap();
            let form: EntryForm = serde_json::from_str(&text).unwrap();
            assert_eq!(LogEntry::try_from(form).unwrap(), entry, "{text}");
        }
    }

    #[test]
    fn votes_keep_whether_they_were_won() {
        for vote in [Vote::new(1, 2), Vote::new_committed(3, 4)] {
            assert_eq!(Vote::from(VoteForm::from(vote)), vote);
        }
    }

    #[test]
    fn voters_without_a_place_are_refused() {
        let form = MembershipForm {
            voters: vec![BTreeSet::from([1])],
            nodes: BTreeMap::new(),
        };
        assert!(Membership::try_from(form).is_err());
        let form = EntryForm {
            log_id: log_id(1).into(),
            payload: PayloadForm::Checkpoint {
                revision: 1,
                state_hash: "ä".repeat(32),
            },
        };
        assert!(LogEntry::try_from(form).is_err());
    }
}
