//! `hanse nodes`: who is enrolled, how they are, and what they have.

use std::time::Duration;

use clap::Args;
use comfy_table::{Cell, Color};
use hanse_client::{Snapshot, convert, figures_age_ms, proto};
use hanse_core::capacity::{Capacity, Offer, Room};
use hanse_core::health::Health;
use hanse_core::name::ClusterName;
use hanse_core::object::member_cluster::ResourceLimits;
use serde_json::{Value, json};

use super::connection::Connection;
use super::output;

const EXAMPLE: &str = "\
Example:
  hanse nodes --endpoints 203.0.113.7:7443 --credentials admin.pem";

const HEADING: [&str; 11] = [
    "NODE",
    "MEMBER CLUSTER",
    "HEALTH",
    "SINCE",
    "SEEN",
    "REVISION",
    "LOAD",
    "MEMORY FREE",
    "DISK FREE",
    "OFFERS",
    "FIGURES' AGE",
];

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
        if self.json {
            return output::print_json(&all_to_json(&snapshot));
        }
        output::print(&text(&snapshot))
    }
}

/// All nodes, for programs.
pub(super) fn all_to_json(snapshot: &Snapshot) -> Value {
    let nodes = snapshot.response.nodes.iter();
    let nodes: Vec<Value> = nodes.map(|node| to_json(snapshot, node)).collect();
    let revoked = snapshot.response.revoked_nodes.iter();
    let revoked: Vec<Value> = revoked.map(revoked_to_json).collect();
    json!({ "nodes": nodes, "revoked": revoked })
}

/// What an operator is to do about a node that has not come back.
pub(super) fn how_it_returns(node: &proto::Node) -> String {
    let proto::Node {
        name,
        member_cluster,
        ..
    } = node;
    format!(
        "{name}: not back since the federation was restored; run `hanse join` on its own folder, \
         with a token of `hanse token create --cluster {member_cluster}`"
    )
}

/// A node's health, in the colour of its urgency. A healthy node that is not live has not reported
/// yet.
pub(super) fn health_cell(node: &proto::Node) -> Cell {
    if node.awaited {
        return Cell::new("awaited").fg(Color::Yellow);
    }
    let word = node.health.as_ref().map_or("", |health| &health.state);
    match word.parse().unwrap_or(Health::Healthy) {
        Health::Healthy if node.live => Cell::new("healthy").fg(Color::Green),
        Health::Healthy => Cell::new("not seen yet").fg(Color::Yellow),
        Health::Suspect => Cell::new("suspect").fg(Color::Yellow),
        Health::Down => Cell::new("down").fg(Color::Red),
    }
}

fn text(snapshot: &Snapshot) -> String {
    let mut table = output::table(&HEADING);
    let mut reasons = Vec::new();
    for node in &snapshot.response.nodes {
        table.add_row(row(node));
        if node.awaited {
            reasons.push(format!("! {}", how_it_returns(node)));
            continue;
        }
        let health = node.health.clone().unwrap_or_default();
        if health.state != Health::Healthy.as_str() && !health.reason.is_empty() {
            reasons.push(format!(
                "! {}: {}: {}",
                node.name, health.state, health.reason
            ));
        }
    }
    for node in &snapshot.response.revoked_nodes {
        let name = &node.name;
        reasons.push(format!(
            "! {name}: revoked; `hanse node remove {name}` frees the name"
        ));
    }
    let lines = std::iter::once(output::lines(&table)).chain(reasons);
    lines.collect::<Vec<_>>().join("\n")
}

fn revoked_to_json(node: &proto::RevokedNode) -> Value {
    json!({
        "name": node.name,
        "member_cluster": node.member_cluster,
        "revision": node.revision,
    })
}

