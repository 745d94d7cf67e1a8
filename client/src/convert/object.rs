//! Any object, any reference, any stored object.

use hanse_core::finding::{Finding, Path};
use hanse_core::inventory::Stored;
use hanse_core::object::{Object, ObjectRef};

use super::collector::Collector;
use super::{dr_plan, federation, member_cluster, vpn_mesh};
use crate::proto::{self, ObjectKind, object};

/// An object for the wire.
#[must_use]
pub fn object_to_proto(object: &Object) -> proto::Object {
    let kind = match object {
        Object::Federation(spec) => object::Kind::Federation(federation::federation_to_proto(spec)),
        Object::MemberCluster(spec) => {
            object::Kind::MemberCluster(member_cluster::member_cluster_to_proto(spec))
        }
        Object::VpnMesh(spec) => object::Kind::VpnMesh(vpn_mesh::vpn_mesh_to_proto(spec)),
        Object::DrPlan(spec) => object::Kind::DrPlan(dr_plan::dr_plan_to_proto(spec)),
    };
    proto::Object { kind: Some(kind) }
}

/// An object from the wire, or everything that is wrong with it.
pub fn object_from_proto(object: &proto::Object) -> Result<Object, Vec<Finding>> {
    let mut collector = Collector::default();
    let read = match &object.kind {
        None => {
            let detail = "The message holds no object of a kind that is known here.".to_owned();
            collector.fault(Path::root(), "Unknown kind of object".to_owned(), detail);
            None
        }
        Some(object::Kind::Federation(spec)) => {
            federation::read(&mut collector, spec).map(Object::Federation)
        }
        Some(object::Kind::MemberCluster(spec)) => {
            member_cluster::read(&mut collector, spec).map(Object::MemberCluster)
        }
        Some(object::Kind::VpnMesh(spec)) => {
            vpn_mesh::read(&mut collector, spec).map(Object::VpnMesh)
        }
        Some(object::Kind::DrPlan(spec)) => {
            dr_plan::read(&mut collector, spec).map(|plan| Object::DrPlan(Box::new(plan)))
        }
    };
    collector.finish(read)
}

/// A reference for the wire.
#[must_use]
pub fn reference_to_proto(reference: &ObjectRef) -> proto::ObjectRef {
    let (kind, name) = match reference {
        ObjectRef::Federation(name) => (ObjectKind::Federation, name.as_str()),
        ObjectRef::MemberCluster(name) => (ObjectKind::MemberCluster, name.as_str()),
        ObjectRef::VpnMesh(name) => (ObjectKind::VpnMesh, name.as_str()),
        ObjectRef::DrPlan(name) => (ObjectKind::DrPlan, name.as_str()),
    };
    proto::ObjectRef {
        kind: kind.into(),
        name: name.to_owned(),
    }
}

/// A reference from the wire, or what is wrong with it.
pub fn reference_from_proto(reference: &proto::ObjectRef) -> Result<ObjectRef, Vec<Finding>> {
    let mut collector = Collector::default();
    let path = Path::of("name");
    let name = &reference.name;
    let read = match reference.kind() {
        ObjectKind::Unspecified => {
            let detail = "The message names no kind of object that is known here.".to_owned();
            collector.fault(Path::root(), "Unknown kind of object".to_owned(), detail);
            None
        }
        ObjectKind::Federation => collector
            .parse(path, "name", name)
            .map(ObjectRef::Federation),
        ObjectKind::MemberCluster => collector
            .parse(path, "name", name)
            .map(ObjectRef::MemberCluster),
        ObjectKind::VpnMesh => collector.parse(path, "name", name).map(ObjectRef::VpnMesh),
        ObjectKind::DrPlan => collector.parse(path, "name", name).map(ObjectRef::DrPlan),
    };
    collector.finish(read)
}

/// A stored object for the wire.
#[must_use]
pub fn stored_to_proto(stored: &Stored<Object>) -> proto::StoredObject {
    proto::StoredObject {
        object: Some(object_to_proto(&stored.spec)),
        revision: stored.revision,
        retiring: stored.retiring,
    }
}

