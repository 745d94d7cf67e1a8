//! Who gets which address in a mesh.
//!
//! An address is stable for life. One that was given back is retired: another node may still know
//! it as somebody else's, so nobody gets it again while the mesh exists.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::cidr::Cidr;
use crate::command::AddressChange;
use crate::inventory::Inventory;
use crate::name::{MeshName, NodeName};

/// A pool has no address left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolExhausted {
    /// The mesh.
    pub mesh: MeshName,
    /// The position of the pool in `address_pools`.
    pub pool: usize,
    /// The first node that gets none.
    pub node: NodeName,
}

/// The changes that give every node of every mesh its addresses, and take them from those that
/// left. The inventory is as it will be; only the addresses still lag behind.
///
/// # Errors
///
/// A pool has no address left.
pub fn assign(inventory: &Inventory) -> Result<Vec<AddressChange>, PoolExhausted> {
    let mut changes = leave(inventory);
    for (name, stored) in &inventory.meshes {
        let mut pools: Vec<Pool> = stored
            .spec
            .address_pools
            .iter()
            .map(|cidr| Pool::of(inventory, name, *cidr))
            .collect();
        for (node, record) in inventory.nodes_in(&stored.spec) {
            let held: &[IpAddr] = record
                .meshes
                .get(name)
                .map_or(&[], |place| &place.addresses);
            let mut addresses = Vec::with_capacity(pools.len());
            for (position, pool) in pools.iter_mut().enumerate() {
                let kept = held
                    .iter()
                    .copied()
                    .find(|address| pool.cidr.contains(*address));
                let address = kept.or_else(|| pool.take()).ok_or_else(|| PoolExhausted {
                    mesh: name.clone(),
                    pool: position,
                    node: node.clone(),
                })?;
                addresses.push(address);
            }
            if addresses != held {
                let retired = held
                    .iter()
                    .copied()
                    .filter(|address| !addresses.contains(address))
                    .collect();
                let (mesh, node) = (name.clone(), node.clone());
                changes.push(AddressChange {
                    mesh,
                    node,
                    addresses,
                    retired,
                });
            }
        }
    }
    Ok(changes)
}

/// The changes for nodes that hold a place in a mesh of which their member cluster is no part.
fn leave(inventory: &Inventory) -> Vec<AddressChange> {
    let mut changes = Vec::new();
    for (node, record) in &inventory.nodes {
        for (name, place) in &record.meshes {
            let stays = inventory
                .meshes
                .get(name)
                .is_some_and(|stored| stored.spec.sites.contains_key(&record.cluster));
            if !stays {
                changes.push(AddressChange {
                    mesh: name.clone(),
                    node: node.clone(),
                    addresses: Vec::new(),
                    retired: place.addresses.clone(),
                });
            }
        }
    }
    changes
}

/// One pool and what is taken from it.
struct Pool {
    cidr: Cidr,
    taken: BTreeSet<u128>,
    /// Where to look next: past everything that was ever given out, while there is room.
    next: u128,
}

impl Pool {
    fn of(inventory: &Inventory, mesh: &MeshName, cidr: Cidr) -> Self {
        let held = inventory
            .nodes
            .values()
            .filter_map(|record| record.meshes.get(mesh))
            .flat_map(|place| place.addresses.iter());
        let retired = inventory.retired.get(mesh).into_iter().flatten();
        let mut taken: BTreeSet<u128> = held
            .chain(retired)
            .filter_map(|address| cidr.index_of(*address))
            .collect();
        let next = taken.last().map_or(0, |last| last + 1);
        let plans = inventory.dr_plans.values();
        let services = plans.filter_map(|plan| plan.spec.service_address);
        taken.extend(services.filter_map(|address| cidr.index_of(address)));
        let next = (next..)
            .find(|index| !taken.contains(index))
            .unwrap_or(next);
        Self { cidr, taken, next }
    }

    fn take(&mut self) -> Option<IpAddr> {
        if self.cidr.host_at(self.next).is_none() {
            self.next = (0..self.cidr.host_count()).find(|index| !self.taken.contains(index))?;
        }
        let address = self.cidr.host_at(self.next)?;
        self.taken.insert(self.next);
        self.next += 1;
        while self.taken.contains(&self.next) {
            self.next += 1;
        }
        Some(address)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{Builder, addresses_of};

    #[test]
    fn an_address_is_stable_when_others_come_and_go() {
        let mut federation = Builder::new().site("a").site("b").mesh(&["10.0.0.0/24"]);
        federation.enroll("a-1", "a");
        federation.enroll("b-1", "b");
        let before = addresses_of(&federation.state, "b-1");
        federation.remove_site("a");
        federation.add_site("c");
        federation.enroll("c-1", "c");
        assert_eq!(addresses_of(&federation.state, "b-1"), before);
    }

    #[test]
    fn an_address_that_was_given_back_is_given_to_nobody() {
        let mut federation = Builder::new()
            .site("a")
            .site("b")
            .mesh(&["10.0.0.0/29", "fd00::/64"]);
        federation.enroll("a-1", "a");
        federation.enroll("b-1", "b");
        let gone = addresses_of(&federation.state, "a-1");
        federation.remove_site("a");
        for node in ["b-2", "b-3", "b-4", "b-5"] {
            federation.enroll(node, "b");
            let given = addresses_of(&federation.state, node);
            assert!(
                given.iter().all(|address| !gone.contains(address)),
                "{given:?}"
            );
        }
        assert!(
            federation.try_enroll("b-6", "b").is_err(),
            "six hosts, one of them retired"
        );
    }

    proptest! {
        #[test]
        fn no_two_nodes_share_an_address(steps in prop::collection::vec((0_usize..4, 0_usize..6), 1..40)) {
            let mut federation = Builder::new().site("s0").site("s1").mesh(&["10.0.0.0/26", "fd00::/120"]);
            for (number, (step, site)) in steps.into_iter().enumerate() {
                let site = format!("s{site}");
                match step {
                    0 => federation.add_site(&site),
                    1 => federation.remove_site(&site),
                    _ => { let _ = federation.try_enroll(&format!("n{number}"), &site); }
                }
                let nodes = federation.state.inventory().nodes.values();
                let all: Vec<IpAddr> =
                    nodes.flat_map(|n| n.meshes.values()).flat_map(|p| p.addresses.clone()).collect();
                let distinct: BTreeSet<IpAddr> = all.iter().copied().collect();
                prop_assert_eq!(all.len(), distinct.len());
            }
        }
    }
}
