//! The mesh planner: from the inventory to what one node must have, and nothing more.
//!
//! It makes every choice; the agent that executes a plan has none left. A node learns only of the
//! peers that it needs.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::difference::{MeshHead, SiteTerms};
use super::proved_pairs::ProvedPairs;
use super::topology::Topology;
use crate::cidr::Cidr;
use crate::endpoint::Endpoint;
use crate::inventory::Inventory;
use crate::key::{PresharedKey, PublicKey};
use crate::name::{ClusterName, MeshName, NodeName};
use crate::object::VpnMesh;
use crate::object::member_cluster::ResourceLimits;
use crate::object::vpn_mesh::InterfaceName;

/// How often a node that nobody can dial keeps its NAT mapping open, in seconds: the value that
/// WireGuard's own documentation recommends.
pub const NAT_KEEPALIVE_S: u16 = 25;

/// Everything that one node must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodePlan {
    /// The node.
    pub node: NodeName,
    /// Its member cluster.
    pub cluster: ClusterName,
    /// One plan for each mesh that it takes part in.
    pub meshes: Vec<MeshPlan>,
    /// What its member cluster allows Hanse there.
    pub limits: ResourceLimits,
    /// What its member cluster can do, in agreed words.
    pub capabilities: BTreeSet<String>,
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

/// Yields the key of a pair of nodes in a mesh, or none where the caller holds no secrets.
pub type PresharedKeyOf<'a> = dyn Fn(&MeshName, &NodeName, &NodeName) -> Option<PresharedKey> + 'a;

/// What one node must have. A node that takes part in nothing has an empty plan; one that is not
/// enrolled has none.
#[must_use]
pub fn plan(
    inventory: &Inventory,
    node: &NodeName,
    preshared_key: &PresharedKeyOf<'_>,
) -> Option<NodePlan> {
    let record = inventory.nodes.get(node)?;
    let meshes = inventory
        .meshes
        .values()
        .filter(|stored| stored.spec.sites.contains_key(&record.cluster))
        .filter_map(|stored| {
            let topology = Topology::of(inventory, &stored.spec);
            mesh_plan(&topology, node, preshared_key)
        })
        .collect();
    let SiteTerms {
        limits,
        capabilities,
    } = SiteTerms::of(inventory, &record.cluster);
    Some(NodePlan {
        node: node.clone(),
        cluster: record.cluster.clone(),
        meshes,
        limits,
        capabilities,
    })
}

/// What one node must have for one mesh; none: it has no place in it.
#[must_use]
pub fn mesh_plan(
    topology: &Topology,
    node: &NodeName,
    preshared_key: &PresharedKeyOf<'_>,
) -> Option<MeshPlan> {
    let node = topology.position(node)?;
    let head = head(topology, node)?;
    let reached = topology.reached_over(node);
    let mut peers = Vec::with_capacity(reached.len());
    peers.extend(reached.into_iter().filter_map(|(peer, behind)| {
        plan_peer(topology, node, peer, preshared_key).map(|plan| PeerPlan {
            allowed_ips: allowed_ips(topology, node, &behind),
            ..plan
        })
    }));
    Some(MeshPlan {
        peers,
        routes: routes_of(topology.mesh(), &topology.members[node].cluster),
        probe_targets: probe_targets(topology, node),
        ..MeshPlan::new(head)
    })
}

/// What there is once in a member's plan; none: it has no place in the mesh.
pub(super) fn head(topology: &Topology, node: usize) -> Option<MeshHead> {
    let member = &topology.members[node];
    let mesh = topology.mesh();
    let site = mesh.sites.get(&member.cluster)?;
    Some(MeshHead {
        mesh: mesh.name.clone(),
        interface: mesh.interface.clone(),
        addresses: member.addresses.clone()?,
        address_pools: mesh.address_pools.clone(),
        listen_port: mesh.listen_port,
        probe_port: mesh.probe_port,
        mtu: mesh.mtu,
        gateway: member.relays || (!site.routes.is_empty() && member.is_gateway),
        snat: site.snat.unwrap_or(true),
    })
}

