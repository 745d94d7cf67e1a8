//! What a guard does at a moment: renew the lease of its primary, and end the workload in time.
//!
//! Everything is counted from *before* a renewal was sent, by a clock that runs on while the machine
//! sleeps (`CLOCK_BOOTTIME`). A guard that begins anew, after a boot too, holds nothing before its first
//! answer. A jump of the wall clock against that one: the clock was set or the machine slept, and nobody can
//! tell for how long, so the lease counts as ended at once.
//!
//! What stops all clocks of a machine is not noticed here: an emulator that pauses it, a snapshot that is
//! gone back to. `sync` and a fence from outside are what holds then.

use std::time::Duration;

/// A wall clock that moves by more than that against the clock since boot was set, or the machine
/// was paused.
pub const JUMP_MAX: Duration = Duration::from_secs(1);

/// What is not answered in so small a part of the interval is asked again.
const RETRY_SHARE: u32 = 4;

/// A plan's lease as its guard holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    epoch: u64,
    terms: GuardTerms,
    /// By what it goes from the next answer on: what was answered was for the terms before.
    next_terms: Option<GuardTerms>,
    /// Until when it holds, counted from before the last renewal that was answered was sent.
    ends: Option<Duration>,
    /// When the next renewal is due.
    next: Duration,
    is_lost: bool,
}

/// By what a guard goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuardTerms {
    /// How often it renews.
    pub check_interval: Duration,
    /// How long before the end it begins to stop the workload.
    pub stop_budget: Duration,
    /// Whether it stops the workload at all.
    pub fences_itself: bool,
}

/// What a guard is to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuardStep {
    /// Nothing before this moment.
    Rest {
        /// When to look again.
        until: Duration,
    },
    /// Ask for the lease to be renewed, and let the workload run.
    Renew,
    /// Ask for the lease to be renewed; the workload must not run.
    RenewStopped,
    /// End the workload's whole control group, now.
    Stop,
}

impl Guard {
    /// Holds nothing yet: the workload must not run.
    #[must_use]
    pub fn new(epoch: u64, terms: GuardTerms, now: Duration) -> Self {
        Self {
            epoch,
            terms,
            next_terms: None,
            ends: None,
            next: now,
            is_lost: false,
        }
    }

    /// Which lease.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Goes by other terms: from the next answer on, if there was one already. A lease that is to end
    /// nothing any more ends nothing at once.
    pub fn set_terms(&mut self, terms: GuardTerms) {
        match self.ends {
            Some(_) if terms.fences_itself && terms != self.terms => self.next_terms = Some(terms),
            Some(_) | None => (self.terms, self.next_terms) = (terms, None),
        }
    }

    /// Whether the workload may run, and may be started.
    #[must_use]
    pub fn may_run(&self, now: Duration) -> bool {
        if self.is_lost {
            return false;
        }
        match self.ends {
            // Nothing was ever answered: it may be somebody else's.
            None => false,
            Some(_) if !self.terms.fences_itself => true,
            Some(ends) => now < ends.saturating_sub(self.terms.stop_budget),
        }
    }

    /// What to do now. `runs`: something of the workload runs.
    #[must_use]
    pub fn step(&self, now: Duration, runs: bool) -> GuardStep {
        if runs && !self.may_run(now) {
            return GuardStep::Stop;
        }
        let is_due = now >= self.next;
        match (self.is_lost, is_due, runs) {
            (true, _, _) => GuardStep::Rest {
                until: Duration::MAX,
            },
            (false, true, true) => GuardStep::Renew,
            (false, true, false) => GuardStep::RenewStopped,
            (false, false, _) => GuardStep::Rest {
                until: match self.ends {
                    Some(ends) if runs && self.terms.fences_itself => {
                        self.next.min(ends.saturating_sub(self.terms.stop_budget))
                    }
                    Some(_) | None => self.next,
                },
            },
        }
    }

    /// A renewal is being sent. It is sent again soon if nobody answers.
    pub fn asked(&mut self, now: Duration) {
        self.next = now.saturating_add(self.terms.check_interval / RETRY_SHARE);
    }

