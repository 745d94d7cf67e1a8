//! What is asked of the federation, and what is committed.
//!
//! A [`Request`] is what somebody wants. A [`Command`] is what the leader decided: it carries
//! effects (the very addresses that it chose), so that voters of different versions that replay
//! it arrive at the same state.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::authority::{AuthorityChange, AuthorityRequest};
use crate::dr::change::PlanChange;
use crate::endpoint::Endpoint;
use crate::health::Health;
use crate::identities::{IdentityKey, RevokedUser};
use crate::key::PublicKey;
use crate::lease::{LeaseChange, LeaseRequest};
use crate::level::FeatureLevel;
use crate::name::{ClusterName, MeshName, NodeName, PlanName};
use crate::object::{Object, ObjectRef};
use crate::recollection::PastChange;
use crate::secret::{SealedSecret, SealingKey, SecretName};
use crate::voters::vote::{VoteChange, VoteRequest};

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Declare an object.
    Apply {
        /// The object.
        object: Object,
        /// The spec revision that the caller read; 0: it must not exist.
        expected_revision: u64,
        /// The object's secrets that came with it, sealed to the voters.
        boxes: Vec<SealedSecret>,
    },
    /// Take a declaration back.
    Delete {
        /// The object.
        reference: ObjectRef,
        /// The spec revision that the caller read; 0: whatever it is.
        expected_revision: u64,
    },
    /// Let a node in.
    Enroll {
        /// Its name.
        node: NodeName,
        /// Its member cluster, which may be declared later.
        cluster: ClusterName,
        /// Whether it keeps the replicated state.
        voter: bool,
        /// Where a voter's API can be reached.
        advertise: Option<Endpoint>,
        /// The key that its certificates are for, from now on.
        identity_key: Option<IdentityKey>,
        /// The token that it showed; none for the first voter.
        token: Option<TokenClaim>,
        /// For which secrets are sealed to it; none: it is no voter.
        sealing_key: Option<SealingKey>,
        /// The secrets that it is entitled to, sealed to it.
        boxes: Vec<SealedSecret>,
    },
    /// A node made a key for a mesh.
    SetKey {
        /// The node.
        node: NodeName,
        /// The mesh.
        mesh: MeshName,
        /// Its public key.
        public_key: PublicKey,
    },
    /// Keep the key of a node that was enrolled before keys were kept.
    BindKey {
        /// The node.
        node: NodeName,
        /// The key that its certificates are for.
        identity_key: IdentityKey,
    },
    /// End whatever a node may do, at once, and keep its name taken.
    RevokeNode {
        /// The node.
        node: NodeName,
    },
    /// Forget a node.
    RemoveNode {
        /// The node.
        node: NodeName,
        /// Why it may go.
        farewell: Farewell,
    },
    /// End every certificate of a user that was issued up to now.
    RevokeUser {
        /// The user.
        name: NodeName,
    },
    /// The leader sees a node in another state of health.
    SetHealth {
        /// The node.
        node: NodeName,
        /// How it is.
        health: Health,
        /// Why, in one sentence.
        reason: String,
    },
    /// The certificate authorities are to change.
    Authority(AuthorityRequest),
    /// A node's vote is to change.
    Vote(VoteRequest),
    /// A lease is to change.
    Lease(LeaseRequest),
    /// The leader decided on a DR plan.
    Plan(PlanRequest),
    /// A node tells of the time when nobody heard it.
    Recall {
        /// The node.
        node: NodeName,
        /// How many changes before these it could not keep.
        dropped: u64,
        /// What changed, in order.
        changes: Vec<PastChange>,
    },
    /// Secrets are sealed to voters that lack them.
    Seal {
        /// The boxes.
        boxes: Vec<SealedSecret>,
    },
    /// The voters support another level.
    RaiseLevel {
        /// The level.
        level: FeatureLevel,
        /// Who said that it supports that level.
        voters: BTreeSet<NodeName>,
    },
}

/// What the leader decided on a DR plan, and on what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRequest {
    /// The plan.
    pub plan: PlanName,
    /// The revision of the record that it was decided on.
    pub record_revision: u64,
    /// The revision of the declaration that it was decided on.
    pub spec_revision: u64,
    /// What.
    pub change: PlanChange,
    /// Who asked for it; none: nobody did.
    pub asked_by: Option<String>,
    /// The epoch of the lease that the leader knows to have ended; none: nobody held it. Of no
    /// meaning unless somebody is promoted.
    pub ended_epoch: Option<u64>,
}

/// Why a node may be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// It says goodbye itself.
    Leaves,
    /// An admin says that it is gone, and it was silent when they said so.
    Silent,
    /// An admin says that it is gone, and it reported until a moment ago.
    Reporting,
    /// An admin insists.
    Forced,
}

/// A join token whose signature, federation and lifetime the caller has verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenClaim {
    /// What tells tokens apart.
    pub id: String,
    /// How many nodes it lets in.
    pub uses_max: u32,
    /// When it ends, in seconds since 1970.
    pub expires_unix_s: u64,
}

