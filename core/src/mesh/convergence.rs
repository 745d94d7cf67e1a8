//! When a mesh is proved: every live node has applied the change, and every path that its plan
//! names was walked there and back.

use std::collections::{BTreeMap, BTreeSet};

use crate::inventory::{Inventory, NodeRecord};
use crate::mesh::proved_pairs::ProvedPairs;
use crate::mesh::topology::Topology;
use crate::name::{ClusterName, MeshName, NodeName};

/// What is known of a node at this moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeView {
    /// Whether it was seen lately.
    pub live: bool,
    /// The newest revision that it applied in full.
    pub applied_revision: u64,
    /// By mesh, the nodes to which it has a proof.
    pub proved: BTreeMap<MeshName, BTreeSet<NodeName>>,
    /// Why something is not as it should be, in sentences.
    pub problems: Vec<String>,
}

/// How far a mesh is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Convergence {
    /// Directed paths that are proved.
    pub paths_proved: usize,
    /// Directed paths that are to be proved.
    pub paths_total: usize,
    /// Who is waited for, and why; empty: done.
    pub laggards: Vec<Laggard>,
    /// Nodes that are not live and that nobody waits for.
    pub absent: Vec<NodeName>,
}

/// Somebody who is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Laggard {
    /// A node and what it lacks.
    Node {
        /// The node.
        node: NodeName,
        /// Why, in one sentence.
        reason: String,
    },
    /// A site that has fewer nodes than it says it will have.
    Site {
        /// The site.
        cluster: ClusterName,
        /// How many nodes it has.
        nodes: usize,
        /// How many it will have.
        expected_nodes: u32,
    },
}

/// How far a mesh is since a revision.
#[must_use]
pub fn convergence(
    inventory: &Inventory,
    mesh: &MeshName,
    revision: u64,
    views: &BTreeMap<NodeName, NodeView>,
) -> Convergence {
    let mut result = Convergence::default();
    let Some(stored) = inventory.meshes.get(mesh) else {
        return result;
    };
    for (cluster, site) in &stored.spec.sites {
        let nodes = inventory.nodes_of(cluster).count();
        if nodes < usize::try_from(site.expected_nodes).unwrap_or(usize::MAX) {
            let (cluster, expected_nodes) = (cluster.clone(), site.expected_nodes);
            result.laggards.push(Laggard::Site {
                cluster,
                nodes,
                expected_nodes,
            });
        }
    }
    let topology = Topology::of(inventory, &stored.spec);
    let pairs = ProvedPairs::of(&topology);
    let has_key = |record: &NodeRecord| {
        let place = record.meshes.get(mesh);
        place.is_some_and(|place| place.public_key.is_some())
    };
    let is_live = |node: &NodeName| views.get(node).is_some_and(|view| view.live);
    for (node, record) in inventory.nodes_in(&stored.spec) {
        let Some(view) = views.get(node).filter(|view| view.live) else {
            result.absent.push(node.clone());
            continue;
        };
        let mut wait = |reason: String| {
            let reason = view
                .problems
                .iter()
                .fold(reason, |all, problem| format!("{all}; {problem}"));
            result.laggards.push(Laggard::Node {
                node: node.clone(),
                reason,
            });
        };
        if !has_key(record) {
            wait("it has not made its key yet".to_owned());
            continue;
        }
        if view.applied_revision < revision {
            wait(match view.applied_revision {
                0 => "it has not said yet what it has applied".to_owned(),
                applied => format!("it has applied revision {applied} and not yet {revision}"),
            });
        }
        let none = BTreeSet::new();
        let proved = view.proved.get(mesh).unwrap_or(&none);
        let live: Vec<&NodeName> = inventory
            .nodes_in(&stored.spec)
            .filter(|(target, record)| has_key(record) && is_live(target))
            .map(|(target, _)| target)
            .filter(|target| pairs.contain(node, target))
            .collect();
        let unproved: Vec<&str> = live
            .iter()
            .filter(|t| !proved.contains(**t))
            .map(|t| t.as_str())
            .collect();
        result.paths_total += live.len();
        result.paths_proved += live.len() - unproved.len();
        if !unproved.is_empty() && view.applied_revision >= revision {
            wait(format!(
                "no proof yet of its path to {}",
                unproved.join(", ")
            ));
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Builder, mesh_name};

    fn view(revision: u64, proved: &[&str]) -> NodeView {
        let proved = proved.iter().map(|node| node.parse().unwrap()).collect();
        let proved = BTreeMap::from([(mesh_name(), proved)]);
        NodeView {
            live: true,
            applied_revision: revision,
            proved,
            problems: Vec::new(),
        }
    }

    fn two_nodes() -> Builder {
        let mut federation = Builder::new().site("a").site("b").mesh(&["10.0.0.0/24"]);
        federation.enroll("a-1", "a");
        federation.enroll("b-1", "b");
        federation
    }

    fn after(federation: &Builder, views: [(&str, NodeView); 2]) -> Convergence {
        let views = views
            .into_iter()
            .map(|(node, view)| (node.parse().unwrap(), view))
            .collect();
        convergence(federation.state.inventory(), &mesh_name(), 7, &views)
    }

    #[test]
    fn a_path_counts_once_it_is_proved_both_ways() {
        let federation = two_nodes();
        let half = after(
            &federation,
            [("a-1", view(7, &["b-1"])), ("b-1", view(7, &[]))],
        );
        assert_eq!((half.paths_proved, half.paths_total), (1, 2));
        assert!(
            matches!(&half.laggards[..], [Laggard::Node { node, .. }] if node.as_str() == "b-1")
        );
        let whole = after(
            &federation,
            [("a-1", view(7, &["b-1"])), ("b-1", view(8, &["a-1"]))],
        );
        assert!(whole.laggards.is_empty());
    }

    #[test]
    fn an_old_revision_is_waited_for_and_a_dead_node_is_not() {
        let federation = two_nodes();
        let dead = NodeView::default();
        let result = after(&federation, [("a-1", view(6, &[])), ("b-1", dead)]);
        assert_eq!(result.absent, ["b-1".parse().unwrap()]);
        assert!(
            matches!(&result.laggards[..], [Laggard::Node { reason, .. }] if reason.contains("not yet 7"))
        );
    }

    #[test]
    fn a_site_that_expects_more_nodes_is_waited_for() {
        let mut federation = two_nodes();
        federation.change_mesh(|mesh| {
            mesh.sites
                .get_mut(&"b".parse().unwrap())
                .unwrap()
                .expected_nodes = 2;
        });
        let views = [("a-1", view(7, &["b-1"])), ("b-1", view(7, &["a-1"]))];
        let result = after(&federation, views);
        assert!(matches!(
            &result.laggards[..],
            [Laggard::Site {
                nodes: 1,
                expected_nodes: 2,
                ..
            }]
        ));
    }
}
