//! `hanse_nodes`: who is enrolled, and how they are.

use std::collections::BTreeMap;

use hanse_client::{Snapshot, complaints, convert, figures_age_ms, proto};
use hanse_core::capacity::{Capacity, Room};
use hanse_core::health::{Health, NodeHealth};
use terraform_plugin::{Attr, Diagnostics, Model};

use crate::declared::non_empty;
use crate::lookup::{Lookup, texts, wrong};

/// The nodes of the federation: where each belongs, how it is, what it has, and what it complains
/// about. Ages and figures are new at each read: an output that shows them changes with each plan.
#[derive(Clone, Model)]
pub(crate) struct NodesModel {
    /// The federation.
    #[attribute(required)]
    pub(crate) federation: Attr<String>,
    /// Only the nodes of this member cluster. By default all nodes.
    #[attribute(optional)]
    pub(crate) member_cluster: Attr<String>,
    /// By node name.
    #[attribute(computed)]
    pub(crate) nodes: Attr<BTreeMap<String, NodeModel>>,
}

/// One node.
#[derive(Clone, Model)]
pub(crate) struct NodeModel {
    /// The member cluster that it belongs to.
    #[attribute(computed)]
    pub(crate) member_cluster: Attr<String>,
    /// Whether it keeps the federation's state.
    #[attribute(computed)]
    pub(crate) voter: Attr<bool>,
    /// Where its API answers, as `host:port`; null for a node that serves none.
    #[attribute(computed)]
    pub(crate) advertise: Attr<String>,
    /// Whether it is healthy and was seen within `failure_threshold` times `check_interval`.
    #[attribute(computed)]
    pub(crate) live: Attr<bool>,
    /// How it is, since when and why.
    #[attribute(computed)]
    pub(crate) health: Attr<HealthModel>,
    /// How long ago it reported, in milliseconds; null until it has.
    #[attribute(computed)]
    pub(crate) last_seen_age_ms: Attr<u64>,
    /// The version of its agent; null until it has reported.
    #[attribute(computed)]
    pub(crate) agent_version: Attr<String>,
    /// The newest revision of its plan that it has put into effect in full; null until it has
    /// reported.
    #[attribute(computed)]
    pub(crate) applied_revision: Attr<u64>,
    /// Its addresses in each mesh.
    #[attribute(computed)]
    pub(crate) addresses: Attr<BTreeMap<String, Vec<String>>>,
    /// Why its newest plan is not in effect in full, in sentences.
    #[attribute(computed)]
    pub(crate) problems: Attr<Vec<String>>,
    /// What it has and what of it is free; null until it has reported.
    #[attribute(computed)]
    pub(crate) capacity: Attr<NodeCapacityModel>,
}

/// A node's health: it changes only by what the leader has seen.
#[derive(Clone, Model)]
pub(crate) struct HealthModel {
    /// `healthy`, `suspect` (it is silent) or `down` (it is silent, and nobody else hears from it).
    #[attribute(computed)]
    pub(crate) state: Attr<String>,
    /// Why, in one sentence; null for a node that was never anything but healthy.
    #[attribute(computed)]
    pub(crate) reason: Attr<String>,
    /// Since when, in seconds since 1970; null: since it was enrolled.
    #[attribute(computed)]
    pub(crate) since_unix_s: Attr<u64>,
}

/// What a node has. A figure that is not known, or can't be, is null.
#[derive(Clone, Model)]
pub(crate) struct NodeCapacityModel {
    /// How old the figures are, in milliseconds: since they were measured and since the report came.
    #[attribute(computed)]
    pub(crate) age_ms: Attr<u64>,
    /// Processors.
    #[attribute(computed)]
    pub(crate) cpus: Attr<u32>,
    /// The share of their time that is used, 0 to 1.
    #[attribute(computed)]
    pub(crate) cpu_load: Attr<f64>,
    /// Processes that run or wait, over a minute.
    #[attribute(computed)]
    pub(crate) load_average_1m: Attr<f64>,
    /// Memory, in bytes.
    #[attribute(computed)]
    pub(crate) memory_total_bytes: Attr<u64>,
    /// Memory that programs could still take, in bytes.
    #[attribute(computed)]
    pub(crate) memory_available_bytes: Attr<u64>,
    /// The size of the disk that holds the agent's data, in bytes.
    #[attribute(computed)]
    pub(crate) disk_total_bytes: Attr<u64>,
    /// What of it is free, in bytes.
    #[attribute(computed)]
    pub(crate) disk_available_bytes: Attr<u64>,
    /// What the network brings, in bytes per second.
    #[attribute(computed)]
    pub(crate) network_received_bytes_per_s: Attr<f64>,
    /// What goes out over it, in bytes per second.
    #[attribute(computed)]
    pub(crate) network_sent_bytes_per_s: Attr<f64>,
    /// What it offers to Hanse's workloads: what is free, within the limits of its member cluster.
    #[attribute(computed)]
    pub(crate) offer: Attr<OfferModel>,
}

