//! DR plans on the voter that leads: it hears copies and guards, asks `hanse-core` what is next, and
//! proposes that. It decides nothing, and what it remembers may be lost: the next leader sees the same
//! record and goes on.

mod calls;
mod conductor;
mod drills;
mod hooks;
mod machines;
mod outside;
mod redirect;
mod secrets;
mod status;
mod ways;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hanse_core::dr::backup::BackupSight;
use hanse_core::dr::lookout::Lookout;
use hanse_core::name::{ClusterName, PlanName};
use hanse_core::object::dr_redirect::Way;
use tokio::sync::{Notify, watch};

pub(super) use calls::{copies_message, release, renew, report, run_plan, with_secrets};
pub(super) use conductor::conduct;
pub(super) use hooks::tell;
pub(super) use secrets::seal as seal_secrets;
pub(super) use status::plan_status;

use crate::clock::wall_ms;

/// What the leader remembers of DR plans.
#[derive(Debug)]
pub struct Desk {
    origin: Instant,
    memory: Mutex<Memory>,
    /// Something was heard that may change what is next.
    wake: Notify,
    /// Others are to be told of a refusal.
    refusals: Notify,
    lines: Mutex<hooks::Lines>,
    version: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Memory {
    lookout: Lookout,
    /// How far long steps of copies are, in words.
    progress: BTreeMap<(PlanName, ClusterName), String>,
    /// How backups are, by the copy that makes them.
    backups: BTreeMap<(PlanName, ClusterName), BackupSight>,
    /// What else copies told for people alone.
    remarks: BTreeMap<(PlanName, ClusterName), Remarks>,
    /// What plans wait for.
    waits: BTreeMap<PlanName, String>,
    /// Fences from outside that are under way or failed.
    outside: BTreeMap<PlanName, outside::Attempt>,
    /// How clients outside the mesh are led.
    redirects: BTreeMap<(PlanName, Way), redirect::Attempt>,
    /// What others are still to be told was refused.
    refused: Vec<hooks::Refused>,
    /// The record's revision at which it was told last that a plan is held.
    held_at: BTreeMap<PlanName, u64>,
}

/// What a copy told for people alone.
#[derive(Debug, Default, PartialEq, Eq)]
struct Remarks {
    /// By how many seconds it lags at most.
    lag_s: Option<u64>,
    /// Whether a watchdog resets its host, where its node tells.
    watchdog: Option<bool>,
    /// What somebody should know of, in sentences.
    warnings: Vec<String>,
}

impl Memory {
    /// Forgets plans that are there no more.
    fn keep_only(&mut self, is_there: impl Fn(&PlanName) -> bool) {
        self.lookout.keep_only(&is_there);
        self.progress.retain(|(plan, _), _| is_there(plan));
        self.backups.retain(|(plan, _), _| is_there(plan));
        self.remarks.retain(|(plan, _), _| is_there(plan));
        self.waits.retain(|plan, _| is_there(plan));
        self.outside.retain(|plan, _| is_there(plan));
        self.redirects.retain(|(plan, _), _| is_there(plan));
        self.held_at.retain(|plan, _| is_there(plan));
    }
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            origin: Instant::now(),
            memory: Mutex::default(),
            wake: Notify::new(),
            refusals: Notify::new(),
            lines: Mutex::default(),
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

    fn lines(&self) -> MutexGuard<'_, hooks::Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something is refused, or held until somebody acts: others are told, if the plan says so.
    fn refuse(&self, plan: &PlanName, id: String, reason: &str) {
        let refused = hooks::Refused {
            plan: plan.clone(),
            id,
            reason: reason.to_owned(),
        };
        self.lock().refused.push(refused);
        self.refusals.notify_one();
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
