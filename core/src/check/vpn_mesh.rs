//! Rules of one VPN mesh among everything else.

use super::{Missing, is_declared, reachability};
use crate::cidr::Cidr;
use crate::finding::{Finding, Path, Severity};
use crate::inventory::Inventory;
use crate::name::{ClusterName, MeshName};
use crate::object::{MeshSite, VpnMesh};

/// The smallest MTU that IPv6 allows (RFC 8200, section 5).
const MTU_MIN: u16 = 1280;
/// What WireGuard adds to a packet over IPv6, in bytes: 40 IPv6, 8 UDP, 32 its own.
const WIREGUARD_OVERHEAD_BYTES: u16 = 80;

/// Checks one mesh among everything else.
pub(super) fn check(
    inventory: &Inventory,
    name: &MeshName,
    missing: Missing,
    findings: &mut Vec<Finding>,
) {
    let Some(stored) = inventory.meshes.get(name) else {
        return;
    };
    let mesh = &stored.spec;
    pools(inventory, mesh, findings);
    numbers(mesh, findings);
    twins(inventory, mesh, findings);
    for (cluster, site) in &mesh.sites {
        members(inventory, cluster, site, missing, findings);
        routes(inventory, mesh, cluster, site, findings);
    }
    findings.extend(reachability::check(inventory, mesh));
}

fn pools(inventory: &Inventory, mesh: &VpnMesh, findings: &mut Vec<Finding>) {
    if mesh.address_pools.is_empty() {
        findings.push(Finding::error(
            Path::of("address_pools"),
            "No address pool",
            "A mesh needs at least one network for its nodes' addresses, like 10.90.0.0/16 or \
             fd00:90::/64.",
        ));
    }
    for (index, pool) in mesh.address_pools.iter().enumerate() {
        let path = Path::of("address_pools").index(index);
        let earlier = mesh.address_pools[..index]
            .iter()
            .map(|cidr| (*cidr, "another pool of this mesh".to_owned()));
        let meshes = inventory
            .meshes
            .values()
            .filter(|other| other.spec.name != mesh.name);
        let others = meshes.flat_map(|other| {
            let text = format!("a pool of the VPN mesh `{}`", other.spec.name);
            other
                .spec
                .address_pools
                .iter()
                .map(move |cidr| (*cidr, text.clone()))
        });
        let clusters = inventory
            .clusters
            .iter()
            .filter(|(_, stored)| !stored.retiring);
        let networks = clusters.flat_map(|(name, stored)| {
            let text = format!("a network of the member cluster `{name}`");
            stored
                .spec
                .networks
                .iter()
                .map(move |cidr| (*cidr, text.clone()))
        });
        for (other, whose) in earlier.chain(others).chain(networks) {
            if other.overlaps(pool) {
                findings.push(overlap(path.clone(), *pool, other, &whose));
            }
        }
        let needed = addresses_needed(inventory, mesh, *pool);
        if needed > pool.host_count() {
            findings.push(Finding::error(
                path,
                "Pool too small",
                format!(
                    "{pool} has room for {} nodes; {needed} addresses are needed (enrolled and \
                     expected nodes, and addresses that were given back and are not reused). \
                     Choose a larger network.",
                    pool.host_count()
                ),
            ));
        }
    }
}

/// Addresses for enrolled and expected nodes, and those that nobody gets again.
fn addresses_needed(inventory: &Inventory, mesh: &VpnMesh, pool: Cidr) -> u128 {
    let nodes: u128 = mesh
        .sites
        .iter()
        .map(|(cluster, site)| {
            let enrolled = inventory.nodes_of(cluster).count() as u128;
            enrolled.max(u128::from(site.expected_nodes)).max(1)
        })
        .sum();
    let retired = inventory.retired.get(&mesh.name).into_iter().flatten();
    nodes + retired.filter(|address| pool.contains(**address)).count() as u128
}

fn numbers(mesh: &VpnMesh, findings: &mut Vec<Finding>) {
    for (attribute, port) in [
        ("listen_port", mesh.listen_port),
        ("probe_port", mesh.probe_port),
    ] {
        if port == 0 {
            findings.push(Finding::error(
                Path::of(attribute),
                "Port out of range",
                "Write a port from 1 to 65535.",
            ));
        }
    }
    if mesh.listen_port == mesh.probe_port {
        findings.push(Finding::error(
            Path::of("probe_port"),
            "One port for two things",
            format!(
                "Port {} is WireGuard's own (listen_port). Choose another.",
                mesh.probe_port
            ),
        ));
    }
    let mtu_range = MTU_MIN..=(u16::MAX - WIREGUARD_OVERHEAD_BYTES);
    if let Some(mtu) = mesh.mtu.filter(|mtu| !mtu_range.contains(mtu)) {
        findings.push(Finding::error(
            Path::of("mtu"),
            "MTU out of range",
            format!(
                "{mtu} is not between {} and {}.",
                mtu_range.start(),
                mtu_range.end()
            ),
        ));
    }
    if let Some(span) = &mesh.persistent_keepalive {
        let value = span.value();
        if value.subsec_nanos() != 0 || value.as_secs() > u64::from(u16::MAX) {
            findings.push(Finding::error(
                Path::of("persistent_keepalive"),
                "Keepalive out of range",
                format!("`{span}` is not a whole number of seconds up to 65535s."),
            ));
        }
    }
    if mesh.key_rotation_interval.is_some() {
        findings.push(Finding::warning(
            Path::of("key_rotation_interval"),
            "Keys are not rotated yet",
            "This version keeps the interval and does not rotate keys by itself.",
        ));
    }
}

