//! Whether every pair of nodes of a mesh can be connected, directly or through a hub.
//!
//! A site without nodes counts as one node that can be dialled if anything in the site can: the
//! mesh must also connect the nodes that come later.

use crate::finding::{Finding, Path};
use crate::inventory::Inventory;
use crate::mesh::topology::{Topology, shape_of};
use crate::name::{ClusterName, NodeName};
use crate::object::VpnMesh;
use crate::object::vpn_mesh::MeshShape;

/// A node, or a site that has none yet.
#[derive(Clone, Copy)]
struct Place<'a> {
    cluster: &'a ClusterName,
    node: Option<&'a NodeName>,
    dialable: bool,
    /// It can be dialled and relays for its site.
    gateway_dialable: bool,
}

impl Place<'_> {
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
    let places = places(inventory, mesh);
    let hub = places
        .iter()
        .find(|place| mesh.sites.get(place.cluster).is_some_and(|site| site.hub));
    match (shape_of(inventory, mesh), hub) {
        (MeshShape::HubSpoke, None) if mesh.sites.len() > 1 => vec![Finding::error(
            Path::of("sites"),
            "No hub",
            "In the shape hub-spoke, sites talk through a hub. Set hub = true on one site that has \
             an endpoint, or shape = \"full\".",
        )],
        (MeshShape::HubSpoke, None) => Vec::new(),
        (MeshShape::Full | MeshShape::HubSpoke, Some(hub)) => {
            behind_hub(hub, &places).into_iter().collect()
        }
        (MeshShape::Full, None) => without_hub(&places),
    }
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

fn places<'a>(inventory: &'a Inventory, mesh: &'a VpnMesh) -> Vec<Place<'a>> {
    let topology = Topology::of(inventory, mesh);
    let mut places = Vec::new();
    for (cluster, site) in &mesh.sites {
        let before = places.len();
        places.extend(inventory.nodes_of(cluster).map(|(node, _)| Place {
            cluster,
            node: Some(node),
            dialable: topology.endpoint_of(node).is_some(),
            gateway_dialable: topology.is_gateway(node) && topology.endpoint_of(node).is_some(),
        }));
        if places.len() == before {
            let dialable = site.endpoint.is_some() || !site.node_endpoints.is_empty();
            places.push(Place {
                cluster,
                node: None,
                dialable,
                gateway_dialable: dialable,
            });
        }
    }
    places
}
