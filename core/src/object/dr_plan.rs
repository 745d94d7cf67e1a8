//! A DR plan: a workload with one primary and standbys in other member clusters.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::dr_backup::Backup;
use super::dr_fencing::{Ec2, Proxmox};
use super::dr_redirect::{Dns, Hook, Route53};
use super::federation::{Federation, ReplicationMode, ReplicationPolicy};
use super::words;
use crate::dr::drill::DrillTerms;
use crate::dr::schedule::Schedule;
use crate::dr::sight::Terms;
use crate::dr::timings::{Others, Preset, Timings};
use crate::duration::Span;
use crate::name::{ClusterName, FederationName, HookName, NodeName, PlanName};
use crate::size::ByteSize;

/// The TCP port of a PostgreSQL that names none.
pub const POSTGRESQL_PORT_DEFAULT: u16 = 5432;
/// What an asynchronous standby may lack in a failover, unless declared otherwise: as in Patroni
/// (`maximum_lag_on_failover`).
pub const LAG_MAX_DEFAULT: &str = "1MiB";
/// How often a folder goes into its repository, unless declared otherwise.
pub const DIRECTORY_INTERVAL_DEFAULT: &str = "5m";
/// How often a user's programs are asked, unless declared otherwise.
pub const COMMAND_INTERVAL_DEFAULT: &str = "10s";
/// How long a drill may take, in seconds, unless declared otherwise.
pub const DRILL_TIMEOUT_DEFAULT_S: u64 = 3600;
/// The database that a check of a drill asks, unless declared otherwise.
pub const DRILL_DATABASE_DEFAULT: &str = "postgres";
/// How long a user's program may take, unless declared otherwise.
pub const CALL_TIMEOUT_DEFAULT: &str = "30s";

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
    /// How it is proved before it is needed; unset: when somebody asks, by what is verified anyway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<DrillPolicy>,
    /// Who is told of the plan's runs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hooks: BTreeMap<HookName, Hook>,
    /// From what the workload can be restored as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<Backup>,
}

/// What is protected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Workload {
    /// A PostgreSQL server.
    Postgresql(Postgresql),
    /// A folder, kept in a repository.
    Directory(Directory),
    /// Whatever the user's own programs keep.
    Command(Commands),
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

/// A folder, the same on each node that has a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    /// Where it is.
    pub path: String,
    /// Where restic keeps it: a folder that every node sees, or `sftp:`, `rest:`, `s3:`.
    pub repository: String,
    /// A file on each node with the repository's password.
    pub password_file: String,
    /// A file on each node with what else the repository asks for, a line `NAME=value` each.
    pub environment_file: Option<String>,
    /// How often the primary's folder goes into the repository, and the standbys look there.
    pub interval: Span,
    /// How many snapshots stay there; unset: the latest 24.
    pub keep: Option<Keep>,
    /// What is left out, as patterns of restic.
    pub exclude: Vec<String>,
    /// What writes to the folder, where it is to be guarded.
    pub run: Option<Call>,
    /// Whom that runs as; unset: root.
    pub user: Option<String>,
}

/// How many snapshots of a folder stay. 0: none for this reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keep {
    /// The latest.
    pub last: u32,
    /// One for each of so many hours.
    pub hourly: u32,
    /// One for each of so many days.
    pub daily: u32,
    /// One for each of so many weeks.
    pub weekly: u32,
}

/// Programs of the user's that replicate something, say how far it is, and hand it over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commands {
    /// Whom they run as.
    pub user: String,
    /// What writes, where it is to be guarded; it runs on the primary alone. Its time is that to stop.
    pub run: Option<Call>,
    /// Brings a standby to where the primary is.
    pub replicate: Call,
    /// Prints how far this copy is.
    pub lag: Call,
    /// Makes this copy one that is written to.
    pub promote: Call,
    /// Makes it one that is not, and cuts what it received from the primary.
    pub demote: Call,
    /// Says whether this copy is whole.
    pub verify: Option<Call>,
    /// How often a standby replicates, and each copy is asked how far it is.
    pub interval: Span,
}

/// A program, its arguments, and how long it may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// How long it may take.
    pub timeout: Span,
}

/// How a plan is proved: a copy of a standby is promoted in isolation, and verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillPolicy {
    /// When, in UTC; unset: only when somebody asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// What is asked of the copy, in order.
    pub checks: Vec<DrillCheck>,
    /// A program that verifies the copy, and its arguments; empty: none.
    pub command: Vec<String>,
    /// How long a drill may take.
    pub timeout: Span,
}

/// A question to the copy, which is as it should be if it answers true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillCheck {
    /// What it is called in the record.
    pub name: String,
    /// Yields one row whose first column is true.
    pub sql: String,
    /// Where it is asked.
    pub database: String,
}

impl Default for DrillPolicy {
    fn default() -> Self {
        Self {
            schedule: None,
            checks: Vec::new(),
            command: Vec::new(),
            timeout: Span::from_secs(DRILL_TIMEOUT_DEFAULT_S),
        }
    }
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
    /// By Proxmox VE, which stops the machine.
    Proxmox(Proxmox),
    /// By Amazon EC2, which stops the instance.
    Ec2(Ec2),
}

impl Default for Keep {
    /// The latest 24.
    fn default() -> Self {
        Self {
            last: 24,
            hourly: 0,
            daily: 0,
            weekly: 0,
        }
    }
}

impl Directory {
    /// How many snapshots stay in the repository.
    #[must_use]
    pub fn keep(&self) -> Keep {
        self.keep.unwrap_or_default()
    }
}

impl Workload {
    /// Whether what writes runs under the guard, which ends it with its lease. Where it doesn't,
    /// nothing on the node fences it.
    #[must_use]
    pub fn is_guarded(&self) -> bool {
        match self {
            Self::Postgresql(_) => true,
            Self::Directory(directory) => directory.run.is_some(),
            Self::Command(commands) => commands.run.is_some(),
        }
    }

    /// What is only copied now and then; none: it is copied as it is written.
    #[must_use]
    pub fn interval(&self) -> Option<&Span> {
        match self {
            Self::Postgresql(_) => None,
            Self::Directory(directory) => Some(&directory.interval),
            Self::Command(commands) => Some(&commands.interval),
        }
    }
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

    /// What a failover waits for beside its timings.
    #[must_use]
    pub fn others(&self) -> Others {
        Others {
            fence_outside: self.fences_outside_within(),
            dns_ttl: self.dns_ttl(),
        }
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
        let outside = self.fencing.iter();
        let outside = outside.filter(|(_, how)| how.outside().is_some());
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
            drill: DrillTerms {
                schedule: self.drill.as_ref().and_then(|drill| drill.schedule.clone()),
                timeout: self.drill.clone().unwrap_or_default().timeout.value(),
            },
            is_guarded: self.workload.is_guarded(),
            fenced_outside: outside.map(|(cluster, _)| cluster.clone()).collect(),
        }
    }
}
