//! How long to wait before trying again: at random up to a bound that doubles, so that many who
//! lost the same voter at the same moment don't come back at the same moment.

use std::time::Duration;

use rand::Rng as _;

/// The first bound. After a voter's restart its followers are spread over as much.
const BOUND_FIRST: Duration = Duration::from_secs(1);
/// The last bound.
const BOUND_MAX: Duration = Duration::from_secs(15);
/// Never less, whatever chance says: no error makes a busy loop.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// What lasted so long was a success.
const STABLE: Duration = Duration::from_secs(20);

/// The pauses between attempts.
#[derive(Debug)]
pub(super) struct Pace {
    bound: Duration,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { bound: BOUND_FIRST }
    }

    /// What ended was no failure: the next pause is a first one.
    pub(super) fn begin_anew(&mut self) {
        self.bound = BOUND_FIRST;
    }

    /// The pause after an attempt that lasted so long.
    pub(super) fn after(&mut self, lasted: Duration) -> Duration {
        if lasted >= STABLE {
            self.begin_anew();
        }
        let pause = self.bound.mul_f64(rand::rng().random_range(0.0..1.0));
        self.bound = (self.bound * 2).min(BOUND_MAX);
        pause.max(PAUSE_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_within_bounds_and_begin_anew_after_a_success() {
        let mut pace = Pace::new();
        for _ in 0..100 {
            assert!((PAUSE_MIN..=BOUND_MAX).contains(&pace.after(Duration::ZERO)));
        }
        assert_eq!(pace.bound, BOUND_MAX);
        assert!(pace.after(STABLE) <= BOUND_FIRST);
        assert_eq!(pace.bound, BOUND_FIRST * 2);
        pace.begin_anew();
        assert!(pace.after(Duration::ZERO) <= BOUND_FIRST);
    }

    #[test]
    fn many_who_fail_together_come_back_apart() {
        let pauses: Vec<Duration> = (0..200)
            .map(|_| Pace::new().after(Duration::ZERO))
            .collect();
        let quarter = |number: u32| {
            let within = BOUND_FIRST * number / 4..BOUND_FIRST * (number + 1) / 4;
            let pauses = pauses.iter().filter(|pause| within.contains(*pause));
            pauses.count()
        };
        assert!((0..4).all(|number| quarter(number) > 10));
    }
}
