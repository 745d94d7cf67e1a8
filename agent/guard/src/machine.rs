//! The guard's decisions: events in, commands out. It knows no process, no clock and no network.
//!
//! What may have written never runs without a lease: a program that began without one is under one
//! from the first answer on, and ends before it is without one again.

use std::time::Duration;

use hanse_core::dr::guard::GuardStep;

use crate::copy::{Copy, Ending, Silence};
use crate::held::Held;
use crate::message::milliseconds;
use crate::order::{LeaseTerms, Order, Program, ServiceAddress, StopSignal};
use crate::restart::{Next, Restarts};
use crate::seams::{Observation, Renewal, Unanswered};
use crate::store::Back;

/// Without a lease, the server is asked this often; a lease that goes back is offered this often.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);
/// So often while the server's answer is awaited.
const INTERVAL_SOON: Duration = Duration::from_millis(100);

/// What the guard has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// Start a program that the kernel ends at a moment; none: never.
    Start {
        start: u64,
        program: Box<Program>,
        at_ms: Option<u64>,
    },
    /// Have the kernel end it at another moment.
    Arm { at_ms: Option<u64> },
    /// Ask it to end.
    Ask(StopSignal),
    /// End it.
    Kill,
    /// Ask for the lease.
    Renew(Renewal),
    /// Nothing runs under it any more.
    GiveBack { epoch: u64 },
    /// Ask the server.
    Observe { start: u64 },
}

/// Everything that the guard goes by.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    pub(super) order: Option<Order>,
    /// The order's lease, or the one under which what has to stop still runs.
    pub(super) lease: Option<Held>,
    /// What runs is under this one, until the first answer for the other.
    pub(super) before: Option<Held>,
    pub(super) copy: Option<Copy>,
    pub(super) ended: Option<String>,
    pub(super) gave_up: Option<String>,
    pub(super) observed: Option<Observation>,
    /// The latest order that is in effect.
    pub(super) serial: u64,
    pub(super) restarts: Restarts,
    /// The next start is a restart.
    pub(super) is_restart: bool,
    pub(super) not_before: Duration,
    pub(super) give_back_at: Duration,
    pub(super) observe_at: Duration,
    closes: bool,
    /// When it was looked at last what is to be done.
    pub(super) turned_at: Option<Duration>,
    pub(super) last_start: u64,
    /// The lease that goes back, or went, as it is on the disk.
    pub(super) back: Option<Back>,
}

impl Machine {
    /// Numbers of starts are larger than this one.
    pub(crate) fn new(last_start: u64) -> Self {
        Self {
            last_start,
            ..Self::default()
        }
    }

    /// An earlier guard began to give this lease back.
    pub(crate) fn goes_back(&mut self, back: Back, now: Duration) {
        self.back = Some(back);
        if !back.is_known {
            let terms = LeaseTerms {
                epoch: back.epoch,
                check_interval_ms: milliseconds(INTERVAL),
                stop_budget_ms: 0,
                fences_itself: true,
                restart_max_ms: 0,
                watchdog: false,
            };
            self.lease = Some(Held::new(terms, now).goes_back(back));
        }
    }

    /// Goes by another order from now on.
    pub(crate) fn order(&mut self, order: Order, now: Duration) {
        let is_leased = self.copy.as_ref().is_some_and(|copy| copy.is_leased);
        let is_same = self
            .order
            .as_ref()
            .is_some_and(|known| known.program == order.program && epoch(known) == epoch(&order));
        if !is_same {
            self.gave_up = None;
            self.restarts = Restarts::default();
            self.not_before = now;
        }
        match (&order.lease, self.lease.take()) {
            (Some(terms), Some(mut held)) if held.epoch() == terms.epoch => {
                held.set_terms(terms.clone());
                self.lease = Some(held);
            }
            (Some(terms), held) => {
                if is_leased && self.before.is_none() {
                    self.before = held;
                }
                let held = Held::new(terms.clone(), now);
                self.lease = Some(match self.back {
                    Some(back) => held.goes_back(back),
                    None => held,
                });
            }
            // What runs under it ends under it; and what has to go back is not forgotten before.
            (None, held) if is_leased => self.lease = held,
            (None, held) => {
                let stays = |held: &Held| (order.gives_back || held.goes_back) && !held.is_lost;
                self.lease = held.filter(stays);
            }
        }
        self.order = Some(order);
    }

    /// Nothing is to run any more: the guard ends once nothing does.
    pub(crate) fn close(&mut self) {
        self.closes = true;
    }

    /// The machine was paused, or its clock was set.
    pub(crate) fn jumped(&mut self, now: Duration) {
        for held in [&mut self.lease, &mut self.before].into_iter().flatten() {
            held.jumped(now);
        }
    }

    /// A renewal that was sent at a moment was answered.
    pub(crate) fn answered(&mut self, epoch: u64, sent: Duration, ttl: Duration) {
        let Some(held) = self.lease.as_mut().filter(|held| held.epoch() == epoch) else {
            return;
        };
        if !held.answered(sent, ttl) {
            return;
        }
        self.before = None;
        let is_ordered = self.terms().is_some_and(|terms| terms.epoch == epoch);
        if let Some(copy) = &mut self.copy
            && is_ordered
            && copy.is_wanted()
        {
            copy.is_leased = true;
        }
        // Whether it writes now is of interest at once.
        self.observe_at = self.observe_at.min(sent);
    }

