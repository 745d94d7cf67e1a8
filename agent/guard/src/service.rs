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
use crate::machine::{Command, Machine};
use crate::message::milliseconds;
use crate::order::{Order, Program, Status};
use crate::seams::{Addresses, Federation, Observation, Renewal, RenewalError, Watch};
use crate::socket::{self, Asked, refused};
use crate::store::{self, Store};
use crate::wire::{Reply, Request};

/// The loop turns at least this often: a jump of the clock is noticed, and a watchdog hears of it.
const TURN_MAX: Duration = Duration::from_secs(1);
/// A server that takes longer does not answer.
const OBSERVATION_MAX: Duration = Duration::from_millis(1500);

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
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// How a guard ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to, and nothing runs any more. The next one goes on with the same order.
    Stopped,
    /// The workload runs on without it. There is no order any more.
    Released,
}

/// What the loop hears.
enum Event {
    Told(u64, Told),
    Noted(u64, Result<(), Error>),
    Renewed {
        epoch: u64,
        sent: Duration,
        result: Result<Duration, RenewalError>,
    },
    WentBack(u64, Result<(), RenewalError>),
    Observed(u64, Option<Observation>),
    Stored(Box<Order>, Result<(), Error>, oneshot::Sender<Reply>),
}

/// A guard.
pub struct Service {
    config: Config,
    store: Store,
    machine: Machine,
    jumps: Jumps,
    federation: Arc<dyn Federation>,
    clock: Arc<dyn Clock>,
    addresses: Arc<dyn Addresses>,
    watch: Option<Box<dyn Watch>>,
    events: mpsc::UnboundedSender<Event>,
    happened: mpsc::UnboundedReceiver<Event>,
    status: watch::Sender<Option<Status>>,
    turns: watch::Sender<u64>,
    order: Option<Order>,
    keeping: Option<(u64, Keeping)>,
    renewal: Option<AbortHandle>,
    giving_back: Option<AbortHandle>,
    /// A request that has no answer yet: the next waits.
    is_busy: bool,
    releasing: Option<oneshot::Sender<Reply>>,
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
        if let Some(order) = &order {
            machine.order(order.clone(), seams.clock.boot());
        }
        Ok(Self {
            config,
            store,
            machine,
            jumps: Jumps::default(),
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
            renewal: None,
            giving_back: None,
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
        loop {
            let now = self.turn(&carrier, &observer);
            if self.machine.is_closed() {
                carrier.gone().await;
                return Ok(Ended::Stopped);
            }
            let wait = self.machine.next(now).saturating_sub(now).min(TURN_MAX);
            tokio::select! {
                // In this order: what happened counts before what is asked.
                biased;
                Some(event) = self.happened.recv() => if self.hear(event)? {
                    return Ok(Ended::Released);
                },
                () = stop.cancelled(), if !self.machine.closes() => self.machine.close(),
                Some(asked) = requests.recv(), if !self.is_busy => self.asked(asked),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Decides and acts once.
    fn turn(&mut self, carrier: &Carrier, observer: &mpsc::UnboundedSender<u64>) -> Duration {
        let now = self.clock.boot();
        if self.jumps.seen(self.clock.as_ref()) {
            tracing::warn!("the wall clock jumped: the lease counts no more until it is renewed");
            self.machine.jumped(now);
        }
        let commands = self.machine.step(now);
        // Before anything is ended: clients leave first.
        carrier.want(self.machine.address(now));
        for command in commands {
            self.execute(command, carrier, observer);
        }
        let status = self.machine.status(now);
        self.status.send_if_modified(|known| {
            let is_other = *known != status;
            *known = status;
            is_other
        });
        self.turns.send_modify(|turns| *turns += 1);
        now
    }

    fn execute(
        &mut self,
        command: Command,
        carrier: &Carrier,
        observer: &mpsc::UnboundedSender<u64>,
    ) {
        match command {
            Command::Start {
                start,
                program,
                at_ms,
            } => self.start(start, &program, at_ms),
            Command::Arm { at_ms } => self.keep(|keeping| keeping.arm(at_ms)),
            Command::Ask(signal) => {
                tracing::info!("stopping the workload");
                self.end(carrier, move |keeping| keeping.stop(signal));
            }
            Command::Kill => {
                tracing::warn!("ending the workload");
                self.end(carrier, Keeping::kill);
            }
            Command::Renew(renewal) => self.renew(renewal),
            Command::GiveBack { epoch } => self.give_back(epoch),
            Command::Observe { start } => {
                let _ = observer.send(start);
            }
        }
    }

    fn start(&mut self, start: u64, program: &Program, at_ms: Option<u64>) {
        tracing::info!(start, "starting the workload");
        let events = self.events.clone();
        let tell = move |told| {
            let _ = events.send(Event::Told(start, told));
        };
        let (keeper, stage) = (&self.config.keeper, &self.config.stage);
        match Keeping::start(keeper, stage, program, at_ms, tell) {
            Ok(keeping) => self.keeping = Some((start, keeping)),
            Err(error) => {
                let how = error.sentence();
                let _ = self.events.send(Event::Told(start, Told::Ended { how }));
            }
        }
    }

    /// Does something to what runs once no client is led to it, or soon.
    fn end(&self, carrier: &Carrier, how: impl FnOnce(&Keeping) + Send + 'static) {
        let Some((_, keeping)) = self.keeping.clone() else {
            return;
        };
        if !carrier.is_here() {
            how(&keeping);
            return;
        }
        let gone = carrier.gone();
        tokio::spawn(async move {
            gone.await;
            how(&keeping);
        });
    }

    fn keep(&self, what: impl FnOnce(&Keeping)) {
        if let Some((_, keeping)) = &self.keeping {
            what(keeping);
        }
    }

    fn renew(&mut self, renewal: Renewal) {
        if let Some(earlier) = self.renewal.take() {
            earlier.abort();
        }
        let (federation, events) = (self.federation.clone(), self.events.clone());
        let sent = self.clock.boot();
        let task = tokio::spawn(async move {
            let epoch = renewal.epoch;
            let result = federation.renew(renewal).await;
            let _ = events.send(Event::Renewed {
                epoch,
                sent,
                result,
            });
        });
        self.renewal = Some(task.abort_handle());
    }

    fn give_back(&mut self, epoch: u64) {
        if let Some(earlier) = self.giving_back.take() {
            earlier.abort();
        }
        let (federation, events) = (self.federation.clone(), self.events.clone());
        let task = tokio::spawn(async move {
            let result = federation.give_back(epoch).await;
            let _ = events.send(Event::WentBack(epoch, result));
        });
        self.giving_back = Some(task.abort_handle());
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
            Event::Noted(_, Err(error)) => {
                tracing::warn!("{}", error.sentence());
                self.keep(Keeping::kill);
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
                Err(error @ RenewalError::Unanswered(_)) => tracing::warn!(epoch, "{error}"),
            },
            // What is another's needn't go back.
            Event::WentBack(epoch, Ok(()) | Err(RenewalError::Lost)) => {
                self.machine.went_back(epoch);
            }
            Event::WentBack(epoch, Err(error)) => {
                tracing::warn!(epoch, "unable to give the lease back: {error}");
            }
            Event::Observed(start, observed) => {
                self.machine.observed(start, observed, now);
                let status = self.machine.status(now);
                self.status.send_replace(status);
            }
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

    fn asked(&mut self, (request, answer): Asked) {
        match request {
            Request::Order(mut order) => {
                let latest = self.order.as_ref();
                let serial = latest.map_or(0, |order| order.serial);
                order.serial = serial;
                if latest == Some(&*order) {
                    let _ = answer.send(Reply::Accepted { serial });
                    return;
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
                (None, _) => {
                    let reason = "nothing runs that could run on: order that nothing is to run";
                    let _ = answer.send(refused(reason.to_owned()));
                }
            },
        }
    }

    /// Asks the server, one question at a time.
    fn observer(&mut self) -> mpsc::UnboundedSender<u64> {
        let (questions, mut asked) = mpsc::unbounded_channel();
        let events = self.events.clone();
        if let Some(mut watch) = self.watch.take() {
            tokio::spawn(async move {
                while let Some(start) = asked.recv().await {
                    let observed = timeout(OBSERVATION_MAX, watch.observe()).await;
                    if events
                        .send(Event::Observed(start, observed.ok().flatten()))
                        .is_err()
                    {
                        return;
                    }
                }
            });
        }
        questions
    }
}
