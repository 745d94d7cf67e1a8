//! `hanse mesh`: every path of every VPN mesh, as the node at its beginning sees it.

use std::time::Duration;

use clap::Args;
use hanse_client::proto;
use hanse_core::name::MeshName;
use serde_json::{Value, json};

use super::connection::Connection;
use super::nodes::health_cell;
use super::output;

const EXAMPLE: &str = "\
Example:
  hanse mesh core --json";

/// Shows the VPN meshes and their paths.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct Mesh {
    /// One mesh only
    #[arg(value_name = "MESH")]
    mesh: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// One node's place in a mesh, and what it sees from there.
struct Place<'a> {
    node: &'a proto::Node,
    committed: &'a proto::NodeMesh,
    observed: Option<&'a proto::MeshObservation>,
}

impl Mesh {
    /// Runs the command.
    pub async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.open().await?;
        let snapshot = client.snapshot(0, Duration::ZERO).await?;
        let all = snapshot.inventory.meshes.keys();
        let names: Vec<&MeshName> = all
            .filter(|name| {
                self.mesh
                    .as_deref()
                    .is_none_or(|wanted| wanted == name.as_str())
            })
            .collect();
        if let (Some(wanted), true) = (&self.mesh, names.is_empty()) {
            anyhow::bail!("there is no VPN mesh `{wanted}`; `hanse mesh` shows all");
        }
        // Mesh by mesh: all that the nodes of all meshes see would fit into no message.
        let (mut meshes, mut texts) = (Vec::new(), Vec::new());
        for name in names {
            let seen = client.snapshot_of_mesh(name, 0, Duration::ZERO).await?;
            let nodes = &seen.response.nodes;
            if self.json {
                meshes.push(to_json(name.as_str(), nodes));
            } else {
                texts.push(text(name.as_str(), nodes));
            }
        }
        if self.json {
            return output::print_json(&json!({ "meshes": meshes }));
        }
        output::print(&texts.join("\n\n"))
    }
}

fn places<'a>(mesh: &'a str, nodes: &'a [proto::Node]) -> impl Iterator<Item = Place<'a>> {
    nodes.iter().filter_map(move |node| {
        let committed = node.meshes.iter().find(|place| place.mesh == mesh)?;
        let observed = node
            .status
            .as_ref()
            .and_then(|status| status.meshes.iter().find(|observed| observed.mesh == mesh));
        Some(Place {
            node,
            committed,
            observed,
        })
    })
}

/// For programs.
pub(super) fn to_json(mesh: &str, nodes: &[proto::Node]) -> Value {
    let places = places(mesh, nodes).map(|place| {
        let peers = place
            .observed
            .map_or(&[][..], |observed| &observed.peers)
            .iter();
        let peers = peers.map(|peer| {
            json!({
                "node": peer.node,
                "endpoint": peer.endpoint,
                "handshake_age_ms": peer.handshake_age_ms,
                "received_bytes": peer.received_bytes,
                "sent_bytes": peer.sent_bytes,
                "proved": peer.proved,
                "proof_age_ms": peer.proof_age_ms,
                "round_trip_us": peer.round_trip_us,
                "problem": peer.problem,
            })
        });
        json!({
            "node": place.node.name,
            "live": place.node.live,
            "peers_total": place.observed.map(|observed| observed.peers_total),
            "peers_connected": place.observed.map(|observed| observed.peers_connected),
            "addresses": place.committed.addresses,
            "backend": place.observed.map(|observed| &observed.backend),
            "problems": place.observed.map(|observed| &observed.problems),
            "peers": peers.collect::<Vec<_>>(),
        })
    });
    json!({ "name": mesh, "nodes": places.collect::<Vec<_>>() })
}

/// With how many of its peers a node has a fresh session.
fn peers(observed: Option<&proto::MeshObservation>) -> String {
    observed.map_or_else(String::new, |observed| {
        format!("{} of {}", observed.peers_connected, observed.peers_total)
    })
}

fn text(mesh: &str, nodes: &[proto::Node]) -> String {
    let mut addresses = output::table(&["NODE", "ADDRESSES", "BY", "PEERS", "STATE"]);
    let mut paths = output::table(&["FROM", "TO", "HANDSHAKE", "ENDPOINT", "PROOF"]);
    let mut problems = Vec::new();
    for place in places(mesh, nodes) {
        let backend = place.observed.map(|observed| observed.backend.clone());
        addresses.add_row([
            place.node.name.clone().into(),
            place.committed.addresses.join(", ").into(),
            backend.unwrap_or_default().into(),
            peers(place.observed).into(),
            health_cell(place.node),
        ]);
        let Some(observed) = place.observed else {
            continue;
        };
        for peer in &observed.peers {
            let handshake = peer
                .handshake_age_ms
                .map_or_else(|| "none".to_owned(), output::age);
            let proof = match (peer.proved, peer.round_trip_us) {
                (true, Some(time_us)) => format!("{:.1} ms", f64::from(time_us) / 1000.0),
                (true, None) => "proved".to_owned(),
                (false, _) if peer.problem.is_empty() => "not yet".to_owned(),
                (false, _) => peer.problem.clone(),
            };
            paths.add_row([
                place.node.name.clone().into(),
                peer.node.clone().into(),
                handshake.into(),
                peer.endpoint.clone().into(),
                output::verdict(proof, peer.proved),
            ]);
        }
        problems.extend(
            observed
                .problems
                .iter()
                .map(|p| format!("! {}: {p}", place.node.name)),
        );
    }
    let mut parts = vec![format!("VPN mesh {mesh}"), output::lines(&addresses)];
    if !paths.is_empty() {
        parts.push(String::new());
        parts.push(output::lines(&paths));
    }
    parts.extend(problems);
    parts.join("\n")
}
