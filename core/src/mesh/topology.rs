//! Who talks to whom in a mesh: directly, or through the hub.
//!
//! Both the planner and the check of reachability ask here, so that a mesh that passes the check
//! is one that the planner can connect.

use std::collections::BTreeMap;

use crate::endpoint::Endpoint;
use crate::inventory::Inventory;
use crate::name::{ClusterName, NodeName};
use crate::object::federation;
use crate::object::vpn_mesh::MeshShape;
use crate::object::{MeshSite, VpnMesh};

/// The connections of one mesh.
#[derive(Debug)]
pub struct Topology<'a> {
    mesh: &'a VpnMesh,
    shape: MeshShape,
    nodes: BTreeMap<&'a NodeName, Place<'a>>,
    gateways: BTreeMap<&'a ClusterName, &'a NodeName>,
    hub: Option<&'a NodeName>,
}

/// A node's site and where it can be dialled.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    cluster: &'a ClusterName,
    endpoint: Option<&'a Endpoint>,
}

/// The shape of a mesh: its own, or by the federation's topology.
#[must_use]
pub fn shape_of(inventory: &Inventory, mesh: &VpnMesh) -> MeshShape {
    mesh.shape
        .unwrap_or(match inventory.federation.spec.topology {
            federation::Topology::ActivePassive | federation::Topology::ActiveActive => {
                MeshShape::Full
            }
            federation::Topology::HubSpoke => MeshShape::HubSpoke,
        })
}

/// The node that carries a site's routes: the first enrolled one of its gateways. Where none is
/// named, the node that came in first: one that joins later never takes the endpoint over, whatever
/// it is called.
fn gateway_of<'a>(site: &MeshSite, nodes: &BTreeMap<&'a NodeName, u64>) -> Option<&'a NodeName> {
    if site.gateways.is_empty() {
        return nodes
            .iter()
            .min_by_key(|(name, revision)| (**revision, **name))
            .map(|(n, _)| *n);
    }
    let enrolled = |gateway: &NodeName| nodes.get_key_value(gateway).map(|(name, _)| *name);
    site.gateways.iter().find_map(enrolled)
}

impl<'a> Topology<'a> {
    /// Works out the connections of one mesh.
    #[must_use]
    pub fn of(inventory: &'a Inventory, mesh: &'a VpnMesh) -> Self {
        let mut nodes_of: BTreeMap<&ClusterName, BTreeMap<&NodeName, u64>> = BTreeMap::new();
        for (name, record) in inventory.nodes_in(mesh) {
            let nodes = nodes_of.entry(&record.cluster).or_default();
            nodes.insert(name, record.enrolled_revision);
        }
        let gateways: BTreeMap<&ClusterName, &NodeName> = mesh
            .sites
            .iter()
            .filter_map(|(cluster, site)| {
                Some((cluster, gateway_of(site, nodes_of.get(cluster)?)?))
            })
            .collect();
        let nodes = inventory
            .nodes_in(mesh)
            .map(|(name, record)| {
                let cluster = &record.cluster;
                let site = mesh.sites.get(cluster);
                let is_gateway = gateways.get(cluster) == Some(&name);
                let endpoint = site.and_then(|site| {
                    let of_site = site.endpoint.as_ref().filter(|_| is_gateway);
                    site.node_endpoints.get(name).or(of_site)
                });
                (name, Place { cluster, endpoint })
            })
            .collect();
        let mut hubs = mesh.sites.iter().filter(|(_, site)| site.hub);
        let hub = hubs.find_map(|(cluster, _)| gateways.get(cluster).copied());
        Self {
            mesh,
            shape: shape_of(inventory, mesh),
            nodes,
            gateways,
            hub,
        }
    }

    /// The mesh itself.
    #[must_use]
    pub fn mesh(&self) -> &'a VpnMesh {
        self.mesh
    }

    /// The node that relays for all others, if the mesh has a hub with a node.
    #[must_use]
    pub fn hub(&self) -> Option<&'a NodeName> {
        self.hub
    }

    /// The node that carries a site's routes, if one is enrolled.
    #[must_use]
    pub fn gateway(&self, cluster: &ClusterName) -> Option<&'a NodeName> {
        self.gateways.get(cluster).copied()
    }

    /// Whether the node carries its site's routes.
    #[must_use]
    pub fn is_gateway(&self, node: &NodeName) -> bool {
        self.nodes
            .get(node)
            .is_some_and(|place| self.gateways.get(place.cluster) == Some(&node))
    }

    /// Where a node can be dialled.
    #[must_use]
    pub fn endpoint_of(&self, node: &NodeName) -> Option<&'a Endpoint> {
        self.nodes.get(node).and_then(|place| place.endpoint)
    }

    /// Whether two nodes are WireGuard peers of one another.
    #[must_use]
    pub fn is_direct(&self, a: &NodeName, b: &NodeName) -> bool {
        let through_hub = self.hub.is_some_and(|hub| hub == a || hub == b);
        let dialable = self.endpoint_of(a).is_some() || self.endpoint_of(b).is_some();
        match self.shape {
            MeshShape::Full => dialable,
            MeshShape::HubSpoke => dialable && through_hub,
        }
    }

    /// The peer over which `from` reaches `to`; none: it can't.
    #[must_use]
    pub fn next_hop<'b>(&self, from: &NodeName, to: &'b NodeName) -> Option<&'b NodeName>
    where
        'a: 'b,
    {
        if self.is_direct(from, to) {
            return Some(to);
        }
        self.relay(from, to)
    }

    /// Whether the node carries traffic between two others.
    #[must_use]
    pub fn relays(&self, node: &NodeName) -> bool {
        if self.hub.is_some() {
            return self.hub == Some(node);
        }
        let Some(own) = self.nodes.get(node) else {
            return false;
        };
        let sheltered = |(name, place): (&&NodeName, &Place<'_>)| {
            *name != node && place.cluster == own.cluster && place.endpoint.is_none()
        };
        self.is_gateway(node) && own.endpoint.is_some() && self.nodes.iter().any(sheltered)
    }

    /// The nodes that a node reaches, by the peer over which it reaches them.
    #[must_use]
    pub fn reached_over(&self, node: &NodeName) -> BTreeMap<&'a NodeName, Vec<&'a NodeName>> {
        let mut reached: BTreeMap<&NodeName, Vec<&NodeName>> = BTreeMap::new();
        for other in self.nodes.keys().copied().filter(|other| *other != node) {
            if let Some(peer) = self.next_hop(node, other) {
                reached.entry(peer).or_default().push(other);
            }
        }
        reached
    }

    /// The one node that carries traffic between two that are no peers. It is the same in both
    /// directions, since WireGuard drops what comes from a peer that may not send it: the hub, or
    /// in a full mesh without one the gateway of either's own site.
    fn relay(&self, a: &NodeName, b: &NodeName) -> Option<&'a NodeName> {
        let fits = |relay: &&'a NodeName| {
            *relay != a && *relay != b && self.is_direct(a, relay) && self.is_direct(relay, b)
        };
        match (self.hub, self.shape) {
            (Some(hub), _) => Some(hub).filter(fits),
            (None, MeshShape::HubSpoke) => None,
            (None, MeshShape::Full) => {
                let (a, b) = (self.nodes.get(a)?.cluster, self.nodes.get(b)?.cluster);
                let sites = [a.min(b), a.max(b)];
                let mut gateways = sites
                    .into_iter()
                    .filter_map(|site| self.gateways.get(site).copied());
                gateways.find(|gateway| self.endpoint_of(gateway).is_some() && fits(gateway))
            }
        }
    }
}
