//! `hanse mesh`: every path of every VPN mesh, as the node at its beginning sees it.

use std::time::Duration;

use clap::Args;
use hanse_client::proto;
use serde_json::{Value, json};

use super::connection::Connection;
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
        let snapshot = self
            .connection
            .open()
            .await?
            .snapshot(0, Duration::ZERO)
            .await?;
        let all = snapshot.inventory.meshes.keys().map(|name| name.as_str());
        let names: Vec<&str> = all
            .filter(|name| self.mesh.as_deref().is_none_or(|wanted| wanted == *name))
            .collect();
        if let (Some(wanted), true) = (&self.mesh, names.is_empty()) {
            anyhow::bail!("there is no VPN mesh `{wanted}`; `hanse mesh` shows all");
        }
        let nodes = &snapshot.response.nodes;
        if self.json {
            let meshes: Vec<Value> = names.iter().map(|name| to_json(name, nodes)).collect();
            return output::print_json(&json!({ "meshes": meshes }));
        }
        let texts: Vec<String> = names.iter().map(|name| text(name, nodes)).collect();
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

fn to_json(mesh: &str, nodes: &[proto::Node]) -> Value {
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
                "round_trip_us": peer.round_trip_us,
                "problem": peer.problem,
            })
        });
        json!({
            "node": place.node.name,
            "live": place.node.live,
            "addresses": place.committed.addresses,
            "backend": place.observed.map(|observed| &observed.backend),
            "problems": place.observed.map(|observed| &observed.problems),
            "peers": peers.collect::<Vec<_>>(),
        })
    });
    json!({ "name": mesh, "nodes": places.collect::<Vec<_>>() })
}

fn text(mesh: &str, nodes: &[proto::Node]) -> String {
    let mut addresses = output::table(&["NODE", "ADDRESSES", "BY", "STATE"]);
    let mut paths = output::table(&["FROM", "TO", "HANDSHAKE", "ENDPOINT", "PROOF"]);
    let mut problems = Vec::new();
    for place in places(mesh, nodes) {
        let backend = place.observed.map(|observed| observed.backend.clone());
        addresses.add_row([
            place.node.name.clone().into(),
            place.committed.addresses.join(", ").into(),
            backend.unwrap_or_default().into(),
            output::verdict(
                if place.node.live { "live" } else { "silent" },
                place.node.live,
            ),
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
