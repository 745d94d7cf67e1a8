//! Which paths of a mesh are proved: all of a small mesh, a stated sample of a large one.

use super::topology::Topology;
use crate::inventory::Inventory;
use crate::name::NodeName;

/// Up to so many nodes, every node proves its path to every other. Beyond, to the hub and to its
/// site's gateway; and gateways among themselves, all of them up to the same number.
pub(super) const PROVE_ALL_PAIRS_NODES_MAX: usize = 64;

/// With more gateways than that, each proves so many before and after it in the ring of names.
pub(super) const PROVED_NEIGHBOURS: usize = 4;

/// The pairs of nodes whose path is proved. The same in both directions: whoever answers a proof
/// needs the key of whoever asks.
pub(super) struct ProvedPairs<'a> {
    all: bool,
    gateways: Vec<&'a NodeName>,
}

impl<'a> ProvedPairs<'a> {
    pub(super) fn of(inventory: &'a Inventory, topology: &Topology<'a>) -> Self {
        let nodes: Vec<&NodeName> = inventory
            .nodes_in(topology.mesh())
            .map(|(n, _)| n)
            .collect();
        let all = nodes.len() <= PROVE_ALL_PAIRS_NODES_MAX;
        let gateways = nodes
            .into_iter()
            .filter(|node| !all && topology.is_gateway(node))
            .collect();
        Self { all, gateways }
    }

    pub(super) fn contain(
        &self,
        inventory: &Inventory,
        topology: &Topology<'_>,
        a: &NodeName,
        b: &NodeName,
    ) -> bool {
        a != b && self.wants(inventory, topology, a, b) && topology.next_hop(a, b).is_some()
    }

    fn wants(
        &self,
        inventory: &Inventory,
        topology: &Topology<'_>,
        a: &NodeName,
        b: &NodeName,
    ) -> bool {
        let has_hub = topology.hub().is_some_and(|hub| hub == a || hub == b);
        if self.all || has_hub {
            return true;
        }
        let cluster = |node| inventory.nodes.get(node).map(|record| &record.cluster);
        match (topology.is_gateway(a), topology.is_gateway(b)) {
            (true, true) => self.are_near(a, b),
            (true, false) | (false, true) => cluster(a) == cluster(b),
            (false, false) => false,
        }
    }

    /// Whether two gateways stand near one another in the ring of their names; of few gateways,
    /// all do.
    fn are_near(&self, a: &NodeName, b: &NodeName) -> bool {
        let place = |node: &NodeName| self.gateways.binary_search(&node).ok();
        let (Some(a), Some(b)) = (place(a), place(b)) else {
            return false;
        };
        let distance = a.abs_diff(b);
        let distance = distance.min(self.gateways.len() - distance);
        self.gateways.len() <= PROVE_ALL_PAIRS_NODES_MAX || distance <= PROVED_NEIGHBOURS
    }
}
