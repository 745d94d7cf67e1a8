//! Who talks to whom in a mesh: directly, or through the hub.
//!
//! The planner, the check of reachability and the proofs ask here, so that a mesh that passes the
//! check is one that the planner can connect. A topology is whole in itself and holds nothing of
//! the inventory that it was made from: it is made once for each change and shared by all plans.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::cidr::Cidr;
use crate::endpoint::Endpoint;
use crate::inventory::Inventory;
use crate::key::PublicKey;
use crate::name::{ClusterName, NAME_LENGTH_MAX, NodeName};
use crate::object::federation;
use crate::object::vpn_mesh::MeshShape;
use crate::object::{MeshSite, VpnMesh};

/// The connections of one mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    pub(super) mesh: Arc<VpnMesh>,
    pub(super) shape: MeshShape,
    /// In the order of their names.
    pub(super) members: Vec<Arc<Member>>,
    pub(super) sites: Arc<BTreeMap<ClusterName, Site>>,
    /// The sites' gateways, in the order of their names.
    pub(super) gateways: Vec<usize>,
    hub: Option<usize>,
    /// Whether no two nodes stand for the same network.
    pub(super) is_disjoint: bool,
}

/// Everything of a node that the plans of a mesh are made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) name: NodeName,
    pub(super) cluster: ClusterName,
    /// Where it can be dialled.
    pub(super) endpoint: Option<Endpoint>,
    /// None: it has no place in the mesh yet.
    pub(super) addresses: Option<Vec<IpAddr>>,
    /// Addresses of DR plans whose primary it is.
    pub(super) service_addresses: Vec<IpAddr>,
    pub(super) public_key: Option<PublicKey>,
    pub(super) is_gateway: bool,
    /// Whether it carries traffic between two others.
    pub(super) relays: bool,
    /// What it carries for its site.
    pub(super) routes: Vec<Cidr>,
}

/// A site's enrolled nodes, by their places among the members.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Site {
    pub(super) members: Vec<usize>,
    pub(super) gateway: Option<usize>,
}

/// The shape of a mesh: its own, or by the federation's topology.
#[must_use]
pub fn shape_of(inventory: &Inventory, mesh: &VpnMesh) -> MeshShape {
    mesh.shape
        .unwrap_or(match inventory.federation.spec.topology {
            federation::Topology::ActivePassive | federation::Topology::ActiveActive => {
                MeshShape::Full
            }
            federation::Topology::HubSpoke => MeshShape::HubSpoke,
        })
}

/// The node that carries a site's routes: the first enrolled one of its gateways. Where none is
/// named, the node that came in first: one that joins later never takes the endpoint over, whatever
/// it is called.
fn gateway_of<'a>(site: &MeshSite, nodes: &BTreeMap<&'a NodeName, u64>) -> Option<&'a NodeName> {
    if site.gateways.is_empty() {
        return nodes
            .iter()
            .min_by_key(|(name, revision)| (**revision, **name))
            .map(|(n, _)| *n);
    }
    let enrolled = |gateway: &NodeName| nodes.get_key_value(gateway).map(|(name, _)| *name);
    site.gateways.iter().find_map(enrolled)
}

impl Topology {
    /// Works out the connections of one mesh.
    #[must_use]
    pub fn of(inventory: &Inventory, mesh: &VpnMesh) -> Self {
        Self::after(None, inventory, mesh)
    }

    /// Works out the connections of one mesh, and shares with those before what has not changed.
    #[must_use]
    pub fn after(before: Option<&Self>, inventory: &Inventory, mesh: &VpnMesh) -> Self {
        let mut nodes_of: BTreeMap<&ClusterName, BTreeMap<&NodeName, u64>> = BTreeMap::new();
        for (name, record) in inventory.nodes_in(mesh) {
            let nodes = nodes_of.entry(&record.cluster).or_default();
            nodes.insert(name, record.enrolled_revision);
        }
        let gateways: BTreeMap<&ClusterName, &NodeName> = mesh
            .sites
            .iter()
            .filter_map(|(cluster, site)| {
                Some((cluster, gateway_of(site, nodes_of.get(cluster)?)?))
            })
            .collect();
        let mut hubs = mesh.sites.iter().filter(|(_, site)| site.hub);
        let hub = hubs.find_map(|(cluster, _)| gateways.get(cluster).copied());
        let all = members(inventory, mesh, &gateways, hub);
        // Not collected in place: that would keep the room of what is shared.
        let mut members = Vec::with_capacity(all.len());
        members.extend(all.into_iter().map(|member| shared(before, member)));
        let mesh = match before {
            Some(before) if *before.mesh == *mesh => before.mesh.clone(),
            Some(_) | None => Arc::new(mesh.clone()),
        };
        let shape = shape_of(inventory, &mesh);
        let mut topology = Self::assembled(mesh, shape, members, hub);
        if let Some(before) = before.filter(|before| before.sites == topology.sites) {
            topology.sites = before.sites.clone();
        }
        topology
    }

