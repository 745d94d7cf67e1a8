//! Plans that pass from the laboratory to its hosts as lines of JSON, and what hosts report back.

use std::net::IpAddr;

use hanse_core::cidr::Cidr;
use hanse_core::endpoint::Endpoint;
use hanse_core::key::{PresharedKey, PublicKey};
use hanse_core::mesh::{MeshPlan, PeerPlan, ProbeTarget};
use hanse_core::name::{MeshName, NodeName};
use hanse_core::object::vpn_mesh::InterfaceName;
use hanse_dataplane::Observation;
use serde::{Deserialize, Serialize};

/// What a host is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) revision: u64,
    /// None: the plan that the host has answers this revision too.
    pub(crate) meshes: Option<Vec<Mesh>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Mesh {
    pub(crate) mesh: MeshName,
    pub(crate) interface: InterfaceName,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) address_pools: Vec<Cidr>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) routes: Vec<Cidr>,
    pub(crate) gateway: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Peer {
    pub(crate) node: NodeName,
    pub(crate) public_key: PublicKey,
    pub(crate) preshared_key: Option<[u8; 32]>,
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) routes: Vec<Cidr>,
}

/// What a host sees.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) applied_revision: u64,
    pub(crate) meshes: Vec<MeshReport>,
    pub(crate) problems: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MeshReport {
    pub(crate) mesh: MeshName,
    pub(crate) public_key: Option<PublicKey>,
    pub(crate) backend: Option<String>,
    pub(crate) peers: Vec<PeerReport>,
    pub(crate) problems: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PeerReport {
    pub(crate) node: NodeName,
    pub(crate) proved: bool,
    pub(crate) round_trip_us: Option<u128>,
    pub(crate) problem: Option<String>,
}

impl From<Mesh> for MeshPlan {
    fn from(mesh: Mesh) -> Self {
        let probe_targets = mesh.peers.iter().map(|peer| ProbeTarget {
            node: peer.node.clone(),
            public_key: peer.public_key,
            addresses: peer.addresses.clone(),
        });
        Self {
            probe_targets: probe_targets.collect(),
            mesh: mesh.mesh,
            interface: mesh.interface,
            addresses: mesh.addresses,
            address_pools: mesh.address_pools,
            listen_port: 51820,
            probe_port: 51821,
            mtu: None,
            peers: mesh.peers.into_iter().map(PeerPlan::from).collect(),
            routes: mesh.routes,
            gateway: mesh.gateway,
            snat: true,
        }
    }
}

impl From<Peer> for PeerPlan {
    fn from(peer: Peer) -> Self {
        let mut allowed_ips: Vec<Cidr> = peer.addresses.into_iter().map(Cidr::host).collect();
        allowed_ips.extend(peer.routes);
        Self {
            node: peer.node,
            public_key: peer.public_key,
            preshared_key: peer.preshared_key.map(PresharedKey::from),
            endpoint: peer.endpoint,
            allowed_ips,
            persistent_keepalive_s: None,
        }
    }
}

impl From<&Observation> for Report {
    fn from(seen: &Observation) -> Self {
        let peer = |peer: &hanse_dataplane::PeerObservation| PeerReport {
            node: peer.node.clone(),
            proved: peer.proved,
            round_trip_us: peer.round_trip.map(|span| span.as_micros()),
            problem: peer.problem.clone(),
        };
        let mesh = |mesh: &hanse_dataplane::MeshObservation| MeshReport {
            mesh: mesh.mesh.clone(),
            public_key: mesh.public_key,
            backend: mesh.backend.map(|backend| backend.to_string()),
            peers: mesh.peers.iter().map(peer).collect(),
            problems: mesh.problems.clone(),
        };
        Self {
            applied_revision: seen.applied_revision,
            meshes: seen.meshes.iter().map(mesh).collect(),
            problems: seen.problems.clone(),
        }
    }
}
