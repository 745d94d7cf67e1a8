//! `hanse_vpn_mesh`: one WireGuard overlay between member clusters.

use std::collections::BTreeMap;

use hanse_client::Snapshot;
use hanse_client::proto;
use hanse_core::finding::Path;
use hanse_core::name::FederationName;
use hanse_core::object::ObjectRef;
use hanse_core::object::vpn_mesh::{INTERFACE_DEFAULT, LISTEN_PORT_DEFAULT, PROBE_PORT_DEFAULT};
use terraform_plugin::{Attr, Cx, Diagnostics, Model, Timeouts, async_trait};

use crate::convergence;
use crate::declared::{Change, Declared, known_list, known_map, name_within, non_empty, wait_for};
use crate::duration::duration;
use crate::session::Session;
use crate::unknowns::Unknowns;

/// What an endpoint that is not known yet stands for in a check: something that can be dialled.
const ENDPOINT_TO_COME: &str = "unknown.invalid:1";

/// A WireGuard mesh between member clusters. The apply returns when every live node has proved
/// its path to every other, both ways. In a mesh of more than 64 nodes each proves its path to its
/// site's gateway and to the hub, and gateways prove theirs among one another.
#[derive(Clone, Model)]
pub(crate) struct VpnMeshModel {
    /// `federation/name`.
    #[attribute(computed, use_state_for_unknown)]
    pub(crate) id: Attr<String>,
    /// The federation that it belongs to.
    #[attribute(required, requires_replace, identity)]
    pub(crate) federation: Attr<String>,
    /// Its name: lower-case letters, digits and hyphens.
    #[attribute(required, requires_replace, identity)]
    pub(crate) name: Attr<String>,
    /// Networks that the nodes' addresses come from, IPv4, IPv6 or both: one address from each.
    #[attribute(required)]
    pub(crate) address_pools: Attr<Vec<Attr<String>>>,
    /// The network interface on every node.
    #[attribute(optional, computed, default = INTERFACE_DEFAULT.to_owned())]
    pub(crate) interface: Attr<String>,
    /// WireGuard's UDP port on every node.
    #[attribute(optional, computed, default = u32::from(LISTEN_PORT_DEFAULT))]
    pub(crate) listen_port: Attr<u32>,
    /// The UDP port of proofs, inside the mesh.
    #[attribute(optional, computed, default = u32::from(PROBE_PORT_DEFAULT))]
    pub(crate) probe_port: Attr<u32>,
    /// The interface's MTU. By default the smallest MTU beneath it less 80.
    #[attribute(optional)]
    pub(crate) mtu: Attr<u32>,
    /// How often a silent tunnel sends something, like `25s`. By default only nodes that can't be
    /// dialled do, every 25 seconds.
    #[attribute(optional, validate = duration)]
    pub(crate) persistent_keepalive: Attr<String>,
    /// Whether each pair of nodes has a pre-shared key of its own.
    #[attribute(optional, computed, default = true)]
    pub(crate) preshared_keys: Attr<bool>,
    /// How often keys are rotated, like `720h`.
    #[attribute(optional, validate = duration)]
    pub(crate) key_rotation_interval: Attr<String>,
    /// `full` or `hub-spoke`. By default by the federation's topology.
    #[attribute(optional)]
    pub(crate) shape: Attr<String>,
    /// The member clusters that take part, by name.
    #[attribute(required)]
    pub(crate) sites: Attr<BTreeMap<String, SiteModel>>,
    /// What an apply waits for: `proved` (those paths walked, both ways) or `accepted` (committed).
    #[attribute(optional, computed, default = "proved", validate = wait_for)]
    pub(crate) wait_for: Attr<String>,
    /// How long each operation may take. By default 10 minutes for a create or an update, 5 for a
    /// delete, 1 for a read.
    #[block]
    pub(crate) timeouts: Option<Timeouts>,
}

/// How one member cluster takes part in a mesh.
#[derive(Clone, Model)]
pub(crate) struct SiteModel {
    /// Where the first gateway can be dialled, as `host:port`.
    #[attribute(optional)]
    pub(crate) endpoint: Attr<String>,
    /// Where other nodes can be dialled: node name to `host:port`.
    #[attribute(optional, computed, default = BTreeMap::<String, Attr<String>>::new())]
    pub(crate) node_endpoints: Attr<BTreeMap<String, Attr<String>>>,
    /// Networks behind the site's gateways.
    #[attribute(optional, computed, default = Vec::<Attr<String>>::new())]
    pub(crate) routes: Attr<Vec<Attr<String>>>,
    /// Nodes that carry the routes, in order of preference. By default all of the site's nodes.
    #[attribute(optional, computed, default = Vec::<Attr<String>>::new())]
    pub(crate) gateways: Attr<Vec<Attr<String>>>,
    /// Whether others talk through this site.
    #[attribute(optional, computed, default = false)]
    pub(crate) hub: Attr<bool>,
    /// Whether gateways hide the mesh behind their own address, so that hosts behind them need no
    /// route back.
    #[attribute(optional, computed, default = true)]
    pub(crate) snat: Attr<bool>,
    /// How many nodes the site will have: an apply waits for them.
    #[attribute(optional, computed, default = 0_u32)]
    pub(crate) expected_nodes: Attr<u32>,
}

#[async_trait]
impl Declared for VpnMeshModel {
    const TYPE_NAME: &'static str = "hanse_vpn_mesh";
    const NOUN: &'static str = "VPN mesh";

    fn id(&self) -> &Attr<String> {
        &self.id
    }

