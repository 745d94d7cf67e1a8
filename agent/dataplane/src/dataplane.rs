//! The handle that an agent holds, and the task behind it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hanse_core::mesh::MeshPlan;
use rustix::fs::FlockOperation;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, shown};
use crate::error::Error;
use crate::file;
use crate::network::Network;
use crate::observation::Observation;
use crate::reconcile::{Reconciler, Report, Signals};
use crate::view;

/// How soon a pass that failed is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);
/// Changes on the host come in bursts, and one pass answers a burst.
const SETTLE_INTERVAL: Duration = Duration::from_millis(200);
/// A host on which something changes all the time must not keep us busy.
const PASS_INTERVAL_MIN: Duration = Duration::from_secs(1);
const LOCK_TRIES: u32 = 100;
const LOCK_INTERVAL: Duration = Duration::from_millis(50);

/// Puts mesh plans into effect for as long as it lives. Dropping it, or [`Dataplane::shutdown`],
/// stops the task and leaves interfaces, daemons and routes as they are.
#[derive(Debug)]
pub struct Dataplane {
    wanted: watch::Sender<Wanted>,
    observation: watch::Receiver<Observation>,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

/// What the agent handed over last.
#[derive(Debug, Clone, Default)]
struct Wanted {
    revision: u64,
    /// Another number for each plan that was set.
    generation: u64,
    /// None: no plan has come yet, and the host stays as it is.
    meshes: Option<Arc<Vec<MeshPlan>>>,
}

struct Task {
    reconciler: Reconciler,
    wanted: watch::Receiver<Wanted>,
    observation: watch::Sender<Observation>,
    signals: Signals,
    reconcile_interval: Duration,
    probe_interval: Duration,
    /// The plan that is in effect in full.
    applied_generation: Option<u64>,
    applied_revision: u64,
    report: Report,
    /// Kept open for the lock that it holds.
    _lock: std::fs::File,
}

impl Dataplane {
    /// Starts the task. Nothing on the host changes before the first plan is set.
    ///
    /// # Errors
    /// When the data folder can't be used, another data plane uses it, the record of what is
    /// owned is damaged, or netlink can't be opened.
    pub async fn start(config: Config) -> Result<Self, Error> {
        let lock = lock(&config).await?;
        let (network, changes) = Network::open()?;
        let signals = Signals::default();
        let (wanted, wanted_receiver) = watch::channel(Wanted::default());
        let (observation_sender, observation) = watch::channel(Observation::default());
        let stop = CancellationToken::new();
        let task = Task {
            wanted: wanted_receiver,
            observation: observation_sender,
            signals: signals.clone(),
            reconcile_interval: config.reconcile_interval,
            probe_interval: config.probe_interval,
            reconciler: Reconciler::new(config, network, signals)?,
            applied_generation: None,
            applied_revision: 0,
            report: Report::default(),
            _lock: lock,
        };
        let task = Some(tokio::spawn(task.run(changes, stop.clone())));
        Ok(Self {
            wanted,
            observation,
            stop,
            task,
        })
    }

    /// Hands over a plan; the newest wins. Never blocks.
    pub fn set_plan(&self, revision: u64, meshes: Vec<MeshPlan>) {
        self.wanted.send_modify(|wanted| {
            wanted.revision = revision;
            let is_new = wanted
                .meshes
                .as_ref()
                .is_none_or(|before| **before != meshes);
            if is_new {
                wanted.generation += 1;
                wanted.meshes = Some(Arc::new(meshes));
            }
        });
    }

    /// The plan that was handed over last also answers this revision.
    pub fn acknowledge(&self, revision: u64) {
        self.wanted.send_modify(|wanted| wanted.revision = revision);
    }

    /// What the host has, now and whenever it changes.
    #[must_use]
    pub fn observe(&self) -> watch::Receiver<Observation> {
        self.observation.clone()
    }

    /// Stops the task, once a pass in progress has ended.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            // A task that panicked has stopped too.
            let _ = task.await;
        }
    }
}