/// Two meshes on one node need interfaces and ports of their own.
fn twins(inventory: &Inventory, mesh: &VpnMesh, findings: &mut Vec<Finding>) {
    for other in inventory.meshes.values().map(|stored| &stored.spec) {
        let shared = other
            .sites
            .keys()
            .find(|cluster| mesh.sites.contains_key(*cluster));
        let (true, Some(shared)) = (other.name != mesh.name, shared) else {
            continue;
        };
        let mut clash = |attribute: &str, value: String| {
            findings.push(Finding::error(
                Path::of(attribute),
                "Taken by another mesh",
                format!(
                    "The VPN mesh `{}` uses {value} too, and both have the member cluster \
                     `{shared}`. Choose another.",
                    other.name
                ),
            ));
        };
        if other.interface == mesh.interface {
            clash("interface", format!("the interface {}", mesh.interface));
        }
        if other.listen_port == mesh.listen_port {
            clash("listen_port", format!("the port {}", mesh.listen_port));
        }
    }
}

fn members(
    inventory: &Inventory,
    cluster: &ClusterName,
    site: &MeshSite,
    missing: Missing,
    findings: &mut Vec<Finding>,
) {
    let path = Path::of("sites").key(cluster);
    if !is_declared(inventory, cluster) {
        let severity = match missing {
            Missing::Warn => Severity::Warning,
            Missing::Refuse => Severity::Error,
        };
        findings.push(Finding {
            severity,
            path: path.clone(),
            summary: "Unknown member cluster".to_owned(),
            detail: format!(
                "No member cluster `{cluster}` is declared in this federation or in this run. \
                 Declare it as a hanse_member_cluster and refer to its name, so that it comes first."
            ),
        });
    } else if inventory.nodes_of(cluster).next().is_none() {
        findings.push(Finding::warning(
            path.clone(),
            "A site without nodes",
            format!(
                "No node of `{cluster}` is enrolled yet. Nodes that join later get their place in \
                 the mesh without another apply."
            ),
        ));
    }
    let foreign = |node| {
        inventory
            .nodes
            .get(node)
            .map(|record| &record.cluster)
            .filter(|home| *home != cluster)
    };
    let gateways = site.gateways.iter().enumerate();
    let gateways =
        gateways.map(|(index, node)| (node, path.clone().attribute("gateways").index(index)));
    let endpoints = site.node_endpoints.keys();
    let endpoints =
        endpoints.map(|node| (node, path.clone().attribute("node_endpoints").key(node)));
    for (node, path) in gateways.chain(endpoints) {
        if let Some(home) = foreign(node) {
            findings.push(Finding::error(
                path,
                "A node of another site",
                format!("The node `{node}` belongs to the member cluster `{home}`."),
            ));
        }
    }
}

fn routes(
    inventory: &Inventory,
    mesh: &VpnMesh,
    cluster: &ClusterName,
    site: &MeshSite,
    findings: &mut Vec<Finding>,
) {
    for (index, route) in site.routes.iter().enumerate() {
        let path = Path::of("sites")
            .key(cluster)
            .attribute("routes")
            .index(index);
        let pools = mesh
            .address_pools
            .iter()
            .map(|cidr| (*cidr, "an address pool of this mesh".to_owned()));
        let sites = mesh.sites.iter().filter(|(name, _)| *name != cluster);
        let others = sites.flat_map(|(name, site)| {
            let text = format!("a route of the member cluster `{name}`");
            site.routes.iter().map(move |cidr| (*cidr, text.clone()))
        });
        let clusters = inventory.clusters.iter();
        let clusters = clusters.filter(|(name, stored)| *name != cluster && !stored.retiring);
        let networks = clusters.flat_map(|(name, stored)| {
            let text = format!("a network of the member cluster `{name}`");
            stored
                .spec
                .networks
                .iter()
                .map(move |cidr| (*cidr, text.clone()))
        });
        for (other, whose) in pools.chain(others).chain(networks) {
            if other.overlaps(route) {
                findings.push(overlap(path.clone(), *route, other, &whose));
            }
        }
    }
}

fn overlap(path: Path, mine: Cidr, other: Cidr, whose: &str) -> Finding {
    Finding::error(
        path,
        "Overlapping networks",
        format!(
            "{mine} overlaps {other}, {whose}. Traffic could not know which way to go: choose \
             networks that share no address."
        ),
    )
}