    fn reference(&self) -> Option<ObjectRef> {
        self.federation.as_known()?;
        self.name.as_known()?.parse().ok().map(ObjectRef::VpnMesh)
    }

    fn reference_of_id(federation: &FederationName, id: &str) -> Option<ObjectRef> {
        name_within(federation, id)?
            .parse()
            .ok()
            .map(ObjectRef::VpnMesh)
    }

    fn to_wire(&self, unknowns: &mut Unknowns) -> proto::object::Kind {
        let at = Path::of;
        let sites = unknowns.optional(at("sites"), &self.sites).map(|sites| {
            let each = sites.iter();
            each.map(|(name, site)| (name.clone(), site_to_wire(name, site, unknowns)))
                .collect()
        });
        proto::object::Kind::VpnMesh(proto::VpnMesh {
            federation: unknowns.value(at("federation"), &self.federation),
            name: unknowns.value(at("name"), &self.name),
            address_pools: unknowns.list(at("address_pools"), &self.address_pools),
            interface: unknowns.with_default(
                at("interface"),
                &self.interface,
                INTERFACE_DEFAULT.to_owned(),
            ),
            listen_port: unknowns.with_default(
                at("listen_port"),
                &self.listen_port,
                LISTEN_PORT_DEFAULT.into(),
            ),
            probe_port: unknowns.with_default(
                at("probe_port"),
                &self.probe_port,
                PROBE_PORT_DEFAULT.into(),
            ),
            mtu: unknowns.optional(at("mtu"), &self.mtu).copied(),
            persistent_keepalive: unknowns
                .value(at("persistent_keepalive"), &self.persistent_keepalive),
            preshared_keys: unknowns.value(at("preshared_keys"), &self.preshared_keys),
            key_rotation_interval: unknowns
                .value(at("key_rotation_interval"), &self.key_rotation_interval),
            shape: unknowns.value(at("shape"), &self.shape),
            sites: sites.unwrap_or_default(),
        })
    }

    fn from_wire(kind: proto::object::Kind) -> Option<Self> {
        let proto::object::Kind::VpnMesh(wire) = kind else {
            return None;
        };
        let sites = wire
            .sites
            .into_iter()
            .map(|(name, site)| (name, site_from_wire(site)));
        Some(Self {
            id: Attr::Known(format!("{}/{}", wire.federation, wire.name)),
            federation: Attr::Known(wire.federation),
            name: Attr::Known(wire.name),
            address_pools: Attr::Known(wire.address_pools.into_iter().map(Attr::Known).collect()),
            interface: Attr::Known(wire.interface),
            listen_port: Attr::Known(wire.listen_port),
            probe_port: Attr::Known(wire.probe_port),
            mtu: Attr::from(wire.mtu),
            persistent_keepalive: non_empty(wire.persistent_keepalive),
            preshared_keys: Attr::Known(wire.preshared_keys),
            key_rotation_interval: non_empty(wire.key_rotation_interval),
            shape: non_empty(wire.shape),
            sites: Attr::Known(sites.collect()),
            wait_for: Attr::from("proved"),
            timeouts: None,
        })
    }

    fn complete(&mut self, _: &Snapshot) {
        if let (Some(federation), Some(name)) = (self.federation.as_known(), self.name.as_known()) {
            self.id = Attr::Known(format!("{federation}/{name}"));
        }
    }

    fn keep_local(&mut self, prior: &Self) {
        self.wait_for.clone_from(&prior.wait_for);
        self.timeouts.clone_from(&prior.timeouts);
    }

    async fn settle(&self, cx: &Cx<Session>, change: &Change) -> Result<(), Diagnostics> {
        let accepted = self
            .wait_for
            .as_known()
            .is_some_and(|word| word == "accepted");
        let Some(ObjectRef::VpnMesh(mesh)) = self.reference().filter(|_| !accepted) else {
            return Ok(());
        };
        convergence::wait(cx, &mesh, change).await
    }
}

fn site_to_wire(name: &str, site: &SiteModel, unknowns: &mut Unknowns) -> proto::MeshSite {
    let at = |attribute| Path::of("sites").key(name).attribute(attribute);
    let endpoint = ENDPOINT_TO_COME.to_owned();
    let endpoints = site.node_endpoints.as_known().into_iter().flatten();
    let endpoints = endpoints.map(|(node, written)| {
        let path = at("node_endpoints").key(node);
        (
            node.clone(),
            unknowns.value_or(path, written, ENDPOINT_TO_COME.to_owned()),
        )
    });
    let node_endpoints = endpoints.collect();
    unknowns.optional(at("node_endpoints"), &site.node_endpoints);
    proto::MeshSite {
        endpoint: unknowns.value_or(at("endpoint"), &site.endpoint, endpoint),
        node_endpoints,
        routes: unknowns.list(at("routes"), &site.routes),
        gateways: unknowns.list(at("gateways"), &site.gateways),
        hub: unknowns.value(at("hub"), &site.hub),
        snat: unknowns.optional(at("snat"), &site.snat).copied(),
        expected_nodes: unknowns.value(at("expected_nodes"), &site.expected_nodes),
    }
}

fn site_from_wire(wire: proto::MeshSite) -> SiteModel {
    SiteModel {
        endpoint: non_empty(wire.endpoint),
        node_endpoints: known_map(wire.node_endpoints),
        routes: known_list(wire.routes),
        gateways: known_list(wire.gateways),
        hub: Attr::Known(wire.hub),
        snat: Attr::Known(wire.snat.unwrap_or(true)),
        expected_nodes: Attr::Known(wire.expected_nodes),
    }
}
