//! The federation's own settings. There is exactly one, whether declared or not.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::words;
use crate::duration::Span;
use crate::name::FederationName;

/// How long after its end a node's certificate still serves to renew it, unless declared
/// otherwise: 720 hours.
pub const REJOIN_WINDOW_DEFAULT_S: u64 = 30 * 24 * 3600;

words! {
    /// How the member clusters relate.
    Topology {
        /// One site serves, others stand by.
        ActivePassive = "active-passive",
        /// Each site is primary for its own data.
        ActiveActive = "active-active",
        /// Spokes talk through hubs.
        HubSpoke = "hub-spoke",
    }
}

words! {
    /// When a write counts as done.
    ReplicationMode {
        /// Once the primary has it.
        Async = "async",
        /// Once a standby has it too, unless none can.
        SemiSync = "semi-sync",
        /// Once enough standbys have it, always.
        Sync = "sync",
    }
}

/// When a node counts as gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthPolicy {
    /// How often a node reports.
    pub check_interval: Span,
    /// How many reports may be missed.
    pub failure_threshold: u32,
}

/// The replication that DR plans inherit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicationPolicy {
    /// When a write counts as done.
    pub mode: ReplicationMode,
    /// How many standbys must have it.
    pub min_in_sync: u32,
}

/// The federation's own settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Federation {
    /// Its name, given at bootstrap and never changed.
    pub name: FederationName,
    /// How the member clusters relate.
    pub topology: Topology,
    /// When a node counts as gone.
    pub health: HealthPolicy,
    /// The replication that DR plans inherit.
    pub replication: ReplicationPolicy,
    /// How long a node's certificate lives.
    pub certificate_lifetime: Span,
    /// How long after its end a node's certificate still serves to renew it.
    #[serde(default = "default_rejoin_window")]
    pub rejoin_window: Span,
    /// The user's own words.
    pub labels: BTreeMap<String, String>,
}

impl Federation {
    /// The settings before anything is declared and after the declaration is destroyed.
    #[must_use]
    pub fn defaults(name: FederationName) -> Self {
        Self {
            name,
            topology: Topology::ActivePassive,
            health: HealthPolicy {
                check_interval: Span::from_secs(5),
                failure_threshold: 3,
            },
            replication: ReplicationPolicy {
                mode: ReplicationMode::Async,
                min_in_sync: 1,
            },
            certificate_lifetime: Span::from_secs(24 * 3600),
            rejoin_window: default_rejoin_window(),
            labels: BTreeMap::new(),
        }
    }
}

/// Of a state of an older version too.
fn default_rejoin_window() -> Span {
    Span::from_secs(REJOIN_WINDOW_DEFAULT_S)
}
