//! What a change of one mesh changes in each node's plan, by as much work as the change has.
//!
//! The change is worked out once and asked for each node. Only what can have changed is looked at,
//! before and after, by the planner itself; where that can't be told, whole plans are compared. So
//! everything that a plan is made from must be in a [`Topology`], or it changes unseen. The keys of
//! pairs are the one exception: they are made from nothing that changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::difference::{MeshDifference, NodeDifference, PeerDifference, SetDifference};
use super::digest::{Fact, PlanDigest};
use super::plan::{PeerPlan, PresharedKeyOf, allowed_ips, mesh_plan, plan_peer, probe_targets};
use super::topology::Topology;
use crate::cidr::Cidr;
use crate::name::{ClusterName, MeshName, NodeName};
use crate::object::VpnMesh;

/// A change of one mesh.
#[derive(Debug)]
pub struct MeshChange {
    mesh: MeshName,
    scope: Scope,
}

/// Whose plans can have changed, and in what.
#[derive(Debug)]
enum Scope {
    Nobody,
    /// There was no such mesh.
    New(Arc<Topology>),
    /// There is no such mesh any more.
    Gone(Arc<Topology>),
    Both(Box<Both>),
}

#[derive(Debug)]
struct Both {
    before: Arc<Topology>,
    after: Arc<Topology>,
    /// Whether something changed that every peer of every plan is made from.
    everything: bool,
    /// The nodes of which something changed, or the gateway of which did.
    touched: BTreeSet<NodeName>,
    /// What may come into, or go from, the routes.
    routes: Vec<RouteChange>,
    /// Whether what was declared changed.
    declared: bool,
}

/// A route and the sites that have it, before and after; none stands for the mesh's pools.
#[derive(Debug)]
struct RouteChange {
    route: Cidr,
    before: BTreeSet<Option<ClusterName>>,
    after: BTreeSet<Option<ClusterName>>,
}

/// What is found out for one node.
struct Finder<'a> {
    both: &'a Both,
    before: usize,
    after: usize,
    preshared_key: &'a PresharedKeyOf<'a>,
    difference: MeshDifference,
    digest: &'a mut PlanDigest,
}

/// What a peer may send of what the touched nodes stand for.
#[derive(Default)]
struct Share {
    before: BTreeSet<Cidr>,
    after: BTreeSet<Cidr>,
}

impl MeshChange {
    /// The change of a mesh between two moments, at one of which it may not have been there.
    #[must_use]
    pub fn between(
        mesh: MeshName,
        before: Option<&Arc<Topology>>,
        after: Option<&Arc<Topology>>,
    ) -> Self {
        let scope = match (before, after) {
            (None, None) => Scope::Nobody,
            (None, Some(after)) => Scope::New(after.clone()),
            (Some(before), None) => Scope::Gone(before.clone()),
            (Some(before), Some(after)) if Arc::ptr_eq(before, after) => Scope::Nobody,
            (Some(before), Some(after)) => Scope::Both(Box::new(Both::new(before, after))),
        };
        Self { mesh, scope }
    }

    /// Whether no plan can have changed.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        matches!(self.scope, Scope::Nobody)
    }

    /// Whether everybody's plan is looked at as a whole.
    #[must_use]
    pub fn concerns_everybody(&self) -> bool {
        match &self.scope {
            Scope::Nobody => false,
            Scope::New(_) | Scope::Gone(_) => true,
            Scope::Both(both) => both.everything,
        }
    }

    /// Adds what is other in a node's plan, and how its digest changes.
    pub fn add_to(
        &self,
        node: &NodeName,
        preshared_key: &PresharedKeyOf<'_>,
        difference: &mut NodeDifference,
        digest: &mut PlanDigest,
    ) {
        let (before, after) = match &self.scope {
            Scope::Nobody => return,
            Scope::New(after) => (None, Some(after)),
            Scope::Gone(before) => (Some(before), None),
            Scope::Both(both) => match both.places(node) {
                Some((before, after)) if !both.concerns_all_of(node) => {
                    let mut finder = Finder {
                        both,
                        before,
                        after,
                        preshared_key,
                        difference: MeshDifference::new(self.mesh.clone()),
                        digest,
                    };
                    finder.find();
                    let found = finder.difference;
                    difference
                        .meshes
                        .extend((!found.is_empty()).then_some(found));
                    return;
                }
                Some(_) | None => (Some(&both.before), Some(&both.after)),
            },
        };
        let whole = |topology: Option<&Arc<Topology>>| {
            topology.and_then(|topology| mesh_plan(topology, node, preshared_key))
        };
        let (before, after) = (whole(before), whole(after));
        if let Some(before) = &before {
            digest.subtract_mesh(before);
        }
        match (before, after) {
            (None, None) => {}
            (Some(_), None) => difference.meshes_removed.push(self.mesh.clone()),
            (before, Some(after)) => {
                digest.add_mesh(&after);
                let found = MeshDifference::between(before.as_ref(), &after);
                difference
                    .meshes
                    .extend((!found.is_empty()).then_some(found));
            }
        }
    }
}

