//! The two clocks of a guard, and how it notices that somebody paused the machine.

use std::time::Duration;

use hanse_core::dr::guard::JUMP_MAX;
use rustix::time::{ClockId, clock_gettime};

/// Both were read in the same moment if no more than this went by meanwhile.
const MOMENT: Duration = Duration::from_millis(100);

/// What tells a guard the time.
pub trait Clock: Send + Sync {
    /// Since boot; it runs on while the machine sleeps. The kernel's timers go by it, so nothing but
    /// `CLOCK_BOOTTIME` will do.
    fn boot(&self) -> Duration;

    /// Since 1970, as far as the machine knows.
    fn wall(&self) -> Duration;
}

/// The kernel's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn boot(&self) -> Duration {
        read(ClockId::Boottime)
    }

    fn wall(&self) -> Duration {
        read(ClockId::Realtime)
    }
}

/// Compares the clocks with what they were before.
#[derive(Debug, Default)]
pub(crate) struct Jumps {
    offset_ns: Option<i128>,
}

impl Jumps {
    /// Whether the clocks moved against one another since the last time.
    pub(crate) fn seen(&mut self, clock: &dyn Clock) -> bool {
        let offset = loop {
            let before = clock.boot();
            let wall = clock.wall();
            if clock.boot().saturating_sub(before) < MOMENT {
                break nanoseconds(wall) - nanoseconds(before);
            }
        };
        // Compared with the last, not with the first: a clock that is slowly put right is no jump.
        let known = self.offset_ns.replace(offset);
        known.is_some_and(|known| known.abs_diff(offset) > JUMP_MAX.as_nanos())
    }
}

fn read(id: ClockId) -> Duration {
    let time = clock_gettime(id);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

fn nanoseconds(time: Duration) -> i128 {
    i128::try_from(time.as_nanos()).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Set {
        boot: u64,
        wall: u64,
    }

    impl Clock for Set {
        fn boot(&self) -> Duration {
            Duration::from_millis(self.boot)
        }

        fn wall(&self) -> Duration {
            Duration::from_millis(self.wall)
        }
    }

    #[test]
    fn a_wall_clock_that_moves_either_way_is_a_jump_once() {
        let mut jumps = Jumps::default();
        assert!(!jumps.seen(&Set {
            boot: 0,
            wall: 9000
        }));
        assert!(!jumps.seen(&Set {
            boot: 5000,
            wall: 14_900
        }));
        assert!(jumps.seen(&Set {
            boot: 5001,
            wall: 16_902
        }));
        assert!(!jumps.seen(&Set {
            boot: 5002,
            wall: 16_903
        }));
        assert!(jumps.seen(&Set {
            boot: 5003,
            wall: 10
        }));
    }

    #[test]
    fn a_clock_that_is_slowly_put_right_is_no_jump() {
        let mut jumps = Jumps::default();
        for second in 0..100 {
            let boot = second * 1000;
            assert!(!jumps.seen(&Set {
                boot,
                wall: boot + second * 900
            }));
        }
    }
}
