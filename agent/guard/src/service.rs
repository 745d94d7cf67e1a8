//! The guard's loop: it takes what happens to [`Machine`], and does what comes of it.
//!
//! It waits in one place, for any event, and for nothing in particular: no renewal, disk, server or
//! address keeps it from ending the workload in time.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::carrier::Carrier;
use crate::clock::{Clock, Jumps};
use crate::error::Error;
use crate::keeping::{Keeping, Told, wait_readable};
use crate::machine::Machine;
use crate::message::milliseconds;
use crate::order::{Order, Status};
use crate::seams::{Addresses, Federation, Observation, RenewalError, Unanswered, Watch, Watchdog};
use crate::socket::{self, Asked, refused};
use crate::store::{self, Back, Store};
use crate::watchdog::{Dog, Opened};
use crate::wire::{Reply, Request};

/// The loop turns at least this often: a jump of the clock is noticed, and a watchdog hears of it.
const TURN_MAX: Duration = Duration::from_secs(1);
/// A client that takes longer to hear the guard's last word doesn't.
const FAREWELL_MAX: Duration = Duration::from_secs(1);
/// That the federation does not answer is said again after so long: it is asked several times a second.
const SILENCE_SAID_AGAIN: Duration = Duration::from_secs(10);

/// Where a guard works, and how it starts its processes.
#[derive(Debug, Clone)]
pub struct Config {
    /// A folder of its own: its order, its socket.
    pub folder: PathBuf,
    /// The command that calls [`run_keeper`](crate::run_keeper) with the arguments that follow it.
    pub keeper: Vec<String>,
    /// The command that calls [`run_stage`](crate::run_stage). The program's user must be able to
    /// execute it: `/proc/self/exe` it always is, and outlives an upgrade.
    pub stage: Vec<String>,
}

/// What a guard needs of others.
pub struct Seams {
    /// Renews the lease.
    pub federation: Arc<dyn Federation>,
    /// Asks the server.
    pub watch: Box<dyn Watch>,
    /// Moves the service address.
    pub addresses: Arc<dyn Addresses>,
    /// Resets the host.
    pub watchdog: Arc<dyn Watchdog>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// How a guard ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to, and nothing runs any more. The next one goes on with the same order.
    Stopped,
    /// The workload, if any, runs on without it. There is no order any more.
    Released,
}

/// What the loop hears.
pub(super) enum Event {
    Told(u64, Told),
    Noted(u64, Result<(), Error>),
    Renewed {
        epoch: u64,
        sent: Duration,
        result: Result<Duration, RenewalError>,
    },
    WentBack(u64, Result<(), RenewalError>),
    Observed(u64, Result<Observation, Unanswered>),
    Stored(Box<Order>, Result<(), Error>, oneshot::Sender<Reply>),
    Opened(Opened),
}

/// A guard.
pub struct Service {
    pub(super) config: Config,
    pub(super) store: Store,
    pub(super) machine: Machine,
    pub(super) jumps: Jumps,
    pub(super) dog: Dog,
    pub(super) federation: Arc<dyn Federation>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) addresses: Arc<dyn Addresses>,
    pub(super) watch: Option<Box<dyn Watch>>,
    pub(super) events: mpsc::UnboundedSender<Event>,
    pub(super) happened: mpsc::UnboundedReceiver<Event>,
    pub(super) status: watch::Sender<Option<Status>>,
    pub(super) turns: watch::Sender<u64>,
    pub(super) order: Option<Order>,
    pub(super) keeping: Option<(u64, Keeping)>,
    pub(super) giving_back: Option<AbortHandle>,
    /// When it was said last that the federation does not answer.
    pub(super) silence_said: Option<Duration>,
    /// A request that has no answer yet: the next waits.
    pub(super) is_busy: bool,
    pub(super) releasing: Option<oneshot::Sender<Reply>>,
}

impl Service {
    /// Takes a folder, and the order in it.
    ///
    /// # Errors
    ///
    /// Another guard has the folder, or the order can't be believed: then nothing is started.
    pub fn open(config: Config, seams: Seams) -> Result<Self, Error> {
        let store = Store::open(&config.folder)?;
        let order = store.order()?;
        let (events, happened) = mpsc::unbounded_channel();
        // Starts are told apart even by somebody who knew an earlier guard.
        let mut machine = Machine::new(milliseconds(seams.clock.wall()));
        if let Some(back) = store.back()? {
            machine.goes_back(back, seams.clock.boot());
        }
        if let Some(order) = &order {
            machine.order(order.clone(), seams.clock.boot());
        }
        Ok(Self {
            config,
            store,
            machine,
            jumps: Jumps::default(),
            dog: Dog::new(seams.watchdog),
            federation: seams.federation,
            clock: seams.clock,
            addresses: seams.addresses,
            watch: Some(seams.watch),
            events,
            happened,
            status: watch::Sender::new(None),
            turns: watch::Sender::new(0),
            order,
            keeping: None,
            giving_back: None,
            silence_said: None,
            is_busy: false,
            releasing: None,
        })
    }