impl Both {
    fn new(before: &Arc<Topology>, after: &Arc<Topology>) -> Self {
        let declared = !Arc::ptr_eq(&before.mesh, &after.mesh) && before.mesh != after.mesh;
        let routes = if declared {
            route_changes(&before.mesh, &after.mesh)
        } else {
            Vec::new()
        };
        Self {
            everything: everything_differs(before, after),
            touched: touched(before, after),
            routes,
            declared,
            before: before.clone(),
            after: after.clone(),
        }
    }

    /// Where a node that has a place before and after stands.
    fn places(&self, node: &NodeName) -> Option<(usize, usize)> {
        let before = self.before.position(node)?;
        let after = self.after.position(node)?;
        let is_in = |topology: &Topology, at: usize| topology.members[at].addresses.is_some();
        (is_in(&self.before, before) && is_in(&self.after, after)).then_some((before, after))
    }

    fn concerns_all_of(&self, node: &NodeName) -> bool {
        self.everything || self.touched.contains(node)
    }
}

impl Finder<'_> {
    fn find(&mut self) {
        self.compare_heads();
        self.compare_routes();
        if self.both.touched.is_empty() {
            return;
        }
        for (peer, share) in self.shares() {
            self.compare_peer(&peer, &share);
        }
        let before = probe_targets(&self.both.before, self.before);
        let after = probe_targets(&self.both.after, self.after);
        let mesh = &self.difference.mesh.clone();
        self.difference.compare_targets(&before, &after);
        if before != after {
            for target in &before {
                self.digest.subtract(&Fact::ProbeTarget(mesh, target));
            }
            for target in &after {
                self.digest.add(&Fact::ProbeTarget(mesh, target));
            }
        }
    }

    fn compare_heads(&mut self) {
        if !self.both.declared {
            return;
        }
        let before = super::plan::head(&self.both.before, self.before);
        let after = super::plan::head(&self.both.after, self.after);
        if before != after {
            if let Some(before) = before {
                self.digest.subtract(&Fact::Mesh(&before));
            }
            if let Some(after) = &after {
                self.digest.add(&Fact::Mesh(after));
            }
            self.difference.head = after;
        }
    }

    fn compare_routes(&mut self) {
        let own = Some(&self.both.after.members[self.after].cluster);
        for change in &self.both.routes {
            let has = |sites: &BTreeSet<Option<ClusterName>>| {
                sites.iter().any(|site| site.as_ref() != own)
            };
            let fact = Fact::Route(&self.difference.mesh, &change.route);
            match (has(&change.before), has(&change.after)) {
                (true, false) => {
                    self.digest.subtract(&fact);
                    self.difference.routes.removed.push(change.route);
                }
                (false, true) => {
                    self.digest.add(&fact);
                    self.difference.routes.added.push(change.route);
                }
                (true, true) | (false, false) => {}
            }
        }
    }

    /// The peers over which touched nodes were or are reached, with what those stand for.
    fn shares(&self) -> BTreeMap<NodeName, Share> {
        let mut shares: BTreeMap<NodeName, Share> = BTreeMap::new();
        let both = self.both;
        let mut add = |topology: &Topology, from: usize, name: &NodeName, is_before: bool| {
            let Some(to) = topology.position(name).filter(|to| *to != from) else {
                return;
            };
            let Some(hop) = topology.hop(from, to) else {
                return;
            };
            let share = shares
                .entry(topology.members[hop].name.clone())
                .or_default();
            let networks = topology.members[to].networks_to(&topology.members[from].cluster);
            if is_before {
                share.before.extend(networks);
            } else {
                share.after.extend(networks);
            }
        };
        for name in &both.touched {
            add(&both.before, self.before, name, true);
            add(&both.after, self.after, name, false);
        }
        shares
    }

    fn compare_peer(&mut self, peer: &NodeName, share: &Share) {
        let (both, psk) = (self.both, self.preshared_key);
        let without = |_: &MeshName, _: &NodeName, _: &NodeName| None;
        let before = peer_at(&both.before, self.before, peer, &without);
        let after = peer_at(&both.after, self.after, peer, &without);
        let mesh = self.difference.mesh.clone();
        if before == after {
            if before.is_some() {
                let allowed_ips = share.difference();
                self.add_allowed_ips(&mesh, peer, &allowed_ips);
                self.push_peer(peer, None, allowed_ips);
            }
            return;
        }
        // The pair's key is made only where it is needed.
        let before = peer_at(&both.before, self.before, peer, psk);
        let after = peer_at(&both.after, self.after, peer, psk);
        if let Some(before) = &before {
            let fact = Fact::Peer(&mesh, peer, &before.head());
            self.digest.subtract(&fact);
        }
        if let Some(after) = &after {
            self.digest.add(&Fact::Peer(&mesh, peer, &after.head()));
        }
        let allowed_ips = match (&before, &after) {
            (Some(_), Some(_)) => share.difference(),
            (Some(_), None) => SetDifference {
                removed: allowed_at(&both.before, self.before, peer),
                added: Vec::new(),
            },
            (None, Some(_)) => SetDifference {
                removed: Vec::new(),
                added: allowed_at(&both.after, self.after, peer),
            },
            (None, None) => return,
        };
        self.add_allowed_ips(&mesh, peer, &allowed_ips);
        match after {
            None => self.difference.peers_removed.push(peer.clone()),
            Some(after) => self.push_peer(peer, Some(after), allowed_ips),
        }
    }

    fn push_peer(&mut self, node: &NodeName, plan: Option<PeerPlan>, allowed_ips: SetDifference) {
        let peer = PeerDifference {
            node: node.clone(),
            head: plan.map(|plan| plan.head()),
            allowed_ips,
        };
        if !peer.is_empty() {
            self.difference.peers.push(peer);
        }
    }

    fn add_allowed_ips(&mut self, mesh: &MeshName, peer: &NodeName, networks: &SetDifference) {
        for network in &networks.removed {
            self.digest.subtract(&Fact::AllowedIp(mesh, peer, network));
        }
        for network in &networks.added {
            self.digest.add(&Fact::AllowedIp(mesh, peer, network));
        }
    }
}

