//! Who talks to whom in a mesh: directly, or through the hub.
//!
//! Both the planner and the check of reachability ask here, so that a mesh that passes the check
//! is one that the planner can connect.

use std::collections::BTreeMap;

use crate::endpoint::Endpoint;
use crate::inventory::Inventory;
use crate::name::{ClusterName, NodeName};
use crate::object::VpnMesh;
use crate::object::federation;
use crate::object::vpn_mesh::MeshShape;

/// The connections of one mesh.
#[derive(Debug)]
pub struct Topology<'a> {
    mesh: &'a VpnMesh,
    shape: MeshShape,
    endpoints: BTreeMap<&'a NodeName, Option<&'a Endpoint>>,
    hub: Option<&'a NodeName>,
}

/// The shape of a mesh: its own, or by the federation's topology.
#[must_use]
pub fn shape_of(inventory: &Inventory, mesh: &VpnMesh) -> MeshShape {
    mesh.shape.unwrap_or(match inventory.federation.spec.topology {
        federation::Topology::ActivePassive | federation::Topology::ActiveActive => MeshShape::Full,
        federation::Topology::HubSpoke => MeshShape::HubSpoke,
    })
}

/// The node that carries a site's routes: the first enrolled one of its gateways, or of its nodes
/// where none is named.
#[must_use]
pub fn gateway_of<'a>(
    inventory: &'a Inventory,
    mesh: &VpnMesh,
    cluster: &'a ClusterName,
) -> Option<&'a NodeName> {
    let site = mesh.sites.get(cluster)?;
    let mut nodes = inventory.nodes_of(cluster).map(|(name, _)| name);
    if site.gateways.is_empty() {
        return nodes.next();
    }
    let nodes: Vec<&NodeName> = nodes.collect();
    site.gateways.iter().find_map(|gateway| nodes.iter().find(|node| **node == gateway).copied())
}

/// Whether the node carries its site's routes.
#[must_use]
pub fn is_gateway_of_its_site(inventory: &Inventory, mesh: &VpnMesh, node: &NodeName) -> bool {
    inventory
        .nodes
        .get(node)
        .and_then(|record| gateway_of(inventory, mesh, &record.cluster))
        == Some(node)
}

/// Where a node can be dialled: its own entry, or the site's endpoint for the first gateway.
fn endpoint_of<'a>(
    inventory: &Inventory,
    mesh: &'a VpnMesh,
    cluster: &ClusterName,
    node: &NodeName,
) -> Option<&'a Endpoint> {
    let site = mesh.sites.get(cluster)?;
    site.node_endpoints.get(node).or_else(|| {
        site.endpoint.as_ref().filter(|_| gateway_of(inventory, mesh, cluster) == Some(node))
    })
}

impl<'a> Topology<'a> {
    /// Works out the connections of one mesh.
    #[must_use]
    pub fn of(inventory: &'a Inventory, mesh: &'a VpnMesh) -> Self {
        let endpoints = inventory
            .nodes_in(mesh)
            .map(|(name, record)| (name, endpoint_of(inventory, mesh, &record.cluster, name)))
            .collect();
        let hub = mesh
            .sites
            .iter()
            .filter(|(_, site)| site.hub)
            .find_map(|(cluster, _)| gateway_of(inventory, mesh, cluster));
        Self { mesh, shape: shape_of(inventory, mesh), endpoints, hub }
    }

    /// The mesh itself.
    #[must_use]
    pub fn mesh(&self) -> &'a VpnMesh {
        self.mesh
    }

    /// The node that relays for others, if the mesh has a hub with a node.
    #[must_use]
    pub fn hub(&self) -> Option<&'a NodeName> {
        self.hub
    }

    /// Where a node can be dialled.
    #[must_use]
    pub fn endpoint_of(&self, node: &NodeName) -> Option<&'a Endpoint> {
        self.endpoints.get(node).copied().flatten()
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
        let hub = self.hub.filter(|hub| *hub != from && *hub != to)?;
        (self.is_direct(from, hub) && self.is_direct(hub, to)).then_some(hub)
    }

    /// The WireGuard peers of a node, in the order of their names.
    #[must_use]
    pub fn peers_of(&self, node: &NodeName) -> Vec<&'a NodeName> {
        self.endpoints.keys().copied().filter(|peer| *peer != node && self.is_direct(node, peer)).collect()
    }
}
