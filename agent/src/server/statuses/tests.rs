use hanse_core::inventory::NodeRecord;

use super::*;

const LONG: Duration = Duration::from_secs(3600);

fn inventory(nodes: &[&str]) -> Inventory {
    let mut inventory = Inventory::new("acme".parse().unwrap());
    for node in nodes {
        let record = NodeRecord {
            sealing_key: None,
            certified_by: None,
            vote: Default::default(),
            cluster: "home".parse().unwrap(),
            voter: node.starts_with("voter"),
            advertise: None,
            enrolled_revision: 1,
            meshes: [("core".parse().unwrap(), Default::default())].into(),
            health: Default::default(),
        };
        inventory.nodes.insert(node.parse().unwrap(), record);
    }
    inventory
}

fn name(node: &str) -> NodeName {
    node.parse().unwrap()
}

fn hearing(peer: proto::PeerObservation) -> proto::NodeStatus {
    proto::NodeStatus {
        meshes: vec![proto::MeshObservation {
            mesh: "core".to_owned(),
            peers: vec![peer],
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn peer(node: &str, received_bytes: u64) -> proto::PeerObservation {
    proto::PeerObservation {
        node: node.to_owned(),
        received_bytes,
        ..Default::default()
    }
}

fn sighting(statuses: &Statuses, node: &str, streams: &[&str]) -> Sighting {
    let streams = streams.iter().map(|node| name(node)).collect();
    let mut all = statuses.sightings(&name("voter"), &streams);
    all.remove(&name(node)).unwrap()
}

#[test]
fn a_node_is_heard_over_the_mesh_when_bytes_of_it_arrive() {
    let inventory = inventory(&["voter", "a", "b"]);
    let statuses = Statuses::default();
    statuses.watch(&inventory);
    statuses.report(&inventory, name("b"), hearing(peer("a", 100)));
    statuses.report(&inventory, name("b"), hearing(peer("a", 100)));
    assert_eq!(sighting(&statuses, "a", &[]).sign, None, "no news");
    statuses.report(&inventory, name("b"), hearing(peer("a", 101)));
    let sign = sighting(&statuses, "a", &[]).sign.unwrap();
    assert_eq!((sign.by, sign.what), (name("b"), SignKind::Mesh));
    assert!(sign.ago < LONG);
    statuses.report(&inventory, name("b"), hearing(peer("a", 0)));
    assert!(sighting(&statuses, "b", &[]).reported_ago.is_some());
}

#[test]
fn a_handshake_and_a_proof_are_signs_of_their_age_and_an_absurd_age_counts_for_nothing() {
    let inventory = inventory(&["voter", "a", "b", "c"]);
    let statuses = Statuses::default();
    statuses.watch(&inventory);
    let told = |node: &str, handshake_age_ms, proof_age_ms| {
        hearing(proto::PeerObservation {
            handshake_age_ms,
            proof_age_ms,
            ..peer(node, 0)
        })
    };
    statuses.report(&inventory, name("c"), told("a", Some(u64::MAX), None));
    let absurd = sighting(&statuses, "a", &[]).sign;
    assert!(absurd.is_none_or(|sign| sign.ago > LONG));
    statuses.report(&inventory, name("c"), told("a", Some(90), Some(40)));
    let sign = sighting(&statuses, "a", &[]).sign.unwrap();
    assert!(sign.ago >= Duration::from_millis(40) && sign.ago < LONG);
    statuses.report(&inventory, name("b"), told("b", Some(0), Some(0)));
    assert_eq!(
        sighting(&statuses, "b", &[]).sign,
        None,
        "nobody vouches for himself"
    );
}

#[test]
fn an_open_stream_is_a_sign_here_and_by_another_voters_word_only() {
    let inventory = inventory(&["voter", "voter-2", "a", "b"]);
    let statuses = Statuses::default();
    statuses.watch(&inventory);
    let following = || proto::NodeStatus {
        followers: vec!["a".to_owned()],
        ..Default::default()
    };
    statuses.report(&inventory, name("b"), following());
    assert_eq!(sighting(&statuses, "a", &[]).sign, None);
    statuses.report(&inventory, name("voter-2"), following());
    let sign = sighting(&statuses, "a", &[]).sign.unwrap();
    assert_eq!((sign.by, sign.what), (name("voter-2"), SignKind::Stream));
    let sign = sighting(&statuses, "a", &["a"]).sign.unwrap();
    assert_eq!((sign.by, sign.ago), (name("voter"), Duration::ZERO));
}

#[test]
fn a_leader_that_begins_has_heard_nothing_and_forgets_who_is_gone() {
    let both = inventory(&["voter", "a"]);
    let statuses = Statuses::default();
    statuses.watch(&both);
    statuses.report(&both, name("a"), proto::NodeStatus::default());
    assert!(sighting(&statuses, "a", &[]).reported_ago.is_some());
    statuses.end();
    statuses.watch(&both);
    let a = sighting(&statuses, "a", &[]);
    assert!(a.reported_ago.is_none() && a.inherited);

    statuses.report(&both, name("a"), proto::NodeStatus::default());
    let mut again = both.clone();
    again.nodes.get_mut(&name("a")).unwrap().enrolled_revision = 7;
    statuses.watch(&again);
    let a = sighting(&statuses, "a", &[]);
    assert!(a.reported_ago.is_none() && !a.inherited, "another node");
    statuses.watch(&inventory(&["voter"]));
    assert!(statuses.of(&name("a")).is_none());
}
