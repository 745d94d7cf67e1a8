//! Differences of plans: from the voter that finds them to the node that applies them.

use hanse_core::finding::{Finding, Path};
use hanse_core::mesh::difference::{
    MeshDifference, MeshHead, NodeDifference, PeerDifference, PeerHead, SetDifference, SiteTerms,
};
use hanse_core::object::member_cluster::ResourceLimits;

use super::collector::Collector;
use super::member_cluster::{limits_to_proto, read_limits};
use super::plan::{read_mesh, read_peer, read_target, target_to_proto};
use crate::proto;

/// A difference for the wire. It may hold the node's pre-shared keys.
#[must_use]
pub fn plan_change_to_proto(
    difference: &NodeDifference,
    base_revision: u64,
    revision: u64,
    report_interval_ms: u32,
) -> proto::PlanChange {
    proto::PlanChange {
        revision,
        base_revision,
        report_interval_ms,
        meshes_removed: words(&difference.meshes_removed),
        meshes: difference.meshes.iter().map(mesh_to_proto).collect(),
        terms: difference.terms.as_ref().map(terms_to_proto),
    }
}

/// A difference from the wire, or everything that is wrong with it.
pub fn plan_change_from_proto(change: &proto::PlanChange) -> Result<NodeDifference, Vec<Finding>> {
    let mut collector = Collector::default();
    let meshes_removed =
        collector.list(&Path::of("meshes_removed"), "name", &change.meshes_removed);
    let mut meshes = Vec::with_capacity(change.meshes.len());
    for (index, mesh) in change.meshes.iter().enumerate() {
        meshes.push(mesh_change(
            &mut collector,
            &Path::of("meshes").index(index),
            mesh,
        ));
    }
    let terms = match &change.terms {
        None => Some(None),
        Some(terms) => read_terms(&mut collector, terms).map(Some),
    };
    let read = || {
        Some(NodeDifference {
            terms: terms?,
            meshes_removed: meshes_removed?,
            meshes: meshes.into_iter().collect::<Option<_>>()?,
        })
    };
    let read = read();
    collector.finish(read)
}

fn terms_to_proto(terms: &SiteTerms) -> proto::SiteTerms {
    let is_bounded = terms.limits != ResourceLimits::default();
    proto::SiteTerms {
        limits: is_bounded.then(|| limits_to_proto(&terms.limits)),
        capabilities: terms.capabilities.iter().cloned().collect(),
    }
}

fn read_terms(collector: &mut Collector, terms: &proto::SiteTerms) -> Option<SiteTerms> {
    let limits = match &terms.limits {
        None => Some(ResourceLimits::default()),
        Some(limits) => read_limits(collector, limits),
    };
    Some(SiteTerms {
        limits: limits?,
        capabilities: terms.capabilities.iter().cloned().collect(),
    })
}

fn mesh_to_proto(mesh: &MeshDifference) -> proto::MeshChange {
    proto::MeshChange {
        mesh: mesh.mesh.to_string(),
        head: mesh.head.as_ref().map(mesh_head_to_proto),
        routes_removed: words(&mesh.routes.removed),
        routes_added: words(&mesh.routes.added),
        peers_removed: words(&mesh.peers_removed),
        peers: mesh.peers.iter().map(peer_to_proto).collect(),
        probe_targets_removed: words(&mesh.probe_targets_removed),
        probe_targets: mesh.probe_targets.iter().map(target_to_proto).collect(),
    }
}

fn mesh_head_to_proto(head: &MeshHead) -> proto::MeshPlan {
    proto::MeshPlan {
        mesh: String::new(),
        interface: head.interface.to_string(),
        addresses: words(&head.addresses),
        address_pools: words(&head.address_pools),
        listen_port: head.listen_port.into(),
        probe_port: head.probe_port.into(),
        mtu: head.mtu.map(u32::from),
        peers: Vec::new(),
        routes: Vec::new(),
        gateway: head.gateway,
        snat: head.snat,
        probe_targets: Vec::new(),
    }
}

fn peer_to_proto(peer: &PeerDifference) -> proto::PeerChange {
    proto::PeerChange {
        node: peer.node.to_string(),
        head: peer.head.as_ref().map(peer_head_to_proto),
        allowed_ips_removed: words(&peer.allowed_ips.removed),
        allowed_ips_added: words(&peer.allowed_ips.added),
    }
}

fn peer_head_to_proto(head: &PeerHead) -> proto::PeerPlan {
    let preshared = head.preshared_key.as_ref();
    let endpoint = head.endpoint.as_ref();
    proto::PeerPlan {
        node: String::new(),
        public_key: head.public_key.as_bytes().to_vec(),
        preshared_key: preshared.map_or_else(Vec::new, |key| key.as_bytes().to_vec()),
        endpoint: endpoint.map_or_else(String::new, ToString::to_string),
        allowed_ips: Vec::new(),
        persistent_keepalive_s: head.persistent_keepalive_s.unwrap_or(0).into(),
    }
}

