//! Whether every pair of nodes of a mesh can be connected, directly or through a hub.
//!
//! A site without nodes counts as one node that can be dialled if anything in the site can: the
//! mesh must also connect the nodes that come later.

use crate::finding::{Finding, Path};
use crate::inventory::Inventory;
use crate::mesh::topology::{Topology, shape_of};
use crate::name::{ClusterName, NodeName};
use crate::object::vpn_mesh::MeshShape;
use crate::object::{MeshSite, VpnMesh};

/// A node, or a site that has none yet.
#[derive(Clone, Copy)]
struct Place<'a> {
    cluster: &'a ClusterName,
    node: Option<&'a NodeName>,
    dialable: bool,
    /// It can be dialled and relays for its site.
    gateway_dialable: bool,
}

impl<'a> Place<'a> {
    fn of(topology: &Topology, cluster: &'a ClusterName, node: &'a NodeName) -> Self {
        let dialable = topology.endpoint_of(node).is_some();
        Self {
            cluster,
            node: Some(node),
            dialable,
            gateway_dialable: dialable && topology.is_gateway(node),
        }
    }

    fn to_come(cluster: &'a ClusterName, site: &MeshSite) -> Self {
        let dialable = site.endpoint.is_some() || !site.node_endpoints.is_empty();
        Self {
            cluster,
            node: None,
            dialable,
            gateway_dialable: dialable,
        }
    }

    fn describe(&self) -> String {
        match self.node {
            Some(node) => format!("the node `{node}` of `{}`", self.cluster),
            None => format!("the member cluster `{}`", self.cluster),
        }
    }

    /// The attribute that would make it dialable.
    fn path(&self) -> Path {
        Path::of("sites").key(self.cluster).attribute("endpoint")
    }
}

/// Checks that every pair of nodes can be connected.
pub(super) fn check(inventory: &Inventory, mesh: &VpnMesh) -> Vec<Finding> {
    let topology = Topology::of(inventory, mesh);
    let places = places(inventory, &topology);
    let hubs = hubs(&topology);
    match shape_of(inventory, mesh) {
        MeshShape::HubSpoke if hubs.is_empty() && mesh.sites.len() > 1 => vec![Finding::error(
            Path::of("sites"),
            "No hub",
            "In the shape hub-spoke, sites talk through a hub. Set hub = true on one site that has \
             an endpoint, or shape = \"full\".",
        )],
        MeshShape::Full if hubs.is_empty() => without_hub(&places),
        MeshShape::Full | MeshShape::HubSpoke => {
            let findings = hubs.iter().filter_map(|hub| behind_hub(hub, &places));
            findings.collect()
        }
    }
}

/// The hub, after those that come before it once they have a gateway.
fn hubs<'a>(topology: &'a Topology) -> Vec<Place<'a>> {
    let mut hubs = Vec::new();
    for (cluster, site) in topology.mesh().sites.iter().filter(|(_, site)| site.hub) {
        match topology.gateway(cluster) {
            Some(node) => {
                hubs.push(Place::of(topology, cluster, node));
                return hubs;
            }
            None => hubs.push(Place::to_come(cluster, site)),
        }
    }
    hubs
}

/// A hub that can't be dialled meets nobody who can't be dialled either.
fn behind_hub(hub: &Place<'_>, places: &[Place<'_>]) -> Option<Finding> {
    let is_hub = |place: &Place<'_>| place.cluster == hub.cluster && place.node == hub.node;
    let place = places
        .iter()
        .find(|place| !place.dialable && !is_hub(place))?;
    (!hub.dialable).then(|| {
        Finding::error(
            hub.path(),
            "The hub can't be dialled",
            format!(
                "Neither {} nor {} has an endpoint, so they could never meet. Give the hub an \
                 endpoint.",
                hub.describe(),
                place.describe()
            ),
        )
    })
}

/// Without a hub, a site's own gateway relays for its site, if it can be dialled. So only nodes of
/// sites that nobody can dial at all could never meet.
fn without_hub(places: &[Place<'_>]) -> Vec<Finding> {
    let sheltered = |cluster| {
        places
            .iter()
            .any(|place| place.cluster == cluster && place.gateway_dialable)
    };
    let lost: Vec<&Place<'_>> = places
        .iter()
        .filter(|place| !place.dialable && !sheltered(place.cluster))
        .collect();
    let [first, rest @ ..] = lost.as_slice() else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for place in rest {
        let path = place.path();
        if findings
            .iter()
            .any(|finding: &Finding| finding.path == path)
        {
            continue;
        }
        let pair = format!(
            "Neither {} nor {} can be dialled.",
            first.describe(),
            place.describe()
        );
        findings.push(if first.cluster == place.cluster {
            Finding::warning(
                path,
                "Two nodes of one site that the mesh does not connect",
                format!(
                    "{pair} They reach one another over the site's own network only. To connect \
                     them in the mesh too, give one of them an entry in node_endpoints."
                ),
            )
        } else {
            Finding::error(
                path,
                "Two nodes that could never meet",
                format!(
                    "{pair} Give one of the two sites an endpoint, or add a site with hub = true \
                     that has one."
                ),
            )
        });
    }
    findings
}

fn places<'a>(inventory: &'a Inventory, topology: &'a Topology) -> Vec<Place<'a>> {
    let mut places = Vec::new();
    for (cluster, site) in &topology.mesh().sites {
        let before = places.len();
        let nodes = inventory.nodes_of(cluster);
        places.extend(nodes.map(|(node, _)| Place::of(topology, cluster, node)));
        if places.len() == before {
            places.push(Place::to_come(cluster, site));
        }
    }
    places
}
