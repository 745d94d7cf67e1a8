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
            .map(|cidr| (*cidr, "another pool of the VPN mesh", mesh.name.as_str()));
        let foreign = foreign_pools(inventory, mesh)
            .chain(foreign_routes(inventory, mesh).map(|(_, _, route)| route))
            .chain(networks(inventory).map(|(_, network)| network));
        for (other, what, owner) in earlier.chain(foreign) {
            if other.overlaps(pool) {
                findings.push(overlap(path.clone(), *pool, other, what, owner));
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
        if [other.listen_port, other.probe_port].contains(&mesh.listen_port) {
            clash("listen_port", format!("the port {}", mesh.listen_port));
        }
        // Two meshes may share the port of their proofs: each binds its own addresses.
        if mesh.probe_port == other.listen_port {
            clash("probe_port", format!("the port {}", mesh.probe_port));
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
    if inventory.nodes_of(cluster).next().is_some() {
        carriers(inventory, cluster, site, findings);
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

/// Which of a site's nodes its endpoint and its routes lead to.
fn carriers(
    inventory: &Inventory,
    cluster: &ClusterName,
    site: &MeshSite,
    findings: &mut Vec<Finding>,
) {
    let path = Path::of("sites").key(cluster);
    for (index, node) in site.gateways.iter().enumerate() {
        if !inventory.nodes.contains_key(node) {
            findings.push(Finding::warning(
                path.clone().attribute("gateways").index(index),
                "A gateway that is not enrolled",
                format!(
                    "No node `{node}` is enrolled yet. Until then the next gateway in the list \
                     carries the endpoint and the routes of `{cluster}`; without one, nobody does."
                ),
            ));
        }
    }
    let mut nodes = inventory.nodes_of(cluster).map(|(node, _)| node);
    if let (Some(first), Some(_)) = (nodes.next(), nodes.next())
        && site.gateways.is_empty()
        && site.endpoint.is_some()
    {
        findings.push(Finding::warning(
            path.attribute("endpoint"),
            "An endpoint of several nodes",
            format!(
                "`{cluster}` has more than one node and names no gateways, so its endpoint is taken \
                 for that of `{first}`, the first by name, until one joins whose name comes before. \
                 Write gateways = [\"{first}\"] to keep it there."
            ),
        ));
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
        if route.prefix_length() == 0 {
            findings.push(Finding::error(
                path,
                "A default route",
                format!(
                    "{route} would send everything into the mesh, the way to the federation's \
                     voters too. Write the networks that are behind this site."
                ),
            ));
            continue;
        }
        let pools = mesh
            .address_pools
            .iter()
            .map(|cidr| (*cidr, "an address pool of the VPN mesh", mesh.name.as_str()));
        let others = mesh.sites.iter().filter(|(name, _)| *name != cluster);
        let others = others.flat_map(|(name, site)| routes_of(name, site));
        let meets = |other: &VpnMesh| {
            let mut shared = other.sites.keys().filter(|name| *name != cluster);
            shared.any(|name| mesh.sites.contains_key(name))
        };
        // One network over two meshes leaves a node that is in both with two ways to it.
        let elsewhere = foreign_routes(inventory, mesh)
            .filter(|(other, name, _)| *name != cluster || meets(other))
            .map(|(_, _, route)| route);
        let networks = networks(inventory)
            .filter(|(name, _)| *name != cluster)
            .map(|(_, network)| network);
        let foreign = foreign_pools(inventory, mesh).chain(elsewhere);
        for (other, what, owner) in pools.chain(others).chain(foreign).chain(networks) {
            if other.overlaps(route) {
                findings.push(overlap(path.clone(), *route, other, what, owner));
            }
        }
    }
}

/// A network, what it is, and whose.
type Owned<'a> = (Cidr, &'static str, &'a str);

/// The pools of the other meshes.
fn foreign_pools<'a>(
    inventory: &'a Inventory,
    mesh: &'a VpnMesh,
) -> impl Iterator<Item = Owned<'a>> {
    other_meshes(inventory, mesh).flat_map(|other| {
        let pools = other.address_pools.iter();
        pools.map(|cidr| (*cidr, "a pool of the VPN mesh", other.name.as_str()))
    })
}

/// The routes of the other meshes, each with its mesh and its site.
fn foreign_routes<'a>(
    inventory: &'a Inventory,
    mesh: &'a VpnMesh,
) -> impl Iterator<Item = (&'a VpnMesh, &'a ClusterName, Owned<'a>)> {
    other_meshes(inventory, mesh).flat_map(|other| {
        other.sites.iter().flat_map(move |(name, site)| {
            routes_of(name, site).map(move |route| (other, name, route))
        })
    })
}

fn other_meshes<'a>(
    inventory: &'a Inventory,
    mesh: &'a VpnMesh,
) -> impl Iterator<Item = &'a VpnMesh> {
    let meshes = inventory.meshes.values().map(|stored| &stored.spec);
    meshes.filter(|other| other.name != mesh.name)
}

fn routes_of<'a>(cluster: &'a ClusterName, site: &'a MeshSite) -> impl Iterator<Item = Owned<'a>> {
    let routes = site.routes.iter();
    routes.map(|cidr| (*cidr, "a route of the member cluster", cluster.as_str()))
}

/// The networks of all sites that are there to stay.
fn networks(inventory: &Inventory) -> impl Iterator<Item = (&ClusterName, Owned<'_>)> {
    let clusters = inventory.clusters.iter();
    let clusters = clusters.filter(|(_, stored)| !stored.retiring);
    clusters.flat_map(|(name, stored)| {
        let networks = stored.spec.networks.iter();
        networks.map(move |cidr| {
            let what = "a network of the member cluster";
            (name, (*cidr, what, name.as_str()))
        })
    })
}

fn overlap(path: Path, mine: Cidr, other: Cidr, what: &str, owner: &str) -> Finding {
    Finding::error(
        path,
        "Overlapping networks",
        format!(
            "{mine} overlaps {other}, {what} `{owner}`. Traffic could not know which way to go: choose \
             networks that share no address."
        ),
    )
}
