//! What is asked of the federation, and what is committed.
//!
//! A [`Request`] is what somebody wants. A [`Command`] is what the leader decided: it carries
//! effects (the very addresses that it chose), so that voters of different versions that replay
//! it arrive at the same state.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::endpoint::Endpoint;
use crate::key::PublicKey;
use crate::name::{ClusterName, MeshName, NodeName};
use crate::object::{Object, ObjectRef};

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Declare an object.
    Apply {
        /// The object.
        object: Object,
        /// The spec revision that the caller read; 0: it must not exist.
        expected_revision: u64,
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
        /// The token that it showed; none for the first voter.
        token: Option<TokenClaim>,
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
        /// The token that is used once more.
        token: Option<TokenUse>,
        /// Tokens that ended and need no longer be remembered.
        forget_tokens: Vec<String>,
        /// What changes in the nodes' addresses.
        addresses: Vec<AddressChange>,
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

/// What a committed entry changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An object was declared or changed.
    Declared(ObjectRef),
    /// An object was taken back.
    Removed(ObjectRef),
    /// A node came in.
    Enrolled(NodeName),
    /// A node has a new key in a mesh.
    KeyChanged(NodeName, MeshName),
}
