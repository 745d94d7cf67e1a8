//! `hanse_capacity`: what the member clusters have, and what of it is free.

use std::collections::BTreeMap;

use hanse_client::{Snapshot, figures_age_ms, proto};
use hanse_core::capacity::Room;
use terraform_plugin::{Attr, Diagnostics, Model};

use crate::lookup::Lookup;
use crate::nodes::{OfferModel, capacity, nodes_of};

/// The capacity of the federation's live nodes, as they last reported it: of all of them, and of
/// each member cluster. Ages and figures are new at each read: an output that shows them changes
/// with each plan.
#[derive(Clone, Model)]
pub(crate) struct CapacityModel {
    /// The federation.
    #[attribute(required)]
    pub(crate) federation: Attr<String>,
    /// Only this member cluster. By default all of them.
    #[attribute(optional)]
    pub(crate) member_cluster: Attr<String>,
    /// Of all that was asked for together.
    #[attribute(computed)]
    pub(crate) total: Attr<ShareModel>,
    /// By member cluster.
    #[attribute(computed)]
    pub(crate) member_clusters: Attr<BTreeMap<String, ShareModel>>,
}

/// What some nodes have together. Only live nodes that have reported count.
#[derive(Clone, Model)]
pub(crate) struct ShareModel {
    /// How many nodes are enrolled.
    #[attribute(computed)]
    pub(crate) nodes: Attr<u64>,
    /// How many of them are live and have reported.
    #[attribute(computed)]
    pub(crate) nodes_live: Attr<u64>,
    /// Processors.
    #[attribute(computed)]
    pub(crate) cpus: Attr<u64>,
    /// Processors' worth of time that was idle at the last reports, to hundredths.
    #[attribute(computed)]
    pub(crate) cpus_idle: Attr<f64>,
    /// Memory, in bytes.
    #[attribute(computed)]
    pub(crate) memory_total_bytes: Attr<u64>,
    /// Memory that programs could still take, in bytes.
    #[attribute(computed)]
    pub(crate) memory_available_bytes: Attr<u64>,
    /// The size of the disks, in bytes.
    #[attribute(computed)]
    pub(crate) disk_total_bytes: Attr<u64>,
    /// What of them is free, in bytes.
    #[attribute(computed)]
    pub(crate) disk_available_bytes: Attr<u64>,
    /// What they offer to Hanse's workloads: what is free, within the limits of their member
    /// clusters.
    #[attribute(computed)]
    pub(crate) offer: Attr<OfferModel>,
    /// How old the oldest of these figures is, in milliseconds; null where there are none.
    #[attribute(computed)]
    pub(crate) age_ms: Attr<u64>,
}

/// A sum in the making.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    nodes: u64,
    nodes_live: u64,
    cpus: u64,
    cpus_idle: f64,
    memory_total_bytes: u64,
    memory_available_bytes: u64,
    disk_total_bytes: u64,
    disk_available_bytes: u64,
    offer: (u64, u64, u64),
    age_ms: Option<u64>,
}

impl Lookup for CapacityModel {
    const TYPE_NAME: &'static str = "hanse_capacity";

    fn federation(&self) -> &Attr<String> {
        &self.federation
    }

    fn answer(mut self, snapshot: &Snapshot) -> Result<Self, Diagnostics> {
        let mut total = Sum::default();
        let mut each: BTreeMap<String, Sum> = BTreeMap::new();
        match self.member_cluster.as_known() {
            Some(cluster) => drop(each.insert(cluster.clone(), Sum::default())),
            // One that is declared and has no node yet has nothing, which is an answer too.
            None => each.extend(
                snapshot
                    .inventory
                    .clusters
                    .keys()
                    .map(|name| (name.to_string(), Sum::default())),
            ),
        }
        for node in nodes_of(snapshot, &self.member_cluster)? {
            total.add(node);
            each.entry(node.member_cluster.clone())
                .or_default()
                .add(node);
        }
        self.total = Attr::Known(total.into());
        let each = each.into_iter().map(|(name, sum)| (name, sum.into()));
        self.member_clusters = Attr::Known(each.collect());
        Ok(self)
    }
}

impl Sum {
    /// What a node reports is believed as far as it can be; a sum that has no room for it stays at the
    /// most.
    fn add(&mut self, node: &proto::Node) {
        self.nodes += 1;
        let Some(has) = capacity(node).filter(|_| node.live) else {
            return;
        };
        self.nodes_live += 1;
        self.cpus_idle += has.cpus_idle().unwrap_or(0.0);
        self.age_ms = self.age_ms.max(figures_age_ms(node));
        let total = |room: Option<Room>| room.map_or(0, |room| room.total_bytes);
        let free = |room: Option<Room>| room.map_or(0, |room| room.available_bytes);
        let offer = has.offer.unwrap_or_default();
        let sums = [
            (&mut self.cpus, has.cpus.unwrap_or(0).into()),
            (&mut self.memory_total_bytes, total(has.memory)),
            (&mut self.memory_available_bytes, free(has.memory)),
            (&mut self.disk_total_bytes, total(has.disk)),
            (&mut self.disk_available_bytes, free(has.disk)),
            (&mut self.offer.0, offer.cpus.into()),
            (&mut self.offer.1, offer.memory_bytes),
            (&mut self.offer.2, offer.disk_bytes),
        ];
        for (sum, more) in sums {
            *sum = sum.saturating_add(more);
        }
    }
}

impl From<Sum> for ShareModel {
    fn from(sum: Sum) -> Self {
        Self {
            nodes: Attr::Known(sum.nodes),
            nodes_live: Attr::Known(sum.nodes_live),
            cpus: Attr::Known(sum.cpus),
            cpus_idle: Attr::Known((sum.cpus_idle * 100.0).round() / 100.0),
            memory_total_bytes: Attr::Known(sum.memory_total_bytes),
            memory_available_bytes: Attr::Known(sum.memory_available_bytes),
            disk_total_bytes: Attr::Known(sum.disk_total_bytes),
            disk_available_bytes: Attr::Known(sum.disk_available_bytes),
            offer: Attr::Known(OfferModel {
                cpus: Attr::Known(sum.offer.0),
                memory_bytes: Attr::Known(sum.offer.1),
                disk_bytes: Attr::Known(sum.offer.2),
            }),
            age_ms: Attr::from(sum.age_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(live: bool, cpus: u32, cpu_load: f64) -> proto::Node {
        let capacity = proto::Capacity {
            cpus,
            cpu_load: Some(cpu_load),
            memory_total_bytes: 1 << 40,
            memory_available_bytes: 1 << 50,
            ..proto::Capacity::default()
        };
        let status = proto::NodeStatus {
            capacity: Some(capacity),
            ..proto::NodeStatus::default()
        };
        proto::Node {
            live,
            status: Some(status),
            ..proto::Node::default()
        }
    }

    #[test]
    fn only_live_nodes_count_and_absurd_reports_do_no_harm() {
        let mut sum = Sum::default();
        sum.add(&node(true, 4, 0.25));
        sum.add(&node(true, 2, f64::NAN));
        sum.add(&node(true, 2, -7.0));
        sum.add(&node(false, 64, 0.0));
        sum.add(&proto::Node::default());
        assert_eq!((sum.nodes, sum.nodes_live, sum.cpus), (5, 3, 8));
        assert!((sum.cpus_idle - 3.0).abs() < 1e-9, "{}", sum.cpus_idle);
        assert_eq!(sum.memory_total_bytes, 0, "more is free than there is");
    }
}
