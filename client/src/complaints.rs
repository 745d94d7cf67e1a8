//! What nodes complain about, for everybody who shows it.

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