    /// The lease is another's.
    pub(crate) fn lost(&mut self, epoch: u64) {
        if let Some(held) = self.lease.as_mut().filter(|held| held.epoch() == epoch) {
            held.lost();
        }
    }

    /// The plan is not declared any more; true if that is news. What runs goes on until it is let go.
    /// What was ended with its lease is not begun again: somebody else may lead since.
    pub(crate) fn no_plan(&mut self, epoch: u64, now: Duration) -> bool {
        let copy = self.copy.as_ref();
        let runs = copy.is_some_and(|copy| copy.is_leased && copy.is_wanted());
        let mut held = self.lease.iter_mut().chain(&mut self.before);
        let Some(held) = held.find(|held| held.epoch() == epoch) else {
            return false;
        };
        if runs || held.may_run(now) {
            return held.orphaned();
        }
        held.lost();
        false
    }

    /// The federation knows that nothing runs under it.
    pub(crate) fn went_back(&mut self, epoch: u64) {
        if let Some(held) = self.lease.as_mut().filter(|held| held.epoch() == epoch) {
            held.went_back = true;
        }
    }

    /// The program runs.
    pub(crate) fn running(&mut self, start: u64, pid: u32, now: Duration) {
        if let Some(copy) = self.copy_of(start) {
            copy.pid = Some(pid);
            self.observe_at = now;
        }
    }

    /// The kernel's timer is set.
    pub(crate) fn armed(&mut self, start: u64, at_ms: Option<u64>) {
        if let Some(copy) = self.copy_of(start) {
            copy.armed_ms = at_ms;
        }
    }

    /// What the server told, or why it did not.
    pub(crate) fn observed(
        &mut self,
        start: u64,
        observed: Result<Observation, Unanswered>,
        now: Duration,
    ) {
        let Some(copy) = self.copy_of(start).filter(|copy| copy.pid.is_some()) else {
            return;
        };
        let writes = observed.as_ref().is_ok_and(|observed| observed.writes);
        match observed {
            Ok(_) => copy.silence = Silence::default(),
            // It goes through its log, and how long that takes is nobody's to say.
            Err(Unanswered::Starting) if copy.wrote_at.is_none() => {
                copy.silence = Silence::default();
            }
            Err(Unanswered::Starting | Unanswered::Silent) => copy.silence.unanswered(),
        }
        if writes {
            copy.writes_by = None;
            copy.wrote_at = Some(now);
        }
        // A leader that doesn't write yet is about to.
        let is_awaited = observed.is_err() || !writes && self.may_write(now);
        self.observe_at = now
            + if is_awaited {
                INTERVAL_SOON
            } else {
                self.terms().map_or(INTERVAL, |terms| {
                    Duration::from_millis(terms.check_interval_ms).max(INTERVAL_SOON)
                })
            };
        self.observed = observed.ok();
    }

    /// Nothing of a start is left.
    pub(crate) fn ended(&mut self, start: u64, how: &str, now: Duration) {
        let Some(copy) = self.copy.take_if(|copy| copy.start == start) else {
            return;
        };
        self.observed = None;
        self.before = None;
        let (ended, by_itself) = match &copy.ending {
            None => (how.to_owned(), true),
            Some(Ending::Asked { .. }) => (how.to_owned(), false),
            Some(Ending::Killed { why, .. }) => (why.clone(), false),
        };
        self.ended = Some(ended);
        // The kernel's timer may have ended it while this process stood still.
        if by_itself && self.wanted().is_some() && self.may_start(now) {
            let fences = self.fences();
            match self.restarts.ended(now.saturating_sub(copy.since), fences) {
                Next::Again { pause } => {
                    self.is_restart = true;
                    self.not_before = now + pause;
                }
                Next::Enough => {
                    self.gave_up = Some(format!(
                        "it was started again and ended again: {how}; see its log {}",
                        copy.program.log.display()
                    ));
                }
            }
        }
        let is_over = self
            .order
            .as_ref()
            .is_none_or(|order| order.lease.is_none() && !order.gives_back);
        if is_over {
            self.lease = None;
        }
    }

    /// When to look again, if nothing happens before.
    pub(crate) fn next(&self, now: Duration) -> Duration {
        let ruling = self.ruling();
        let copy = self.copy.as_ref();
        let lease = self.lease.as_ref().filter(|_| self.renews());
        let moments = [
            lease.and_then(|held| match held.step(now, self.runs_under_lease()) {
                GuardStep::Rest { until } => Some(until),
                GuardStep::Renew | GuardStep::RenewStopped | GuardStep::Stop => None,
            }),
            copy.filter(|copy| copy.is_leased && !copy.is_killed())
                .and(ruling)
                .and_then(Held::stops_at),
            copy.and_then(|copy| match copy.ending {
                Some(Ending::Asked { kill_at }) => Some(kill_at),
                Some(Ending::Killed { .. }) => None,
                None => copy.writes_by.filter(|_| self.fences()),
            }),
            (copy.is_none() && self.wanted().is_some() && self.may_start(now))
                .then_some(self.not_before),
            self.gives_back().then_some(self.give_back_at),
            copy.filter(|copy| copy.pid.is_some() && !copy.is_killed())
                .map(|_| self.observe_at),
        ];
        moments.into_iter().flatten().min().unwrap_or(Duration::MAX)
    }

