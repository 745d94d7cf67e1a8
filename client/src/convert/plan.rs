//! Plans: from the voter that computes them to the node that executes them.

use std::net::IpAddr;

use hanse_core::finding::{Finding, Path};
use hanse_core::key::PresharedKey;
use hanse_core::mesh::{MeshPlan, NodePlan, PeerPlan, ProbeTarget};
use hanse_core::object::member_cluster::ResourceLimits;

use super::collector::Collector;
use super::member_cluster::{limits_to_proto, read_limits};
use crate::proto;

/// A node's plan for the wire. It holds the node's pre-shared keys.
#[must_use]
pub fn node_plan_to_proto(
    plan: &NodePlan,
    revision: u64,
    report_interval_ms: u32,
) -> proto::NodePlan {
    proto::NodePlan {
        revision,
        node: plan.node.to_string(),
        member_cluster: plan.cluster.to_string(),
        meshes: plan.meshes.iter().map(mesh_plan_to_proto).collect(),
        report_interval_ms,
        limits: (plan.limits != ResourceLimits::default()).then(|| limits_to_proto(&plan.limits)),
        capabilities: plan.capabilities.iter().cloned().collect(),
    }
}

/// A node's plan from the wire, or everything that is wrong with it.
pub fn node_plan_from_proto(plan: &proto::NodePlan) -> Result<NodePlan, Vec<Finding>> {
    let mut collector = Collector::default();
    let node = collector.parse(Path::of("node"), "name", &plan.node);
    let cluster = collector.parse(Path::of("member_cluster"), "name", &plan.member_cluster);
    let meshes: Vec<Option<MeshPlan>> = plan
        .meshes
        .iter()
        .enumerate()
        .map(|(index, mesh)| read_mesh(&mut collector, &Path::of("meshes").index(index), mesh))
        .collect();
    let limits = match &plan.limits {
        None => Some(ResourceLimits::default()),
        Some(limits) => read_limits(&mut collector, limits),
    };
    let read = || {
        Some(NodePlan {
            node: node?,
            cluster: cluster?,
            meshes: meshes.into_iter().collect::<Option<_>>()?,
            limits: limits?,
            capabilities: plan.capabilities.iter().cloned().collect(),
        })
    };
    let read = read();
    collector.finish(read)
}

/// A mesh's plan for the wire. It holds the node's pre-shared keys.
#[must_use]
pub fn mesh_plan_to_proto(plan: &MeshPlan) -> proto::MeshPlan {
    proto::MeshPlan {
        mesh: plan.mesh.to_string(),
        interface: plan.interface.to_string(),
        addresses: plan.addresses.iter().map(ToString::to_string).collect(),
        address_pools: plan.address_pools.iter().map(ToString::to_string).collect(),
        listen_port: plan.listen_port.into(),
        probe_port: plan.probe_port.into(),
        mtu: plan.mtu.map(u32::from),
        peers: plan.peers.iter().map(peer_to_proto).collect(),
        routes: plan.routes.iter().map(ToString::to_string).collect(),
        gateway: plan.gateway,
        snat: plan.snat,
        probe_targets: plan.probe_targets.iter().map(target_to_proto).collect(),
    }
}

/// A mesh's plan from the wire, or everything that is wrong with it.
pub fn mesh_plan_from_proto(plan: &proto::MeshPlan) -> Result<MeshPlan, Vec<Finding>> {
    let mut collector = Collector::default();
    let read = read_mesh(&mut collector, &Path::root(), plan);
    collector.finish(read)
}

fn peer_to_proto(peer: &PeerPlan) -> proto::PeerPlan {
    proto::PeerPlan {
        node: peer.node.to_string(),
        public_key: peer.public_key.as_bytes().to_vec(),
        preshared_key: peer
            .preshared_key
            .as_ref()
            .map(|key| key.as_bytes().to_vec())
            .unwrap_or_default(),
        endpoint: peer
            .endpoint
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        allowed_ips: peer.allowed_ips.iter().map(ToString::to_string).collect(),
        persistent_keepalive_s: peer.persistent_keepalive_s.unwrap_or(0).into(),
    }
}

pub(super) fn target_to_proto(target: &ProbeTarget) -> proto::ProbeTarget {
    proto::ProbeTarget {
        node: target.node.to_string(),
        public_key: target.public_key.as_bytes().to_vec(),
        addresses: target.addresses.iter().map(ToString::to_string).collect(),
    }
}

