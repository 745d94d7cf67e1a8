//! `hanse_federation`: the federation's settings.

use std::collections::BTreeMap;

use hanse_client::Snapshot;
use hanse_client::proto;
use hanse_core::finding::Path;
use hanse_core::name::FederationName;
use hanse_core::object::ObjectRef;
use terraform_plugin::{Attr, Model, Timeouts};

use crate::declared::{Declared, known_map};
use crate::duration::duration;
use crate::unknowns::Unknowns;

/// The settings of the federation, which was named when its first node was bootstrapped. Destroying
/// this resource returns the settings to their defaults; the federation itself goes on.
#[derive(Clone, Model)]
pub(crate) struct FederationModel {
    /// The same as `name`.
    #[attribute(computed, use_state_for_unknown)]
    pub(crate) id: Attr<String>,
    /// The name given to `hanse bootstrap --federation`.
    #[attribute(required, requires_replace, identity)]
    pub(crate) name: Attr<String>,
    /// How the member clusters relate: `active-passive`, `active-active` or `hub-spoke`.
    #[attribute(optional, computed, default = "active-passive")]
    pub(crate) topology: Attr<String>,
    /// When a node counts as gone.
    #[attribute(optional, computed, default = HealthModel::standard())]
    pub(crate) health: Attr<HealthModel>,
    /// The replication that disaster-recovery plans inherit.
    #[attribute(optional, computed, default = ReplicationModel::standard())]
    pub(crate) replication: Attr<ReplicationModel>,
    /// How long a node's certificate lives; it is renewed at two thirds.
    #[attribute(optional, computed, default = "24h", validate = duration)]
    pub(crate) certificate_lifetime: Attr<String>,
    /// How long after its end a node's certificate still serves to renew it: a node that was off for
    /// longer has to join anew.
    #[attribute(optional, computed, default = "720h", validate = duration)]
    pub(crate) rejoin_window: Attr<String>,
    /// Words of your own.
    #[attribute(optional, computed, default = BTreeMap::<String, Attr<String>>::new())]
    pub(crate) labels: Attr<BTreeMap<String, Attr<String>>>,
    /// The SHA-256 of the federation's CA certificate, hexadecimal. It changes when the authority is
    /// replaced, which is no change of this resource.
    #[attribute(computed)]
    pub(crate) ca_fingerprint: Attr<String>,
    /// How long each operation may take. By default 10 minutes for a create or an update, 5 for a
    /// delete, 1 for a read.
    #[block]
    pub(crate) timeouts: Option<Timeouts>,
}

/// When a node counts as gone.
#[derive(Clone, Model)]
pub(crate) struct HealthModel {
    /// How often a node reports.
    #[attribute(optional, computed, default = "5s", validate = duration)]
    pub(crate) check_interval: Attr<String>,
    /// How many reports may be missed.
    #[attribute(optional, computed, default = 3_u32)]
    pub(crate) failure_threshold: Attr<u32>,
}

/// The replication that disaster-recovery plans inherit.
#[derive(Clone, Model)]
pub(crate) struct ReplicationModel {
    /// When a write counts as done: `async`, `semi-sync` or `sync`.
    #[attribute(optional, computed, default = "async")]
    pub(crate) mode: Attr<String>,
    /// How many standbys must have a write.
    #[attribute(optional, computed, default = 1_u32)]
    pub(crate) min_in_sync: Attr<u32>,
}

impl HealthModel {
    fn standard() -> Self {
        Self {
            check_interval: Attr::from("5s"),
            failure_threshold: Attr::Known(3),
        }
    }
}

impl ReplicationModel {
    fn standard() -> Self {
        Self {
            mode: Attr::from("async"),
            min_in_sync: Attr::Known(1),
        }
    }
}

impl Declared for FederationModel {
    const TYPE_NAME: &'static str = "hanse_federation";
    const NOUN: &'static str = "federation";
    const ID_FORM: &'static str = "FEDERATION";

    fn id(&self) -> &Attr<String> {
        &self.id
    }

    fn reference(&self) -> Option<ObjectRef> {
        self.name
            .as_known()?
            .parse()
            .ok()
            .map(ObjectRef::Federation)
    }

    fn reference_of_id(federation: &FederationName, id: &str) -> Option<ObjectRef> {
        (federation.as_str() == id).then(|| ObjectRef::Federation(federation.clone()))
    }

    fn to_wire(&self, unknowns: &mut Unknowns) -> proto::object::Kind {
        let at = Path::of;
        let health = unknowns.optional(at("health"), &self.health).map(|health| {
            let at = |name| Path::of("health").attribute(name);
            let interval = unknowns.value(at("check_interval"), &health.check_interval);
            let threshold =
                unknowns.with_default(at("failure_threshold"), &health.failure_threshold, 3);
            proto::HealthPolicy {
                check_interval: interval,
                failure_threshold: threshold,
            }
        });
        let replication = unknowns
            .optional(at("replication"), &self.replication)
            .map(|policy| {
                let at = |name| Path::of("replication").attribute(name);
                let mode = unknowns.value(at("mode"), &policy.mode);
                let min_in_sync = unknowns.with_default(at("min_in_sync"), &policy.min_in_sync, 1);
                proto::ReplicationPolicy { mode, min_in_sync }
            });
        proto::object::Kind::Federation(proto::Federation {
            name: unknowns.value(at("name"), &self.name),
            topology: unknowns.value(at("topology"), &self.topology),
            health,
            replication,
            certificate_lifetime: unknowns
                .value(at("certificate_lifetime"), &self.certificate_lifetime),
            rejoin_window: unknowns.value(at("rejoin_window"), &self.rejoin_window),
            labels: unknowns.map(at("labels"), &self.labels),
        })
    }

    fn from_wire(kind: proto::object::Kind) -> Option<Self> {
        let proto::object::Kind::Federation(wire) = kind else {
            return None;
        };
        Some(Self {
            id: Attr::Known(wire.name.clone()),
            name: Attr::Known(wire.name),
            topology: Attr::Known(wire.topology),
            health: Attr::from(wire.health.map(|health| HealthModel {
                check_interval: Attr::Known(health.check_interval),
                failure_threshold: Attr::Known(health.failure_threshold),
            })),
            replication: Attr::from(wire.replication.map(|policy| ReplicationModel {
                mode: Attr::Known(policy.mode),
                min_in_sync: Attr::Known(policy.min_in_sync),
            })),
            certificate_lifetime: Attr::Known(wire.certificate_lifetime),
            rejoin_window: Attr::Known(wire.rejoin_window),
            labels: known_map(wire.labels),
            ca_fingerprint: Attr::Null,
            timeouts: None,
        })
    }

    fn complete(&mut self, snapshot: &Snapshot) {
        self.id = self.name.clone();
        self.ca_fingerprint = Attr::Known(snapshot.response.ca_fingerprint.clone());
    }

    fn fill(&mut self, found: Self) {
        if self.rejoin_window == Attr::Null {
            self.rejoin_window = found.rejoin_window;
        }
    }

    fn keep_local(&mut self, prior: &Self) {
        self.timeouts.clone_from(&prior.timeouts);
    }
}