    /// Roughly what it takes of memory that it does not share with the one before.
    #[must_use]
    pub fn weight_bytes(&self, before: Option<&Self>) -> usize {
        const POINTER: usize = size_of::<usize>();
        let is_fresh = |member: &&Arc<Member>| {
            let at = before.and_then(|before| Some((before, before.position(&member.name)?)));
            at.is_none_or(|(before, at)| !Arc::ptr_eq(&before.members[at], member))
        };
        let texts = 4 * NAME_LENGTH_MAX;
        let member = |member: &Arc<Member>| {
            size_of::<Member>() + texts + size_of_val(member.routes.as_slice())
        };
        let members: usize = self.members.iter().filter(is_fresh).map(member).sum();
        let mut bytes = members + (self.members.len() + self.gateways.len()) * POINTER;
        if before.is_none_or(|before| !Arc::ptr_eq(&before.sites, &self.sites)) {
            bytes += self.sites.len() * (size_of::<Site>() + texts) + self.members.len() * POINTER;
        }
        if before.is_none_or(|before| !Arc::ptr_eq(&before.mesh, &self.mesh)) {
            let sites = self.mesh.sites.values();
            let entries = sites.map(|site| site.node_endpoints.len() + site.routes.len() + 1);
            bytes += entries.sum::<usize>() * (size_of::<MeshSite>() + texts);
        }
        bytes
    }

    fn assembled(
        mesh: Arc<VpnMesh>,
        shape: MeshShape,
        members: Vec<Arc<Member>>,
        hub: Option<&NodeName>,
    ) -> Self {
        let mut sites: BTreeMap<ClusterName, Site> = BTreeMap::new();
        let mut gateways = Vec::new();
        for (position, member) in members.iter().enumerate() {
            if !sites.contains_key(&member.cluster) {
                sites.insert(member.cluster.clone(), Site::default());
            }
            let Some(site) = sites.get_mut(&member.cluster) else {
                continue;
            };
            site.members.push(position);
            if member.is_gateway {
                site.gateway = Some(position);
                gateways.push(position);
            }
        }
        let mut seen = BTreeSet::new();
        let is_disjoint = members
            .iter()
            .flat_map(|member| member.networks())
            .all(|network| seen.insert(network));
        let mut topology = Self {
            mesh,
            shape,
            members,
            sites: Arc::new(sites),
            gateways,
            hub: None,
            is_disjoint,
        };
        topology.hub = hub.and_then(|hub| topology.position(hub));
        topology
    }

    /// The mesh itself.
    #[must_use]
    pub fn mesh(&self) -> &VpnMesh {
        &self.mesh
    }

    /// The node that relays for all others, if the mesh has a hub with a node.
    #[must_use]
    pub fn hub(&self) -> Option<&NodeName> {
        self.hub.map(|hub| &self.members[hub].name)
    }

    /// The node that carries a site's routes, if one is enrolled.
    #[must_use]
    pub fn gateway(&self, cluster: &ClusterName) -> Option<&NodeName> {
        let gateway = self.sites.get(cluster)?.gateway?;
        Some(&self.members[gateway].name)
    }

    /// Whether the node carries its site's routes.
    #[must_use]
    pub fn is_gateway(&self, node: &NodeName) -> bool {
        self.member(node).is_some_and(|member| member.is_gateway)
    }

    /// Where a node can be dialled.
    #[must_use]
    pub fn endpoint_of(&self, node: &NodeName) -> Option<&Endpoint> {
        self.member(node)?.endpoint.as_ref()
    }

    /// Whether two nodes are WireGuard peers of one another.
    #[must_use]
    pub fn is_direct(&self, a: &NodeName, b: &NodeName) -> bool {
        match (self.position(a), self.position(b)) {
            (Some(a), Some(b)) => self.connects(a, b),
            _ => false,
        }
    }

    /// The peer over which `from` reaches `to`; none: it can't.
    #[must_use]
    pub fn next_hop(&self, from: &NodeName, to: &NodeName) -> Option<&NodeName> {
        let hop = self.hop(self.position(from)?, self.position(to)?)?;
        Some(&self.members[hop].name)
    }

    pub(super) fn position(&self, node: &NodeName) -> Option<usize> {
        self.members
            .binary_search_by(|member| member.name.cmp(node))
            .ok()
    }

    pub(super) fn member(&self, node: &NodeName) -> Option<&Member> {
        self.position(node).map(|position| &*self.members[position])
    }

    pub(super) fn hub_position(&self) -> Option<usize> {
        self.hub
    }

