//! Rules of one member cluster among the others.

use crate::finding::{Finding, Path};
use crate::inventory::Inventory;
use crate::name::ClusterName;
use crate::object::member_cluster::CAPABILITIES;

/// Checks one member cluster among everything else.
pub(super) fn check(inventory: &Inventory, name: &ClusterName, findings: &mut Vec<Finding>) {
    let Some(stored) = inventory.clusters.get(name) else {
        return;
    };
    let cluster = &stored.spec;
    if cluster
        .limits
        .as_ref()
        .is_some_and(|limits| limits.max_cpus == Some(0))
    {
        findings.push(Finding::error(
            Path::of("limits").attribute("max_cpus"),
            "No processor left",
            "A limit of 0 would leave nothing. Write at least 1, or leave it out for no limit.",
        ));
    }
    let unknown = |word: &&String| !CAPABILITIES.contains(&word.as_str());
    for word in cluster.capabilities.iter().filter(unknown) {
        findings.push(Finding::warning(
            Path::of("capabilities"),
            "A capability that is not known here",
            format!(
                "`{word}` is kept and has no effect. The words that this version knows are {}.",
                CAPABILITIES.join(", ")
            ),
        ));
    }
    for (index, network) in cluster.networks.iter().enumerate() {
        let path = Path::of("networks").index(index);
        if let Some(earlier) = cluster.networks[..index]
            .iter()
            .find(|other| other.overlaps(network))
        {
            findings.push(Finding::error(
                path.clone(),
                "Overlapping networks",
                format!("{network} overlaps {earlier}, which stands before it in the same list."),
            ));
        }
        for (owner, what, other) in foreign_networks(inventory, name) {
            if other.overlaps(network) {
                findings.push(Finding::error(
                    path.clone(),
                    "Overlapping networks",
                    format!(
                        "{network} of the member cluster `{name}` overlaps {other}, {what} \
                         `{owner}`. Traffic could not know which way to go: every site needs \
                         networks of its own."
                    ),
                ));
            }
        }
    }
}

/// Every network that belongs to somebody else: (whose, as what, which).
fn foreign_networks<'a>(
    inventory: &'a Inventory,
    own: &'a ClusterName,
) -> impl Iterator<Item = (&'a str, &'static str, crate::cidr::Cidr)> + 'a {
    let clusters = inventory
        .clusters
        .iter()
        .filter(move |(name, stored)| *name != own && !stored.retiring);
    let networks = clusters.flat_map(|(name, stored)| {
        let networks = stored.spec.networks.iter();
        networks.map(move |cidr| (name.as_str(), "a network of the member cluster", *cidr))
    });
    let pools = inventory.meshes.iter().flat_map(|(name, stored)| {
        let pools = stored.spec.address_pools.iter();
        pools.map(move |cidr| (name.as_str(), "an address pool of the VPN mesh", *cidr))
    });
    let sites = inventory
        .meshes
        .values()
        .flat_map(|stored| stored.spec.sites.iter());
    let routes = sites
        .filter(move |(name, _)| *name != own)
        .flat_map(|(name, site)| {
            let routes = site.routes.iter();
            routes.map(move |cidr| (name.as_str(), "a route of the member cluster", *cidr))
        });
    networks.chain(pools).chain(routes)
}
