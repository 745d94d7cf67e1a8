//! What each copy of a plan has to be: worked out from what is committed, and so the same for
//! everybody who knows the same revision.
//!
//! A node obeys the duty of the latest revision that it heard of, and keeps it on its disk. It never
//! goes back to an older one, so a standby that cut its connection for a run stays detached until the
//! federation, at a later revision, tells it to follow again.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::choose::SyncSet;
use super::record::{Phase, PlanRecord};
use super::sight::Terms;
use super::timings::{Prediction, Timings};
use crate::key::PresharedKey;
use crate::name::{ClusterName, FederationName, NodeName, PlanName};
use crate::object::dr_backup::{Backup, Password};
use crate::object::dr_plan::{DrillCheck, Workload};
use crate::object::vpn_mesh::InterfaceName;

/// Everything that a node must know for its copy of a plan's workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyPlan {
    /// The plan.
    pub plan: PlanName,
    /// The node's member cluster.
    pub cluster: ClusterName,
    /// Whether the workload begins here: where there is none, it is made, and not copied.
    pub is_home: bool,
    /// What is protected.
    pub workload: Workload,
    /// What the copy has to be.
    pub duty: Duty,
    /// How the primary is watched and fenced.
    pub timings: Timings,
    /// Every copy of the plan, this one's too.
    pub places: BTreeMap<NodeName, CopyPlace>,
    /// An address that follows the primary.
    pub service: Option<Service>,
    /// Whether the host's watchdog resets it where a primary's processes can't be ended in time.
    pub watchdog: bool,
    /// The drill that is to be held beside this copy.
    pub drill: Option<DrillOrder>,
    /// What copies show to one another; a voter adds it.
    pub key: Option<PresharedKey>,
    /// From what the workload can be restored as it was.
    pub backup: Option<CopyBackup>,
}

/// What a node must know for the backups of a plan's workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyBackup {
    /// As it is declared.
    pub declared: Backup,
    /// What they are encrypted with; a voter adds it, and no node keeps it with its plans.
    pub password: Option<Password>,
}

/// A drill that is to be held beside a copy. An order that is gone ends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrillOrder {
    /// The federation, for the record.
    pub federation: FederationName,
    /// The node that holds it, for the record.
    pub node: NodeName,
    /// Which one of the plan: a number that was begun once is never begun again.
    pub number: u64,
    /// When it began, in seconds since 1970.
    pub began_unix_s: u64,
    /// How many bytes the copy lacked then, as far as was known.
    pub lag_bytes: Option<u64>,
    /// How long it may take.
    pub timeout: Duration,
    /// What is verified.
    pub checks: Vec<DrillCheck>,
    /// A program that verifies more; empty: none.
    pub command: Vec<String>,
    /// How long a failover takes, from the declaration alone.
    pub predicted: Prediction,
}

/// Where a copy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyPlace {
    /// Its member cluster.
    pub cluster: ClusterName,
    /// Its node's address in the mesh; none: it has none yet.
    pub address: Option<IpAddr>,
}

/// An address that follows the primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The address, in one of the mesh's pools.
    pub address: IpAddr,
    /// The mesh's interface.
    pub interface: InterfaceName,
}

/// What one copy has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Duty {
    /// Whatever it is, and tell of it: nobody is primary yet.
    Wait,
    /// Take writes, as long as the guard has the lease.
    Lead {
        /// The lease.
        epoch: u64,
        /// Whether the guard stops the workload at the lease's end.
        fences_itself: bool,
        /// Who must have each commit before it is acknowledged.
        set: SyncSet,
        /// Who follows: they are let in.
        followers: Vec<NodeName>,
    },
    /// Follow the primary: be made from it, or rewound to it, where that is needed.
    Follow {
        /// The primary.
        primary: NodeName,
        /// The lease under which it leads.
        epoch: u64,
    },
    /// Cut the connection to the primary, for good, and tell how far it got.
    Detach {
        /// The run for which this is.
        barrier: u64,
    },
    /// Stop in good order, tell how far it got, and give the lease back once nothing runs.
    Stop {
        /// The run for which this is.
        barrier: u64,
    },
}

/// What the copy in a site has to be.
#[must_use]
pub fn duty(terms: &Terms, record: &PlanRecord, cluster: &ClusterName) -> Duty {
    let is_primary = record.primary.as_ref() == Some(cluster);
    let as_it_is = || match record.primary_node() {
        None => Duty::Wait,
        Some(_) if is_primary => lead(terms, record),
        Some(primary) => Duty::Follow {
            primary: primary.clone(),
            epoch: record.epoch,
        },
    };
    let Some(run) = &record.run else {
        return as_it_is();
    };
    let barrier = run.began_revision;
    match run.phase {
        Phase::Demoting if is_primary => Duty::Stop { barrier },
        // It has received the last there is, or never will.
        Phase::Demoting if run.last_position.is_some() => Duty::Detach { barrier },
        Phase::Fencing if record.primary.is_none() => Duty::Wait,
        // Its guard ends it with its lease; if it renews that, it goes on. One that was promoted in this
        // run and did not become primary is not waited for.
        Phase::Fencing if is_primary && !run.asked && !run.failed.contains(cluster) => {
            lead(terms, record)
        }
        Phase::Fencing if is_primary => Duty::Stop { barrier },
        Phase::Fencing => Duty::Detach { barrier },
        Phase::Demoting | Phase::Promoting | Phase::Redirecting => as_it_is(),
    }
}

fn lead(terms: &Terms, record: &PlanRecord) -> Duty {
    Duty::Lead {
        epoch: record.epoch,
        // It is known here first that the end of the lease stops nothing any more.
        fences_itself: terms.automatic_failover || record.fences_itself,
        set: record.wanted_set.clone(),
        followers: record.standbys().map(|(_, node)| node.clone()).collect(),
    }
}
