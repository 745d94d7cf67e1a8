//! A thousand nodes in one mesh: what is asked for fits into a message, whatever they report.

use std::time::Duration;

use futures::future::join_all;
use hanse_client::{MESSAGE_LIMIT_BYTES, proto};
use hanse_core::command::Request;
use hanse_core::mesh::PEERS_REPORTED_ALL_MAX;
use prost::Message as _;

use crate::harness::{Federation, cluster, mesh};

const NODES: usize = 1000;
/// What a plan or `hanse status` reads.
const LIGHT_MAX_BYTES: usize = 2 << 20;

#[tokio::test]
async fn a_snapshot_of_a_thousand_nodes_fits_with_and_without_what_they_see() {
    let federation = Federation::start().await;
    let admin = federation.admin().await;
    admin.apply(&cluster("berlin"), 0, "one").await.unwrap();
    admin.apply(&mesh(&["berlin"]), 0, "two").await.unwrap();
    let enrolments = (0..NODES).map(|number| {
        let request = Request::Enroll {
            node: name(number).parse().unwrap(),
            cluster: "berlin".parse().unwrap(),
            voter: false,
            advertise: None,
            identity_key: None,
            token: None,
            sealing_key: None,
            boxes: Vec::new(),
        };
        let replica = federation.voter.replica.clone();
        async move { replica.propose(name(number), request).await.unwrap() }
    });
    join_all(enrolments).await;
    let state = federation.voter.replica.read();
    for number in 0..NODES {
        let node = name(number).parse().unwrap();
        let statuses = &federation.voter.statuses;
        statuses.report(state.inventory(), node, report(number));
    }
    let light = admin.snapshot(0, Duration::ZERO).await.unwrap().response;
    assert!(
        light.encoded_len() < LIGHT_MAX_BYTES,
        "{}",
        light.encoded_len()
    );
    let peers = |snapshot: &proto::SnapshotResponse| {
        let statuses = snapshot
            .nodes
            .iter()
            .filter_map(|node| node.status.as_ref());
        let meshes = statuses.flat_map(|status| &status.meshes);
        meshes.map(|mesh| mesh.peers.len()).sum::<usize>()
    };
    assert_eq!(peers(&light), 0);
    let mesh = "core".parse().unwrap();
    let whole = admin.snapshot_of_mesh(&mesh, 0, Duration::ZERO).await;
    let whole = whole.unwrap().response;
    assert_eq!(peers(&whole), NODES * PEERS_REPORTED_ALL_MAX);
    assert!(whole.encoded_len() < MESSAGE_LIMIT_BYTES);
    let other = "other".parse().unwrap();
    let other = admin.snapshot_of_mesh(&other, 0, Duration::ZERO).await;
    assert_eq!(peers(&other.unwrap().response), 0);
}

fn name(number: usize) -> String {
    format!("berlin-machine-{number}")
}

/// More than any agent reports of a mesh so large.
fn report(number: usize) -> proto::NodeStatus {
    let peers = (1..=PEERS_REPORTED_ALL_MAX).map(|other| proto::PeerObservation {
        node: name((number + other) % NODES),
        endpoint: "[2001:db8:1234:5678::9abc]:51820".to_owned(),
        handshake_age_ms: Some(100_000),
        received_bytes: 1 << 40,
        sent_bytes: 1 << 40,
        proved: true,
        round_trip_us: Some(20_000),
        problem: String::new(),
        proof_age_ms: Some(9_000),
    });
    proto::NodeStatus {
        meshes: vec![proto::MeshObservation {
            mesh: "core".to_owned(),
            public_key: vec![7; 32],
            backend: "kernel".to_owned(),
            peers: peers.collect(),
            ..Default::default()
        }],
        agent_version: "0.1.0".to_owned(),
        ..Default::default()
    }
}
