//! `hanse status`: the federation at a glance.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use hanse_client::{Snapshot, complaints, proto};
use hanse_core::health::{Health, NodeHealth};
use hanse_core::object::MemberCluster;
use serde_json::{Value, json};

use super::connection::Connection;
use super::nodes::{how_it_returns, limits_to_json};
use super::{authority, output, voters};

const EXAMPLE: &str = "\
Example:
  hanse status --json";

/// Shows the federation at a glance.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct StatusCommand {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

impl StatusCommand {
    /// Runs the command.
    pub async fn run(self) -> anyhow::Result<()> {
        let snapshot = self
            .connection
            .open()
            .await?
            .snapshot(0, Duration::ZERO)
            .await?;
        if self.json {
            output::print_json(&to_json(&snapshot))
        } else {
            output::print(&text(&snapshot))
        }
    }
}

/// For programs.
pub(super) fn to_json(snapshot: &Snapshot) -> Value {
    let (inventory, response) = (&snapshot.inventory, &snapshot.response);
    let live = response.nodes.iter().filter(|node| node.live).count();
    let unwell = unwell(snapshot).map(|(node, health)| {
        json!({
            "node": node,
            "health": health.state,
            "reason": health.reason,
            "since_unix_s": health.since_unix_s,
        })
    });
    let sites = inventory.clusters.iter();
    let limits: BTreeMap<_, _> = sites
        .clone()
        .filter_map(|(name, site)| Some((name, limits_to_json(site.spec.limits.as_ref()?))))
        .collect();
    let capabilities: BTreeMap<_, _> = sites
        .map(|(name, site)| (name, &site.spec.capabilities))
        .collect();
    json!({
        "federation": inventory.name(),
        "ca_fingerprint": response.ca_fingerprint,
        "authorities": authority::to_json(&response.authorities),
        "revision": response.revision,
        "feature_level": response.feature_level,
        "voters": voters::to_json(&response.voters),
        "member_clusters": inventory.clusters.keys().collect::<Vec<_>>(),
        "limits": limits,
        "capabilities": capabilities,
        "vpn_meshes": inventory.meshes.keys().collect::<Vec<_>>(),
        "nodes": response.nodes.len(),
        "nodes_live": live,
        "nodes_by_health": by_health(snapshot),
        "awaited": awaited(snapshot).map(|node| &node.name).collect::<Vec<_>>(),
        "unwell": unwell.collect::<Vec<_>>(),
        "problems": problems(snapshot),
    })
}

fn text(snapshot: &Snapshot) -> String {
    let (inventory, response) = (&snapshot.inventory, &snapshot.response);
    let live = response.nodes.iter().filter(|node| node.live).count();
    let mut table = output::table(&["FEDERATION", inventory.name().as_str()]);
    table.add_row(["revision".to_owned(), response.revision.to_string()]);
    table.add_row([
        "feature level".to_owned(),
        voters::level(response.feature_level, &response.voters),
    ]);
    table.add_row(["authority".to_owned(), response.ca_fingerprint.clone()]);
    table.add_row(["voters".to_owned(), response.voters.len().to_string()]);
    for line in voters::lines(&response.voters) {
        table.add_row(line);
    }
    table.add_row([
        "member clusters".to_owned(),
        inventory.clusters.len().to_string(),
    ]);
    for (name, site) in &inventory.clusters {
        let terms = terms(&site.spec);
        if !terms.is_empty() {
            table.add_row([format!("  {name}"), terms]);
        }
    }
    table.add_row(["VPN meshes".to_owned(), inventory.meshes.len().to_string()]);
    let nodes = format!("{live} of {} live", response.nodes.len());
    table.add_row([
        "nodes".into(),
        output::verdict(nodes, live == response.nodes.len()),
    ]);
    let mut text = output::lines(&table);
    for wait in authority::waits(&response.authorities) {
        text.push_str("\n! ");
        text.push_str(&wait);
    }
    for node in awaited(snapshot) {
        text.push_str("\n! ");
        text.push_str(&how_it_returns(node));
    }
    for (node, health) in unwell(snapshot) {
        let since = output::since(health.since_unix_s);
        text.push_str(&format!(
            "\n! {node}: {} ({since}): {}",
            health.state, health.reason
        ));
    }
    for problem in problems(snapshot) {
        text.push_str("\n! ");
        text.push_str(&problem);
    }
    text
}

/// What a member cluster can do and how much each of its nodes gives; empty: nothing special.
fn terms(site: &MemberCluster) -> String {
    let limits = site.limits.clone().unwrap_or_default();
    let bounds = [
        ("memory", limits.max_memory.map(|size| size.to_string())),
        ("storage", limits.max_storage.map(|size| size.to_string())),
        ("CPUs", limits.max_cpus.map(|cpus| cpus.to_string())),
    ];
    let bounds = bounds
        .into_iter()
        .filter_map(|(what, bound)| Some(format!("{what} ≤ {}", bound?)));
    site.capabilities
        .iter()
        .cloned()
        .chain(bounds)
        .collect::<Vec<_>>()
        .join(", ")
}

fn by_health(snapshot: &Snapshot) -> BTreeMap<&'static str, usize> {
    let mut counts: BTreeMap<&str, usize> = Health::WORDS.iter().map(|word| (*word, 0)).collect();
    for record in snapshot.inventory.nodes.values() {
        *counts.entry(record.health.state.as_str()).or_default() += 1;
    }
    counts
}

/// Who has not come back since the federation was restored.
fn awaited(snapshot: &Snapshot) -> impl Iterator<Item = &proto::Node> {
    let nodes = snapshot.response.nodes.iter();
    nodes.filter(|node| node.awaited)
}

fn unwell(snapshot: &Snapshot) -> impl Iterator<Item = (&str, &NodeHealth)> {
    let nodes = snapshot.inventory.nodes.iter();
    nodes
        .filter(|(_, record)| record.health.state != Health::Healthy)
        .map(|(node, record)| (node.as_str(), &record.health))
}

/// What nodes complain about.
fn problems(snapshot: &Snapshot) -> Vec<String> {
    let nodes = snapshot.response.nodes.iter();
    let of_node = |node: &proto::Node| {
        let name = node.name.clone();
        complaints(node)
            .into_iter()
            .map(move |problem| format!("{name}: {problem}"))
    };
    nodes.flat_map(of_node).collect()
}
