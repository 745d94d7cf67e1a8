//! Which nodes are to be voters: how a node becomes one after it was enrolled, and how one ends.
//!
//! A node is called, gets ready, and votes once it has learned. A voter is dismissed, the others'
//! list goes on without it, and then it is a node like any other. Each time it becomes a voter it
//! is another one: what it forgot in between, nobody counts on.

use serde::{Deserialize, Serialize};

use crate::endpoint::Endpoint;
use crate::inventory::NodeRecord;
use crate::name::NodeName;
use crate::secret::{SealedSecret, SealingKey};

/// What is to become of a node's vote, beside whether it has one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// The revision at which it became a voter; 0: when it was enrolled.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub since_revision: u64,
    /// Where it was told to listen; none: it said so itself when it was enrolled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<Endpoint>,
    /// What is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
}

/// A change of a node's vote that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pending {
    /// It is to become a voter, once it says that it is ready.
    Called {
        /// Where it shall listen.
        listen: Endpoint,
        /// Where others will reach it.
        advertise: Endpoint,
    },
    /// It is to end being one, once the voters' list is without it.
    Dismissed,
}

/// What somebody wants of a node's vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VoteRequest {
    /// A node is to become a voter.
    Call {
        /// The node.
        node: NodeName,
        /// Where it shall listen.
        listen: Endpoint,
        /// Where others will reach it.
        advertise: Endpoint,
    },
    /// A node that was called is ready.
    Answer {
        /// The node.
        node: NodeName,
        /// For which secrets are sealed to it.
        sealing_key: SealingKey,
        /// The secrets that it is entitled to, sealed to it.
        boxes: Vec<SealedSecret>,
    },
    /// A voter is to end being one.
    Dismiss {
        /// The node.
        node: NodeName,
        /// Even if a DR plan loses the quorum for its automatic failover by it.
        by_force: bool,
    },
    /// The voters' list is without a node that was dismissed.
    Release {
        /// The node.
        node: NodeName,
    },
}

/// What was decided of a node's vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VoteChange {
    /// A node is to become a voter.
    Called {
        /// The node.
        node: NodeName,
        /// Where it shall listen.
        listen: Endpoint,
        /// Where others will reach it.
        advertise: Endpoint,
    },
    /// A node is a voter from now on.
    Granted {
        /// The node.
        node: NodeName,
        /// Where it listens.
        listen: Endpoint,
        /// Where others reach it.
        advertise: Endpoint,
        /// For which secrets are sealed to it.
        sealing_key: SealingKey,
        /// The secrets that it is entitled to, sealed to it.
        boxes: Vec<SealedSecret>,
    },
    /// A voter is to end being one.
    Dismissed {
        /// The node.
        node: NodeName,
    },
    /// A node is no voter any more, or is called to be one no more.
    Ended {
        /// The node.
        node: NodeName,
    },
}

/// What a node is to the voters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Duty {
    /// It follows, like most.
    Follow,
    /// It is to become a voter, and to listen there.
    Answer {
        /// Where it shall listen.
        listen: Endpoint,
    },
    /// It is a voter, known by that number.
    Vote {
        /// The revision at which it became one.
        id: u64,
        /// Where it was told to listen; none: it said so itself.
        listen: Option<Endpoint>,
    },
}

impl VoteChange {
    /// Whose vote changes.
    #[must_use]
    pub fn node(&self) -> &NodeName {
        match self {
            Self::Called { node, .. }
            | Self::Granted { node, .. }
            | Self::Dismissed { node }
            | Self::Ended { node } => node,
        }
    }

    /// Puts the change in effect, at a revision.
    pub(crate) fn apply(&self, record: &mut NodeRecord, revision: u64) {
        match self {
            Self::Called {
                listen, advertise, ..
            } => {
                let (listen, advertise) = (listen.clone(), advertise.clone());
                record.vote.pending = Some(Pending::Called { listen, advertise });
            }
            Self::Granted {
                listen,
                advertise,
                sealing_key,
                ..
            } => {
                record.voter = true;
                record.advertise = Some(advertise.clone());
                record.sealing_key = Some(*sealing_key);
                record.vote = Vote {
                    since_revision: revision,
                    listen: Some(listen.clone()),
                    pending: None,
                };
            }
            Self::Dismissed { .. } => record.vote.pending = Some(Pending::Dismissed),
            Self::Ended { .. } => {
                record.voter = false;
                record.advertise = None;
                record.sealing_key = None;
                record.vote = Vote::default();
            }
        }
    }
}

impl Vote {
    /// Whether there is nothing to say of it.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl NodeRecord {
    /// The number by which consensus knows this node as a voter: another one each time it becomes
    /// one.
    #[must_use]
    pub fn voter_id(&self) -> u64 {
        match self.vote.since_revision {
            0 => self.enrolled_revision,
            revision => revision,
        }
    }

    /// Whether the voters' list shall contain it.
    #[must_use]
    pub fn shall_vote(&self) -> bool {
        self.voter && self.vote.pending != Some(Pending::Dismissed)
    }

    /// What it is to the voters.
    #[must_use]
    pub fn duty(&self) -> Duty {
        match (&self.vote.pending, self.voter) {
            (_, true) => Duty::Vote {
                id: self.voter_id(),
                listen: self.vote.listen.clone(),
            },
            (Some(Pending::Called { listen, .. }), false) => Duty::Answer {
                listen: listen.clone(),
            },
            (Some(Pending::Dismissed) | None, false) => Duty::Follow,
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero(revision: &u64) -> bool {
    *revision == 0
}
