//! The mesh planner: from the inventory to what one node must have, and nothing more.
//!
//! It makes every choice; the agent that executes a plan has none left. A node learns only of the
//! peers that it needs.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::topology::{Topology, is_gateway_of_its_site};
use crate::cidr::Cidr;
use crate::endpoint::Endpoint;
use crate::inventory::Inventory;
use crate::key::{PresharedKey, PublicKey};
use crate::name::{ClusterName, MeshName, NodeName};
use crate::object::VpnMesh;
use crate::object::vpn_mesh::InterfaceName;

/// How often a node that nobody can dial keeps its NAT mapping open, in seconds: the value that
/// WireGuard's own documentation recommends.
pub const NAT_KEEPALIVE_S: u16 = 25;

/// Up to so many nodes, every node proves its path to every other; beyond, to hubs and gateways.
pub const PROVE_ALL_PAIRS_NODES_MAX: usize = 64;

/// Everything that one node must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodePlan {
    /// The node.
    pub node: NodeName,
    /// Its member cluster.
    pub cluster: ClusterName,
    /// One plan for each mesh that it takes part in.
    pub meshes: Vec<MeshPlan>,
}

/// What one node must have for one mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeshPlan {
    /// The mesh.
    pub mesh: MeshName,
    /// The interface.
    pub interface: InterfaceName,
    /// The node's own addresses.
    pub addresses: Vec<IpAddr>,
    /// Where the mesh's addresses come from.
    pub address_pools: Vec<Cidr>,
    /// WireGuard's UDP port.
    pub listen_port: u16,
    /// The UDP port of proofs, inside the mesh.
    pub probe_port: u16,
    /// The MTU; none: by the underlay.
    pub mtu: Option<u16>,
    /// The peers, in the order of their names.
    pub peers: Vec<PeerPlan>,
    /// What goes into the mesh, sorted: pools and other sites' routes, never the node's own site's.
    pub routes: Vec<Cidr>,
    /// Whether this node carries its site's routes.
    pub gateway: bool,
    /// Whether a gateway hides the mesh behind its own address.
    pub snat: bool,
    /// The nodes to which a working path must be proved.
    pub probe_targets: Vec<ProbeTarget>,
}

/// One WireGuard peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerPlan {
    /// The peer's node.
    pub node: NodeName,
    /// Its key.
    pub public_key: PublicKey,
    /// The pair's own pre-shared key.
    pub preshared_key: Option<PresharedKey>,
    /// Where to dial it; none: it dials.
    pub endpoint: Option<Endpoint>,
    /// What it may send and receives, sorted.
    pub allowed_ips: Vec<Cidr>,
    /// Seconds between keepalives; none: no keepalive.
    pub persistent_keepalive_s: Option<u16>,
}

/// A node to which a working path must be proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeTarget {
    /// The node.
    pub node: NodeName,
    /// Its key: a proof is authenticated between the two nodes' keys.
    pub public_key: PublicKey,
    /// Its mesh addresses: each is proved.
    pub addresses: Vec<IpAddr>,
}

/// What one node must have. A node that is not enrolled, or takes part in nothing, has an empty
/// plan. `preshared_key` yields a pair's key, or none where the caller holds no secrets.
#[must_use]
pub fn plan(
    inventory: &Inventory,
    node: &NodeName,
    preshared_key: &dyn Fn(&MeshName, &NodeName, &NodeName) -> Option<PresharedKey>,
) -> Option<NodePlan> {
    let record = inventory.nodes.get(node)?;
    let meshes = inventory
        .meshes
        .values()
        .filter(|stored| stored.spec.sites.contains_key(&record.cluster))
        .filter_map(|stored| plan_mesh(inventory, &stored.spec, node, preshared_key))
        .collect();
    Some(NodePlan { node: node.clone(), cluster: record.cluster.clone(), meshes })
}

