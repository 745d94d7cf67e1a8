//! When the host's watchdog is fed, and when it is left to reset the host.
//!
//! Feeding it lets this host go on for the watchdog's time. So it is fed only where nothing runs under
//! a lease, or where the lease lasts for that time yet: a host that is never fed again is reset before
//! another one may write.

use std::time::Duration;

use crate::copy::Ending;
use crate::machine::Machine;

/// What the watchdog is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Vigil {
    /// After which time it resets the host; none: nobody knows yet how long the lease lasts.
    pub(crate) timeout_s: Option<u64>,
    /// Whether it is fed now.
    pub(crate) feeds: bool,
}

impl Machine {
    /// What the watchdog is to be at a moment; none: there is nothing that it is to guard.
    pub(crate) fn vigil(&self, now: Duration) -> Option<Vigil> {
        let held = self.ruling()?;
        if !held.terms().watchdog || !held.fences() {
            return None;
        }
        // Half of the lease: a guard that merely waits for its turn is forgiven.
        let timeout_s = held.ttl().map(|ttl| (ttl / 2).as_secs().max(1));
        let Some(copy) = self.copy.as_ref().filter(|copy| copy.is_leased) else {
            // Nothing ever runs under it again.
            if held.went_back || held.is_lost {
                return None;
            }
            let feeds = true;
            return Some(Vigil { timeout_s, feeds });
        };
        let is_overdue = match &copy.ending {
            Some(Ending::Killed { at, .. }) => now >= at.saturating_add(held.budget() / 2),
            Some(Ending::Asked { .. }) | None => false,
        };
        let lasts = timeout_s.is_some_and(|time| held.lasts(now, Duration::from_secs(time)));
        Some(Vigil {
            timeout_s,
            feeds: lasts && !is_overdue,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Command;
    use crate::order::{LeaseTerms, Order, Program, StopSignal};

    const TTL: Duration = Duration::from_secs(10);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn order(watchdog: bool, fences_itself: bool, gives_back: bool) -> Order {
        let program = Program {
            command: vec!["server".to_owned()],
            environment: Default::default(),
            folder: "/".into(),
            user_id: 1,
            group_id: 1,
            groups: Vec::new(),
            stop_signal: StopSignal::Interrupt,
            stop_max_ms: 4000,
            seal: "/run/seal/server".into(),
            log: "/log".into(),
        };
        Order {
            plan: "orders".parse().unwrap(),
            serial: 1,
            lease: (!gives_back).then_some(LeaseTerms {
                epoch: 7,
                check_interval_ms: 2000,
                stop_budget_ms: 3000,
                fences_itself,
                restart_max_ms: 5000,
                watchdog,
            }),
            program: (!gives_back).then_some(program),
            gives_back,
            service_address: None,
        }
    }

    /// A primary under a lease that was renewed at 100 s.
    fn leading() -> Machine {
        let mut machine = Machine::new(0);
        machine.order(order(true, true, false), ms(100_000));
        machine.step(ms(100_000));
        machine.answered(7, ms(100_000), TTL);
        machine.step(ms(100_000));
        machine.armed(1, Some(108_500));
        machine.running(1, 50, ms(100_000));
        machine
    }

    fn feeds(machine: &Machine, at_ms: u64) -> bool {
        machine.vigil(ms(at_ms)).unwrap().feeds
    }

    #[test]
    fn nobody_who_does_not_ask_for_it_gets_a_watchdog() {
        let mut machine = Machine::new(0);
        assert_eq!(machine.vigil(ms(1)), None);
        machine.order(order(false, true, false), ms(1));
        assert_eq!(machine.vigil(ms(1)), None);
        machine.order(order(true, false, false), ms(1));
        assert_eq!(machine.vigil(ms(1)), None);
    }

    #[test]
    fn a_host_on_which_nothing_runs_is_never_reset() {
        let mut machine = Machine::new(0);
        machine.order(order(true, true, false), ms(100_000));
        let vigil = Vigil {
            timeout_s: None,
            feeds: true,
        };
        assert_eq!(machine.vigil(ms(900_000)), Some(vigil));
    }

    #[test]
    fn what_is_fed_last_resets_the_host_before_the_lease_ends() {
        let machine = leading();
        let vigil = machine.vigil(ms(105_000)).unwrap();
        assert_eq!((vigil.timeout_s, vigil.feeds), (Some(5), true));
        assert!(!feeds(&machine, 105_001));
    }

    #[test]
    fn a_renewal_feeds_again_and_so_does_the_end_of_what_runs() {
        let mut machine = leading();
        machine.answered(7, ms(106_000), TTL);
        assert!(feeds(&machine, 111_000) && !feeds(&machine, 111_001));
        assert!(machine.step(ms(113_000)).contains(&Command::Kill));
        assert!(!feeds(&machine, 113_100));
        machine.ended(1, "it was killed", ms(113_100));
        assert!(feeds(&machine, 113_100));
    }

    #[test]
    fn what_was_killed_and_does_not_die_in_half_a_budget_is_left_to_the_watchdog() {
        let mut machine = leading();
        machine.lost(7);
        assert!(machine.step(ms(101_000)).contains(&Command::Kill));
        assert!(feeds(&machine, 102_499));
        assert!(!feeds(&machine, 102_500));
    }

    #[test]
    fn after_a_jump_of_the_clock_nobody_knows_how_long_the_lease_lasts() {
        let mut machine = leading();
        machine.jumped(ms(101_000));
        assert!(!feeds(&machine, 101_000));
    }

    #[test]
    fn once_the_lease_goes_back_the_watchdog_is_left() {
        let mut machine = leading();
        machine.order(order(true, true, true), ms(101_000));
        machine.step(ms(101_000));
        assert!(feeds(&machine, 101_000));
        machine.ended(1, "it stopped", ms(101_100));
        machine.step(ms(101_100));
        machine.went_back(7);
        assert_eq!(machine.vigil(ms(101_200)), None);
    }
}