impl Drop for Dataplane {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Task {
    async fn run(mut self, mut changes: mpsc::Receiver<()>, stop: CancellationToken) {
        let signals = self.signals.clone();
        let mut refresh = interval(self.probe_interval);
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next = Instant::now() + self.reconcile_interval;
        let mut last_pass = Instant::now();
        let mut netlink_open = true;
        loop {
            let due = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                changed = self.wanted.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    !self.acknowledges()
                }
                () = signals.reconcile.notified() => true,
                change = changes.recv(), if netlink_open => {
                    netlink_open = change.is_some();
                    self.reconciler.forget_underlay();
                    let settled = Instant::now() + SETTLE_INTERVAL;
                    next = next.min(settled.max(last_pass + PASS_INTERVAL_MIN));
                    continue;
                }
                // Before a refresh: with a daemon that hangs, one is always due.
                () = sleep_until(next) => true,
                () = signals.proofs.notified() => false,
                _ = refresh.tick() => false,
            };
            if due {
                let in_full = self.pass().await;
                let wait = if in_full {
                    self.reconcile_interval
                } else {
                    RETRY_INTERVAL
                };
                last_pass = Instant::now();
                next = last_pass + wait.min(self.reconcile_interval);
            } else {
                self.reconciler.refresh().await;
            }
            self.publish();
        }
    }

    /// Whether what the agent handed over is in effect already.
    fn acknowledges(&mut self) -> bool {
        let wanted = self.wanted.borrow_and_update().clone();
        let in_effect = self.applied_generation == Some(wanted.generation);
        if in_effect {
            self.applied_revision = wanted.revision;
        }
        in_effect
    }

    /// One pass; whether the plan is in effect in full.
    async fn pass(&mut self) -> bool {
        let wanted = self.wanted.borrow_and_update().clone();
        let Some(meshes) = wanted.meshes else {
            return true;
        };
        if self.applied_generation != Some(wanted.generation) {
            self.applied_generation = None;
            // The public keys are needed before anything else works.
            self.reconciler.make_keys(&meshes);
            self.publish();
        }
        self.report = self.reconciler.pass(&meshes).await;
        let reports = self.reconciler.meshes.values().map(|mesh| &mesh.report);
        let mut failures = reports
            .chain([&self.report])
            .flat_map(|report| &report.failures);
        if let Some(failure) = failures.next() {
            tracing::warn!(%failure, "a plan is not in effect in full");
            return false;
        }
        self.applied_generation = Some(wanted.generation);
        self.applied_revision = wanted.revision;
        true
    }

    fn publish(&self) {
        let meshes = self.wanted.borrow().meshes.clone();
        let plans = meshes.as_deref().map_or(&[][..], Vec::as_slice);
        let now = SystemTime::now();
        let view = |plan: &MeshPlan| view::mesh(plan, self.reconciler.meshes.get(&plan.mesh), now);
        let observation = Observation {
            applied_revision: self.applied_revision,
            meshes: plans.iter().map(view).collect(),
            problems: self.report.problems(),
        };
        self.observation.send_if_modified(|seen| {
            let changed = *seen != observation;
            *seen = observation;
            changed
        });
    }
}

/// Two data planes over one folder would undo each other's work.
async fn lock(config: &Config) -> Result<std::fs::File, Error> {
    let path = config.lock_file();
    let failed = || Error::io(format!("lock {}", shown(&path)));
    file::make_private_folder(&config.data_dir).map_err(failed())?;
    let file = std::fs::File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(failed())?;
    for _ in 0..LOCK_TRIES {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            // One that was just dropped may still be at its last pass.
            Err(rustix::io::Errno::WOULDBLOCK) => sleep(LOCK_INTERVAL).await,
            Err(errno) => return Err(failed()(errno.into())),
        }
    }
    Err(Error::problem(format!(
        "another agent uses {}: stop it, or give this one another data folder",
        shown(&config.data_dir)
    )))
}
