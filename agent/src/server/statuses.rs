//! What nodes reported last, in memory only: lost with a restart and back with the next reports.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hanse_client::proto;
use hanse_core::name::NodeName;
use tokio::sync::watch;

use crate::identity::unix_now_s;

/// What a node reported, and when.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What it reported.
    pub status: proto::NodeStatus,
    /// When.
    pub at: Instant,
}

/// What all nodes reported last, with a version that every change moves.
#[derive(Debug)]
pub struct Statuses {
    seen: Mutex<BTreeMap<NodeName, Seen>>,
    version: watch::Sender<u64>,
}

impl Default for Statuses {
    fn default() -> Self {
        // Not comparable across restarts, so not the same after one either.
        let (version, _) = watch::channel(unix_now_s() << 20);
        Self {
            seen: Mutex::default(),
            version,
        }
    }
}

impl Statuses {
    /// Keeps a report.
    pub fn report(&self, node: NodeName, status: proto::NodeStatus) {
        self.lock().insert(
            node,
            Seen {
                status,
                at: Instant::now(),
            },
        );
        self.bump();
    }

    /// Forgets what a node reported.
    pub fn forget(&self, node: &NodeName) {
        self.lock().remove(node);
        self.bump();
    }

    /// Something else of what a snapshot shows has changed.
    pub fn bump(&self) {
        self.version.send_modify(|version| *version += 1);
    }

    /// The version, now and whenever it changes.
    #[must_use]
    pub fn version(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// What a node reported last.
    #[must_use]
    pub fn of(&self, node: &NodeName) -> Option<Seen> {
        self.lock().get(node).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeName, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// How long ago.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.at.elapsed()
    }
}
