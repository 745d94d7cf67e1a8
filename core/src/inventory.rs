//! Everything that is declared and every node that is enrolled, without secrets or observations.
//!
//! The federation's state holds one; the provider lays the objects of its run over another. The
//! same checks and the same planner work on both.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

use crate::authority::Authorities;
use crate::endpoint::Endpoint;
use crate::health::NodeHealth;
use crate::key::PublicKey;
use crate::name::{ClusterName, FederationName, MeshName, NodeName, PlanName};
use crate::object::{DrPlan, Federation, MemberCluster, Object, ObjectRef, VpnMesh};
use crate::secret::SealingKey;
use crate::voters::vote::Vote;

/// A declared object with the revision of its spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored<T> {
    /// What was declared.
    pub spec: T,
    /// The federation's revision at which the spec changed last.
    pub revision: u64,
    /// Deleted, and kept until its last reference goes.
    pub retiring: bool,
}

/// An enrolled node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// The member cluster that it named at enrolment.
    pub cluster: ClusterName,
    /// Whether it keeps the replicated state.
    pub voter: bool,
    /// Where a voter's API can be reached.
    pub advertise: Option<Endpoint>,
    /// The revision at which it came in.
    pub enrolled_revision: u64,
    /// Its place in each mesh that it takes part in.
    pub meshes: BTreeMap<MeshName, NodeMesh>,
    /// How it is.
    #[serde(default, skip_serializing_if = "NodeHealth::is_default")]
    pub health: NodeHealth,
    /// For which secrets are sealed to it, on voters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealing_key: Option<SealingKey>,
    /// The number of the authority that signed its certificate, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certified_by: Option<u32>,
    /// What is to become of its vote.
    #[cfg_attr(
        not(feature = "previous-version"),
        serde(default, skip_serializing_if = "Vote::is_default")
    )]
    #[cfg_attr(feature = "previous-version", serde(skip))]
    pub vote: Vote,
}

/// A node's place in one mesh.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeMesh {
    /// One address from each pool, in the pools' order. Stable for life.
    pub addresses: Vec<IpAddr>,
    /// Known once the node has made its key.
    pub public_key: Option<PublicKey>,
    /// Addresses that lead to it for now, since it is the primary of their DR plans.
    #[cfg_attr(
        not(feature = "previous-version"),
        serde(default, skip_serializing_if = "BTreeSet::is_empty")
    )]
    #[cfg_attr(feature = "previous-version", serde(skip))]
    pub service_addresses: BTreeSet<IpAddr>,
}

/// Everything that is declared and every node that is enrolled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// The federation's settings; declared or the defaults (revision 0).
    pub federation: Stored<Federation>,
    /// The member clusters.
    pub clusters: OrdMap<ClusterName, Stored<MemberCluster>>,
    /// The VPN meshes.
    pub meshes: OrdMap<MeshName, Stored<VpnMesh>>,
    /// The DR plans.
    #[cfg_attr(
        not(feature = "previous-version"),
        serde(default, skip_serializing_if = "OrdMap::is_empty")
    )]
    #[cfg_attr(feature = "previous-version", serde(skip))]
    pub dr_plans: OrdMap<PlanName, Stored<DrPlan>>,
    /// The enrolled nodes.
    pub nodes: OrdMap<NodeName, NodeRecord>,
    /// By mesh, addresses that somebody had and that nobody gets again.
    pub retired: OrdMap<MeshName, OrdSet<IpAddr>>,
    /// The certificate authorities.
    #[serde(default, skip_serializing_if = "Authorities::is_empty")]
    pub authorities: Authorities,
}

impl Inventory {
    /// A federation in which nothing is declared and nobody is enrolled.
    #[must_use]
    pub fn new(name: FederationName) -> Self {
        let spec = Federation::defaults(name);
        Self {
            federation: Stored {
                spec,
                revision: 0,
                retiring: false,
            },
            clusters: OrdMap::new(),
            meshes: OrdMap::new(),
            dr_plans: OrdMap::new(),
            nodes: OrdMap::new(),
            retired: OrdMap::new(),
            authorities: Authorities::default(),
        }
    }

