//! What is read off a node, for everybody who shows it.

use crate::proto;

/// Why the node's newest plan is not in effect in full, in sentences: of the whole, then of each
/// mesh.
#[must_use]
pub fn complaints(node: &proto::Node) -> Vec<String> {
    let Some(status) = &node.status else {
        return Vec::new();
    };
    let of_meshes = status.meshes.iter().flat_map(|mesh| &mesh.problems);
    status.problems.iter().chain(of_meshes).cloned().collect()
}

/// How old a node's figures are: since it measured them, and since its report came.
#[must_use]
pub fn figures_age_ms(node: &proto::Node) -> Option<u64> {
    let capacity = node.status.as_ref()?.capacity.as_ref()?;
    Some(
        node.last_seen_age_ms?
            .saturating_add(capacity.measured_age_ms),
    )
}
