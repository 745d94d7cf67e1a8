//! This voter's part in consensus: `hanse-consensus` on tokio, over the federation's own TLS.

pub mod autopilot;
pub mod contact;
pub mod level;
mod network;
pub mod service;
pub mod time;

use std::sync::Arc;

use hanse_consensus::disk::Disk;
use hanse_consensus::journal::Journal;
use hanse_consensus::replica::{Clock, StartError};
use openraft_rt_tokio::TokioRuntime;

use crate::clock::FederationClock;
use crate::data::{DataFolder, Settings};

pub use hanse_consensus::replica::{Committed, ProposeError};
pub use network::Network;

/// The replicated state, as this voter has it.
pub type Replica = hanse_consensus::replica::Replica<TokioRuntime>;

/// Begins to take part, from what the folder holds.
pub async fn start(
    folder: &DataFolder,
    settings: &Settings,
    network: Network,
    clock: Arc<FederationClock>,
) -> Result<Replica, StartError> {
    let path = folder.state();
    let federation = settings.federation.clone();
    let opened = tokio::task::spawn_blocking(move || Disk::open(&path, &federation)).await;
    let (disk, contents) = opened.map_err(|error| StartError::Raft {
        path: folder.state(),
        reason: error.to_string(),
    })??;
    let journal = Journal::start(disk)?;
    let now: Clock = Arc::new(move || clock.now_unix_s());
    Replica::start(contents, journal, settings.timing, network, now).await
}