    /// The federation's name.
    #[must_use]
    pub fn name(&self) -> &FederationName {
        &self.federation.spec.name
    }

    /// The declared object of that name, with its revision and whether it is retiring.
    #[must_use]
    pub fn get(&self, reference: &ObjectRef) -> Option<Stored<Object>> {
        fn wrap<T: Clone>(stored: &Stored<T>, object: impl Fn(T) -> Object) -> Stored<Object> {
            let Stored {
                spec,
                revision,
                retiring,
            } = stored.clone();
            Stored {
                spec: object(spec),
                revision,
                retiring,
            }
        }
        match reference {
            ObjectRef::Federation(name) => (self.federation.revision > 0 && self.name() == name)
                .then(|| wrap(&self.federation, Object::Federation)),
            ObjectRef::MemberCluster(name) => self
                .clusters
                .get(name)
                .map(|stored| wrap(stored, Object::MemberCluster)),
            ObjectRef::VpnMesh(name) => self
                .meshes
                .get(name)
                .map(|stored| wrap(stored, Object::VpnMesh)),
            ObjectRef::DrPlan(name) => self
                .dr_plans
                .get(name)
                .map(|stored| wrap(stored, |plan| Object::DrPlan(Box::new(plan)))),
        }
    }

    /// Every declared object.
    pub fn references(&self) -> impl Iterator<Item = ObjectRef> + '_ {
        let federation = (self.federation.revision > 0)
            .then(|| ObjectRef::Federation(self.name().clone()))
            .into_iter();
        federation
            .chain(self.clusters.keys().cloned().map(ObjectRef::MemberCluster))
            .chain(self.meshes.keys().cloned().map(ObjectRef::VpnMesh))
            .chain(self.dr_plans.keys().cloned().map(ObjectRef::DrPlan))
    }

    /// Puts an object in place, new or instead of the one of that name.
    pub fn put(&mut self, object: Object, revision: u64) {
        fn stored<T>(spec: T, revision: u64) -> Stored<T> {
            Stored {
                spec,
                revision,
                retiring: false,
            }
        }
        match object {
            Object::Federation(spec) => self.federation = stored(spec, revision),
            Object::MemberCluster(spec) => {
                let name = spec.name.clone();
                self.clusters.insert(name, stored(spec, revision));
            }
            Object::VpnMesh(spec) => {
                let name = spec.name.clone();
                self.meshes.insert(name, stored(spec, revision));
            }
            Object::DrPlan(spec) => {
                let name = spec.name.clone();
                self.dr_plans.insert(name, stored(*spec, revision));
            }
        }
    }

    /// Takes an object away. A member cluster that is still named somewhere is only marked as
    /// retiring; the federation's settings return to their defaults.
    pub fn remove(&mut self, reference: &ObjectRef) {
        match reference {
            ObjectRef::Federation(name) => {
                if self.name() == name {
                    let spec = Federation::defaults(name.clone());
                    self.federation = Stored {
                        spec,
                        revision: 0,
                        retiring: false,
                    };
                }
            }
            ObjectRef::MemberCluster(name) => {
                if let Some(stored) = self.clusters.get_mut(name) {
                    stored.retiring = true;
                }
            }
            ObjectRef::DrPlan(name) => {
                let gone = self.dr_plans.remove(name);
                if let Some(address) = gone.and_then(|plan| plan.spec.service_address) {
                    self.lead_to(address, None);
                }
            }
            ObjectRef::VpnMesh(name) => {
                self.meshes.remove(name);
                self.retired.remove(name);
                let takes_part = |(_, node): &(_, &NodeRecord)| node.meshes.contains_key(name);
                let before = self.nodes.clone();
                for (node, _) in before.iter().filter(takes_part) {
                    if let Some(node) = self.nodes.get_mut(node) {
                        node.meshes.remove(name);
                    }
                }
            }
        }
        self.drop_unreferenced();
    }

    /// Has an address of a plan lead to that node and to nobody else; none: to nobody.
    pub fn lead_to(&mut self, address: IpAddr, node: Option<&NodeName>) {
        let mesh = self.mesh_of(address).cloned();
        let is_other = |(name, record): &(&NodeName, &NodeRecord)| {
            let leads = |place: &NodeMesh| place.service_addresses.contains(&address);
            Some(*name) != node && record.meshes.values().any(leads)
        };
        let others: Vec<_> = self
            .nodes
            .iter()
            .filter(is_other)
            .map(|(n, _)| n.clone())
            .collect();
        for other in others {
            for place in self
                .nodes
                .get_mut(&other)
                .into_iter()
                .flat_map(|n| n.meshes.values_mut())
            {
                place.service_addresses.remove(&address);
            }
        }
        let place = node
            .and_then(|node| self.nodes.get_mut(node))
            .zip(mesh)
            .and_then(|(record, mesh)| record.meshes.get_mut(&mesh));
        if let Some(place) = place {
            place.service_addresses.insert(address);
        }
    }

    /// The addresses of plans that lead to a node now.
    #[must_use]
    pub fn leading_addresses(&self, node: Option<&NodeName>) -> Vec<IpAddr> {
        let record = node.and_then(|node| self.nodes.get(node));
        let places = record.into_iter().flat_map(|record| record.meshes.values());
        places
            .flat_map(|place| place.service_addresses.iter().copied())
            .collect()
    }

    /// The mesh over which the copies of a plan reach one another: the one of its service address, or
    /// the first in which all of its sites take part.
    #[must_use]
    pub fn mesh_of_plan(&self, plan: &DrPlan) -> Option<&VpnMesh> {
        let connects = |mesh: &&VpnMesh| plan.sites().all(|site| mesh.sites.contains_key(site));
        let of_address = |mesh: &&VpnMesh| {
            let named = plan
                .service_address
                .and_then(|address| self.mesh_of(address));
            plan.service_address.is_none() || named == Some(&mesh.name)
        };
        let mut meshes = self.meshes.values().map(|stored| &stored.spec);
        meshes.find(|mesh| connects(mesh) && of_address(mesh))
    }

    /// The mesh in one of whose pools an address is.
    #[must_use]
    pub fn mesh_of(&self, address: IpAddr) -> Option<&MeshName> {
        let has = |stored: &Stored<VpnMesh>| {
            let mut pools = stored.spec.address_pools.iter();
            pools.any(|pool| pool.contains(address))
        };
        self.meshes
            .iter()
            .find(|(_, mesh)| has(mesh))
            .map(|(name, _)| name)
    }

    /// Ends retiring member clusters that nothing names any more.
    pub fn drop_unreferenced(&mut self) {
        let (meshes, plans) = (&self.meshes, &self.dr_plans);
        let named = |name: &ClusterName| {
            let in_mesh = |mesh: &Stored<VpnMesh>| mesh.spec.sites.contains_key(name);
            let in_plan = |plan: &Stored<DrPlan>| plan.spec.sites().any(|site| site == name);
            meshes.values().any(in_mesh) || plans.values().any(in_plan)
        };
        let before = self.clusters.clone();
        for (name, stored) in &before {
            if stored.retiring && !named(name) {
                self.clusters.remove(name);
            }
        }
    }

    /// The enrolled nodes of a member cluster, in the order of their names.
    pub fn nodes_of<'a>(
        &'a self,
        cluster: &'a ClusterName,
    ) -> impl Iterator<Item = (&'a NodeName, &'a NodeRecord)> + 'a {
        self.nodes
            .iter()
            .filter(move |(_, node)| node.cluster == *cluster)
    }

    /// The enrolled nodes that take part in a mesh, in the order of their names.
    pub fn nodes_in<'a>(
        &'a self,
        mesh: &'a VpnMesh,
    ) -> impl Iterator<Item = (&'a NodeName, &'a NodeRecord)> + 'a {
        self.nodes
            .iter()
            .filter(|(_, node)| mesh.sites.contains_key(&node.cluster))
    }
}
