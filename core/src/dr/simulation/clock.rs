//! A machine's own clock.

use std::time::Duration;

use super::host::TICK;
use super::random::Random;

/// By how many thousandths a clock is fast or slow at most: two are never further apart than leases
/// allow for.
const DRIFT_MAX: i64 = 4;
/// How long machines have been up when the simulation begins.
const UP_FOR: Duration = Duration::from_secs(1000);

/// A clock that never goes back. It stands still with its machine, and runs on while processes do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    now: Duration,
    /// How many thousandths it is fast.
    drift: i64,
}

impl Clock {
    /// One that is right.
    pub(super) fn exact() -> Self {
        Self {
            now: UP_FOR,
            drift: 0,
        }
    }

    pub(super) fn drifting(random: &mut Random) -> Self {
        let bound = u64::try_from(2 * DRIFT_MAX + 1).unwrap();
        let drift = i64::try_from(random.below(bound)).unwrap() - DRIFT_MAX;
        Self {
            drift,
            ..Self::exact()
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.now
    }

    /// One tick of real time goes by.
    pub(super) fn pass(&mut self) {
        let micros = i64::try_from(TICK.as_micros()).unwrap();
        let passed = micros + micros * self.drift / 1000;
        self.now += Duration::from_micros(passed.unsigned_abs());
    }
}

#[test]
fn two_clocks_are_never_further_apart_than_leases_allow_for() {
    let ttl = Duration::from_secs(1000);
    let slowest = ttl * 1000 / u32::try_from(1000 - DRIFT_MAX).unwrap();
    let fastest = crate::lease::ends_after(ttl) * 1000 / u32::try_from(1000 + DRIFT_MAX).unwrap();
    assert!(slowest < fastest);
}
