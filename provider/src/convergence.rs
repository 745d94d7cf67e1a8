//! Waits until a change of a mesh has taken effect, and names who is late.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hanse_client::Snapshot;
use hanse_client::proto;
use hanse_core::mesh::convergence::{Convergence, Laggard, NodeView, convergence};
use hanse_core::name::{MeshName, NodeName};
use terraform_plugin::{Cx, Diagnostic, Diagnostics};

use crate::declared::{Change, Operation};
use crate::session::Session;

/// The longest that one look waits for news.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// Waits until every live node has proved its paths since the change, or has taken the mesh down.
///
/// Whatever ends the wait early is an error of an update or a delete and a warning of a create:
/// Terraform would replace a mesh whose creation failed, and so take down the sessions that do
/// work. The change itself is committed in any case.
pub(crate) async fn wait(
    cx: &Cx<Session>,
    mesh: &MeshName,
    change: &Change,
) -> Result<(), Diagnostics> {
    match (watch(cx, mesh, change).await, change.operation) {
        (Ok(absent), _) => {
            tell_absent(cx, mesh, &absent);
            Ok(())
        }
        (Err((summary, detail)), Operation::Create) => {
            cx.warn(summary, detail);
            Ok(())
        }
        (Err((summary, detail)), Operation::Update | Operation::Delete) => {
            Err(Diagnostic::error(summary, detail).into())
        }
    }
}

/// Returns the nodes that nobody waited for, or why the wait ended early: summary and detail.
async fn watch(
    cx: &Cx<Session>,
    mesh: &MeshName,
    change: &Change,
) -> Result<Vec<NodeName>, (String, String)> {
    let unable = |error: String| (format!("Unable to wait for the VPN mesh `{mesh}`"), error);
    let client = cx.client().and_then(Session::federation);
    let federation = client.map_err(|_| unable("The federation is not known.".to_owned()))?;
    let deadline = Instant::now() + change.limit;
    let mut version = 0;
    let mut seen = Convergence::default();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let look = federation.snapshot_of_mesh(mesh, version, left.min(LOOK_TIMEOUT));
        let snapshot = tokio::select! {
            () = cx.cancellation().cancelled() => return Err(interrupted(mesh)),
            snapshot = look => snapshot,
        };
        match snapshot {
            Ok(snapshot) => {
                version = snapshot.response.version;
                seen = look_at(mesh, change, &snapshot);
                if seen.laggards.is_empty() {
                    return Ok(seen.absent);
                }
                tracing::info!(
                    %mesh,
                    paths_proved = seen.paths_proved,
                    paths_total = seen.paths_total,
                    "waiting for proof"
                );
            }
            Err(error) if error.is_transient() => pause(cx).await,
            Err(error) => return Err(unable(error.to_string())),
        }
        if left.is_zero() {
            return Err(late(mesh, change, &seen));
        }
    }
}

/// What a snapshot says of every node.
pub(crate) fn views(snapshot: &Snapshot) -> BTreeMap<NodeName, NodeView> {
    let nodes = snapshot.response.nodes.iter();
    nodes
        .filter_map(|node| Some((node.name.parse().ok()?, view(node))))
        .collect()
}

fn view(node: &proto::Node) -> NodeView {
    let status = node.status.clone().unwrap_or_default();
    let mut proved = BTreeMap::new();
    let mut problems = status.problems;
    for mesh in status.meshes {
        problems.extend(mesh.problems);
        let peers = mesh.peers.iter().filter(|peer| peer.proved);
        let peers = peers.filter_map(|peer| peer.node.parse().ok()).collect();
        if let Ok(name) = mesh.mesh.parse() {
            proved.insert(name, peers);
        }
        let unproved = mesh
            .peers
            .into_iter()
            .filter(|peer| !peer.proved && !peer.problem.is_empty());
        problems.extend(unproved.map(|peer| format!("{}: {}", peer.node, peer.problem)));
    }
    NodeView {
        live: node.live,
        applied_revision: status.applied_revision,
        proved,
        problems,
    }
}

fn look_at(mesh: &MeshName, change: &Change, snapshot: &Snapshot) -> Convergence {
    let views = views(snapshot);
    match change.operation {
        Operation::Create | Operation::Update => {
            convergence(&snapshot.inventory, mesh, change.revision, &views)
        }
        Operation::Delete => {
            let before = change.before.iter().map(|snapshot| &snapshot.inventory);
            let nodes = before.flat_map(|before| {
                let stored = before.meshes.get(mesh).into_iter();
                stored.flat_map(|stored| before.nodes_in(&stored.spec).map(|(node, _)| node))
            });
            let late = nodes.filter(|node| {
                let view = views.get(*node);
                view.is_some_and(|v| v.live && v.applied_revision < change.revision)
            });
            let laggards = late.map(|node| Laggard::Node {
                node: node.clone(),
                reason: "it has not taken the mesh down yet".to_owned(),
            });
            Convergence {
                laggards: laggards.collect(),
                ..Convergence::default()
            }
        }
    }
}

fn late(mesh: &MeshName, change: &Change, seen: &Convergence) -> (String, String) {
    let lines: Vec<String> = seen.laggards.iter().map(describe).collect();
    let lines = if lines.is_empty() {
        "- the federation, which did not answer".to_owned()
    } else {
        lines.join("\n")
    };
    let summary = format!(
        "The VPN mesh `{mesh}` is not proved after {:?}",
        change.limit
    );
    let detail = format!(
        "The change is committed (revision {}) and goes on taking effect by itself; {} of {} paths \
         are proved. Waiting for:\n{lines}\n`hanse mesh` shows how far it is. To wait longer, \
         raise the time in the timeouts block; to wait for nothing, write wait_for = \"accepted\".",
        change.revision, seen.paths_proved, seen.paths_total,
    );
    (summary, detail)
}

fn describe(laggard: &Laggard) -> String {
    match laggard {
        Laggard::Node { node, reason } => format!("- {node}: {reason}"),
        Laggard::Site {
            cluster,
            nodes,
            expected_nodes,
        } => {
            format!("- {cluster}: {nodes} of {expected_nodes} expected nodes are enrolled")
        }
    }
}

/// Says which nodes nobody waited for.
fn tell_absent(cx: &Cx<Session>, mesh: &MeshName, absent: &[NodeName]) {
    if absent.is_empty() {
        return;
    }
    let nodes: Vec<&str> = absent.iter().map(NodeName::as_str).collect();
    cx.warn(
        format!("Nodes of the VPN mesh `{mesh}` are not live"),
        format!(
            "Not seen lately, so nothing was proved with them: {}. Each gets the mesh when its \
             agent is back. `hanse nodes` shows since when it is away.",
            nodes.join(", ")
        ),
    );
}

fn interrupted(mesh: &MeshName) -> (String, String) {
    let detail = format!(
        "The change of the VPN mesh `{mesh}` is committed and goes on taking effect; only the wait \
         for its proof was given up."
    );
    ("Interrupted".to_owned(), detail)
}

async fn pause(cx: &Cx<Session>) {
    tokio::select! {
        () = cx.cancellation().cancelled() => {}
        () = tokio::time::sleep(Duration::from_millis(250)) => {}
    }
}
