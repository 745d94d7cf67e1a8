//! What is other in one plan than in another, as small as the change is.
//!
//! A difference says how everything is from now on and never how it was: applied to the plan that
//! it was made for it yields the newer one, and applied to any other a misfit or a plan with another
//! digest.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::plan::{MeshPlan, NodePlan, PeerPlan, ProbeTarget};
use crate::cidr::Cidr;
use crate::endpoint::Endpoint;
use crate::inventory::Inventory;
use crate::key::{PresharedKey, PublicKey};
use crate::name::{ClusterName, MeshName, NodeName};
use crate::object::member_cluster::ResourceLimits;
use crate::object::vpn_mesh::InterfaceName;

/// What is other in a node's plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeDifference {
    /// What the member cluster says, if any of it changed.
    pub terms: Option<SiteTerms>,
    /// The meshes that the node leaves.
    pub meshes_removed: Vec<MeshName>,
    /// The meshes that are new or changed.
    pub meshes: Vec<MeshDifference>,
}

/// What a member cluster says of its nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SiteTerms {
    /// What it allows Hanse there.
    pub limits: ResourceLimits,
    /// What it can do, in agreed words.
    pub capabilities: BTreeSet<String>,
}

/// What is other in one mesh of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeshDifference {
    /// The mesh.
    pub mesh: MeshName,
    /// What there is once, if any of it changed or the mesh is new.
    pub head: Option<MeshHead>,
    /// What goes into the mesh.
    pub routes: SetDifference,
    /// The peers that go.
    pub peers_removed: Vec<NodeName>,
    /// The peers that are new or changed.
    pub peers: Vec<PeerDifference>,
    /// The nodes to which no path must be proved any more.
    pub probe_targets_removed: Vec<NodeName>,
    /// The nodes to which a path must be proved, new or changed.
    pub probe_targets: Vec<ProbeTarget>,
}

/// What is other in one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerDifference {
    /// The peer's node.
    pub node: NodeName,
    /// What there is once, if any of it changed or the peer is new.
    pub head: Option<PeerHead>,
    /// What it may send.
    pub allowed_ips: SetDifference,
}

/// What came to a set of networks, and what went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SetDifference {
    /// What went.
    pub removed: Vec<Cidr>,
    /// What came.
    pub added: Vec<Cidr>,
}

/// What there is once in the plan of a mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeshHead {
    /// The mesh.
    pub mesh: MeshName,
    /// The interface.
    pub interface: InterfaceName,
    /// The node's own addresses.
    pub addresses: Vec<IpAddr>,
    /// Where the mesh's addresses come from.
    pub address_pools: Vec<Cidr>,
    /// WireGuard's UDP port.
    pub listen_port: u16,
    /// The UDP port of proofs, inside the mesh.
    pub probe_port: u16,
    /// The MTU; none: by the underlay.
    pub mtu: Option<u16>,
    /// Whether this node carries its site's routes.
    pub gateway: bool,
    /// Whether a gateway hides the mesh behind its own address.
    pub snat: bool,
}

/// What there is once in a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerHead {
    /// Its key.
    pub public_key: PublicKey,
    /// The pair's own pre-shared key.
    pub preshared_key: Option<PresharedKey>,
    /// Where to dial it; none: it dials.
    pub endpoint: Option<Endpoint>,
    /// Seconds between keepalives; none: no keepalive.
    pub persistent_keepalive_s: Option<u16>,
}

impl NodeDifference {
    /// What is other in `after`.
    #[must_use]
    pub fn between(before: &NodePlan, after: &NodePlan) -> Self {
        let gone = |mesh: &&MeshPlan| after.meshes.iter().all(|other| other.mesh != mesh.mesh);
        let meshes_removed = before.meshes.iter().filter(gone);
        let meshes = after.meshes.iter().filter_map(|mesh| {
            let earlier = before.meshes.iter().find(|other| other.mesh == mesh.mesh);
            let difference = MeshDifference::between(earlier, mesh);
            (!difference.is_empty()).then_some(difference)
        });
        Self {
            terms: (before.terms() != after.terms()).then(|| after.terms()),
            meshes_removed: meshes_removed.map(|mesh| mesh.mesh.clone()).collect(),
            meshes: meshes.collect(),
        }
    }

    /// Whether nothing is other.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_none() && self.meshes.is_empty() && self.meshes_removed.is_empty()
    }
}

impl SiteTerms {
    /// What a member cluster says; the defaults while it is not declared.
    #[must_use]
    pub fn of(inventory: &Inventory, cluster: &ClusterName) -> Self {
        let Some(stored) = inventory.clusters.get(cluster) else {
            return Self::default();
        };
        Self {
            limits: stored.spec.limits.clone().unwrap_or_default(),
            capabilities: stored.spec.capabilities.clone(),
        }
    }
}

impl MeshDifference {
    /// No difference yet.
    pub(super) fn new(mesh: MeshName) -> Self {
        Self {
            mesh,
            head: None,
            routes: SetDifference::default(),
            peers_removed: Vec::new(),
            peers: Vec::new(),
            probe_targets_removed: Vec::new(),
            probe_targets: Vec::new(),
        }
    }

