//! Everything that is declared and every node that is enrolled, without secrets or observations.
//!
//! The federation's state holds one; the provider lays the objects of its run over another. The
//! same checks and the same planner work on both.

use std::collections::BTreeMap;
use std::net::IpAddr;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

use crate::authority::Authorities;
use crate::endpoint::Endpoint;
use crate::health::NodeHealth;
use crate::key::PublicKey;
use crate::name::{ClusterName, FederationName, MeshName, NodeName};
use crate::object::{Federation, MemberCluster, Object, ObjectRef, VpnMesh};
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
    }

    /// Puts an object in place, new or instead of the one of that name.
    pub fn put(&mut self, object: Object, revision: u64) {
        match object {
            Object::Federation(spec) => {
                self.federation = Stored {
                    spec,
                    revision,
                    retiring: false,
                };
            }
            Object::MemberCluster(spec) => {
                let name = spec.name.clone();
                self.clusters.insert(
                    name,
                    Stored {
                        spec,
                        revision,
                        retiring: false,
                    },
                );
            }
            Object::VpnMesh(spec) => {
                let name = spec.name.clone();
                self.meshes.insert(
                    name,
                    Stored {
                        spec,
                        revision,
                        retiring: false,
                    },
                );
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

    /// Ends retiring member clusters that nothing names any more.
    pub fn drop_unreferenced(&mut self) {
        let meshes = &self.meshes;
        let named = |name: &ClusterName| {
            meshes
                .values()
                .any(|mesh| mesh.spec.sites.contains_key(name))
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
