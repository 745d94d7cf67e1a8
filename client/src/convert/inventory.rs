//! The inventory: what a snapshot shows, as the core knows it.

use std::net::IpAddr;

use hanse_core::finding::{Finding, Path};
use hanse_core::health::{Health, NodeHealth};
use hanse_core::inventory::{Inventory, NodeMesh, NodeRecord};
use hanse_core::name::{FederationName, MeshName, NodeName};
use hanse_core::object::Object;

use super::collector::Collector;
use super::object::{stored_from_proto, stored_to_proto};
use crate::proto;

/// Rebuilds the inventory from a snapshot, or says everything that is wrong with it.
pub fn inventory_from_proto(snapshot: &proto::SnapshotResponse) -> Result<Inventory, Vec<Finding>> {
    let mut collector = Collector::default();
    let name: Option<FederationName> =
        collector.parse(Path::of("federation"), "name", &snapshot.federation);
    let Some(name) = name else {
        return collector.finish(None);
    };
    let mut inventory = Inventory::new(name);
    for (index, stored) in snapshot.objects.iter().enumerate() {
        match stored_from_proto(stored) {
            Ok(stored) => put(
                &mut inventory,
                stored.spec,
                stored.revision,
                stored.retiring,
            ),
            Err(findings) => {
                for finding in findings {
                    let path = Path::of("objects").index(index);
                    let detail = format!("{}: {}", finding.path, finding.detail);
                    collector.fault(path, finding.summary, detail);
                }
            }
        }
    }
    for (index, node) in snapshot.nodes.iter().enumerate() {
        let path = Path::of("nodes").index(index);
        if let Some((name, record)) = read_node(&mut collector, &path, node) {
            inventory.nodes.insert(name, record);
        }
    }
    for (index, retired) in snapshot.retired_addresses.iter().enumerate() {
        let path = Path::of("retired_addresses").index(index);
        let mesh = collector.parse(path.clone().attribute("mesh"), "name", &retired.mesh);
        let path = path.attribute("addresses");
        let addresses = collector.list::<IpAddr>(&path, "address", &retired.addresses);
        if let (Some(mesh), Some(addresses)) = (mesh, addresses) {
            inventory
                .retired
                .insert(mesh, addresses.into_iter().collect());
        }
    }
    collector.finish(Some(inventory))
}

/// Every declared object of an inventory, for the wire.
#[must_use]
pub fn snapshot_objects(inventory: &Inventory) -> Vec<proto::StoredObject> {
    inventory
        .references()
        .filter_map(|reference| inventory.get(&reference))
        .map(|stored| stored_to_proto(&stored))
        .collect()
}

/// The addresses that nobody gets again, for the wire.
#[must_use]
pub fn retired_addresses(inventory: &Inventory) -> Vec<proto::RetiredAddresses> {
    inventory
        .retired
        .iter()
        .map(|(mesh, addresses)| proto::RetiredAddresses {
            mesh: mesh.to_string(),
            addresses: addresses.iter().map(ToString::to_string).collect(),
        })
        .collect()
}

/// A node's committed part, for the wire; its status is the caller's to add.
#[must_use]
pub fn node_to_proto(name: &NodeName, record: &NodeRecord) -> proto::Node {
    proto::Node {
        name: name.to_string(),
        member_cluster: record.cluster.to_string(),
        voter: record.voter,
        advertise: record
            .advertise
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        meshes: record
            .meshes
            .iter()
            .map(|(mesh, place)| proto::NodeMesh {
                mesh: mesh.to_string(),
                addresses: place.addresses.iter().map(ToString::to_string).collect(),
                service_addresses: place
                    .service_addresses
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
                public_key: place
                    .public_key
                    .map(|key| key.as_bytes().to_vec())
                    .unwrap_or_default(),
            })
            .collect(),
        status: None,
        last_seen_age_ms: None,
        live: false,
        enrolled_revision: record.enrolled_revision,
        health: Some(proto::NodeHealth {
            state: record.health.state.to_string(),
            reason: record.health.reason.clone(),
            since_unix_s: record.health.since_unix_s,
        }),
        awaited: false,
    }
}