fn row(node: &proto::Node) -> Vec<Cell> {
    let status = node.status.as_ref();
    let has = capacity(node).unwrap_or_default();
    let name = if node.voter {
        format!("{} (voter)", node.name)
    } else {
        node.name.clone()
    };
    let since_unix_s = node.health.as_ref().map_or(0, |health| health.since_unix_s);
    let seen = node
        .last_seen_age_ms
        .map_or_else(|| "never".to_owned(), output::age);
    let load = has.cpu_load.map(|load| format!("{:.0} %", load * 100.0));
    let room = |room: Option<Room>| {
        room.map(|room| {
            let (free, total) = (room.available_bytes, room.total_bytes);
            format!("{} of {}", output::bytes(free), output::bytes(total))
        })
    };
    vec![
        name.into(),
        node.member_cluster.clone().into(),
        health_cell(node),
        output::since(since_unix_s).into(),
        seen.into(),
        status
            .map(|status| status.applied_revision.to_string())
            .unwrap_or_default()
            .into(),
        load.unwrap_or_default().into(),
        room(has.memory).unwrap_or_default().into(),
        room(has.disk).unwrap_or_default().into(),
        has.offer.map(offer_text).unwrap_or_default().into(),
        figures_age_ms(node)
            .map(output::age)
            .unwrap_or_default()
            .into(),
    ]
}

/// What is left for workloads within the limits of the node's member cluster.
fn offer_text(offer: Offer) -> String {
    let memory = output::bytes(offer.memory_bytes);
    let disk = output::bytes(offer.disk_bytes);
    format!("{} CPU, {memory}, {disk}", offer.cpus)
}

fn capacity(node: &proto::Node) -> Option<Capacity> {
    let status = node.status.as_ref()?;
    status.capacity.as_ref().map(convert::capacity_from_proto)
}

fn to_json(snapshot: &Snapshot, node: &proto::Node) -> Value {
    let meshes = node
        .meshes
        .iter()
        .map(|place| json!({ "mesh": place.mesh, "addresses": place.addresses }));
    let health = node.health.clone().unwrap_or_default();
    let site = node.member_cluster.parse().ok();
    let site = site.and_then(|name: ClusterName| snapshot.inventory.clusters.get(&name));
    json!({
        "name": node.name,
        "member_cluster": node.member_cluster,
        "voter": node.voter,
        "advertise": node.advertise,
        "live": node.live,
        "awaited": node.awaited,
        "health": {
            "state": health.state,
            "reason": health.reason,
            "since_unix_s": health.since_unix_s,
        },
        "last_seen_age_ms": node.last_seen_age_ms,
        "meshes": meshes.collect::<Vec<_>>(),
        "limits": site.and_then(|site| site.spec.limits.as_ref()).map(limits_to_json),
        "capabilities": site.map(|site| &site.spec.capabilities),
        "status": node.status.as_ref().map(status_to_json),
        "capacity": capacity(node).map(|has| capacity_to_json(&has, figures_age_ms(node))),
    })
}

pub(super) fn limits_to_json(limits: &ResourceLimits) -> Value {
    json!({
        "max_memory": limits.max_memory,
        "max_storage": limits.max_storage,
        "max_cpus": limits.max_cpus,
    })
}

fn status_to_json(status: &proto::NodeStatus) -> Value {
    json!({
        "applied_revision": status.applied_revision,
        "agent_version": status.agent_version,
        "boot_id": status.boot_id,
        "problems": status.problems,
    })
}

/// What is not known is null.
fn capacity_to_json(has: &Capacity, age_ms: Option<u64>) -> Value {
    let total = |room: Option<Room>| room.map(|room| room.total_bytes);
    let free = |room: Option<Room>| room.map(|room| room.available_bytes);
    json!({
        "age_ms": age_ms,
        "cpus": has.cpus,
        "cpu_load": has.cpu_load,
        "load_average_1m": has.load_average_1m,
        "memory_total_bytes": total(has.memory),
        "memory_available_bytes": free(has.memory),
        "disk_total_bytes": total(has.disk),
        "disk_available_bytes": free(has.disk),
        "network_received_bytes": has.received_bytes,
        "network_sent_bytes": has.sent_bytes,
        "network_received_bytes_per_s": has.received_bytes_per_s,
        "network_sent_bytes_per_s": has.sent_bytes_per_s,
        "offer": has.offer.map(|offer| json!({
            "cpus": offer.cpus,
            "memory_bytes": offer.memory_bytes,
            "disk_bytes": offer.disk_bytes,
        })),
    })
}