/// One committed entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Unique for each intent, so that a retry never happens twice.
    pub request_id: String,
    /// When the leader decided it, in seconds since 1970: for people to read and for rules that
    /// look back, since nobody reads a clock while applying.
    pub at_unix_s: u64,
    /// What was decided.
    pub command: Command,
}

/// Entries that were decided one after the other on the same state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The revision of the state that they were decided on. On any other they do nothing: a leader
    /// that knew less than it thought must decide again.
    pub base_revision: u64,
    /// What was decided, in order; never empty.
    pub entries: Vec<Entry>,
    /// The only term in which it counts, where it rests on what a leader remembers of one: that a
    /// lease was not renewed is true until another leader renews it.
    #[cfg_attr(
        not(feature = "previous-version"),
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    #[cfg_attr(feature = "previous-version", serde(skip))]
    pub decided_in_term: Option<u64>,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It stands; the state is at this revision now.
    Applied {
        /// The revision of the last entry.
        revision: u64,
    },
    /// It was decided on another state and did nothing.
    Stale {
        /// The revision that the state is at.
        revision: u64,
    },
}

/// What was decided, with all its effects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// An object stands as given.
    Put {
        /// The object.
        object: Object,
        /// What changes in the nodes' addresses.
        addresses: Vec<AddressChange>,
        /// The object's secrets that came with it, sealed to the voters.
        #[cfg_attr(
            not(feature = "previous-version"),
            serde(default, skip_serializing_if = "Vec::is_empty")
        )]
        #[cfg_attr(feature = "previous-version", serde(skip))]
        boxes: Vec<SealedSecret>,
    },
    /// An object goes.
    Remove {
        /// The object.
        reference: ObjectRef,
    },
    /// A node is in.
    Enroll {
        /// Its name.
        node: NodeName,
        /// Its member cluster.
        cluster: ClusterName,
        /// Whether it keeps the replicated state.
        voter: bool,
        /// Where a voter's API can be reached.
        advertise: Option<Endpoint>,
        /// The key that its certificates are for; none by a version that kept no keys.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        identity_key: Option<IdentityKey>,
        /// The token that is used once more.
        token: Option<TokenUse>,
        /// Tokens that ended and need no longer be remembered.
        forget_tokens: Vec<String>,
        /// What changes in the nodes' addresses.
        addresses: Vec<AddressChange>,
        /// For which secrets are sealed to it; none: it is no voter.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sealing_key: Option<SealingKey>,
        /// The secrets that it is entitled to, sealed to it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        boxes: Vec<SealedSecret>,
    },
    /// A node of a federation that was restored is back: its places in the meshes are its own still.
    #[cfg_attr(feature = "previous-version", serde(skip))]
    Rejoin {
        /// Its name.
        node: NodeName,
        /// Whether it keeps the replicated state.
        voter: bool,
        /// Where a voter's API can be reached.
        advertise: Option<Endpoint>,
        /// The key that its certificates are for.
        identity_key: Option<IdentityKey>,
        /// The token that is used once more.
        token: Option<TokenUse>,
        /// Tokens that ended and need no longer be remembered.
        forget_tokens: Vec<String>,
        /// What changes in the nodes' addresses.
        addresses: Vec<AddressChange>,
        /// For which secrets are sealed to it; none: it is no voter.
        sealing_key: Option<SealingKey>,
        /// The secrets that it is entitled to, sealed to it.
        boxes: Vec<SealedSecret>,
    },
    /// A node's key for a mesh.
    SetKey {
        /// The node.
        node: NodeName,
        /// The mesh.
        mesh: MeshName,
        /// Its public key.
        public_key: PublicKey,
    },
    /// The key of a node that was enrolled before keys were kept.
    BindKey {
        /// The node.
        node: NodeName,
        /// The key that its certificates are for.
        identity_key: IdentityKey,
    },
    /// A node is out, and its name stays taken.
    RevokeNode {
        /// The node.
        node: NodeName,
        /// What changes in the nodes' addresses.
        addresses: Vec<AddressChange>,
    },
    /// A node is out, and its name is free.
    RemoveNode {
        /// The node.
        node: NodeName,
        /// What changes in the nodes' addresses.
        addresses: Vec<AddressChange>,
    },
    /// Certificates of a user count no more.
    RevokeUser {
        /// The user.
        name: NodeName,
        /// Which of them, and for how long that is remembered.
        revoked: RevokedUser,
        /// Users whose revoked certificates have all ended by themselves.
        forget_users: Vec<NodeName>,
    },
    /// A node's health from now on.
    SetHealth {
        /// The node.
        node: NodeName,
        /// How it is.
        health: Health,
        /// Why, in one sentence.
        reason: String,
    },
    /// The certificate authorities change.
    Authority(AuthorityChange),
    /// A node's vote changes.
    #[cfg_attr(feature = "previous-version", serde(skip))]
    Vote(VoteChange),
    /// A lease changes.
    #[cfg_attr(feature = "previous-version", serde(skip))]
    Lease(LeaseChange),
    /// A DR plan goes a step. The lease of one that is promoted is granted with it.
    #[cfg_attr(feature = "previous-version", serde(skip))]
    Plan {
        /// The plan.
        plan: PlanName,
        /// What.
        change: PlanChange,
        /// Who asked for it; none: nobody did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked_by: Option<String>,
    },
    /// What a node told of the time when nobody heard it.
    #[cfg_attr(feature = "previous-version", serde(skip))]
    Recall {
        /// The node.
        node: NodeName,
        /// How many changes before these it could not keep.
        dropped: u64,
        /// What changed, in order.
        changes: Vec<PastChange>,
    },
    /// Secrets are sealed to voters.
    Seal {
        /// The boxes.
        boxes: Vec<SealedSecret>,
    },
    /// All voters do from now on what belongs to a level.
    #[cfg_attr(feature = "previous-version", serde(skip))]
    RaiseLevel {
        /// The level.
        level: FeatureLevel,
    },
}