    /// A renewal that was sent at a moment was answered: the lease lasts so long from then.
    pub fn answered(&mut self, sent: Duration, ttl: Duration) {
        if !self.is_lost {
            self.terms = self.next_terms.take().unwrap_or(self.terms);
            self.next = self
                .next
                .max(sent.saturating_add(self.terms.check_interval));
            let ends = sent.saturating_add(ttl);
            self.ends = Some(self.ends.map_or(ends, |known| known.max(ends)));
        }
    }

    /// The lease is another's.
    pub fn lost(&mut self) {
        self.is_lost = true;
    }

    /// Nobody can tell how long this machine stood still: whatever was answered counts no more.
    pub fn jumped(&mut self) {
        self.ends = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(10);
    const TERMS: GuardTerms = GuardTerms {
        check_interval: Duration::from_secs(2),
        stop_budget: Duration::from_secs(3),
        fences_itself: true,
    };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn holding(terms: GuardTerms) -> Guard {
        let mut guard = Guard::new(7, terms, seconds(100));
        guard.asked(seconds(100));
        guard.answered(seconds(100), TTL);
        guard
    }

    #[test]
    fn nothing_runs_before_the_first_answer() {
        let guard = Guard::new(7, TERMS, seconds(100));
        assert!(!guard.may_run(seconds(100)));
        assert_eq!(guard.step(seconds(100), true), GuardStep::Stop);
        assert_eq!(guard.step(seconds(100), false), GuardStep::RenewStopped);
    }

    #[test]
    fn the_workload_is_stopped_a_budget_before_the_end_counted_from_before_the_question() {
        let guard = holding(TERMS);
        assert!(guard.may_run(Duration::from_millis(106_999)));
        assert_eq!(guard.step(seconds(107), true), GuardStep::Stop);
        let until = seconds(102);
        assert_eq!(guard.step(seconds(101), true), GuardStep::Rest { until });
        assert_eq!(guard.step(seconds(103), true), GuardStep::Renew);
    }

    #[test]
    fn other_terms_count_from_the_next_answer_on() {
        let mut guard = holding(TERMS);
        let longer = GuardTerms {
            stop_budget: seconds(9),
            ..TERMS
        };
        guard.set_terms(longer);
        assert!(guard.may_run(Duration::from_millis(106_999)));
        guard.answered(seconds(102), seconds(30));
        assert!(guard.may_run(Duration::from_millis(122_999)));
        assert!(!guard.may_run(seconds(123)));
    }

    #[test]
    fn an_answer_that_comes_late_lengthens_nothing_beyond_its_question() {
        let mut guard = holding(TERMS);
        guard.asked(seconds(102));
        guard.answered(seconds(102), TTL);
        guard.answered(seconds(101), TTL);
        assert!(guard.may_run(seconds(108)));
        assert!(!guard.may_run(seconds(109)));
    }

    #[test]
    fn after_a_jump_nothing_runs_until_another_answer() {
        let mut guard = holding(TERMS);
        guard.jumped();
        assert_eq!(guard.step(seconds(101), true), GuardStep::Stop);
        guard.answered(seconds(101), TTL);
        assert!(guard.may_run(seconds(101)));
    }

    #[test]
    fn what_was_lost_is_never_held_again() {
        let mut guard = holding(TERMS);
        guard.lost();
        guard.answered(seconds(101), TTL);
        assert_eq!(guard.step(seconds(101), true), GuardStep::Stop);
        let until = Duration::MAX;
        assert_eq!(guard.step(seconds(101), false), GuardStep::Rest { until });
    }

    #[test]
    fn a_guard_that_fences_nothing_lets_the_workload_run_on_without_the_federation() {
        let guard = holding(GuardTerms {
            fences_itself: false,
            ..TERMS
        });
        assert!(guard.may_run(seconds(100_000)));
        assert_eq!(guard.step(seconds(100_000), true), GuardStep::Renew);
    }
}
