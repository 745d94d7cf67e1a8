//! A lease as the guard holds it: what `hanse_core` decides of it, and when the kernel has to act.

use std::time::Duration;

use hanse_core::dr::guard::{Guard, GuardStep, GuardTerms};

use crate::order::LeaseTerms;
use crate::store::Back;

/// No lease is renewed more often, whatever an order says.
const INTERVAL_MIN: Duration = Duration::from_millis(50);

/// For a plan that is no more it is asked several times in each of these.
const ORPHAN_INTERVAL: Duration = Duration::from_secs(20);

/// A renewal is waited for no longer than that, and no longer than the lease lasts. Until then each answer
/// counts, however slow the voters are: whoever gave them up sooner would never be answered.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// A lease, and what became of it.
#[derive(Debug)]
pub(crate) struct Held {
    guard: Guard,
    terms: LeaseTerms,
    ends: Option<Duration>,
    /// How long it lasted when it was renewed last.
    ttl: Option<Duration>,
    /// What was asked before this moment counts no more.
    counts_from: Duration,
    pub(crate) is_lost: bool,
    /// Its plan is not declared any more: whatever becomes of it ends nothing.
    is_orphaned: bool,
    /// It goes back, or went: nothing runs under it ever again.
    pub(crate) goes_back: bool,
    /// The federation knows that it went back.
    pub(crate) went_back: bool,
}

impl Held {
    pub(crate) fn new(terms: LeaseTerms, now: Duration) -> Self {
        Self {
            guard: Guard::new(terms.epoch, guard_terms(&terms), now),
            terms,
            ends: None,
            ttl: None,
            counts_from: Duration::ZERO,
            is_lost: false,
            is_orphaned: false,
            goes_back: false,
            went_back: false,
        }
    }

    /// It goes back, as an earlier guard noted.
    pub(crate) fn goes_back(mut self, back: Back) -> Self {
        if self.epoch() == back.epoch {
            (self.goes_back, self.went_back) = (true, back.is_known);
        }
        self
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.terms.epoch
    }

    pub(crate) fn terms(&self) -> &LeaseTerms {
        &self.terms
    }

    pub(crate) fn set_terms(&mut self, terms: LeaseTerms) {
        self.terms = terms;
        self.guard.set_terms(self.guard_terms());
    }

    /// Whether its end ends what runs under it.
    pub(crate) fn fences(&self) -> bool {
        self.terms.fences_itself && !self.is_orphaned
    }

    pub(crate) fn may_run(&self, now: Duration) -> bool {
        !self.goes_back && self.guard.may_run(now)
    }

    /// Until when what runs under it may: the guard ends it then.
    pub(crate) fn stops_at(&self) -> Option<Duration> {
        self.before_the_end(self.budget())
    }

    /// When the kernel ends what the guard has not ended by then. The rest of the budget is for the
    /// kernel's own work.
    pub(crate) fn kernel_stops_at(&self) -> Option<Duration> {
        self.before_the_end(self.budget() / 2)
    }

    /// How long it lasts; none: it was never renewed.
    pub(crate) fn ttl(&self) -> Option<Duration> {
        self.ttl
    }

    /// How long a renewal is waited for.
    pub(crate) fn answer_max(&self) -> Duration {
        self.ttl.map_or(ANSWER_MAX, |ttl| ttl.min(ANSWER_MAX))
    }

    /// Whether it lasts for so long yet.
    pub(crate) fn lasts(&self, now: Duration, time: Duration) -> bool {
        self.ends
            .is_some_and(|ends| now.saturating_add(time) <= ends)
    }

    pub(crate) fn step(&self, now: Duration, runs: bool) -> GuardStep {
        self.guard.step(now, runs)
    }

    pub(crate) fn asked(&mut self, now: Duration) {
        self.guard.asked(now);
    }

    /// A renewal was answered; false if it doesn't count.
    pub(crate) fn answered(&mut self, sent: Duration, ttl: Duration) -> bool {
        if self.is_lost || sent < self.counts_from {
            return false;
        }
        self.guard.answered(sent, ttl);
        self.ttl = Some(ttl);
        let ends = sent.saturating_add(ttl);
        self.ends = Some(self.ends.map_or(ends, |known| known.max(ends)));
        true
    }

    /// Nobody takes over for a plan that is no more, so nothing is lost to anybody.
    pub(crate) fn lost(&mut self) {
        if !self.is_orphaned {
            self.guard.lost();
            self.is_lost = true;
        }
    }

    /// Its plan is not declared any more; true if that is news.
    pub(crate) fn orphaned(&mut self) -> bool {
        if self.is_lost || self.is_orphaned {
            return false;
        }
        self.is_orphaned = true;
        self.guard.set_terms(self.guard_terms());
        true
    }

    /// Nobody can tell how long the machine stood still.
    pub(crate) fn jumped(&mut self, now: Duration) {
        // Its end ends nothing, so no moment of it matters.
        if self.fences() {
            self.guard.jumped();
            self.ends = None;
            self.counts_from = now;
        }
    }

    pub(crate) fn budget(&self) -> Duration {
        Duration::from_millis(self.terms.stop_budget_ms)
    }

    fn before_the_end(&self, budget: Duration) -> Option<Duration> {
        self.ends
            .filter(|_| self.fences())
            .map(|ends| ends.saturating_sub(budget))
    }

    fn guard_terms(&self) -> GuardTerms {
        let terms = guard_terms(&self.terms);
        match self.is_orphaned {
            false => terms,
            true => GuardTerms {
                check_interval: ORPHAN_INTERVAL,
                fences_itself: false,
                ..terms
            },
        }
    }
}

fn guard_terms(terms: &LeaseTerms) -> GuardTerms {
    GuardTerms {
        check_interval: Duration::from_millis(terms.check_interval_ms).max(INTERVAL_MIN),
        stop_budget: Duration::from_millis(terms.stop_budget_ms),
        fences_itself: terms.fences_itself,
    }
}