/// A stored object from the wire, or everything that is wrong with it.
pub fn stored_from_proto(stored: &proto::StoredObject) -> Result<Stored<Object>, Vec<Finding>> {
    let empty = proto::Object { kind: None };
    let spec = object_from_proto(stored.object.as_ref().unwrap_or(&empty))?;
    Ok(Stored {
        spec,
        revision: stored.revision,
        retiring: stored.retiring,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::convert::strategies;

    fn paths(object: object::Kind) -> Vec<String> {
        let findings = object_from_proto(&proto::Object { kind: Some(object) }).unwrap_err();
        findings
            .iter()
            .map(|finding| finding.path.to_string())
            .collect()
    }

    #[test]
    fn every_fault_of_a_mesh_is_found_at_its_attribute() {
        let site = proto::MeshSite {
            endpoint: "nowhere".into(),
            node_endpoints: [("n".to_owned(), "x".to_owned())].into(),
            routes: vec!["10.0.0.0/8".into(), "10.1.2.3/8".into()],
            gateways: vec!["B".into()],
            ..Default::default()
        };
        let mesh = proto::VpnMesh {
            federation: "acme".into(),
            name: "Core".into(),
            address_pools: vec!["10.0.0.0/16".into(), "pool".into()],
            interface: "much-too-long-a-name".into(),
            listen_port: 65536,
            mtu: Some(70_000),
            persistent_keepalive: "often".into(),
            key_rotation_interval: "1 day".into(),
            shape: "star".into(),
            sites: [("a".to_owned(), site)].into(),
            ..Default::default()
        };
        assert_eq!(
            paths(object::Kind::VpnMesh(mesh)),
            [
                "name",
                "address_pools[1]",
                "interface",
                "listen_port",
                "mtu",
                "persistent_keepalive",
                "key_rotation_interval",
                "shape",
                "sites[\"a\"].endpoint",
                "sites[\"a\"].node_endpoints[\"n\"]",
                "sites[\"a\"].routes[1]",
                "sites[\"a\"].gateways[0]",
            ]
        );
    }

    #[test]
    fn every_fault_of_the_other_kinds_is_found_too() {
        let federation = proto::Federation {
            topology: "ring".into(),
            health: Some(proto::HealthPolicy {
                check_interval: "5".into(),
                failure_threshold: 3,
            }),
            replication: Some(proto::ReplicationPolicy {
                mode: "maybe".into(),
                min_in_sync: 1,
            }),
            certificate_lifetime: "1d".into(),
            ..Default::default()
        };
        assert_eq!(
            paths(object::Kind::Federation(federation)),
            [
                "name",
                "topology",
                "health.check_interval",
                "replication.mode",
                "certificate_lifetime"
            ]
        );
        let cluster = proto::MemberCluster {
            limits: Some(proto::ResourceLimits {
                max_memory: "much".into(),
                max_storage: "1".into(),
                max_cpus: None,
            }),
            networks: vec!["::1/64".into()],
            ..Default::default()
        };
        assert_eq!(
            paths(object::Kind::MemberCluster(cluster)),
            [
                "federation",
                "name",
                "platform",
                "role",
                "limits.max_memory",
                "limits.max_storage",
                "networks[0]"
            ]
        );
    }

    #[test]
    fn what_is_left_empty_becomes_the_default() {
        let kind = object::Kind::Federation(proto::Federation {
            name: "acme".into(),
            ..Default::default()
        });
        let object = object_from_proto(&proto::Object { kind: Some(kind) }).unwrap();
        let defaults = hanse_core::object::Federation::defaults("acme".parse().unwrap());
        assert_eq!(object, Object::Federation(defaults));
    }

    #[test]
    fn a_million_faults_yield_a_hundred_findings_and_their_number() {
        let cluster = proto::MemberCluster {
            federation: "acme".into(),
            name: "a".into(),
            platform: "other".into(),
            role: "hub".into(),
            networks: vec!["x".into(); 1_000_000],
            ..Default::default()
        };
        let kind = Some(object::Kind::MemberCluster(cluster));
        let findings = object_from_proto(&proto::Object { kind }).unwrap_err();
        assert_eq!(findings.len(), 101);
        assert_eq!(findings[100].summary, "999900 more findings");
    }

    proptest! {
        #[test]
        fn an_object_that_crosses_the_wire_is_the_same(stored in strategies::stored()) {
            prop_assert_eq!(stored_from_proto(&stored_to_proto(&stored)), Ok(stored));
        }

        #[test]
        fn a_reference_that_crosses_the_wire_is_the_same(stored in strategies::stored()) {
            let reference = stored.spec.reference();
            prop_assert_eq!(reference_from_proto(&reference_to_proto(&reference)), Ok(reference));
        }
    }
}
