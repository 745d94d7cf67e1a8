//! What Raft is told about our entries, names and clock.
//!
//! Everything is generic over one thing, the runtime, so that the very code that runs on tokio
//! also runs on virtual time in the simulation.

use std::cmp::Ordering;
use std::fmt;
use std::marker::PhantomData;

use hanse_core::command::{Batch, Outcome};
use openraft::{AsyncRuntime, RaftTypeConfig};

/// Tells voters apart: the revision at which a node was enrolled, so never given twice.
pub type VoterId = u64;
/// One per election and winner.
pub type LeaderId = openraft::impls::leader_id_adv::LeaderId<u64, VoterId>;
/// A place in the log.
pub type LogId = openraft::LogId<LeaderId>;
/// A vote, given or won.
pub type Vote = openraft::Vote<LeaderId>;
/// What an entry of the log holds.
pub type Payload = openraft::EntryPayload<Decision, VoterId, VoterNode>;
/// One entry of the log.
pub type LogEntry = openraft::Entry<LeaderId, Payload>;
/// Who votes and who learns.
pub type Membership = openraft::Membership<VoterId, VoterNode>;
/// The same, with the entry that it came from.
pub type StoredMembership = openraft::StoredMembership<LeaderId, VoterId, VoterNode>;
/// What a snapshot says about itself.
pub type SnapshotMeta = openraft::SnapshotMeta<LeaderId, VoterId, VoterNode>;

/// What voters agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Change the state.
    Batch(Batch),
    /// Compare the state, then keep it as a snapshot.
    Checkpoint(Checkpoint),
}

/// What the leader's state was at a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// The revision.
    pub revision: u64,
    /// SHA-256 of the state as it is written.
    pub state_hash: [u8; 32],
}

/// Where a voter is, as the voters' own list has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VoterNode {
    /// Its name.
    pub name: String,
    /// host:port of its API.
    pub endpoint: String,
}

/// The types of our Raft on a runtime.
pub struct Types<R>(PhantomData<fn() -> R>);

impl<R: AsyncRuntime> RaftTypeConfig for Types<R> {
    type D = Decision;
    type R = Outcome;
    type NodeId = VoterId;
    type Node = VoterNode;
    type Term = u64;
    type LeaderId = LeaderId;
    type Vote = Vote;
    type Payload = Payload;
    type Entry = LogEntry;
    type AsyncRuntime = R;
    type Responder<T>
        = openraft::impls::OneshotResponder<Self, T>
    where
        T: openraft::OptionalSend + 'static;
    type Batch<T>
        = openraft::impls::InlineBatch<T>
    where
        T: openraft::OptionalSend + 'static;
    type ErrorSource = openraft::impls::BoxedErrorSource;
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Batch(batch) => {
                let Batch {
                    base_revision,
                    entries,
                    decided_in_term: _,
                } = batch;
                write!(f, "{} entries on {base_revision}", entries.len())
            }
            Self::Checkpoint(checkpoint) => write!(f, "checkpoint at {}", checkpoint.revision),
        }
    }
}

impl fmt::Display for VoterNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.name, self.endpoint)
    }
}

// Derived implementations would ask the same of the runtime, which is only a name here.

impl<R> fmt::Debug for Types<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Types")
    }
}

impl<R> Clone for Types<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Types<R> {}

impl<R> Default for Types<R> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<R> PartialEq for Types<R> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<R> Eq for Types<R> {}

impl<R> PartialOrd for Types<R> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<R> Ord for Types<R> {
    fn cmp(&self, _: &Self) -> Ordering {
        Ordering::Equal
    }
}
