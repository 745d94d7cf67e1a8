//! Who is well, who is not, and why: by what the leader sees, committed at transitions only.

use std::time::Duration;

use hanse_client::proto::{self, events_response::Answer};
use hanse_client::{Client, Credentials};
use hanse_core::health::{Health, NodeHealth};
use hanse_core::name::NodeName;
use hanse_core::object::Object;
use tonic::Streaming;

use crate::harness::{FEDERATION, Federation};

/// The shortest time after which a node is silent.
async fn be_quick(admin: &Client) {
    let mut settings = hanse_core::object::Federation::defaults(FEDERATION.parse().unwrap());
    settings.health.check_interval = "1s".parse().unwrap();
    settings.health.failure_threshold = 1;
    let settings = Object::Federation(settings);
    admin.apply(&settings, 0, "settings").await.unwrap();
}

fn health(federation: &Federation, node: &str) -> NodeHealth {
    let state = federation.voter.replica.read();
    let record = &state.inventory().nodes[&node.parse::<NodeName>().unwrap()];
    record.health.clone()
}

async fn becomes(federation: &Federation, node: &str, wanted: Health) -> NodeHealth {
    let name: NodeName = node.parse().unwrap();
    let mut changes = federation.voter.replica.changes();
    let is_so = |state: &std::sync::Arc<hanse_core::state::FederationState>| {
        state.inventory().nodes[&name].health.state == wanted
    };
    changes.wait_for(is_so).await.unwrap();
    health(federation, node)
}

async fn client_of(federation: &Federation, node: &str) -> (Client, Credentials) {
    let (_, credentials) = federation.join("berlin", node).await;
    (federation.client(&credentials).await, credentials)
}

/// The next change of the node's health, as it is told.
async fn next_told(events: &mut Streaming<proto::EventsResponse>, node: &str) -> String {
    loop {
        let event = events.message().await.unwrap().unwrap();
        if let Some(Answer::Happened(happened)) = event.answer
            && happened.kind == "health-changed"
            && happened.subject == format!("node/{node}")
        {
            return happened.sentence;
        }
    }
}

#[tokio::test]
async fn a_silent_node_is_suspect_while_its_stream_is_open_then_down_and_each_is_an_event() {
    let federation = Federation::start().await;
    let admin = federation.admin().await;
    be_quick(&admin).await;
    let (node, _) = client_of(&federation, "a").await;
    let mut events = admin.events(1, true).await.unwrap();
    let stream = node.follow(Default::default()).await.unwrap();
    node.report(proto::NodeStatus::default()).await.unwrap();

    let suspect = becomes(&federation, "a", Health::Suspect).await;
    assert!(
        suspect
            .reason
            .contains("the voter home-1 holds its open stream"),
        "{suspect:?}"
    );
    assert!(suspect.since_unix_s > 0);
    drop(stream);
    becomes(&federation, "a", Health::Down).await;
    node.report(proto::NodeStatus::default()).await.unwrap();
    becomes(&federation, "a", Health::Healthy).await;

    for word in ["is suspect", "is down", "is healthy"] {
        let told = next_told(&mut events, "a").await;
        assert!(told.contains(word), "{told}");
    }
}

#[tokio::test]
async fn a_node_that_others_hear_over_the_mesh_is_not_down() {
    let federation = Federation::start().await;
    let admin = federation.admin().await;
    be_quick(&admin).await;
    for name in ["home", "berlin"] {
        let object = crate::harness::cluster(name);
        admin.apply(&object, 0, name).await.unwrap();
    }
    let mesh = crate::harness::mesh(&["home", "berlin"]);
    admin.apply(&mesh, 0, "mesh").await.unwrap();
    let (silent, _) = client_of(&federation, "a").await;
    let (neighbour, _) = client_of(&federation, "b").await;
    let hears = |received_bytes| proto::NodeStatus {
        meshes: vec![proto::MeshObservation {
            mesh: "core".to_owned(),
            peers: vec![proto::PeerObservation {
                node: "a".to_owned(),
                received_bytes,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    silent.report(proto::NodeStatus::default()).await.unwrap();
    let mut bytes = 0;
    let looks = async {
        // As long as the neighbour hears more and more of it: through several looks of the leader.
        let mut changes = federation.voter.replica.changes();
        for _ in 0..30 {
            bytes += 100;
            neighbour.report(hears(bytes)).await.unwrap();
            let pause = Duration::from_millis(100);
            let _ = tokio::time::timeout(pause, changes.changed()).await;
            assert_ne!(health(&federation, "a").state, Health::Down);
        }
    };
    looks.await;
    let suspect = health(&federation, "a");
    assert_eq!(suspect.state, Health::Suspect);
    assert!(
        suspect.reason.contains("b heard from it over the mesh"),
        "{suspect:?}"
    );
}

#[tokio::test]
async fn reports_are_not_committed() {
    let federation = Federation::start().await;
    let (node, _) = client_of(&federation, "a").await;
    let before = node
        .report(proto::NodeStatus::default())
        .await
        .unwrap()
        .revision;
    for _ in 0..100 {
        let status = proto::NodeStatus {
            applied_revision: before,
            ..Default::default()
        };
        assert_eq!(node.report(status).await.unwrap().revision, before);
    }
}

#[tokio::test]
async fn a_node_that_has_not_reported_since_it_was_enrolled_is_not_live() {
    let federation = Federation::start().await;
    let (node, _) = client_of(&federation, "a").await;
    let admin = federation.admin().await;
    let is_live = async || {
        let snapshot = admin.snapshot(0, Duration::ZERO).await.unwrap();
        let nodes = snapshot.response.nodes;
        nodes.iter().any(|node| node.name == "a" && node.live)
    };
    assert!(!is_live().await);
    node.report(proto::NodeStatus::default()).await.unwrap();
    assert!(is_live().await);
}