impl Share {
    /// Right where no two nodes stand for the same network.
    fn difference(&self) -> SetDifference {
        SetDifference {
            removed: self.before.difference(&self.after).copied().collect(),
            added: self.after.difference(&self.before).copied().collect(),
        }
    }
}

/// Whether something differs that every peer of every plan is made from.
fn everything_differs(before: &Topology, after: &Topology) -> bool {
    let general = |topology: &Topology| {
        let hub = topology.hub_position();
        let hub = hub.map(|hub| &topology.members[hub]);
        (
            topology.shape,
            hub.map(|hub| (hub.name.clone(), hub.endpoint.is_some())),
            topology.mesh.persistent_keepalive.clone(),
            topology.mesh.preshared_keys,
            topology.is_disjoint,
        )
    };
    !before.is_disjoint || general(before) != general(after)
}

/// The nodes of which something differs, and all nodes of a site whose gateway is another or can be
/// dialled no more: they are reached, and reach, over others.
fn touched(before: &Topology, after: &Topology) -> BTreeSet<NodeName> {
    let mut touched = BTreeSet::new();
    for member in &after.members {
        let earlier = before.position(&member.name).map(|at| &before.members[at]);
        let same = earlier.is_some_and(|it| Arc::ptr_eq(it, member) || it == member);
        if !same {
            touched.insert(member.name.clone());
        }
    }
    let gone = before.members.iter().map(|member| &member.name);
    touched.extend(gone.filter(|name| after.position(name).is_none()).cloned());
    if touched.is_empty() {
        return touched;
    }
    let gateway = |topology: &Topology, cluster: &ClusterName| {
        let gateway = topology.sites.get(cluster)?.gateway?;
        let gateway = &topology.members[gateway];
        Some((gateway.name.clone(), gateway.endpoint.is_some()))
    };
    for cluster in before.sites.keys().chain(after.sites.keys()) {
        if gateway(before, cluster) != gateway(after, cluster) {
            for topology in [before, after] {
                let site = topology.sites.get(cluster);
                let members = site.into_iter().flat_map(|site| &site.members);
                touched.extend(members.map(|at| topology.members[*at].name.clone()));
            }
        }
    }
    touched
}

fn route_changes(before: &VpnMesh, after: &VpnMesh) -> Vec<RouteChange> {
    let owners = |mesh: &VpnMesh| {
        let mut owners: BTreeMap<Cidr, BTreeSet<Option<ClusterName>>> = BTreeMap::new();
        for pool in &mesh.address_pools {
            owners.entry(*pool).or_default().insert(None);
        }
        for (cluster, site) in &mesh.sites {
            for route in &site.routes {
                owners
                    .entry(*route)
                    .or_default()
                    .insert(Some(cluster.clone()));
            }
        }
        owners
    };
    let (mut before, mut after) = (owners(before), owners(after));
    let routes: BTreeSet<Cidr> = before.keys().chain(after.keys()).copied().collect();
    routes
        .into_iter()
        .map(|route| RouteChange {
            route,
            before: before.remove(&route).unwrap_or_default(),
            after: after.remove(&route).unwrap_or_default(),
        })
        .filter(|change| change.before != change.after)
        .collect()
}

/// A peer of a node, without what it may send.
fn peer_at(
    topology: &Topology,
    node: usize,
    peer: &NodeName,
    preshared_key: &PresharedKeyOf<'_>,
) -> Option<PeerPlan> {
    let peer = topology.position(peer)?;
    let is_peer = peer != node && topology.connects(node, peer);
    is_peer.then(|| plan_peer(topology, node, peer, preshared_key))?
}

/// All that a peer may send to a node.
fn allowed_at(topology: &Topology, node: usize, peer: &NodeName) -> Vec<Cidr> {
    let Some(peer) = topology.position(peer) else {
        return Vec::new();
    };
    let over_it = |to: &usize| *to != node && topology.hop(node, *to) == Some(peer);
    let behind: Vec<usize> = (0..topology.members.len()).filter(over_it).collect();
    allowed_ips(topology, node, &behind)
}

#[cfg(test)]
mod properties;
