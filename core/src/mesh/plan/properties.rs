//! What holds for every mesh that passes the check, whatever its sites, gateways and hubs.

use std::collections::BTreeMap;
use std::net::IpAddr;

use proptest::prelude::*;

use super::{MeshPlan, PeerPlan, plan};
use crate::cidr::Cidr;
use crate::object::vpn_mesh::MeshShape;
use crate::testing::{Builder, mesh_name};

/// One site of a random mesh: whether it can be dialled, is a hub, has a network of its own,
/// names its last node as the gateway, how many nodes it has, and which of them can be
/// dialled.
type RandomSite = (bool, bool, bool, bool, usize, Option<usize>);

fn any_site() -> impl Strategy<Value = RandomSite> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let nodes = (1_usize..4, prop::option::of(0_usize..3));
    (flags, nodes).prop_map(|((a, b, c, d), (e, f))| (a, b, c, d, e, f))
}

fn plan_of(federation: &Builder, node: &str) -> MeshPlan {
    let plan = plan(
        federation.state.inventory(),
        &node.parse().unwrap(),
        &|_, _, _| None,
    );
    plan.unwrap().meshes.remove(0)
}

fn network_of(number: usize) -> Cidr {
    format!("192.168.{number}.0/24").parse().unwrap()
}

/// Every node's plan in a mesh of these sites; none where the check refuses it.
fn plans_of(sites: &[RandomSite], hub_spoke: bool) -> Option<BTreeMap<String, MeshPlan>> {
    let mut federation = Builder::new();
    for number in 0..sites.len() {
        federation = federation.site(&format!("s{number}"));
    }
    let mut federation = federation.mesh(&["10.0.0.0/24", "fd00::/64"]);
    for (number, (.., nodes, _)) in sites.iter().enumerate() {
        for node in 0..*nodes {
            federation.enroll(&format!("s{number}-{node}"), &format!("s{number}"));
        }
    }
    let mut mesh = federation.state.inventory().meshes[&mesh_name()]
        .spec
        .clone();
    for (number, (dialable, hub, network, last, nodes, at)) in sites.iter().enumerate() {
        let site = mesh
            .sites
            .get_mut(&format!("s{number}").parse().unwrap())
            .unwrap();
        site.hub = *hub;
        let endpoint = site.endpoint.clone().unwrap();
        site.endpoint = site.endpoint.take().filter(|_| *dialable);
        site.routes = network.then(|| network_of(number)).into_iter().collect();
        if *last {
            site.gateways = vec![format!("s{number}-{}", nodes - 1).parse().unwrap()];
        }
        if let Some(node) = at {
            let node = format!("s{number}-{node}").parse().unwrap();
            site.node_endpoints.insert(node, endpoint);
        }
    }
    mesh.shape = Some(if hub_spoke {
        MeshShape::HubSpoke
    } else {
        MeshShape::Full
    });
    federation
        .try_declare(crate::object::Object::VpnMesh(mesh))
        .ok()?;
    let nodes = federation
        .state
        .inventory()
        .nodes
        .keys()
        .map(ToString::to_string);
    Some(
        nodes
            .map(|node| (node.clone(), plan_of(&federation, &node)))
            .collect(),
    )
}

fn site_of(node: &str) -> &str {
    node.split('-').next().unwrap()
}

/// The peer of a node that gets the packets to an address.
fn peer_for(plan: &MeshPlan, address: IpAddr) -> Option<&PeerPlan> {
    let takes = |peer: &&PeerPlan| peer.allowed_ips.iter().any(|ip| ip.contains(address));
    plan.peers.iter().find(takes)
}

/// Whether a packet arrives at `to`: each node sends it to the peer that owns its destination,
/// and the next one accepts it only from the peer that owns its source.
fn arrives(plans: &BTreeMap<String, MeshPlan>, from: &str, to: &str, target: IpAddr) -> bool {
    let source = plans[from].addresses[usize::from(target.is_ipv6())];
    let mut at = from.to_owned();
    for _ in 0..2 {
        let Some(next) = peer_for(&plans[&at], target) else {
            return false;
        };
        let next = next.node.to_string();
        let accepts = peer_for(&plans[&next], source);
        if accepts.is_none_or(|peer| peer.node.as_str() != at) {
            return false;
        }
        if next == to {
            return true;
        }
        if !plans[&next].gateway {
            return false;
        }
        at = next;
    }
    false
}

proptest! {
    /// A mesh that passes the check connects every pair of nodes of different sites: packets
    /// arrive, and nobody on their way refuses where they come from.
    #[test]
    fn every_pair_is_reachable(sites in prop::collection::vec(any_site(), 2..5), hub_spoke: bool) {
        let plans = plans_of(&sites, hub_spoke).unwrap_or_default();
        for from in plans.keys() {
            for to in plans.keys().filter(|to| site_of(from) != site_of(to)) {
                for target in &plans[to].addresses {
                    prop_assert!(arrives(&plans, from, to, *target), "{from} does not reach {to}");
                }
            }
        }
    }

    /// Every node reaches every other site's network through that site's gateway.
    #[test]
    fn every_network_is_reachable(sites in prop::collection::vec(any_site(), 2..5), hub_spoke: bool) {
        let plans = plans_of(&sites, hub_spoke).unwrap_or_default();
        for (number, (.., network, last, nodes, _)) in sites.iter().enumerate() {
            let gateway = format!("s{number}-{}", if *last { nodes - 1 } else { 0 });
            let far = network_of(number).host_at(8).unwrap();
            for from in plans.keys().filter(|from| site_of(from) != site_of(&gateway)) {
                let routed = plans[from].routes.iter().any(|route| route.contains(far));
                prop_assert_eq!(routed, *network);
                prop_assert_eq!(arrives(&plans, from, &gateway, far), *network);
            }
        }
    }

    /// WireGuard gives an allowed IP to one peer only, whoever comes last.
    #[test]
    fn no_two_peers_of_a_node_may_send_the_same(
        sites in prop::collection::vec(any_site(), 2..5), hub_spoke: bool,
    ) {
        for (node, plan) in plans_of(&sites, hub_spoke).unwrap_or_default() {
            for (position, peer) in plan.peers.iter().enumerate() {
                prop_assert!(!peer.allowed_ips.is_empty(), "{node} has no use for {}", peer.node);
                for other in &plan.peers[..position] {
                    let shared = peer.allowed_ips.iter().find(|ip| other.allowed_ips.iter().any(|o| o.overlaps(ip)));
                    prop_assert!(shared.is_none(), "{node}: {} and {}", peer.node, other.node);
                }
            }
        }
    }

    /// Two nodes are peers of one another or not at all, and one of them can dial.
    #[test]
    fn peers_are_mutual(sites in prop::collection::vec(any_site(), 2..5), hub_spoke: bool) {
        let plans = plans_of(&sites, hub_spoke).unwrap_or_default();
        for (node, plan) in &plans {
            for peer in &plan.peers {
                let back = plans[peer.node.as_str()].peers.iter().find(|p| p.node.as_str() == node);
                prop_assert!(back.is_some_and(|back| back.endpoint.is_some() || peer.endpoint.is_some()));
            }
        }
    }
}