/// Room for workloads.
#[derive(Clone, Model)]
pub(crate) struct OfferModel {
    /// Processors.
    #[attribute(computed)]
    pub(crate) cpus: Attr<u64>,
    /// Memory, in bytes.
    #[attribute(computed)]
    pub(crate) memory_bytes: Attr<u64>,
    /// Disk, in bytes.
    #[attribute(computed)]
    pub(crate) disk_bytes: Attr<u64>,
}

impl Lookup for NodesModel {
    const TYPE_NAME: &'static str = "hanse_nodes";

    fn federation(&self) -> &Attr<String> {
        &self.federation
    }

    fn answer(mut self, snapshot: &Snapshot) -> Result<Self, Diagnostics> {
        let nodes = nodes_of(snapshot, &self.member_cluster)?;
        let nodes = nodes.map(|node| (node.name.clone(), NodeModel::from(node)));
        self.nodes = Attr::Known(nodes.collect());
        Ok(self)
    }
}

impl From<&proto::Node> for NodeModel {
    fn from(node: &proto::Node) -> Self {
        let addresses = node
            .meshes
            .iter()
            .map(|place| (place.mesh.clone(), place.addresses.clone()));
        let status = node.status.as_ref();
        Self {
            member_cluster: Attr::Known(node.member_cluster.clone()),
            voter: Attr::Known(node.voter),
            advertise: non_empty(node.advertise.clone()),
            live: Attr::Known(node.live),
            health: Attr::Known(health(node)),
            last_seen_age_ms: Attr::from(node.last_seen_age_ms),
            agent_version: Attr::from(status.map(|status| status.agent_version.clone())),
            applied_revision: Attr::from(status.map(|status| status.applied_revision)),
            addresses: Attr::Known(addresses.collect()),
            problems: texts(complaints(node)),
            capacity: Attr::from(
                capacity(node).map(|has| NodeCapacityModel::of(&has, figures_age_ms(node))),
            ),
        }
    }
}

impl From<&NodeHealth> for HealthModel {
    fn from(health: &NodeHealth) -> Self {
        let since = Some(health.since_unix_s).filter(|since| *since > 0);
        Self {
            state: Attr::Known(health.state.to_string()),
            reason: non_empty(health.reason.clone()),
            since_unix_s: Attr::from(since),
        }
    }
}

impl NodeCapacityModel {
    fn of(has: &Capacity, age_ms: Option<u64>) -> Self {
        let total = |room: Option<Room>| Attr::from(room.map(|room| room.total_bytes));
        let free = |room: Option<Room>| Attr::from(room.map(|room| room.available_bytes));
        Self {
            age_ms: Attr::from(age_ms),
            cpus: Attr::from(has.cpus),
            cpu_load: Attr::from(has.cpu_load),
            load_average_1m: Attr::from(has.load_average_1m),
            memory_total_bytes: total(has.memory),
            memory_available_bytes: free(has.memory),
            disk_total_bytes: total(has.disk),
            disk_available_bytes: free(has.disk),
            network_received_bytes_per_s: Attr::from(has.received_bytes_per_s),
            network_sent_bytes_per_s: Attr::from(has.sent_bytes_per_s),
            offer: Attr::from(has.offer.map(|offer| OfferModel {
                cpus: Attr::Known(offer.cpus.into()),
                memory_bytes: Attr::Known(offer.memory_bytes),
                disk_bytes: Attr::Known(offer.disk_bytes),
            })),
        }
    }
}

/// A node's health; a voter that knows nothing of health has healthy nodes.
fn health(node: &proto::Node) -> HealthModel {
    let told = node.health.clone().unwrap_or_default();
    HealthModel::from(&NodeHealth {
        state: told.state.parse().unwrap_or(Health::Healthy),
        reason: told.reason,
        since_unix_s: told.since_unix_s,
    })
}

/// What a node reported of itself, without what can't be.
pub(crate) fn capacity(node: &proto::Node) -> Option<Capacity> {
    let status = node.status.as_ref()?;
    status.capacity.as_ref().map(convert::capacity_from_proto)
}

/// The nodes of one member cluster, or all of them.
pub(crate) fn nodes_of<'a>(
    snapshot: &'a Snapshot,
    cluster: &Attr<String>,
) -> Result<impl Iterator<Item = &'a proto::Node>, Diagnostics> {
    let cluster = cluster.as_known().cloned();
    if let Some(name) = &cluster {
        let mut declared = snapshot.inventory.clusters.keys();
        let mut nodes = snapshot.response.nodes.iter();
        let is_known = declared.any(|known| known.as_str() == name)
            || nodes.any(|node| node.member_cluster == *name);
        if !is_known {
            let detail = "No member cluster of that name is declared, and no node names it.";
            return Err(wrong("member_cluster", "Unknown member cluster", detail));
        }
    }
    let nodes = snapshot.response.nodes.iter();
    Ok(nodes.filter(move |node| {
        cluster
            .as_ref()
            .is_none_or(|cluster| node.member_cluster == *cluster)
    }))
}