    /// Whether two members are peers of one another.
    pub(super) fn connects(&self, a: usize, b: usize) -> bool {
        let through_hub = self.hub.is_some_and(|hub| hub == a || hub == b);
        let dialable = self.members[a].endpoint.is_some() || self.members[b].endpoint.is_some();
        match self.shape {
            MeshShape::Full => dialable,
            MeshShape::HubSpoke => dialable && through_hub,
        }
    }

    /// The peer over which one member reaches another; none: it can't.
    pub(super) fn hop(&self, from: usize, to: usize) -> Option<usize> {
        if self.connects(from, to) {
            return Some(to);
        }
        self.relay(from, to)
    }

    /// The members that a member reaches, by the peer over which it reaches them.
    pub(super) fn reached_over(&self, from: usize) -> BTreeMap<usize, Vec<usize>> {
        let mut reached: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for to in (0..self.members.len()).filter(|to| *to != from) {
            if let Some(peer) = self.hop(from, to) {
                reached.entry(peer).or_default().push(to);
            }
        }
        reached
    }

    /// The one node that carries traffic between two that are no peers. It is the same in both
    /// directions, since WireGuard drops what comes from a peer that may not send it: the hub, or
    /// in a full mesh without one the gateway of either's own site.
    fn relay(&self, a: usize, b: usize) -> Option<usize> {
        let fits = |relay: &usize| {
            *relay != a && *relay != b && self.connects(a, *relay) && self.connects(*relay, b)
        };
        match (self.hub, self.shape) {
            (Some(hub), _) => Some(hub).filter(fits),
            (None, MeshShape::HubSpoke) => None,
            (None, MeshShape::Full) => {
                let (a, b) = (&self.members[a].cluster, &self.members[b].cluster);
                let sites = [a.min(b), a.max(b)];
                let mut gateways = sites
                    .into_iter()
                    .filter_map(|site| self.sites.get(site)?.gateway);
                gateways.find(|gateway| self.members[*gateway].endpoint.is_some() && fits(gateway))
            }
        }
    }
}

impl Member {
    /// What it may send for itself and for its site.
    pub(super) fn networks(&self) -> impl Iterator<Item = Cidr> + '_ {
        self.own_networks().chain(self.routes.iter().copied())
    }

    /// What it may send to a node of the site `to`, which has that site's routes already.
    pub(super) fn networks_to<'a>(
        &'a self,
        to: &'a ClusterName,
    ) -> impl Iterator<Item = Cidr> + 'a {
        let routes = (self.cluster != *to).then_some(&self.routes);
        self.own_networks()
            .chain(routes.into_iter().flatten().copied())
    }

    fn own_networks(&self) -> impl Iterator<Item = Cidr> + '_ {
        let addresses = self.addresses.iter().flatten();
        let addresses = addresses.chain(&self.service_addresses);
        addresses.copied().map(Cidr::host)
    }
}

/// The enrolled nodes of a mesh, in the order of their names.
fn members(
    inventory: &Inventory,
    mesh: &VpnMesh,
    gateways: &BTreeMap<&ClusterName, &NodeName>,
    hub: Option<&NodeName>,
) -> Vec<Member> {
    let mut members: Vec<Member> = inventory
        .nodes_in(mesh)
        .map(|(name, record)| {
            let cluster = &record.cluster;
            let site = mesh.sites.get(cluster);
            let is_gateway = gateways.get(cluster) == Some(&name);
            let endpoint = site.and_then(|site| {
                let of_site = site.endpoint.as_ref().filter(|_| is_gateway);
                site.node_endpoints.get(name).or(of_site)
            });
            let place = record.meshes.get(&mesh.name);
            let routes = site.filter(|_| is_gateway).map(|site| site.routes.clone());
            Member {
                name: name.clone(),
                cluster: cluster.clone(),
                endpoint: endpoint.cloned(),
                addresses: place.map(|place| place.addresses.clone()),
                service_addresses: place
                    .map(|place| place.service_addresses.iter().copied().collect())
                    .unwrap_or_default(),
                public_key: place.and_then(|place| place.public_key),
                is_gateway,
                relays: false,
                routes: routes.unwrap_or_default(),
            }
        })
        .collect();
    let sheltering: BTreeSet<ClusterName> = members
        .iter()
        .filter(|member| member.endpoint.is_none())
        .map(|member| member.cluster.clone())
        .collect();
    for member in &mut members {
        member.relays = match hub {
            Some(hub) => *hub == member.name,
            // One that can be dialled is none of those whom it shelters.
            None => {
                member.is_gateway
                    && member.endpoint.is_some()
                    && sheltering.contains(&member.cluster)
            }
        };
    }
    members
}

/// The member as it was shared before, if it is the same.
fn shared(before: Option<&Topology>, member: Member) -> Arc<Member> {
    let earlier = before.and_then(|before| {
        let position = before.position(&member.name)?;
        Some(&before.members[position])
    });
    match earlier {
        Some(earlier) if **earlier == member => earlier.clone(),
        Some(_) | None => Arc::new(member),
    }
}
