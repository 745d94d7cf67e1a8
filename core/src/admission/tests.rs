//! Admission, asked as the federation asks it.

use super::*;
use crate::name::ClusterName;
use crate::testing::{Builder, cluster, mesh, mesh_name};

fn kind(result: Result<(), Refusal>) -> RefusalKind {
    result.unwrap_err().kind
}

fn apply(object: Object, expected_revision: u64) -> Request {
    Request::Apply {
        object,
        expected_revision,
        boxes: Vec::new(),
    }
}

#[test]
fn a_stale_revision_is_refused_and_never_merged() {
    let mut federation = Builder::new().site("a");
    let mut changed = cluster("a");
    changed.weight = 7;
    federation
        .ask(apply(Object::MemberCluster(changed.clone()), 1))
        .unwrap();
    changed.weight = 9;
    let stale = federation.ask(apply(Object::MemberCluster(changed), 1));
    assert_eq!(kind(stale), RefusalKind::Conflict);
    assert_eq!(
        federation.state.inventory().clusters[&"a".parse::<ClusterName>().unwrap()]
            .spec
            .weight,
        7
    );
}

#[test]
fn creating_what_exists_is_refused_and_updating_what_is_gone_too() {
    let mut federation = Builder::new().site("a");
    let again = federation.ask(apply(Object::MemberCluster(cluster("a")), 0));
    assert_eq!(kind(again), RefusalKind::AlreadyExists);
    let gone = federation.ask(apply(Object::MemberCluster(cluster("b")), 5));
    assert_eq!(kind(gone), RefusalKind::NotFound);
}

#[test]
fn a_request_that_was_committed_happens_once() {
    let mut federation = Builder::new();
    let request = || apply(Object::MemberCluster(cluster("a")), 0);
    let Admission::Commit { entry, .. } = admit(&federation.state, "same", 0, request()).unwrap()
    else {
        panic!("the first is committed");
    };
    federation.state.apply(&entry);
    let again = admit(&federation.state, "same", 0, request()).unwrap();
    assert_eq!(again, Admission::Already { revision: 1 });
}

#[test]
fn a_member_cluster_that_a_mesh_still_names_retires_and_goes_with_its_last_reference() {
    let mut federation = Builder::new().site("a").site("b").mesh(&["10.0.0.0/24"]);
    federation.enroll("a-1", "a");
    let reference = ObjectRef::MemberCluster("a".parse().unwrap());
    federation
        .ask(Request::Delete {
            reference: reference.clone(),
            expected_revision: 0,
        })
        .unwrap();
    assert!(
        federation
            .state
            .inventory()
            .get(&reference)
            .unwrap()
            .retiring
    );
    federation.change_mesh(|mesh| {
        mesh.sites.remove(&"a".parse().unwrap());
    });
    assert!(federation.state.inventory().get(&reference).is_none());
    let node = &federation.state.inventory().nodes[&"a-1".parse::<NodeName>().unwrap()];
    assert!(node.meshes.is_empty(), "the node stays enrolled and idle");
}

#[test]
fn an_unknown_member_cluster_is_refused_where_it_is_named() {
    let mut federation = Builder::new().site("a");
    let mut wanted = mesh(&["10.0.0.0/24"]);
    wanted
        .sites
        .insert("nowhere".parse().unwrap(), crate::testing::dialable_site(1));
    let refusal = federation.try_declare(Object::VpnMesh(wanted)).unwrap_err();
    assert_eq!(refusal.findings[0].path.to_string(), r#"sites["nowhere"]"#);
}

#[test]
fn another_federation_is_refused() {
    let mut foreign = cluster("a");
    foreign.federation = "other".parse().unwrap();
    let refusal = Builder::new()
        .try_declare(Object::MemberCluster(foreign))
        .unwrap_err();
    assert_eq!(refusal.findings[0].path.to_string(), "federation");
}

#[test]
fn a_token_lets_in_as_many_as_it_says_and_a_taken_name_nobody() {
    let mut federation = Builder::new();
    federation.now_unix_s = 50;
    let mut join = |node: &str| {
        let token = TokenClaim {
            id: "t".into(),
            uses_max: 1,
            expires_unix_s: 100,
        };
        let (node, cluster) = (node.parse().unwrap(), "a".parse().unwrap());
        federation.ask(Request::Enroll {
            node,
            cluster,
            voter: false,
            advertise: None,
            identity_key: None,
            token: Some(token),
            sealing_key: None,
            boxes: Vec::new(),
        })
    };
    join("n1").unwrap();
    assert_eq!(kind(join("n1")), RefusalKind::AlreadyExists);
    assert_eq!(kind(join("n2")), RefusalKind::TokenUsed);
}

#[test]
fn a_key_belongs_to_one_node_of_a_mesh() {
    let mut federation = Builder::new().site("a").mesh(&["10.0.0.0/24"]);
    federation.enroll("a-1", "a");
    federation.enroll("a-2", "a");
    let nodes = federation.state.inventory().nodes.clone();
    let key =
        |node: &str| nodes[&node.parse::<NodeName>().unwrap()].meshes[&mesh_name()].public_key;
    let mut set = |node: &str, key: Option<PublicKey>| {
        federation.ask(Request::SetKey {
            node: node.parse().unwrap(),
            mesh: mesh_name(),
            public_key: key.unwrap(),
        })
    };
    assert_eq!(kind(set("a-2", key("a-1"))), RefusalKind::AlreadyExists);
    set("a-2", key("a-2")).unwrap();
}

#[test]
fn destroying_the_federation_returns_its_settings_to_their_defaults() {
    let mut federation = Builder::new().topology(crate::object::federation::Topology::ActiveActive);
    let reference = ObjectRef::Federation("test".parse().unwrap());
    federation
        .ask(Request::Delete {
            reference: reference.clone(),
            expected_revision: 0,
        })
        .unwrap();
    assert!(federation.state.inventory().get(&reference).is_none());
    let settings = &federation.state.inventory().federation.spec;
    assert_eq!(
        settings.topology,
        crate::object::federation::Topology::ActivePassive
    );
}

#[test]
fn a_state_survives_its_stored_form() {
    let mut federation = Builder::new().site("a").mesh(&["10.0.0.0/24"]);
    federation.enroll("a-1", "a");
    let text = serde_json::to_string(&federation.state).unwrap();
    let state: FederationState = serde_json::from_str(&text).unwrap();
    assert_eq!(state, federation.state);
    assert!(state.inventory().meshes.contains_key(&mesh_name()));
}
