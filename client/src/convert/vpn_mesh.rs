//! VPN meshes.

use std::collections::BTreeMap;

use hanse_core::endpoint::Endpoint;
use hanse_core::finding::Path;
use hanse_core::name::{ClusterName, NodeName};
use hanse_core::object::vpn_mesh::{INTERFACE_DEFAULT, LISTEN_PORT_DEFAULT, PROBE_PORT_DEFAULT};
use hanse_core::object::{MeshSite, VpnMesh};

use super::collector::Collector;
use crate::proto;

/// A mesh for the wire.
#[must_use]
pub fn vpn_mesh_to_proto(mesh: &VpnMesh) -> proto::VpnMesh {
    fn text<T: ToString>(value: Option<&T>) -> String {
        value.map(ToString::to_string).unwrap_or_default()
    }
    proto::VpnMesh {
        federation: mesh.federation.to_string(),
        name: mesh.name.to_string(),
        address_pools: mesh.address_pools.iter().map(ToString::to_string).collect(),
        interface: mesh.interface.to_string(),
        listen_port: mesh.listen_port.into(),
        probe_port: mesh.probe_port.into(),
        mtu: mesh.mtu.map(u32::from),
        persistent_keepalive: text(mesh.persistent_keepalive.as_ref()),
        preshared_keys: mesh.preshared_keys,
        key_rotation_interval: text(mesh.key_rotation_interval.as_ref()),
        shape: text(mesh.shape.as_ref()),
        sites: mesh
            .sites
            .iter()
            .map(|(cluster, site)| (cluster.to_string(), site_to_proto(site)))
            .collect(),
    }
}

fn site_to_proto(site: &MeshSite) -> proto::MeshSite {
    proto::MeshSite {
        endpoint: site
            .endpoint
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        node_endpoints: site
            .node_endpoints
            .iter()
            .map(|(node, endpoint)| (node.to_string(), endpoint.to_string()))
            .collect(),
        routes: site.routes.iter().map(ToString::to_string).collect(),
        gateways: site.gateways.iter().map(ToString::to_string).collect(),
        hub: site.hub,
        snat: site.snat,
        expected_nodes: site.expected_nodes,
    }
}

pub(super) fn read(collector: &mut Collector, mesh: &proto::VpnMesh) -> Option<VpnMesh> {
    let federation = collector.parse(Path::of("federation"), "name", &mesh.federation);
    let name = collector.parse(Path::of("name"), "name", &mesh.name);
    let address_pools = collector.list(&Path::of("address_pools"), "CIDR", &mesh.address_pools);
    let interface = if mesh.interface.is_empty() {
        INTERFACE_DEFAULT
    } else {
        &mesh.interface
    };
    let interface = collector.parse(Path::of("interface"), "interface name", interface);
    let listen_port = read_port(
        collector,
        "listen_port",
        mesh.listen_port,
        LISTEN_PORT_DEFAULT,
    );
    let probe_port = read_port(collector, "probe_port", mesh.probe_port, PROBE_PORT_DEFAULT);
    let mtu = match mesh.mtu {
        None => Some(None),
        Some(mtu) => collector.number_u16(Path::of("mtu"), "MTU", mtu).map(Some),
    };
    let persistent_keepalive = collector.optional(
        Path::of("persistent_keepalive"),
        "duration",
        &mesh.persistent_keepalive,
    );
    let key_rotation_interval = collector.optional(
        Path::of("key_rotation_interval"),
        "duration",
        &mesh.key_rotation_interval,
    );
    let shape = collector.optional(Path::of("shape"), "shape", &mesh.shape);
    let sites: Vec<Option<(ClusterName, MeshSite)>> = mesh
        .sites
        .iter()
        .map(|(cluster, site)| read_site(collector, cluster, site))
        .collect();
    Some(VpnMesh {
        federation: federation?,
        name: name?,
        address_pools: address_pools?,
        interface: interface?,
        listen_port: listen_port?,
        probe_port: probe_port?,
        mtu: mtu?,
        persistent_keepalive: persistent_keepalive?,
        preshared_keys: mesh.preshared_keys,
        key_rotation_interval: key_rotation_interval?,
        shape: shape?,
        sites: sites.into_iter().collect::<Option<_>>()?,
    })
}

fn read_port(collector: &mut Collector, name: &str, port: u32, default: u16) -> Option<u16> {
    if port == 0 {
        Some(default)
    } else {
        collector.number_u16(Path::of(name), "port", port)
    }
}

fn read_site(
    collector: &mut Collector,
    cluster: &str,
    site: &proto::MeshSite,
) -> Option<(ClusterName, MeshSite)> {
    let path = Path::of("sites").key(cluster);
    let name = collector.parse(path.clone(), "name", cluster);
    let endpoint = collector.optional(
        path.clone().attribute("endpoint"),
        "endpoint",
        &site.endpoint,
    );
    let node_endpoints: Vec<Option<(NodeName, Endpoint)>> = site
        .node_endpoints
        .iter()
        .map(|(node, endpoint)| {
            let path = path.clone().attribute("node_endpoints").key(node);
            let node = collector.parse(path.clone(), "name", node);
            let endpoint = collector.parse(path, "endpoint", endpoint);
            Some((node?, endpoint?))
        })
        .collect();
    let routes = collector.list(&path.clone().attribute("routes"), "CIDR", &site.routes);
    let gateways = collector.list(&path.attribute("gateways"), "name", &site.gateways);
    let site = MeshSite {
        endpoint: endpoint?,
        node_endpoints: node_endpoints
            .into_iter()
            .collect::<Option<BTreeMap<_, _>>>()?,
        routes: routes?,
        gateways: gateways?,
        hub: site.hub,
        snat: site.snat,
        expected_nodes: site.expected_nodes,
    };
    Some((name?, site))
}