    /// Counts the turns of the loop, of which there is one in each second at least. One that counts no
    /// more is frozen: a watchdog should end it, and with it what it no longer guards.
    #[must_use]
    pub fn turns(&self) -> watch::Receiver<u64> {
        self.turns.subscribe()
    }

    /// Guards until it is asked to end; then what runs is stopped in good order first.
    ///
    /// It has to run on the process's main thread, in a runtime of that thread alone: the kernel ends
    /// the workload with the thread that started it.
    ///
    /// # Errors
    ///
    /// When it can't listen, or isn't on the main thread.
    pub async fn run(mut self, stop: CancellationToken) -> Result<Ended, Error> {
        if rustix::thread::gettid() != rustix::process::getpid() {
            return Err(Error::problem(
                "a guard has to run on its process's main thread",
            ));
        }
        if let Some(process) = self.store.leftover()? {
            tracing::warn!("waiting until what an earlier guard left is gone");
            wait_readable(&process).await;
        }
        let mut requests = socket::listen(self.store.folder(), self.status.subscribe())?;
        let left = self
            .order
            .as_ref()
            .and_then(|order| order.service_address.clone());
        let carrier = Carrier::new(self.addresses.clone(), left);
        let observer = self.observer();
        let ended = loop {
            let now = self.turn(&carrier, &observer);
            if self.machine.is_closed() {
                carrier.gone().await;
                break Ended::Stopped;
            }
            let wait = self.machine.next(now).saturating_sub(now);
            let wait = wait.min(TURN_MAX).min(self.dog.turn_max());
            tokio::select! {
                // In this order: what happened counts before what is asked.
                biased;
                Some(event) = self.happened.recv() => if self.hear(event)? {
                    break Ended::Released;
                },
                () = stop.cancelled(), if !self.machine.closes() => self.machine.close(),
                Some(asked) = requests.recv(), if !self.is_busy => if self.asked(asked)? {
                    break Ended::Released;
                },
                () = tokio::time::sleep(wait) => {}
            }
        };
        self.leave_watchdog();
        // Every client hears the last word, if it listens.
        drop(self.status);
        let _ = timeout(FAREWELL_MAX, async {
            while requests.recv().await.is_some() {}
        })
        .await;
        Ok(ended)
    }

    /// Decides and acts once.
    fn turn(&mut self, carrier: &Carrier, observer: &mpsc::UnboundedSender<u64>) -> Duration {
        let now = self.clock.boot();
        if self.jumps.seen(self.clock.as_ref()) {
            tracing::warn!("the wall clock jumped: the lease counts no more until it is renewed");
            self.machine.jumped(now);
        }
        let commands = self.machine.step(now);
        // Before anything starts: from then on it has to be there.
        let vigil = self.machine.vigil(now);
        self.dog.attend(vigil, now, &self.events);
        // Before anything is ended: clients leave first.
        carrier.want(self.machine.address(now));
        for command in commands {
            self.execute(command, carrier, observer);
        }
        let status = self.told_now(now);
        self.status.send_if_modified(|known| {
            let is_other = *known != status;
            *known = status;
            is_other
        });
        self.turns.send_modify(|turns| *turns += 1);
        now
    }

    /// Nothing is to be guarded any more: whatever was opened is closed in good order.
    fn leave_watchdog(&mut self) {
        let now = self.clock.boot();
        self.happened.close();
        while let Ok(event) = self.happened.try_recv() {
            if let Event::Opened(opened) = event {
                self.dog.opened(opened, now);
            }
        }
        self.dog.attend(None, now, &self.events);
    }

    fn told_now(&mut self, now: Duration) -> Option<Status> {
        let mut status = self.machine.status(now)?;
        status.trouble = self.dog.trouble();
        status.watchdog = self.dog.is_set();
        Some(status)
    }

