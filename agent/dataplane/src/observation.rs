//! What the data plane sees, for the agent to report. It never holds a secret.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use hanse_core::key::PublicKey;
use hanse_core::name::{MeshName, NodeName};

/// What the host has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observation {
    /// The newest revision whose plan is in effect in full.
    pub applied_revision: u64,
    /// One for each mesh of the plan.
    pub meshes: Vec<MeshObservation>,
    /// What is wrong and belongs to no mesh.
    pub problems: Vec<String>,
}

/// What the host has for one mesh.
#[derive(Debug, Clone, PartialEq)]
pub struct MeshObservation {
    /// The mesh.
    pub mesh: MeshName,
    /// The host's own key.
    pub public_key: Option<PublicKey>,
    /// What carries the interface.
    pub backend: Option<Backend>,
    /// Every peer and every node to which a path must be proved, by name.
    pub peers: Vec<PeerObservation>,
    /// What is wrong.
    pub problems: Vec<String>,
}

/// What the host knows of one other node.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerObservation {
    /// The node.
    pub node: NodeName,
    /// Where it was last heard of.
    pub endpoint: Option<SocketAddr>,
    /// When the last handshake was.
    pub last_handshake: Option<SystemTime>,
    /// Bytes received from it.
    pub received_bytes: u64,
    /// Bytes sent to it.
    pub sent_bytes: u64,
    /// Whether data was proved to reach it and come back, on every address family, lately, under
    /// its present configuration.
    pub proved: bool,
    /// When data came back last.
    pub last_proof: Option<Instant>,
    /// How long the last proof took.
    pub round_trip: Option<Duration>,
    /// Why it is not proved, or what is wrong otherwise.
    pub problem: Option<String>,
}

/// What carries a WireGuard interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// The kernel.
    Kernel,
    /// A daemon of wireguard-go.
    WireguardGo,
}

impl MeshObservation {
    pub(crate) fn new(mesh: MeshName) -> Self {
        Self {
            mesh,
            public_key: None,
            backend: None,
            peers: Vec::new(),
            problems: Vec::new(),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kernel => "kernel",
            Self::WireguardGo => "wireguard-go",
        })
    }
}
