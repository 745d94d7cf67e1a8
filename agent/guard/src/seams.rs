//! What the guard needs of others: of the workload's server, and of the federation.

use std::fs::File;
use std::time::Duration;

use async_trait::async_trait;
use hanse_core::dr::choose::SyncSet;
use serde::{Deserialize, Serialize};

use super::order::ServiceAddress;

/// What a workload's server tells of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// Whether it takes writes.
    pub writes: bool,
    /// Whether it receives what a primary writes, at this moment.
    pub receives: bool,
    /// How much it has, on its disk, in bytes since the history began: PostgreSQL's LSN.
    pub offset_bytes: u64,
    /// Who has each commit before it is acknowledged, as it is configured.
    pub set: SyncSet,
}

/// Why a workload's server tells nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswered {
    /// It says that it is still starting, which takes as long as it takes.
    Starting,
    /// It says nothing, or what nobody can use.
    Silent,
}

/// Asks the workload's server.
#[async_trait]
pub trait Watch: Send {
    /// What the server tells now. It returns within a second.
    async fn observe(&mut self) -> Result<Observation, Unanswered>;
}

/// What is asked of the federation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// The lease.
    pub epoch: u64,
    /// What the server told last.
    pub observed: Option<Observation>,
    /// Whether the end of the lease ends the workload.
    pub fences_itself: bool,
    /// How long it is waited for: what is answered later is of no use.
    pub answer_max: Duration,
}

/// Why a lease was not renewed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenewalError {
    /// It is another's: it will never be renewed.
    #[error("the lease is another's")]
    Lost,
    /// The plan is not declared any more: the workload goes on, and nobody takes over.
    #[error("the DR plan is not declared any more")]
    NoPlan,
    /// Nobody answered, or not well: it is asked again.
    #[error("the federation did not answer: {0}")]
    Unanswered(String),
}

/// The federation's part of a lease.
#[async_trait]
pub trait Federation: Send + Sync {
    /// Renews a lease: it lasts so long from when this was called.
    ///
    /// # Errors
    ///
    /// It is another's, or nobody answered.
    async fn renew(&self, renewal: Renewal) -> Result<Duration, RenewalError>;

    /// Gives a lease back: nothing runs under it any more.
    ///
    /// # Errors
    ///
    /// Nobody answered.
    async fn give_back(&self, epoch: u64) -> Result<(), RenewalError>;
}

/// The host's own addresses.
#[async_trait]
pub trait Addresses: Send + Sync {
    /// Has the address here, and tells the neighbours.
    ///
    /// # Errors
    ///
    /// Why not, in one sentence.
    async fn add(&self, service: &ServiceAddress) -> Result<(), String>;

    /// Has it here no more; it is no error that it wasn't.
    ///
    /// # Errors
    ///
    /// Why not, in one sentence.
    async fn remove(&self, service: &ServiceAddress) -> Result<(), String>;
}

/// The host's watchdog.
pub trait Watchdog: Send + Sync {
    /// Opens it, so that it resets the host once nothing was written to it for `timeout_s`; none: for
    /// whatever time it has. From then on it is set, until a `V` was written and it is closed. It may
    /// take a while. The error is a sentence that says what to do.
    ///
    /// # Errors
    ///
    /// There is none, or it takes no such time.
    fn open(&self, timeout_s: Option<u64>) -> Result<File, String>;
}
