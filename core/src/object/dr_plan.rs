//! A DR plan: a workload with one primary and standbys in other member clusters.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::dr_redirect::{Dns, Hook, Route53};
use super::federation::{Federation, ReplicationMode, ReplicationPolicy};
use super::words;
use crate::dr::sight::Terms;
use crate::dr::timings::{Preset, Timings};
use crate::duration::Span;
use crate::name::{ClusterName, FederationName, HookName, NodeName, PlanName};
use crate::size::ByteSize;

/// The TCP port of a PostgreSQL that names none.
pub const POSTGRESQL_PORT_DEFAULT: u16 = 5432;
/// What an asynchronous standby may lack in a failover, unless declared otherwise: as in Patroni
/// (`maximum_lag_on_failover`).
pub const LAG_MAX_DEFAULT: &str = "1MiB";

words! {
    /// How the primary comes home.
    Failback {
        /// When somebody asks for it.
        Manual = "manual",
        /// By itself, once the home has followed for a while.
        Automatic = "automatic",
    }
}

/// A workload with one primary and standbys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrPlan {
    /// The federation that it belongs to.
    pub federation: FederationName,
    /// Its name.
    pub name: PlanName,
    /// Where the primary belongs.
    pub home: ClusterName,
    /// Who may take over, in order of preference.
    pub standbys: Vec<ClusterName>,
    /// Which node of a site has the copy; by default the site's only one.
    pub nodes: BTreeMap<ClusterName, NodeName>,
    /// What is protected.
    pub workload: Workload,
    /// When a write counts as done; unset: as the federation has it.
    pub replication: Option<ReplicationPolicy>,
    /// Timings that fit together; unset: `standard`, or `timings`.
    pub preset: Option<Preset>,
    /// Timings of the plan's own, instead of a preset.
    pub timings: Option<Timings>,
    /// How much may be lost, in time.
    pub rpo: Option<Span>,
    /// How long a failover may take.
    pub rto: Option<Span>,
    /// Whether a failover needs nobody's word.
    pub automatic_failover: bool,
    /// How the primary comes home.
    pub failback: Failback,
    /// What an asynchronous standby may lack in a failover.
    pub max_lag_on_failover: ByteSize,
    /// How a site's primary is fenced, beside its lease.
    pub fencing: BTreeMap<ClusterName, Fencing>,
    /// A machine that was paused may write for a moment when it goes on, and that is accepted.
    pub accept_pause_risk: bool,
    /// An address in the mesh that follows the primary.
    pub service_address: Option<IpAddr>,
    /// A record on a DNS server that follows the primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<Dns>,
    /// A record of Route 53 that follows the primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route53: Option<Route53>,
    /// Who is told of the plan's runs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hooks: BTreeMap<HookName, Hook>,
}

/// What is protected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Workload {
    /// A PostgreSQL server.
    Postgresql(Postgresql),
}

/// A PostgreSQL server, the same on each node that has a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Postgresql {
    /// Where its data is.
    pub data_directory: String,
    /// The TCP port.
    pub port: u16,
    /// Where its programs are; unset: where the distribution has those of the data's version.
    pub bin_directory: Option<String>,
}

/// How a site's primary is fenced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "kebab-case")]
pub enum Fencing {
    /// By its guard, at the end of its lease.
    Lease,
    /// By its guard, and by a watchdog that resets a host whose guard does not run.
    Watchdog,
    /// By a program of the user's, which a voter runs and which ends with 0 once the node can't write.
    Command {
        /// The program and its arguments; `{node}` stands for the node's name.
        command: Vec<String>,
        /// How long it may take.
        timeout: Span,
    },
}

impl DrPlan {
    /// Home and standbys, in the order of preference.
    pub fn sites(&self) -> impl Iterator<Item = &ClusterName> {
        std::iter::once(&self.home).chain(&self.standbys)
    }

    /// How the primary is watched and fenced.
    #[must_use]
    pub fn timings(&self) -> Timings {
        let preset = || self.preset.unwrap_or(Preset::Standard).timings();
        self.timings.clone().unwrap_or_else(preset)
    }

    /// When a write counts as done, in this federation.
    #[must_use]
    pub fn replication<'a>(&'a self, federation: &'a Federation) -> &'a ReplicationPolicy {
        self.replication.as_ref().unwrap_or(&federation.replication)
    }

    /// Whether acknowledged writes are on a standby for sure.
    #[must_use]
    pub fn is_synchronous(&self, federation: &Federation) -> bool {
        self.replication(federation).mode == ReplicationMode::Sync
    }

    /// What it asks for, as far as decisions need it; declared at a revision.
    #[must_use]
    pub fn terms(&self, revision: u64, federation: &Federation) -> Terms {
        let replication = self.replication(federation);
        let is_outside = |fencing: &Fencing| match fencing {
            Fencing::Lease | Fencing::Watchdog => false,
            Fencing::Command { .. } => true,
        };
        let outside = self.fencing.iter().filter(|(_, how)| is_outside(how));
        Terms {
            revision,
            home: self.home.clone(),
            standbys: self.standbys.clone(),
            timings: self.timings(),
            automatic_failover: self.automatic_failover,
            automatic_failback: self.failback == Failback::Automatic,
            lag_bytes_max: self.max_lag_on_failover.bytes(),
            mode: replication.mode,
            in_sync_min: replication.min_in_sync,
            fenced_outside: outside.map(|(cluster, _)| cluster.clone()).collect(),
        }
    }
}