impl Command {
    /// The level that it belongs to: no version of a lower one understands it.
    #[must_use]
    pub fn level(&self) -> FeatureLevel {
        match self {
            Self::Put {
                object: Object::DrPlan(_),
                ..
            }
            | Self::Remove {
                reference: ObjectRef::DrPlan(_),
            } => FeatureLevel::SECOND,
            Self::Put { .. }
            | Self::Remove { .. }
            | Self::Enroll { .. }
            | Self::SetKey { .. }
            | Self::BindKey { .. }
            | Self::RevokeNode { .. }
            | Self::RemoveNode { .. }
            | Self::RevokeUser { .. }
            | Self::SetHealth { .. }
            | Self::Authority(_) => FeatureLevel::FIRST,
            Self::Seal { boxes } => {
                let is_first = |secret: &SealedSecret| match secret.name {
                    SecretName::AuthorityKey(_) | SecretName::PresharedKeys => true,
                    SecretName::Plan(_) => false,
                };
                match boxes.iter().all(is_first) {
                    true => FeatureLevel::FIRST,
                    false => FeatureLevel::SECOND,
                }
            }
            Self::Vote(_)
            | Self::Lease(_)
            | Self::Plan { .. }
            | Self::Recall { .. }
            | Self::Rejoin { .. } => FeatureLevel::SECOND,
            Self::RaiseLevel { level } => FeatureLevel::SECOND.max(*level),
        }
    }
}

impl Batch {
    /// The level that all of it belongs to.
    #[must_use]
    pub fn level(&self) -> FeatureLevel {
        let levels = self.entries.iter().map(|entry| entry.command.level());
        levels.max().unwrap_or_default()
    }
}

/// One more use of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUse {
    /// What tells tokens apart.
    pub id: String,
    /// When it ends, in seconds since 1970.
    pub expires_unix_s: u64,
}

/// A node's addresses in a mesh as they are from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressChange {
    /// The mesh.
    pub mesh: MeshName,
    /// The node.
    pub node: NodeName,
    /// One address from each pool; empty: the node leaves the mesh.
    pub addresses: Vec<IpAddr>,
    /// Addresses that it had and that nobody gets again.
    pub retired: Vec<IpAddr>,
}

/// What a committed entry changed. Kept in the state's history: the meaning of a variant never
/// changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// An object was declared.
    Declared(ObjectRef),
    /// An object's declaration was changed.
    Changed(ObjectRef),
    /// An object was taken back.
    Removed(ObjectRef),
    /// A node came in.
    Enrolled(NodeName),
    /// A node has a new key in a mesh.
    KeyChanged(NodeName, MeshName),
    /// A node was revoked.
    NodeRevoked(NodeName),
    /// A node was removed, or left.
    NodeRemoved(NodeName),
    /// Certificates of a user were revoked.
    UserRevoked(NodeName),
    /// A node was called to vote.
    VoterCalled(NodeName),
    /// A node became a voter.
    VoterAdded(NodeName),
    /// A voter is to go.
    VoterDismissed(NodeName),
    /// A node is a voter no more.
    VoterRemoved(NodeName),
    /// A node told of the time when nobody heard it.
    Recalled {
        /// The node.
        node: NodeName,
        /// How many changes before these it could not keep.
        dropped: u64,
        /// What changed, in order.
        changes: Vec<PastChange>,
    },
    /// A node's health changed.
    HealthChanged {
        /// The node.
        node: NodeName,
        /// How it is.
        health: Health,
        /// Why, in one sentence.
        reason: String,
    },
    /// A new certificate authority is to be trusted.
    AuthorityIntroduced(u32),
    /// Another certificate authority signs.
    AuthoritySigns(u32),
    /// A certificate authority is trusted no more.
    AuthorityRetired(u32),
    /// The federation was restored from a backup.
    Restored {
        /// The revision that the backup holds.
        from_revision: u64,
    },
    /// A node of the federation that was restored is back.
    Rejoined(NodeName),
    /// All voters do what belongs to a level.
    LevelRaised(FeatureLevel),
    /// A DR plan went a step.
    Plan {
        /// The plan.
        plan: PlanName,
        /// What.
        change: PlanChange,
        /// Who asked for it; none: nobody did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked_by: Option<String>,
    },
}
