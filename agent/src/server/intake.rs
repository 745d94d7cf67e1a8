//! What a report may say: everything in it comes from a node, and is kept and shown to others.
//!
//! What can't be is left out, and so what is kept is bounded by the federation's own size.

use std::collections::BTreeSet;

use hanse_client::convert::{capacity_from_proto, capacity_to_proto};
use hanse_client::proto;
use hanse_core::inventory::{Inventory, NodeRecord};
use hanse_core::name::NodeName;

use crate::follower::report::{PROBLEM_LENGTH_MAX, PROBLEMS_MAX};

/// The longest word that a node says of itself: a version, a boot id, an endpoint.
const WORD_LENGTH_MAX: usize = 128;
/// The most authorities that a node may say it trusts.
const AUTHORITIES_MAX: usize = 8;

/// The report without what can't be: of strangers, twice, or without end. None of a node that is not
/// enrolled.
pub(super) fn believable(
    inventory: &Inventory,
    node: &NodeName,
    mut status: proto::NodeStatus,
) -> Option<proto::NodeStatus> {
    let record = inventory.nodes.get(node)?;
    shorten(&mut status.agent_version, WORD_LENGTH_MAX);
    shorten(&mut status.boot_id, WORD_LENGTH_MAX);
    bound(&mut status.problems);
    status.trusted_authorities.truncate(AUTHORITIES_MAX);
    status.trusted_authorities.retain(|one| one.len() == 32);
    status.capacity = status
        .capacity
        .map(|capacity| capacity_to_proto(&capacity_from_proto(&capacity)));
    let mut meshes = BTreeSet::new();
    status.meshes.retain(|mesh| {
        let is_own = record.meshes.keys().any(|own| own.as_str() == mesh.mesh);
        is_own && meshes.insert(mesh.mesh.clone())
    });
    for mesh in &mut status.meshes {
        believable_mesh(inventory, node, mesh);
    }
    if record.voter {
        let is_known = |name: &String| is_enrolled(inventory, name).is_some();
        status.followers.retain(is_known);
    } else {
        status.followers.clear();
    }
    Some(status)
}

fn believable_mesh(inventory: &Inventory, node: &NodeName, mesh: &mut proto::MeshObservation) {
    shorten(&mut mesh.backend, WORD_LENGTH_MAX);
    mesh.public_key.truncate(32);
    bound(&mut mesh.problems);
    let mut peers = BTreeSet::new();
    mesh.peers.retain(|peer| {
        let is_other = peer.node != node.as_str() && is_enrolled(inventory, &peer.node).is_some();
        is_other && peers.insert(peer.node.clone())
    });
    for peer in &mut mesh.peers {
        shorten(&mut peer.endpoint, WORD_LENGTH_MAX);
        shorten(&mut peer.problem, PROBLEM_LENGTH_MAX);
    }
}

fn is_enrolled<'a>(inventory: &'a Inventory, name: &str) -> Option<&'a NodeRecord> {
    let name: NodeName = name.parse().ok()?;
    inventory.nodes.get(&name)
}

fn bound(problems: &mut Vec<String>) {
    problems.truncate(PROBLEMS_MAX);
    for problem in problems {
        shorten(problem, PROBLEM_LENGTH_MAX);
    }
}

fn shorten(text: &mut String, length_max: usize) {
    if let Some((end, _)) = text.char_indices().nth(length_max) {
        text.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inventory() -> Inventory {
        let mut inventory = Inventory::new("acme".parse().unwrap());
        for (name, voter) in [("a", false), ("b", true)] {
            let record = NodeRecord {
                sealing_key: None,
                certified_by: None,
                vote: Default::default(),
                cluster: "home".parse().unwrap(),
                voter,
                advertise: None,
                enrolled_revision: 1,
                meshes: [("core".parse().unwrap(), Default::default())].into(),
                health: Default::default(),
            };
            inventory.nodes.insert(name.parse().unwrap(), record);
        }
        inventory
    }

    fn peer(node: &str) -> proto::PeerObservation {
        proto::PeerObservation {
            node: node.to_owned(),
            problem: "ä".repeat(100_000),
            ..Default::default()
        }
    }

    fn mesh(name: &str) -> proto::MeshObservation {
        proto::MeshObservation {
            mesh: name.to_owned(),
            peers: vec![
                peer("a"),
                peer("b"),
                peer("b"),
                peer("x"),
                peer("not a name"),
            ],
            public_key: vec![1; 100_000],
            problems: vec!["p".to_owned(); 100_000],
            ..Default::default()
        }
    }

    fn status() -> proto::NodeStatus {
        proto::NodeStatus {
            meshes: vec![mesh("core"), mesh("core"), mesh("other")],
            followers: vec!["a".to_owned(), "x".to_owned()],
            boot_id: "x".repeat(100_000),
            ..Default::default()
        }
    }

    #[test]
    fn a_report_says_only_what_its_node_can_know_and_is_bounded() {
        let kept = believable(&inventory(), &"a".parse().unwrap(), status()).unwrap();
        assert_eq!(kept.meshes.len(), 1);
        let peers = &kept.meshes[0].peers;
        assert_eq!(peers.len(), 1);
        assert_eq!(peers[0].node, "b");
        assert_eq!(peers[0].problem.chars().count(), PROBLEM_LENGTH_MAX);
        assert_eq!(kept.meshes[0].problems.len(), PROBLEMS_MAX);
        assert_eq!(kept.boot_id.len(), WORD_LENGTH_MAX);
        assert!(kept.followers.is_empty(), "it is no voter");
    }

    #[test]
    fn a_voter_says_who_follows_it() {
        let kept = believable(&inventory(), &"b".parse().unwrap(), status()).unwrap();
        assert_eq!(kept.followers, ["a"]);
    }
}
