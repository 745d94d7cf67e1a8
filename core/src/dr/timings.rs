//! How long a failover takes, by arithmetic alone: predicted before it is needed, and refused where
//! a promotion could come before the fence.
//!
//! The primary renews its lease every `check_interval`. Its guard counts from before it asked, and
//! begins to stop the workload `stop_budget` before the end. The leader counts from its answer, and
//! for longer by what clocks may drift apart, so no promotion comes before the end.

mod prediction;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::duration::Span;
use crate::finding::{Finding, Path};
use crate::lease::{self, TTL_MAX, TTL_MIN};
use crate::object::words;

pub(super) use prediction::ELECTION;
pub use prediction::{Failure, Others, Prediction};

/// The shortest time in which a guard can end all processes of a workload for sure.
const STOP_BUDGET_MIN: Duration = Duration::from_millis(500);
/// The shortest time between two renewals.
const CHECK_INTERVAL_MIN: Duration = Duration::from_millis(200);

words! {
    /// Timings that fit together.
    Preset {
        /// Within a LAN.
        Fast = "fast",
        /// Between sites.
        Standard = "standard",
        /// Over links that are slow or often away for a moment.
        Wide = "wide",
    }
}

/// How a plan's primary is watched and fenced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timings {
    /// How often the primary renews its lease, and how often copies report.
    pub check_interval: Span,
    /// How many renewals in a row must lack before the primary counts as dead.
    pub failure_threshold: u32,
    /// How long the lease lasts without being renewed.
    pub lease_ttl: Span,
    /// How long before the end of the lease the guard begins to stop the workload.
    pub stop_budget: Span,
    /// How long a promotion may take before another standby is tried.
    pub promotion_timeout: Span,
}

impl Preset {
    /// Its timings.
    #[must_use]
    pub fn timings(self) -> Timings {
        let (check_ms, lease_ms, stop_ms, promotion_s) = match self {
            Self::Fast => (500, 2400, 700, 30),
            Self::Standard => (2000, 10_000, 3000, 60),
            Self::Wide => (5000, 30_000, 8000, 120),
        };
        Timings {
            check_interval: milliseconds(check_ms),
            failure_threshold: 3,
            lease_ttl: milliseconds(lease_ms),
            stop_budget: milliseconds(stop_ms),
            promotion_timeout: Span::from_secs(promotion_s),
        }
    }
}

impl Timings {
    /// Without a renewal for so long, the primary counts as dead, as far as renewals tell.
    #[must_use]
    pub fn silence_max(&self) -> Duration {
        self.check_interval
            .value()
            .saturating_mul(self.failure_threshold)
    }

    /// Whoever was heard of no longer ago than this is certainly there: one report may lack.
    #[must_use]
    pub fn lately(&self) -> Duration {
        self.check_interval.value().saturating_mul(2)
    }

    /// After so long without an answer the guard begins to stop the workload.
    #[must_use]
    pub fn stops_after(&self) -> Duration {
        let ttl = self.lease_ttl.value();
        ttl.saturating_sub(self.stop_budget.value())
    }

    /// What is wrong with them, each by its attribute below `path`. `is_automatic`: nobody looks
    /// before a standby is promoted.
    pub fn check(&self, path: &Path, is_automatic: bool, findings: &mut Vec<Finding>) {
        let mut refuse = |attribute: &str, summary: &str, detail: String| {
            findings.push(Finding::error(
                path.clone().attribute(attribute),
                summary,
                detail,
            ));
        };
        let (check, ttl) = (self.check_interval.value(), self.lease_ttl.value());
        let (stop, silence) = (self.stop_budget.value(), self.silence_max());
        if check < CHECK_INTERVAL_MIN {
            refuse(
                "check_interval",
                "Too short",
                format!("The primary can't renew more often than every {CHECK_INTERVAL_MIN:?}."),
            );
        }
        if self.failure_threshold == 0 {
            refuse(
                "failure_threshold",
                "Never alive",
                "With 0 a primary would be dead before its first renewal. Write 2 or more.".into(),
            );
        }
        if !(TTL_MIN..=TTL_MAX).contains(&ttl) {
            refuse(
                "lease_ttl",
                "Invalid time",
                format!("A lease lasts from {TTL_MIN:?} to {TTL_MAX:?}."),
            );
        }
        if stop < STOP_BUDGET_MIN || stop >= ttl {
            refuse(
                "stop_budget",
                "A promotion could come before the fence",
                format!(
                    "The guard must end the workload within the last part of the lease: write from \
                     {STOP_BUDGET_MIN:?} to less than lease_ttl, which is {ttl:?}."
                ),
            );
        } else if self.stops_after() <= check.saturating_mul(2) {
            refuse(
                "lease_ttl",
                "The primary would stop itself",
                format!(
                    "The guard stops the workload {:?} after the last renewal that was answered \
                     (lease_ttl - stop_budget), and renews every {check:?}: one lost answer would \
                     be enough. Make lease_ttl more than stop_budget + 2 × check_interval.",
                    self.stops_after()
                ),
            );
        } else if is_automatic && silence > lease::ends_after(ttl) {
            findings.push(Finding::warning(
                path.clone().attribute("failure_threshold"),
                "The primary stops long before it counts as dead",
                format!(
                    "It stops itself {:?} after its last renewal, and counts as dead only after \
                     {silence:?} (failure_threshold × check_interval): nobody serves in between. \
                     Make lease_ttl longer, or failure_threshold smaller.",
                    self.stops_after()
                ),
            ));
        }
    }
}