    /// Takes an event to the machine. True once the workload is released.
    fn hear(&mut self, event: Event) -> Result<bool, Error> {
        let now = self.clock.boot();
        match event {
            Event::Told(start, told) => return self.told(start, told, now),
            Event::Noted(start, Ok(())) => {
                if let Some((known, keeping)) = &self.keeping
                    && *known == start
                {
                    keeping.go();
                }
            }
            Event::Noted(start, Err(error)) => {
                // It has not gone yet, and never does: what nobody can find again is not begun.
                tracing::warn!(start, "{}", error.sentence());
                if let Some((_, keeping)) =
                    self.keeping.as_ref().filter(|(known, _)| *known == start)
                {
                    keeping.kill();
                }
            }
            Event::Renewed {
                epoch,
                sent,
                result,
            } => match result {
                Ok(ttl) => self.machine.answered(epoch, sent, ttl),
                Err(RenewalError::Lost) => {
                    tracing::warn!(epoch, "the lease is another's");
                    self.machine.lost(epoch);
                }
                Err(RenewalError::NoPlan) => {
                    if self.machine.no_plan(epoch, now) {
                        tracing::warn!(
                            epoch,
                            "the plan is not declared any more: the workload goes on, and its lease \
                             ends nothing"
                        );
                    }
                }
                Err(error @ RenewalError::Unanswered(_)) => {
                    let is_said = |at: Duration| now < at.saturating_add(SILENCE_SAID_AGAIN);
                    if !self.silence_said.is_some_and(is_said) {
                        self.silence_said = Some(now);
                        tracing::warn!(epoch, "{error}");
                    }
                }
            },
            // What is another's needn't go back.
            Event::WentBack(epoch, Ok(()) | Err(RenewalError::Lost)) => {
                self.machine.went_back(epoch);
                let path = self.store.back_path();
                tokio::task::spawn_blocking(move || {
                    let is_known = true;
                    if let Err(error) = store::note_back(&path, Back { epoch, is_known }) {
                        // The next guard gives it back again.
                        tracing::warn!("{}", error.sentence());
                    }
                });
            }
            Event::WentBack(epoch, Err(error)) => {
                tracing::warn!(epoch, "unable to give the lease back: {error}");
            }
            Event::Observed(start, observed) => {
                self.machine.observed(start, observed, now);
                let status = self.told_now(now);
                self.status.send_replace(status);
            }
            Event::Opened(opened) => self.dog.opened(opened, now),
            Event::Stored(order, result, answer) => {
                self.is_busy = false;
                let reply = match result {
                    Ok(()) => {
                        let serial = order.serial;
                        self.order = Some((*order).clone());
                        self.machine.order(*order, now);
                        Reply::Accepted { serial }
                    }
                    Err(error) => refused(error.sentence()),
                };
                let _ = answer.send(reply);
            }
        }
        Ok(false)
    }

    fn told(&mut self, start: u64, told: Told, now: Duration) -> Result<bool, Error> {
        match told {
            Told::Prepared { pid } => {
                let (path, events) = (self.store.process_path(), self.events.clone());
                tokio::task::spawn_blocking(move || {
                    let noted = store::note_process(&path, pid);
                    let _ = events.send(Event::Noted(start, noted));
                });
            }
            Told::Armed { at_ms } => self.machine.armed(start, at_ms),
            Told::Running { pid } => {
                tracing::info!(start, pid, "the workload runs");
                self.machine.running(start, pid, now);
            }
            Told::Released => {
                if let Some(answer) = self.releasing.take() {
                    let order = self.order.as_ref();
                    if let Some(program) = order.and_then(|order| order.program.as_ref()) {
                        self.store.let_go(program)?;
                    }
                    self.store.forget()?;
                    let _ = answer.send(Reply::Released);
                    return Ok(true);
                }
            }
            Told::Ended { how } => {
                tracing::info!(start, "the workload ended: {how}");
                self.keeping = None;
                self.machine.ended(start, &how, now);
                if let Some(answer) = self.releasing.take() {
                    self.is_busy = false;
                    let _ = answer.send(refused(format!("the workload ended: {how}")));
                }
            }
        }
        Ok(false)
    }

    /// Takes what is asked. True once there is nothing left to guard.
    fn asked(&mut self, (request, answer): Asked) -> Result<bool, Error> {
        match request {
            Request::Order(mut order) => {
                let latest = self.order.as_ref();
                let serial = latest.map_or(0, |order| order.serial);
                order.serial = serial;
                if latest == Some(&*order) {
                    let _ = answer.send(Reply::Accepted { serial });
                    return Ok(false);
                }
                order.serial = serial.saturating_add(1);
                self.is_busy = true;
                let (path, events) = (self.store.order_path(), self.events.clone());
                tokio::task::spawn_blocking(move || {
                    let stored = store::write_order(&path, &order);
                    let _ = events.send(Event::Stored(order, stored, answer));
                });
            }
            Request::Release => match (&self.keeping, self.machine.is_steady()) {
                (Some((_, keeping)), true) => {
                    keeping.release();
                    self.is_busy = true;
                    self.releasing = Some(answer);
                }
                (Some(_), false) => {
                    let reason = "the workload is starting or stopping: try again once it doesn't";
                    let _ = answer.send(refused(reason.to_owned()));
                }
                (None, _) if self.is_idle() => {
                    self.store.forget()?;
                    let _ = answer.send(Reply::Released);
                    return Ok(true);
                }
                (None, _) => {
                    let reason = "nothing runs that could run on: order that nothing is to run";
                    let _ = answer.send(refused(reason.to_owned()));
                }
            },
        }
        Ok(false)
    }

    /// Whether nothing is to run either.
    fn is_idle(&self) -> bool {
        let order = self.order.as_ref();
        order.is_none_or(|order| order.program.is_none())
    }
}