pub(super) fn read_mesh(
    collector: &mut Collector,
    path: &Path,
    plan: &proto::MeshPlan,
) -> Option<MeshPlan> {
    let at = |name| path.clone().attribute(name);
    let mesh = collector.parse(at("mesh"), "name", &plan.mesh);
    let interface = collector.parse(at("interface"), "interface name", &plan.interface);
    let addresses = collector.list::<IpAddr>(&at("addresses"), "address", &plan.addresses);
    let address_pools = collector.list(&at("address_pools"), "CIDR", &plan.address_pools);
    let listen_port = collector.number_u16(at("listen_port"), "port", plan.listen_port);
    let probe_port = collector.number_u16(at("probe_port"), "port", plan.probe_port);
    let mtu = match plan.mtu {
        None => Some(None),
        Some(mtu) => collector.number_u16(at("mtu"), "MTU", mtu).map(Some),
    };
    let peers: Vec<Option<PeerPlan>> = plan
        .peers
        .iter()
        .enumerate()
        .map(|(index, peer)| read_peer(collector, &at("peers").index(index), peer))
        .collect();
    let routes = collector.list(&at("routes"), "CIDR", &plan.routes);
    let probe_targets: Vec<Option<ProbeTarget>> = plan
        .probe_targets
        .iter()
        .enumerate()
        .map(|(index, target)| read_target(collector, &at("probe_targets").index(index), target))
        .collect();
    Some(MeshPlan {
        mesh: mesh?,
        interface: interface?,
        addresses: addresses?,
        address_pools: address_pools?,
        listen_port: listen_port?,
        probe_port: probe_port?,
        mtu: mtu?,
        peers: peers.into_iter().collect::<Option<_>>()?,
        routes: routes?,
        gateway: plan.gateway,
        snat: plan.snat,
        probe_targets: probe_targets.into_iter().collect::<Option<_>>()?,
    })
}

pub(super) fn read_peer(
    collector: &mut Collector,
    path: &Path,
    peer: &proto::PeerPlan,
) -> Option<PeerPlan> {
    let at = |name| path.clone().attribute(name);
    let node = collector.parse(at("node"), "name", &peer.node);
    let public_key = collector.public_key(at("public_key"), &peer.public_key);
    let preshared_key = if peer.preshared_key.is_empty() {
        Some(None)
    } else {
        PresharedKey::try_from(peer.preshared_key.as_slice())
            .map_err(|error| {
                let summary = "Invalid pre-shared key".to_owned();
                collector.fault(at("preshared_key"), summary, format!("{error}."));
            })
            .ok()
            .map(Some)
    };
    let endpoint = collector.optional(at("endpoint"), "endpoint", &peer.endpoint);
    let allowed_ips = collector.list(&at("allowed_ips"), "CIDR", &peer.allowed_ips);
    let keepalive_s = collector.number_u16(
        at("persistent_keepalive_s"),
        "keepalive",
        peer.persistent_keepalive_s,
    );
    Some(PeerPlan {
        node: node?,
        public_key: public_key?,
        preshared_key: preshared_key?,
        endpoint: endpoint?,
        allowed_ips: allowed_ips?,
        persistent_keepalive_s: Some(keepalive_s?).filter(|seconds| *seconds > 0),
    })
}

pub(super) fn read_target(
    collector: &mut Collector,
    path: &Path,
    target: &proto::ProbeTarget,
) -> Option<ProbeTarget> {
    let at = |name| path.clone().attribute(name);
    let node = collector.parse(at("node"), "name", &target.node);
    let public_key = collector.public_key(at("public_key"), &target.public_key);
    let addresses = collector.list(&at("addresses"), "address", &target.addresses);
    Some(ProbeTarget {
        node: node?,
        public_key: public_key?,
        addresses: addresses?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::convert::strategies;

    #[test]
    fn faults_of_a_plan_are_found_at_their_place() {
        let peer = proto::PeerPlan {
            node: "b".into(),
            public_key: vec![1; 31],
            preshared_key: vec![1; 33],
            persistent_keepalive_s: 70_000,
            ..Default::default()
        };
        let mesh = proto::MeshPlan {
            mesh: "m".into(),
            interface: "wg0".into(),
            addresses: vec!["10.0.0.1/32".into()],
            peers: vec![peer],
            ..Default::default()
        };
        let findings = mesh_plan_from_proto(&mesh).unwrap_err();
        let paths: Vec<String> = findings
            .iter()
            .map(|finding| finding.path.to_string())
            .collect();
        assert_eq!(
            paths,
            [
                "addresses[0]",
                "peers[0].public_key",
                "peers[0].preshared_key",
                "peers[0].persistent_keepalive_s"
            ]
        );
    }

    proptest! {
        #[test]
        fn a_plan_that_crosses_the_wire_is_the_same(plan in strategies::node_plan()) {
            let wire = node_plan_to_proto(&plan, 7, 5000);
            prop_assert_eq!(wire.revision, 7);
            prop_assert_eq!(node_plan_from_proto(&wire), Ok(plan));
        }
    }
}
