//! Which paths of a mesh are proved: all of a small mesh, a stated sample of a large one.

use super::topology::Topology;
use crate::name::NodeName;

/// Up to so many nodes, every node proves its path to every other. Beyond, to the hub and to its
/// site's gateway; and gateways among themselves, all of them up to the same number.
pub const PROVE_ALL_PAIRS_NODES_MAX: usize = 64;

/// With more gateways than that, each proves so many before and after it in the ring of names.
pub(super) const PROVED_NEIGHBOURS: usize = 4;

/// The pairs of nodes whose path is proved. The same in both directions: whoever answers a proof
/// needs the key of whoever asks.
#[derive(Clone, Copy)]
pub(super) struct ProvedPairs<'a>(&'a Topology);

impl<'a> ProvedPairs<'a> {
    pub(super) fn of(topology: &'a Topology) -> Self {
        Self(topology)
    }

    pub(super) fn contain(&self, a: &NodeName, b: &NodeName) -> bool {
        match (self.0.position(a), self.0.position(b)) {
            (Some(a), Some(b)) => self.contain_positions(a, b),
            _ => false,
        }
    }

    /// The members to which a member proves its path, in the order of their names. Of a large mesh
    /// only those are looked at who may be among them.
    pub(super) fn with(&self, node: usize) -> Vec<usize> {
        let members = self.0.members.len();
        if self.is_small() || self.0.hub_position() == Some(node) {
            return self.among(node, 0..members);
        }
        let member = &self.0.members[node];
        let mut candidates: Vec<usize> = self.0.hub_position().into_iter().collect();
        let site = self.0.sites.get(&member.cluster);
        if member.is_gateway {
            candidates.extend(site.into_iter().flat_map(|site| &site.members));
            candidates.extend(self.near(node));
        } else {
            candidates.extend(site.and_then(|site| site.gateway));
        }
        candidates.sort_unstable();
        candidates.dedup();
        self.among(node, candidates)
    }

    fn among(&self, node: usize, candidates: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let wanted = |other: &usize| self.contain_positions(node, *other);
        candidates.into_iter().filter(wanted).collect()
    }

    fn contain_positions(&self, a: usize, b: usize) -> bool {
        a != b && self.wants(a, b) && self.0.hop(a, b).is_some()
    }

    fn is_small(&self) -> bool {
        self.0.members.len() <= PROVE_ALL_PAIRS_NODES_MAX
    }

    fn wants(&self, a: usize, b: usize) -> bool {
        let has_hub = self
            .0
            .hub_position()
            .is_some_and(|hub| hub == a || hub == b);
        if self.is_small() || has_hub {
            return true;
        }
        let (first, second) = (&self.0.members[a], &self.0.members[b]);
        match (first.is_gateway, second.is_gateway) {
            (true, true) => self.are_near(a, b),
            (true, false) | (false, true) => first.cluster == second.cluster,
            (false, false) => false,
        }
    }

    /// Whether two gateways stand near one another in the ring of their names; of few gateways,
    /// all do.
    fn are_near(&self, a: usize, b: usize) -> bool {
        let gateways = &self.0.gateways;
        let (Ok(a), Ok(b)) = (gateways.binary_search(&a), gateways.binary_search(&b)) else {
            return false;
        };
        let distance = a.abs_diff(b);
        let distance = distance.min(gateways.len() - distance);
        gateways.len() <= PROVE_ALL_PAIRS_NODES_MAX || distance <= PROVED_NEIGHBOURS
    }

    /// The gateways that may stand near one of them.
    fn near(&self, gateway: usize) -> Vec<usize> {
        let gateways = &self.0.gateways;
        let Ok(place) = gateways.binary_search(&gateway) else {
            return Vec::new();
        };
        if gateways.len() <= PROVE_ALL_PAIRS_NODES_MAX {
            return gateways.clone();
        }
        let first = place + gateways.len() - PROVED_NEIGHBOURS;
        (first..=first + 2 * PROVED_NEIGHBOURS)
            .map(|at| gateways[at % gateways.len()])
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Builder, mesh_name};

    #[test]
    fn whoever_is_looked_at_is_whoever_may_be_among_them() {
        for sites in [1, 3, 40, 90] {
            let mut federation = Builder::new();
            for site in 0..sites {
                federation = federation.site(&format!("s{site}"));
            }
            let mut federation = federation.mesh(&["10.0.0.0/22"]);
            for node in 0..130 {
                federation.enroll(&format!("n{node:03}"), &format!("s{}", node % sites));
            }
            let inventory = federation.state.inventory();
            let topology = Topology::of(inventory, &inventory.meshes[&mesh_name()].spec);
            let pairs = ProvedPairs::of(&topology);
            for node in 0..topology.members.len() {
                let all = pairs.among(node, 0..topology.members.len());
                assert_eq!(pairs.with(node), all, "{sites} sites");
            }
        }
    }
}
