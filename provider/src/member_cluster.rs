//! `hanse_member_cluster`: one site of the federation.

use std::collections::BTreeMap;

use hanse_client::Snapshot;
use hanse_client::proto;
use hanse_core::finding::Path;
use hanse_core::name::FederationName;
use hanse_core::object::ObjectRef;
use terraform_plugin::{Attr, Model, Set, Timeouts};

use crate::declared::{Declared, known_list, known_map, name_within, non_empty};
use crate::unknowns::Unknowns;

/// One site of the federation: a cloud region, a Proxmox lab, an edge location. Nodes name their
/// member cluster when they join, before or after it is declared.
#[derive(Clone, Model)]
pub(crate) struct MemberClusterModel {
    /// `federation/name`.
    #[attribute(computed, use_state_for_unknown)]
    pub(crate) id: Attr<String>,
    /// The federation that it belongs to.
    #[attribute(required, requires_replace, identity)]
    pub(crate) federation: Attr<String>,
    /// Its name: lower-case letters, digits and hyphens.
    #[attribute(required, requires_replace, identity)]
    pub(crate) name: Attr<String>,
    /// What it runs on: `aws`, `gcp`, `azure`, `oci`, `proxmox`, `kubernetes`, `edge` or `other`.
    #[attribute(required)]
    pub(crate) platform: Attr<String>,
    /// Where it is, in the platform's own words.
    #[attribute(optional, computed, default = "")]
    pub(crate) region: Attr<String>,
    /// What it is for: `primary`, `replica`, `hub`, `spoke` or `witness`.
    #[attribute(optional, computed, default = "primary")]
    pub(crate) role: Attr<String>,
    /// Its share where sites are weighted.
    #[attribute(optional, computed, default = 1_u32)]
    pub(crate) weight: Attr<u32>,
    /// What it can do, in agreed words: `read-only`, `cache`, `burst-source`. Other words are kept,
    /// have no effect, and get a warning.
    #[attribute(optional, computed, default = Set::<Attr<String>>::default())]
    pub(crate) capabilities: Attr<Set<Attr<String>>>,
    /// Words of your own.
    #[attribute(optional, computed, default = BTreeMap::<String, Attr<String>>::new())]
    pub(crate) labels: Attr<BTreeMap<String, Attr<String>>>,
    /// Bounds for what Hanse uses of each of its nodes: no node offers more, and one that needs more
    /// says so.
    #[attribute(optional)]
    pub(crate) limits: Attr<LimitsModel>,
    /// The site's own networks. No two sites may overlap.
    #[attribute(optional, computed, default = Vec::<Attr<String>>::new())]
    pub(crate) networks: Attr<Vec<Attr<String>>>,
    /// How long each operation may take. By default 10 minutes for a create or an update, 5 for a
    /// delete, 1 for a read.
    #[block]
    pub(crate) timeouts: Option<Timeouts>,
}

/// Bounds for what Hanse uses of each node of a site.
#[derive(Clone, Model)]
pub(crate) struct LimitsModel {
    /// Memory, like `16GiB`.
    #[attribute(optional)]
    pub(crate) max_memory: Attr<String>,
    /// Storage, like `2TB`.
    #[attribute(optional)]
    pub(crate) max_storage: Attr<String>,
    /// Processors.
    #[attribute(optional)]
    pub(crate) max_cpus: Attr<u32>,
}

impl Declared for MemberClusterModel {
    const TYPE_NAME: &'static str = "hanse_member_cluster";
    const NOUN: &'static str = "member cluster";

    fn id(&self) -> &Attr<String> {
        &self.id
    }

    fn reference(&self) -> Option<ObjectRef> {
        self.federation.as_known()?;
        self.name
            .as_known()?
            .parse()
            .ok()
            .map(ObjectRef::MemberCluster)
    }

    fn reference_of_id(federation: &FederationName, id: &str) -> Option<ObjectRef> {
        name_within(federation, id)?
            .parse()
            .ok()
            .map(ObjectRef::MemberCluster)
    }

    fn to_wire(&self, unknowns: &mut Unknowns) -> proto::object::Kind {
        let at = Path::of;
        let limits = unknowns.optional(at("limits"), &self.limits).map(|limits| {
            let at = |name| Path::of("limits").attribute(name);
            proto::ResourceLimits {
                max_memory: unknowns.value(at("max_memory"), &limits.max_memory),
                max_storage: unknowns.value(at("max_storage"), &limits.max_storage),
                max_cpus: unknowns.optional(at("max_cpus"), &limits.max_cpus).copied(),
            }
        });
        proto::object::Kind::MemberCluster(proto::MemberCluster {
            federation: unknowns.value(at("federation"), &self.federation),
            name: unknowns.value(at("name"), &self.name),
            platform: unknowns.value_or(at("platform"), &self.platform, "other".to_owned()),
            region: unknowns.value(at("region"), &self.region),
            role: unknowns.with_default(at("role"), &self.role, "primary".to_owned()),
            weight: unknowns.with_default(at("weight"), &self.weight, 1),
            capabilities: unknowns.set(at("capabilities"), &self.capabilities),
            labels: unknowns.map(at("labels"), &self.labels),
            limits,
            networks: unknowns.list(at("networks"), &self.networks),
        })
    }

    fn from_wire(kind: proto::object::Kind) -> Option<Self> {
        let proto::object::Kind::MemberCluster(wire) = kind else {
            return None;
        };
        let capabilities: Set<_> = wire.capabilities.into_iter().map(Attr::Known).collect();
        Some(Self {
            id: Attr::Known(format!("{}/{}", wire.federation, wire.name)),
            federation: Attr::Known(wire.federation),
            name: Attr::Known(wire.name),
            platform: Attr::Known(wire.platform),
            region: Attr::Known(wire.region),
            role: Attr::Known(wire.role),
            weight: Attr::Known(wire.weight),
            capabilities: Attr::Known(capabilities),
            labels: known_map(wire.labels),
            limits: Attr::from(wire.limits.map(|limits| LimitsModel {
                max_memory: non_empty(limits.max_memory),
                max_storage: non_empty(limits.max_storage),
                max_cpus: Attr::from(limits.max_cpus),
            })),
            networks: known_list(wire.networks),
            timeouts: None,
        })
    }

    fn complete(&mut self, _: &Snapshot) {
        if let (Some(federation), Some(name)) = (self.federation.as_known(), self.name.as_known()) {
            self.id = Attr::Known(format!("{federation}/{name}"));
        }
    }

    fn keep_local(&mut self, prior: &Self) {
        self.timeouts.clone_from(&prior.timeouts);
    }
}