/// A peer without what it may send, whatever is behind it; none: it has no key yet.
pub(super) fn plan_peer(
    topology: &Topology,
    node: usize,
    peer: usize,
    preshared_key: &PresharedKeyOf<'_>,
) -> Option<PeerPlan> {
    let mesh = topology.mesh();
    let (node, peer) = (&topology.members[node], &topology.members[peer]);
    let public_key = peer.public_key?;
    let nat_keepalive = (node.endpoint.is_none()).then_some(NAT_KEEPALIVE_S);
    let keepalive = match &mesh.persistent_keepalive {
        Some(span) => u16::try_from(span.value().as_secs())
            .ok()
            .filter(|seconds| *seconds > 0),
        None => nat_keepalive,
    };
    Some(PeerPlan {
        node: peer.name.clone(),
        public_key,
        preshared_key: mesh
            .preshared_keys
            .then(|| preshared_key(&mesh.name, &node.name, &peer.name))
            .flatten(),
        endpoint: peer.endpoint.clone(),
        allowed_ips: Vec::new(),
        persistent_keepalive_s: keepalive,
    })
}

/// What a peer may send to a node: the addresses of the nodes that are reached over it, itself
/// first of all, and their sites' routes where they carry them.
pub(super) fn allowed_ips(topology: &Topology, node: usize, behind: &[usize]) -> Vec<Cidr> {
    let own = &topology.members[node].cluster;
    let networks = behind
        .iter()
        .flat_map(|member| topology.members[*member].networks_to(own));
    networks.collect::<BTreeSet<_>>().into_iter().collect()
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

pub(super) fn probe_targets(topology: &Topology, node: usize) -> Vec<ProbeTarget> {
    ProvedPairs::of(topology)
        .with(node)
        .into_iter()
        .filter_map(|target| {
            let target = &topology.members[target];
            Some(ProbeTarget {
                node: target.name.clone(),
                public_key: target.public_key?,
                addresses: target.addresses.clone()?,
            })
        })
        .collect()
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::object::MeshSite;
    use crate::object::federation::Topology as FederationTopology;
    use crate::testing::Builder;

    fn plan_of(federation: &Builder, node: &str) -> MeshPlan {
        let none = |_: &MeshName, _: &NodeName, _: &NodeName| None;
        let plan = plan(federation.state.inventory(), &node.parse().unwrap(), &none).unwrap();
        plan.meshes.into_iter().next().unwrap()
    }

    fn peers(plan: &MeshPlan) -> Vec<&str> {
        plan.peers.iter().map(|peer| peer.node.as_str()).collect()
    }

    fn three_sites() -> Builder {
        let mut federation = Builder::new()
            .site("a")
            .site("b")
            .site("c")
            .mesh(&["10.0.0.0/24", "fd00::/64"]);
        for (node, site) in [("a-1", "a"), ("b-1", "b"), ("c-1", "c")] {
            federation.enroll(node, site);
        }
        federation
    }

    #[test]
    fn in_a_full_mesh_everyone_is_everyones_peer() {
        let federation = three_sites();
        let plan = plan_of(&federation, "a-1");
        assert_eq!(peers(&plan), ["b-1", "c-1"]);
        assert_eq!(plan.addresses.len(), 2);
        assert_eq!(plan.peers[0].allowed_ips.len(), 2);
        assert_eq!(plan.probe_targets.len(), 2);
    }

    #[test]
    fn a_sites_routes_go_to_its_gateway_and_never_to_the_site_itself() {
        let mut federation = three_sites();
        federation.enroll("b-2", "b");
        federation.change_mesh(|mesh| {
            let site = mesh.sites.get_mut(&"b".parse().unwrap()).unwrap();
            site.routes = vec!["192.168.7.0/24".parse().unwrap()];
            site.gateways = vec!["b-2".parse().unwrap()];
        });
        let route: Cidr = "192.168.7.0/24".parse().unwrap();
        let carriers = |plan: &MeshPlan| {
            let peers = plan
                .peers
                .iter()
                .filter(|peer| peer.allowed_ips.contains(&route));
            peers.map(|peer| peer.node.to_string()).collect::<Vec<_>>()
        };
        let a = plan_of(&federation, "a-1");
        assert_eq!(carriers(&a), ["b-2"]);
        assert!(a.routes.contains(&route) && !a.gateway);
        let b = plan_of(&federation, "b-1");
        assert!(carriers(&b).is_empty() && !b.routes.contains(&route));
        assert!(plan_of(&federation, "b-2").gateway);
    }

    #[test]
    fn a_node_that_joins_later_under_an_earlier_name_takes_no_gateway_over() {
        let mut federation = three_sites();
        federation.enroll("a-0", "a");
        let plan = plan_of(&federation, "b-1");
        let dialled: Vec<_> = plan
            .peers
            .iter()
            .filter(|p| p.endpoint.is_some())
            .map(|p| p.node.as_str())
            .collect();
        assert_eq!(dialled, ["a-1", "c-1"]);
    }

    #[test]
    fn in_hub_spoke_a_spoke_knows_the_hub_only() {
        let mut federation = three_sites();
        federation.change_mesh(|mesh| {
            for (name, site) in &mut mesh.sites {
                site.hub = name.as_str() == "a";
                if !site.hub {
                    *site = MeshSite::default();
                }
            }
        });
        let mut federation = federation.topology(FederationTopology::HubSpoke);
        let spoke = plan_of(&federation, "b-1");
        assert_eq!(peers(&spoke), ["a-1"]);
        assert_eq!(
            spoke.peers[0].allowed_ips.len(),
            4,
            "the hub's addresses and the other spoke's"
        );
        assert_eq!(spoke.peers[0].persistent_keepalive_s, Some(NAT_KEEPALIVE_S));
        let hub = plan_of(&federation, "a-1");
        assert_eq!(peers(&hub), ["b-1", "c-1"]);
        assert!(hub.gateway, "a hub forwards");
        assert!(hub.peers.iter().all(|peer| peer.endpoint.is_none()));
        federation.enroll("c-2", "c");
        assert_eq!(peers(&plan_of(&federation, "a-1")), ["b-1", "c-1", "c-2"]);
    }

    #[test]
    fn changing_one_sites_routes_changes_nothing_else_in_the_others_plans() {
        let mut federation = three_sites();
        let before = plan_of(&federation, "c-1");
        federation.change_mesh(|mesh| {
            let site = mesh.sites.get_mut(&"b".parse().unwrap()).unwrap();
            site.routes = vec!["192.168.7.0/24".parse().unwrap()];
        });
        let after = plan_of(&federation, "c-1");
        assert_eq!(
            before.peers[0], after.peers[0],
            "the session to a-1 is left alone"
        );
        assert_ne!(before.peers[1], after.peers[1]);
    }

    #[test]
    fn in_a_large_mesh_whoever_is_asked_for_a_proof_knows_who_asks() {
        let mut federation = Builder::new();
        for site in 0..3 {
            federation = federation.site(&format!("s{site}"));
        }
        let mut federation = federation.mesh(&["10.0.0.0/22"]);
        for node in 0..90 {
            federation.enroll(&format!("n{node:02}"), &format!("s{}", node % 3));
        }
        let plans: BTreeMap<String, MeshPlan> = (0..90)
            .map(|n| format!("n{n:02}"))
            .map(|n| (n.clone(), plan_of(&federation, &n)))
            .collect();
        let proves = |from: &str, to: &str| {
            plans[from]
                .probe_targets
                .iter()
                .any(|target| target.node.as_str() == to)
        };
        for from in plans.keys() {
            assert!(
                !plans[from].probe_targets.is_empty(),
                "{from} proves something"
            );
            for to in plans.keys().filter(|to| *to != from) {
                assert_eq!(proves(from, to), proves(to, from), "{from} and {to}");
            }
        }
        assert!(proves("n00", "n01") && proves("n00", "n87"));
        assert!(
            !proves("n03", "n04"),
            "nodes of different sites go through their gateways"
        );
    }
}
