//! What the agent orders of a guard, and what the guard tells.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use hanse_core::name::PlanName;
use serde::{Deserialize, Serialize};

use super::seams::Observation;

/// What is to run, and under what. The guard keeps the latest on its disk, and goes by it without the
/// agent, after a restart too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The plan.
    pub plan: PlanName,
    /// Grows with each order.
    pub serial: u64,
    /// The lease under which the workload writes; none: it is one that can't write, such as a
    /// standby, and runs without a lease.
    pub lease: Option<LeaseTerms>,
    /// What is to run; none: nothing is to, and what runs is stopped in good order.
    pub program: Option<Program>,
    /// Once nothing runs, the lease goes back.
    pub gives_back: bool,
    /// An address that is here while the workload writes.
    pub service_address: Option<ServiceAddress>,
}

/// The lease under which a workload writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseTerms {
    /// Which one.
    pub epoch: u64,
    /// How often it is renewed, in milliseconds.
    pub check_interval_ms: u64,
    /// How long before its end the workload is ended, in milliseconds.
    pub stop_budget_ms: u64,
    /// Whether the end of the lease ends the workload at all.
    pub fences_itself: bool,
    /// How long a server that ended by itself may take until it writes again, in milliseconds; it is
    /// started again once, and after that the lease goes back.
    pub restart_max_ms: u64,
    /// Whether the host's watchdog resets it if the workload can't be ended before the lease does.
    #[serde(default)]
    pub watchdog: bool,
}

/// A program to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// The file and its arguments.
    pub command: Vec<String>,
    /// What it finds in its environment; nothing else.
    pub environment: BTreeMap<String, String>,
    /// The folder in which it runs.
    pub folder: PathBuf,
    /// Whom it runs as.
    pub user_id: u32,
    /// That one's group.
    pub group_id: u32,
    /// The other groups that it is in: Debian's PostgreSQL reads its key as one of `ssl-cert`.
    #[serde(default)]
    pub groups: Vec<u32>,
    /// How it is asked to end in good order.
    pub stop_signal: StopSignal,
    /// How long it may take to, in milliseconds; then it is killed.
    pub stop_max_ms: u64,
    /// A file that exists for this program alone, and nowhere else on the host: what starts the
    /// workload past the guard doesn't find it.
    pub seal: PathBuf,
    /// A file that takes what the program prints.
    pub log: PathBuf,
}

impl Program {
    /// Whether it is what runs already. Other groups of its user take effect when it is begun next.
    pub(crate) fn is_alike(&self, other: &Self) -> bool {
        self == other
            || *self
                == Self {
                    groups: self.groups.clone(),
                    ..other.clone()
                }
    }
}

/// How a program is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopSignal {
    /// SIGTERM.
    Terminate,
    /// SIGINT: PostgreSQL's fast shutdown.
    Interrupt,
}

/// An address that leads clients to whoever writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceAddress {
    /// The address.
    pub address: IpAddr,
    /// The mesh's interface.
    pub interface: String,
}

/// What a guard tells, at once when something changed and as often as it observes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The order that is in effect.
    pub serial: u64,
    /// The lease that it was told of.
    pub epoch: Option<u64>,
    /// Whether that lease was renewed and lasts: the workload may write from now on. The kernel ends it
    /// before the lease does, whatever happens to the guard.
    pub may_write: bool,
    /// The lease is another's.
    pub is_lost: bool,
    /// What is of the workload's processes.
    pub process: Process,
    /// What the server told last; none: it doesn't answer.
    pub observed: Option<Observation>,
    /// What is wrong though the workload runs, in one sentence.
    #[serde(default)]
    pub trouble: Option<String>,
    /// Whether the host's watchdog is set: it resets the host if the workload can't be ended.
    #[serde(default)]
    pub watchdog: bool,
}

/// What is of a workload's processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Process {
    /// None runs.
    Stopped {
        /// How the last one ended; none: none ran since the guard began.
        ended: Option<String>,
    },
    /// It runs.
    Running {
        /// Which start it is: grows with each.
        start: u64,
        /// The process id, as the host sees it.
        pid: u32,
    },
    /// It was asked to end, and has not yet.
    Stopping,
    /// It ended by itself more often than it is started again.
    GaveUp {
        /// Why, in one sentence.
        reason: String,
    },
}
