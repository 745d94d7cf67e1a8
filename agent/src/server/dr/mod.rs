//! DR plans on the voter that leads: it hears copies and guards, asks `hanse-core` what is next, and
//! proposes that. It decides nothing, and what it remembers may be lost: the next leader sees the same
//! record and goes on.

mod calls;
mod conductor;
mod outside;
mod status;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hanse_core::dr::lookout::Lookout;
use hanse_core::name::{ClusterName, PlanName};
use tokio::sync::{Notify, watch};

pub(super) use calls::{copies_message, release, renew, report, run_plan};
pub(super) use conductor::conduct;
pub(super) use status::plan_status;

use crate::clock::wall_ms;

/// What the leader remembers of DR plans.
#[derive(Debug)]
pub struct Desk {
    origin: Instant,
    memory: Mutex<Memory>,
    /// Something was heard that may change what is next.
    wake: Notify,
    version: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Memory {
    lookout: Lookout,
    /// How far long steps of copies are, in words.
    progress: BTreeMap<(PlanName, ClusterName), String>,
    /// What plans wait for.
    waits: BTreeMap<PlanName, String>,
    /// Fences from outside that are under way or failed.
    outside: BTreeMap<PlanName, outside::Attempt>,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            origin: Instant::now(),
            memory: Mutex::default(),
            wake: Notify::new(),
            // Not comparable across restarts, so not the same after one either.
            version: watch::channel(wall_ms() << 10).0,
        }
    }
}

impl Desk {
    /// By the clock that never goes back.
    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was heard or done.
    fn stir(&self) {
        self.wake.notify_one();
        self.bump();
    }

    /// Something else of what is shown of plans has changed.
    fn bump(&self) {
        self.version.send_modify(|version| *version += 1);
    }

    /// This voter does not lead: whatever it knows is old.
    fn end(&self) {
        *self.lock() = Memory::default();
    }
}
