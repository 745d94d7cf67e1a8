//! `hanse nodes`: who is enrolled, and how they are.

use std::time::Duration;

use clap::Args;
use hanse_client::proto;
use serde_json::{Value, json};

use super::connection::Connection;
use super::output;

const EXAMPLE: &str = "\
Example:
  hanse nodes --endpoints 203.0.113.7:7443 --credentials admin.pem";

/// Shows the nodes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct Nodes {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Nodes {
    /// Runs the command.
    pub async fn run(self) -> anyhow::Result<()> {
        let snapshot = self
            .connection
            .open()
            .await?
            .snapshot(0, Duration::ZERO)
            .await?;
        let nodes = &snapshot.response.nodes;
        if self.json {
            let nodes: Vec<Value> = nodes.iter().map(to_json).collect();
            return output::print_json(&json!({ "nodes": nodes }));
        }
        let heading = [
            "NODE",
            "MEMBER CLUSTER",
            "STATE",
            "SEEN",
            "REVISION",
            "LOAD",
            "MEMORY FREE",
        ];
        let mut table = output::table(&heading);
        for node in nodes {
            let capacity = node
                .status
                .as_ref()
                .and_then(|status| status.capacity.as_ref());
            let seen = node
                .last_seen_age_ms
                .map_or_else(|| "never".to_owned(), output::age);
            let applied = node
                .status
                .as_ref()
                .map(|status| status.applied_revision.to_string());
            let load = capacity.map(|now| format!("{:.0} %", now.cpu_load * 100.0));
            let memory = capacity.map(|now| format!("{} MiB", now.memory_available_bytes >> 20));
            let name = if node.voter {
                format!("{} (voter)", node.name)
            } else {
                node.name.clone()
            };
            table.add_row([
                name.into(),
                node.member_cluster.clone().into(),
                output::verdict(if node.live { "live" } else { "silent" }, node.live),
                seen.into(),
                applied.unwrap_or_default().into(),
                load.unwrap_or_default().into(),
                memory.unwrap_or_default().into(),
            ]);
        }
        output::print(&output::lines(&table))
    }
}

fn to_json(node: &proto::Node) -> Value {
    let meshes = node
        .meshes
        .iter()
        .map(|place| json!({ "mesh": place.mesh, "addresses": place.addresses }));
    json!({
        "name": node.name,
        "member_cluster": node.member_cluster,
        "voter": node.voter,
        "advertise": node.advertise,
        "live": node.live,
        "last_seen_age_ms": node.last_seen_age_ms,
        "meshes": meshes.collect::<Vec<_>>(),
        "status": node.status.as_ref().map(status_to_json),
    })
}

fn status_to_json(status: &proto::NodeStatus) -> Value {
    json!({
        "applied_revision": status.applied_revision,
        "agent_version": status.agent_version,
        "boot_id": status.boot_id,
        "problems": status.problems,
        "capacity": status.capacity.as_ref().map(|capacity| json!({
            "cpus": capacity.cpus,
            "cpu_load": capacity.cpu_load,
            "load_average_1m": capacity.load_average_1m,
            "memory_total_bytes": capacity.memory_total_bytes,
            "memory_available_bytes": capacity.memory_available_bytes,
            "disk_total_bytes": capacity.disk_total_bytes,
            "disk_available_bytes": capacity.disk_available_bytes,
            "network_received_bytes": capacity.network_received_bytes,
            "network_sent_bytes": capacity.network_sent_bytes,
        })),
    })
}