    /// It was asked to end.
    pub(crate) fn closes(&self) -> bool {
        self.closes
    }

    /// What runs neither starts nor stops.
    pub(crate) fn is_steady(&self) -> bool {
        self.copy
            .as_ref()
            .is_some_and(|copy| copy.pid.is_some() && copy.is_wanted())
    }

    /// Nothing runs, and nothing will.
    pub(crate) fn is_closed(&self) -> bool {
        self.closes && self.copy.is_none()
    }

    /// The address that leads clients here at this moment.
    pub(crate) fn address(&self, now: Duration) -> Option<&ServiceAddress> {
        let copy = self.copy.as_ref()?;
        let writes = self.observed.as_ref().is_some_and(|known| known.writes);
        let may = copy.is_leased
            && copy.is_wanted()
            && self.ruling().is_some_and(|held| held.may_run(now));
        self.order
            .as_ref()
            .and_then(|order| order.service_address.as_ref())
            .filter(|_| writes && may && self.is_covered())
    }

    /// Whether what runs may write, under the lease of the order.
    pub(super) fn may_write(&self, now: Duration) -> bool {
        self.before.is_none()
            && self.is_covered()
            && self
                .copy
                .as_ref()
                .is_some_and(|copy| copy.is_leased && copy.is_wanted() && copy.pid.is_some())
            && self.lease.as_ref().is_some_and(|held| held.may_run(now))
            && self.terms().is_some()
    }

    /// Whether the kernel will end what runs in time, as far as it has to.
    pub(super) fn is_covered(&self) -> bool {
        let Some(copy) = self.copy.as_ref().filter(|copy| copy.is_leased) else {
            return true;
        };
        let Some(held) = self.ruling().filter(|held| held.fences()) else {
            return true;
        };
        match (copy.armed_ms, held.kernel_stops_at()) {
            (Some(armed), Some(until)) => armed <= milliseconds(until),
            (Some(_) | None, _) => false,
        }
    }

    /// What is to run.
    pub(super) fn wanted(&self) -> Option<&Program> {
        self.order
            .as_ref()
            .filter(|_| !self.closes && self.gave_up.is_none())
            .and_then(|order| order.program.as_ref())
    }

    /// The terms of the order's lease.
    pub(super) fn terms(&self) -> Option<&LeaseTerms> {
        self.order.as_ref().and_then(|order| order.lease.as_ref())
    }

    /// Whether the end of the order's lease ends what runs, and somebody else may take over.
    pub(super) fn fences(&self) -> bool {
        self.terms().is_some_and(|terms| terms.fences_itself)
            && self.lease.as_ref().is_none_or(Held::fences)
    }

    pub(super) fn may_start(&self, now: Duration) -> bool {
        match (self.terms(), &self.lease) {
            (None, _) => true,
            (Some(_), Some(held)) => held.may_run(now),
            (Some(_), None) => false,
        }
    }

    /// Under which lease it runs what runs.
    pub(super) fn ruling(&self) -> Option<&Held> {
        self.before.as_ref().or(self.lease.as_ref())
    }

    /// Something runs under the lease that is being renewed.
    pub(super) fn runs_under_lease(&self) -> bool {
        self.before.is_none() && self.copy.as_ref().is_some_and(|copy| copy.is_leased)
    }

    pub(super) fn renews(&self) -> bool {
        let runs = self.copy.as_ref().is_some_and(|copy| copy.is_leased);
        let will = self.wanted().is_some() && self.terms().is_some();
        self.lease
            .as_ref()
            .is_some_and(|held| !held.goes_back && !held.is_lost && (runs || will))
    }

    /// Nothing runs under the lease, nothing will, and the federation should know.
    pub(super) fn gives_back(&self) -> bool {
        let Some(held) = self.lease.as_ref() else {
            return false;
        };
        let runs = self.copy.as_ref().is_some_and(|copy| copy.is_leased);
        let gave_up = self.gave_up.is_some() && held.fences();
        let is_asked = self.order.as_ref().is_some_and(|order| {
            order.gives_back && (order.program.is_none() || order.lease.is_none())
        });
        !runs && !held.is_lost && !held.went_back && (gave_up || is_asked || held.goes_back)
    }

    /// Why what runs was killed; none: it was not.
    pub(super) fn killed_because(&self) -> Option<&str> {
        self.copy.as_ref().and_then(Copy::killed_because)
    }

    fn copy_of(&mut self, start: u64) -> Option<&mut Copy> {
        self.copy.as_mut().filter(|copy| copy.start == start)
    }
}

fn epoch(order: &Order) -> Option<u64> {
    order.lease.as_ref().map(|terms| terms.epoch)
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