fn milliseconds(milliseconds: u64) -> Span {
    if milliseconds.is_multiple_of(1000) {
        return Span::from_secs(milliseconds / 1000);
    }
    Span::from_milliseconds(milliseconds)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn findings(change: impl FnOnce(&mut Timings)) -> Vec<(bool, String)> {
        let mut timings = Preset::Standard.timings();
        change(&mut timings);
        let mut found = Vec::new();
        timings.check(&Path::of("timings"), true, &mut found);
        found
            .into_iter()
            .map(|finding| (finding.is_error(), finding.path.to_string()))
            .collect()
    }

    #[test]
    fn every_preset_is_sound() {
        for preset in [Preset::Fast, Preset::Standard, Preset::Wide] {
            let mut found = Vec::new();
            preset.timings().check(&Path::root(), true, &mut found);
            assert_eq!(found, [], "{preset}");
        }
    }

    #[test]
    fn timings_that_could_promote_before_the_fence_are_refused() {
        let stop = findings(|timings| timings.stop_budget = Span::from_secs(10));
        assert_eq!(stop, [(true, "timings.stop_budget".to_owned())]);
        let stop = findings(|timings| timings.stop_budget = "100ms".parse().unwrap());
        assert_eq!(stop, [(true, "timings.stop_budget".to_owned())]);
    }

    #[test]
    fn timings_by_which_a_primary_would_stop_itself_are_refused() {
        let short = findings(|timings| timings.lease_ttl = Span::from_secs(7));
        assert_eq!(short, [(true, "timings.lease_ttl".to_owned())]);
        let none = findings(|timings| timings.failure_threshold = 0);
        assert_eq!(none, [(true, "timings.failure_threshold".to_owned())]);
        let late = findings(|timings| timings.failure_threshold = 6);
        assert_eq!(late, [(false, "timings.failure_threshold".to_owned())]);
    }

    proptest! {
        #[test]
        fn what_is_accepted_never_lets_a_promotion_come_before_the_fence(
            check_ms in 0_u64..20_000,
            failure_threshold in 0_u32..10,
            lease_ms in 0_u64..100_000,
            stop_ms in 0_u64..100_000,
        ) {
            let timings = Timings {
                check_interval: milliseconds(check_ms),
                failure_threshold,
                lease_ttl: milliseconds(lease_ms),
                stop_budget: milliseconds(stop_ms),
                promotion_timeout: Span::from_secs(60),
            };
            let mut found = Vec::new();
            timings.check(&Path::root(), true, &mut found);
            if !found.iter().any(Finding::is_error) {
                // The holder's clock may be slower than the leader's by the drift that is allowed.
                let stopped_by = timings.stops_after() + timings.stop_budget.value();
                prop_assert!(stopped_by < lease::ends_after(timings.lease_ttl.value()));
                let fenced = timings.predict(Failure::Host, Others::default());
                prop_assert!(fenced.detection + fenced.fencing >= stopped_by);
                // Two renewals fit before it stops itself.
                prop_assert!(timings.check_interval.value() * 2 < timings.stops_after());
            }
        }
    }
}
