//! `hanse_capacity`: what the member clusters have, and what of it is free.

use std::collections::BTreeMap;

use hanse_client::Snapshot;
use hanse_client::proto;
use terraform_plugin::{Attr, Diagnostics, Model};

use crate::lookup::Lookup;
use crate::nodes::nodes_of;

/// The capacity of the federation's live nodes, as they last reported it: of all of them, and of
/// each member cluster.
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
    /// What a node reports may be anything; a sum that has no room for it stays at the most.
    fn add(&mut self, node: &proto::Node) {
        self.nodes += 1;
        let status = node.status.as_ref().filter(|_| node.live);
        let Some(has) = status.and_then(|status| status.capacity.as_ref()) else {
            return;
        };
        self.nodes_live += 1;
        self.cpus = self.cpus.saturating_add(has.cpus.into());
        let idle = 1.0 - has.cpu_load;
        if idle.is_finite() {
            self.cpus_idle += idle.clamp(0.0, 1.0) * f64::from(has.cpus);
        }
        let sums = [
            (&mut self.memory_total_bytes, has.memory_total_bytes),
            (&mut self.memory_available_bytes, has.memory_available_bytes),
            (&mut self.disk_total_bytes, has.disk_total_bytes),
            (&mut self.disk_available_bytes, has.disk_available_bytes),
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(live: bool, cpus: u32, cpu_load: f64) -> proto::Node {
        let capacity = proto::Capacity {
            cpus,
            cpu_load,
            memory_total_bytes: u64::MAX,
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
        assert!((sum.cpus_idle - 5.0).abs() < 1e-9, "{}", sum.cpus_idle);
        assert_eq!(sum.memory_total_bytes, u64::MAX);
    }
}
