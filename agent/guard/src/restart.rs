//! When a server that ended by itself is started again.
//!
//! Under a lease whose end fences, once: after that another site is the better place. Anywhere else
//! nobody takes over, so it is started again for ever, ever more slowly.

use std::time::Duration;

/// Who ran so long has earned another restart.
const RAN_WELL: Duration = Duration::from_secs(600);
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What is remembered of ends.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    /// The one restart was given.
    given: bool,
    pause: Option<Duration>,
}

/// What comes after an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// It is started again after so long, and has to show that it works.
    Again {
        /// How long.
        pause: Duration,
    },
    /// It is not.
    Enough,
}

impl Restarts {
    /// A server ended by itself after so long.
    pub(crate) fn ended(&mut self, ran: Duration, fences: bool) -> Next {
        if ran >= RAN_WELL {
            *self = Self::default();
        }
        if fences {
            if self.given {
                return Next::Enough;
            }
            self.given = true;
            return Next::Again {
                pause: Duration::ZERO,
            };
        }
        let pause = self.pause.unwrap_or_default();
        self.pause = Some((pause * 2).clamp(PAUSE_FIRST, PAUSE_MAX));
        Next::Again { pause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_primary_is_started_again_once_and_once_more_after_it_ran_well() {
        let mut restarts = Restarts::default();
        let again = Next::Again {
            pause: Duration::ZERO,
        };
        assert_eq!(restarts.ended(seconds(5), true), again);
        assert_eq!(restarts.ended(seconds(600), true), again);
        assert_eq!(restarts.ended(seconds(599), true), Next::Enough);
    }

    #[test]
    fn a_standby_is_started_again_for_ever_and_ever_more_slowly() {
        let mut restarts = Restarts::default();
        let pauses: Vec<_> = (0..8)
            .map(|_| match restarts.ended(seconds(1), false) {
                Next::Again { pause } => pause.as_secs(),
                Next::Enough => panic!("a standby is never given up"),
            })
            .collect();
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 30, 30]);
    }
}