    /// What is other in `after`; `before` is none for a mesh that is new to the node.
    pub(super) fn between(before: Option<&MeshPlan>, after: &MeshPlan) -> Self {
        let mut difference = Self::new(after.mesh.clone());
        let head = after.head();
        difference.head = (before.map(MeshPlan::head).as_ref() != Some(&head)).then_some(head);
        let empty = MeshPlan::new(after.head());
        let before = before.unwrap_or(&empty);
        difference.routes = SetDifference::between(&before.routes, &after.routes);
        for peer in &before.peers {
            if position(&after.peers, &peer.node, |peer| &peer.node).is_err() {
                difference.peers_removed.push(peer.node.clone());
            }
        }
        for peer in &after.peers {
            let earlier = position(&before.peers, &peer.node, |peer| &peer.node);
            let earlier = earlier.ok().map(|position| &before.peers[position]);
            let changed = PeerDifference::between(earlier, peer);
            difference.peers.extend(changed);
        }
        difference.compare_targets(&before.probe_targets, &after.probe_targets);
        difference
    }

    pub(super) fn compare_targets(&mut self, before: &[ProbeTarget], after: &[ProbeTarget]) {
        for target in before {
            if position(after, &target.node, |target| &target.node).is_err() {
                self.probe_targets_removed.push(target.node.clone());
            }
        }
        let is_new = |target: &&ProbeTarget| {
            let earlier = position(before, &target.node, |target| &target.node);
            earlier.ok().map(|position| &before[position]) != Some(*target)
        };
        self.probe_targets
            .extend(after.iter().filter(is_new).cloned());
    }

    /// Whether nothing is other.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.head.is_none()
            && self.routes.is_empty()
            && self.peers_removed.is_empty()
            && self.peers.is_empty()
            && self.probe_targets_removed.is_empty()
            && self.probe_targets.is_empty()
    }
}

impl PeerDifference {
    /// What is other in `after`, if anything is; `before` is none for a new peer.
    pub(super) fn between(before: Option<&PeerPlan>, after: &PeerPlan) -> Option<Self> {
        let head = after.head();
        let head = (before.map(PeerPlan::head).as_ref() != Some(&head)).then_some(head);
        let earlier = before.map_or(&[][..], |peer| &peer.allowed_ips);
        let difference = Self {
            node: after.node.clone(),
            head,
            allowed_ips: SetDifference::between(earlier, &after.allowed_ips),
        };
        (!difference.is_empty()).then_some(difference)
    }

    /// Whether nothing is other.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.head.is_none() && self.allowed_ips.is_empty()
    }
}

impl SetDifference {
    /// What is other in `after`; both are sorted.
    pub(super) fn between(before: &[Cidr], after: &[Cidr]) -> Self {
        let only = |these: &[Cidr], those: &[Cidr]| {
            let missing = |network: &&Cidr| those.binary_search(network).is_err();
            these.iter().filter(missing).copied().collect()
        };
        Self {
            removed: only(before, after),
            added: only(after, before),
        }
    }

    /// Whether nothing is other.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }
}

impl NodePlan {
    /// What the member cluster says.
    #[must_use]
    pub fn terms(&self) -> SiteTerms {
        SiteTerms {
            limits: self.limits.clone(),
            capabilities: self.capabilities.clone(),
        }
    }
}

impl MeshPlan {
    /// What there is once.
    #[must_use]
    pub fn head(&self) -> MeshHead {
        MeshHead {
            mesh: self.mesh.clone(),
            interface: self.interface.clone(),
            addresses: self.addresses.clone(),
            address_pools: self.address_pools.clone(),
            listen_port: self.listen_port,
            probe_port: self.probe_port,
            mtu: self.mtu,
            gateway: self.gateway,
            snat: self.snat,
        }
    }

    pub(super) fn new(head: MeshHead) -> Self {
        Self {
            mesh: head.mesh,
            interface: head.interface,
            addresses: head.addresses,
            address_pools: head.address_pools,
            listen_port: head.listen_port,
            probe_port: head.probe_port,
            mtu: head.mtu,
            peers: Vec::new(),
            routes: Vec::new(),
            gateway: head.gateway,
            snat: head.snat,
            probe_targets: Vec::new(),
        }
    }

    pub(super) fn set_head(&mut self, head: MeshHead) {
        *self = Self {
            peers: std::mem::take(&mut self.peers),
            routes: std::mem::take(&mut self.routes),
            probe_targets: std::mem::take(&mut self.probe_targets),
            ..Self::new(head)
        };
    }
}

impl PeerPlan {
    /// What there is once.
    #[must_use]
    pub fn head(&self) -> PeerHead {
        PeerHead {
            public_key: self.public_key,
            preshared_key: self.preshared_key.clone(),
            endpoint: self.endpoint.clone(),
            persistent_keepalive_s: self.persistent_keepalive_s,
        }
    }

    pub(super) fn new(node: NodeName, head: PeerHead) -> Self {
        Self {
            node,
            public_key: head.public_key,
            preshared_key: head.preshared_key,
            endpoint: head.endpoint,
            allowed_ips: Vec::new(),
            persistent_keepalive_s: head.persistent_keepalive_s,
        }
    }

    pub(super) fn set_head(&mut self, head: PeerHead) {
        *self = Self {
            allowed_ips: std::mem::take(&mut self.allowed_ips),
            ..Self::new(self.node.clone(), head)
        };
    }
}

/// Where something of a name is in a list that is sorted by name, or where it belongs.
pub(super) fn position<T, N: Ord>(
    list: &[T],
    name: &N,
    name_of: impl Fn(&T) -> &N,
) -> Result<usize, usize> {
    list.binary_search_by(|one| name_of(one).cmp(name))
}
