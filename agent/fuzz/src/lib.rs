//! The targets, and what they share: a small federation, and what must be so in every state.

pub mod answer;
pub mod file;
pub mod record;
pub mod request;

use std::collections::BTreeSet;
use std::net::IpAddr;

use hanse_client::convert::object_from_proto;
use hanse_core::admission::{Admission, admit};
use hanse_core::command::Request;
use hanse_core::mesh::plan;
use hanse_core::name::NodeName;
use hanse_core::state::FederationState;
use hanse_proto::hanse::v1 as proto;
use hanse_proto::hanse::v1::object::Kind;

/// The federation's nodes and their member clusters.
const NODES: [(&str, &str); 3] = [("a", "berlin"), ("b", "berlin"), ("c", "paris")];

thread_local! {
    static FEDERATION: FederationState = found();
}

/// A federation of two member clusters, one mesh and three nodes, the first of them its voter.
pub fn federation() -> FederationState {
    FEDERATION.with(Clone::clone)
}

fn found() -> FederationState {
    let mut state = FederationState::founded("acme".parse().expect("a name"));
    for (node, cluster) in NODES {
        let enroll = Request::Enroll {
            node: node.parse().expect("a name"),
            cluster: cluster.parse().expect("a name"),
            voter: node == "a",
            advertise: None,
            identity_key: None,
            token: None,
            sealing_key: None,
            boxes: Vec::new(),
        };
        ask(&mut state, node, enroll);
    }
    for (number, object) in objects().into_iter().enumerate() {
        let object = object_from_proto(&object).expect("an object");
        let expected_revision = 0;
        let apply = Request::Apply {
            object,
            expected_revision,
            boxes: Vec::new(),
        };
        assert!(ask(&mut state, &number.to_string(), apply), "it is refused");
    }
    check(&state);
    state
}

/// What is declared.
pub fn objects() -> Vec<proto::Object> {
    let site = |number: u8| proto::MeshSite {
        endpoint: format!("192.0.2.{number}:51820"),
        routes: vec![format!("10.{number}.0.0/16")],
        ..Default::default()
    };
    let mesh = proto::VpnMesh {
        federation: "acme".to_owned(),
        name: "backbone".to_owned(),
        address_pools: vec!["10.90.0.0/24".to_owned(), "fd90::/64".to_owned()],
        preshared_keys: true,
        sites: [
            ("berlin".to_owned(), site(1)),
            ("paris".to_owned(), site(2)),
        ]
        .into(),
        ..Default::default()
    };
    let object = |kind| proto::Object { kind: Some(kind) };
    vec![
        object(Kind::MemberCluster(member_cluster("berlin", 1))),
        object(Kind::MemberCluster(member_cluster("paris", 2))),
        object(Kind::VpnMesh(mesh)),
    ]
}

fn member_cluster(name: &str, number: u8) -> proto::MemberCluster {
    proto::MemberCluster {
        federation: "acme".to_owned(),
        name: name.to_owned(),
        platform: "other".to_owned(),
        role: "primary".to_owned(),
        weight: 1,
        networks: vec![format!("10.{number}.0.0/16")],
        ..Default::default()
    }
}

/// Asks for a change as a leader is asked; whether it may be.
pub fn ask(state: &mut FederationState, request_id: &str, request: Request) -> bool {
    let now_unix_s = state.decided_unix_s() + 1;
    match admit(state, request_id, now_unix_s, request) {
        Ok(Admission::Commit { entry, .. }) => {
            let text = serde_json::to_string(&*entry).expect("an entry is written");
            assert_eq!(serde_json::from_str(&text).ok().as_ref(), Some(&*entry));
            state.apply(&entry);
            true
        }
        Ok(Admission::Already { .. }) => true,
        Err(refusal) => {
            assert!(!refusal.findings.is_empty(), "refused without a word");
            false
        }
    }
}

/// What must be so in every state that the rules let through.
pub fn check(state: &FederationState) {
    let text = serde_json::to_string(state).expect("a state is written");
    let read: FederationState = serde_json::from_str(&text).expect("a state is read back");
    assert!(read == *state, "a state is not read as it was written");
    let inventory = state.inventory();
    let mut given: BTreeSet<(&str, IpAddr)> = BTreeSet::new();
    for (node, record) in &inventory.nodes {
        for (mesh, place) in &record.meshes {
            for address in &place.addresses {
                assert!(given.insert((mesh.as_str(), *address)), "given twice");
            }
        }
        let name: &NodeName = node;
        assert!(
            plan::plan(inventory, name, &|_, _, _| None).is_some(),
            "no plan"
        );
    }
}