/// A voter that knows nothing of health has healthy nodes.
fn read_health(
    collector: &mut Collector,
    path: Path,
    health: Option<&proto::NodeHealth>,
) -> Option<NodeHealth> {
    let Some(health) = health else {
        return Some(NodeHealth::default());
    };
    let state = path.attribute("state");
    Some(NodeHealth {
        state: collector.parse_or(state, "health", &health.state, Health::Healthy)?,
        reason: health.reason.clone(),
        since_unix_s: health.since_unix_s,
    })
}

/// Puts a stored object in place with all of its marks.
fn put(inventory: &mut Inventory, object: Object, revision: u64, retiring: bool) {
    let reference = object.reference();
    inventory.put(object, revision);
    match reference {
        hanse_core::object::ObjectRef::Federation(_) => inventory.federation.retiring = retiring,
        hanse_core::object::ObjectRef::MemberCluster(name) => {
            if let Some(stored) = inventory.clusters.get_mut(&name) {
                stored.retiring = retiring;
            }
        }
        hanse_core::object::ObjectRef::VpnMesh(name) => {
            if let Some(stored) = inventory.meshes.get_mut(&name) {
                stored.retiring = retiring;
            }
        }
        hanse_core::object::ObjectRef::DrPlan(name) => {
            if let Some(stored) = inventory.dr_plans.get_mut(&name) {
                stored.retiring = retiring;
            }
        }
    }
}

fn read_node(
    collector: &mut Collector,
    path: &Path,
    node: &proto::Node,
) -> Option<(NodeName, NodeRecord)> {
    let at = |name| path.clone().attribute(name);
    let name = collector.parse(at("name"), "name", &node.name);
    let cluster = collector.parse(at("member_cluster"), "name", &node.member_cluster);
    let advertise = collector.optional(at("advertise"), "endpoint", &node.advertise);
    let meshes: Vec<Option<(MeshName, NodeMesh)>> = node
        .meshes
        .iter()
        .enumerate()
        .map(|(index, place)| {
            let path = at("meshes").index(index);
            let mesh = collector.parse(path.clone().attribute("mesh"), "name", &place.mesh);
            let addresses = collector.list::<IpAddr>(
                &path.clone().attribute("addresses"),
                "address",
                &place.addresses,
            );
            let service_addresses = collector.list(
                &path.clone().attribute("service_addresses"),
                "address",
                &place.service_addresses,
            );
            let public_key = if place.public_key.is_empty() {
                Some(None)
            } else {
                collector
                    .public_key(path.attribute("public_key"), &place.public_key)
                    .map(Some)
            };
            Some((
                mesh?,
                NodeMesh {
                    addresses: addresses?,
                    public_key: public_key?,
                    service_addresses: service_addresses?.into_iter().collect(),
                },
            ))
        })
        .collect();
    let health = read_health(collector, at("health"), node.health.as_ref());
    let record = NodeRecord {
        cluster: cluster?,
        voter: node.voter,
        advertise: advertise?,
        meshes: meshes.into_iter().collect::<Option<_>>()?,
        enrolled_revision: node.enrolled_revision,
        health: health?,
        sealing_key: None,
        certified_by: None,
        vote: Default::default(),
    };
    Some((name?, record))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::convert::strategies;

    proptest! {
        #[test]
        fn an_inventory_that_crosses_the_wire_is_the_same(inventory in strategies::inventory()) {
            let snapshot = proto::SnapshotResponse {
                federation: inventory.name().to_string(),
                objects: snapshot_objects(&inventory),
                nodes: inventory.nodes.iter().map(|(name, node)| node_to_proto(name, node)).collect(),
                retired_addresses: retired_addresses(&inventory),
                ..Default::default()
            };
            prop_assert_eq!(inventory_from_proto(&snapshot), Ok(inventory));
        }
    }
}