fn mesh_change(
    collector: &mut Collector,
    path: &Path,
    change: &proto::MeshChange,
) -> Option<MeshDifference> {
    let at = |name| path.clone().attribute(name);
    let mesh = collector.parse(at("mesh"), "name", &change.mesh);
    let head = match &change.head {
        None => Some(None),
        Some(head) => {
            let mesh = change.mesh.clone();
            let named = proto::MeshPlan {
                mesh,
                ..head.clone()
            };
            read_mesh(collector, &at("head"), &named).map(|plan| Some(plan.head()))
        }
    };
    let routes = networks(
        collector,
        path,
        "routes",
        &change.routes_removed,
        &change.routes_added,
    );
    let peers_removed = collector.list(&at("peers_removed"), "name", &change.peers_removed);
    let mut peers = Vec::with_capacity(change.peers.len());
    for (index, peer) in change.peers.iter().enumerate() {
        peers.push(peer_change(collector, &at("peers").index(index), peer));
    }
    let gone = &change.probe_targets_removed;
    let probe_targets_removed = collector.list(&at("probe_targets_removed"), "name", gone);
    let mut probe_targets = Vec::with_capacity(change.probe_targets.len());
    for (index, target) in change.probe_targets.iter().enumerate() {
        let path = at("probe_targets").index(index);
        probe_targets.push(read_target(collector, &path, target));
    }
    Some(MeshDifference {
        mesh: mesh?,
        head: head?,
        routes: routes?,
        peers_removed: peers_removed?,
        peers: peers.into_iter().collect::<Option<_>>()?,
        probe_targets_removed: probe_targets_removed?,
        probe_targets: probe_targets.into_iter().collect::<Option<_>>()?,
    })
}

fn peer_change(
    collector: &mut Collector,
    path: &Path,
    change: &proto::PeerChange,
) -> Option<PeerDifference> {
    let at = |name| path.clone().attribute(name);
    let node = collector.parse(at("node"), "name", &change.node);
    let head = match &change.head {
        None => Some(None),
        Some(head) => {
            let node = change.node.clone();
            let named = proto::PeerPlan {
                node,
                ..head.clone()
            };
            read_peer(collector, &at("head"), &named).map(|plan| Some(plan.head()))
        }
    };
    let (removed, added) = (&change.allowed_ips_removed, &change.allowed_ips_added);
    let allowed_ips = networks(collector, path, "allowed_ips", removed, added);
    Some(PeerDifference {
        node: node?,
        head: head?,
        allowed_ips: allowed_ips?,
    })
}

fn networks(
    collector: &mut Collector,
    path: &Path,
    name: &str,
    removed: &[String],
    added: &[String],
) -> Option<SetDifference> {
    let at = |suffix| path.clone().attribute(&format!("{name}_{suffix}"));
    let removed = collector.list(&at("removed"), "CIDR", removed);
    let added = collector.list(&at("added"), "CIDR", added);
    Some(SetDifference {
        removed: removed?,
        added: added?,
    })
}

fn words<T: ToString>(list: &[T]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::convert::strategies;

    #[test]
    fn faults_of_a_difference_are_found_at_their_place() {
        let peer = proto::PeerChange {
            node: "b".into(),
            head: Some(proto::PeerPlan {
                public_key: vec![1; 31],
                ..Default::default()
            }),
            allowed_ips_added: vec!["10.0.0.1".into()],
            ..Default::default()
        };
        let mesh = proto::MeshChange {
            mesh: "m".into(),
            peers: vec![peer],
            routes_removed: vec!["x".into()],
            ..Default::default()
        };
        let change = proto::PlanChange {
            meshes_removed: vec![String::new()],
            meshes: vec![mesh],
            ..Default::default()
        };
        let findings = plan_change_from_proto(&change).unwrap_err();
        let paths: Vec<String> = findings
            .iter()
            .map(|finding| finding.path.to_string())
            .collect();
        assert_eq!(
            paths,
            [
                "meshes_removed[0]",
                "meshes[0].routes_removed[0]",
                "meshes[0].peers[0].head.public_key",
                "meshes[0].peers[0].allowed_ips_added[0]",
            ]
        );
    }

    proptest! {
        #[test]
        fn a_difference_that_crosses_the_wire_is_the_same(
            before in strategies::node_plan(),
            after in strategies::node_plan(),
        ) {
            let difference = NodeDifference::between(&before, &after);
            let wire = plan_change_to_proto(&difference, 6, 7, 5000);
            prop_assert_eq!((wire.base_revision, wire.revision), (6, 7));
            prop_assert_eq!(plan_change_from_proto(&wire), Ok(difference));
        }
    }
}