fn plan_mesh(
    inventory: &Inventory,
    mesh: &VpnMesh,
    node: &NodeName,
    preshared_key: &dyn Fn(&MeshName, &NodeName, &NodeName) -> Option<PresharedKey>,
) -> Option<MeshPlan> {
    let record = inventory.nodes.get(node)?;
    let place = record.meshes.get(&mesh.name)?;
    let site = mesh.sites.get(&record.cluster)?;
    let topology = Topology::of(inventory, mesh);
    let peers = topology
        .peers_of(node)
        .into_iter()
        .filter_map(|peer| plan_peer(inventory, &topology, node, peer, preshared_key))
        .collect();
    Some(MeshPlan {
        mesh: mesh.name.clone(),
        interface: mesh.interface.clone(),
        addresses: place.addresses.clone(),
        address_pools: mesh.address_pools.clone(),
        listen_port: mesh.listen_port,
        probe_port: mesh.probe_port,
        mtu: mesh.mtu,
        peers,
        routes: routes_of(mesh, &record.cluster),
        gateway: topology.hub() == Some(node)
            || (!site.routes.is_empty() && is_gateway_of_its_site(inventory, mesh, node)),
        snat: site.snat.unwrap_or(true),
        probe_targets: probe_targets(inventory, mesh, &topology, node),
    })
}

fn plan_peer(
    inventory: &Inventory,
    topology: &Topology<'_>,
    node: &NodeName,
    peer: &NodeName,
    preshared_key: &dyn Fn(&MeshName, &NodeName, &NodeName) -> Option<PresharedKey>,
) -> Option<PeerPlan> {
    let mesh = topology.mesh();
    let public_key = inventory.nodes.get(peer)?.meshes.get(&mesh.name)?.public_key?;
    let nat_keepalive =
        (topology.endpoint_of(node).is_none()).then_some(NAT_KEEPALIVE_S);
    let keepalive = match &mesh.persistent_keepalive {
        Some(span) => u16::try_from(span.value().as_secs()).ok().filter(|seconds| *seconds > 0),
        None => nat_keepalive,
    };
    Some(PeerPlan {
        node: peer.clone(),
        public_key,
        preshared_key: mesh
            .preshared_keys
            .then(|| preshared_key(&mesh.name, node, peer))
            .flatten(),
        endpoint: topology.endpoint_of(peer).cloned(),
        allowed_ips: allowed_ips(inventory, topology, node, peer),
        persistent_keepalive_s: keepalive,
    })
}

/// What `peer` may send to `node`: its own addresses, its site's routes if it carries them, and
/// all of that for each node that is reached through it.
fn allowed_ips(
    inventory: &Inventory,
    topology: &Topology<'_>,
    node: &NodeName,
    peer: &NodeName,
) -> Vec<Cidr> {
    let mesh = topology.mesh();
    let own_cluster = inventory.nodes.get(node).map(|record| &record.cluster);
    let mut allowed = BTreeSet::new();
    let behind = inventory
        .nodes_in(mesh)
        .map(|(name, _)| name)
        .filter(|name| *name != node && topology.next_hop(node, name) == Some(peer));
    for name in behind {
        let Some(record) = inventory.nodes.get(name) else { continue };
        if let Some(place) = record.meshes.get(&mesh.name) {
            allowed.extend(place.addresses.iter().copied().map(Cidr::host));
        }
        if own_cluster != Some(&record.cluster) && is_gateway_of_its_site(inventory, mesh, name) {
            if let Some(site) = mesh.sites.get(&record.cluster) {
                allowed.extend(site.routes.iter().copied());
            }
        }
    }
    allowed.into_iter().collect()
}

/// Pools and the other sites' routes, sorted.
fn routes_of(mesh: &VpnMesh, own: &ClusterName) -> Vec<Cidr> {
    let others = mesh.sites.iter().filter(|(name, _)| *name != own);
    let routes: BTreeSet<Cidr> = mesh
        .address_pools
        .iter()
        .chain(others.flat_map(|(_, site)| site.routes.iter()))
        .copied()
        .collect();
    routes.into_iter().collect()
}

fn probe_targets(
    inventory: &Inventory,
    mesh: &VpnMesh,
    topology: &Topology<'_>,
    node: &NodeName,
) -> Vec<ProbeTarget> {
    let all_pairs = inventory.nodes_in(mesh).count() <= PROVE_ALL_PAIRS_NODES_MAX;
    inventory
        .nodes_in(mesh)
        .filter(|(name, _)| *name != node)
        .filter(|(name, _)| {
            all_pairs
                || topology.hub() == Some(name)
                || is_gateway_of_its_site(inventory, mesh, name)
        })
        .filter_map(|(name, record)| {
            let place = record.meshes.get(&mesh.name)?;
            Some(ProbeTarget {
                node: name.clone(),
                public_key: place.public_key?,
                addresses: place.addresses.clone(),
            })
        })
        .collect()
}
