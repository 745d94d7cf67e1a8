//! What the packets of WireGuard itself go through: from there comes an interface's MTU.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::network::{Network, Snapshot};

/// Through which interface each endpoint is reached, as far as it was asked.
#[derive(Debug, Default)]
pub(super) struct Underlay {
    towards: BTreeMap<IpAddr, Option<u32>>,
}

impl Underlay {
    /// The smallest MTU on the way to any of the endpoints; none: none is reached.
    pub(super) async fn mtu_min(
        &mut self,
        network: &Network,
        snapshot: &Snapshot,
        mark: u32,
        endpoints: &BTreeSet<IpAddr>,
    ) -> Option<u32> {
        let mut indexes = BTreeSet::new();
        for endpoint in endpoints {
            let index = match self.towards.get(endpoint) {
                Some(index) => *index,
                None => {
                    let index = network.interface_towards(*endpoint, mark).await;
                    self.towards.insert(*endpoint, index);
                    index
                }
            };
            indexes.extend(index);
        }
        let links = snapshot
            .links
            .values()
            .filter(|link| indexes.contains(&link.index));
        links.map(|link| link.mtu).min()
    }
}
