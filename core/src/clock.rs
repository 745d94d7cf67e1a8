//! What time it is for the federation: arithmetic on clocks that others read.
//!
//! A wall clock can be set to anything by anybody; the time since boot only goes on. So a moment
//! once known is carried on by the time since boot, and the wall clock is followed only as far as
//! it does not jump. Voters go by the median of theirs. Nothing here reads a clock.

use serde::{Deserialize, Serialize};

/// A wall clock that goes on by up to this much more or less than the time since boot is being
/// corrected; beyond it, it was set.
const SLEW_SHARE: u64 = 10;
const SLEW_MIN_MS: u64 = 50;
const SLEW_MAX_MS: u64 = 2_000;
/// How far two clocks may drift apart while nobody looks, in parts of the time, and always.
const DRIFT_SHARE: u64 = 2_000;
const DRIFT_MIN_MS: u64 = 2_000;
/// A sample that took longer, or is older, says too little.
const ROUND_TRIP_MAX_MS: u64 = 10_000;
const SAMPLE_AGE_MAX_MS: u64 = 600_000;

/// A moment that was known, and what the time since boot was at that moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The moment, in milliseconds since 1970.
    pub unix_ms: u64,
    /// The time since boot, in milliseconds.
    pub boot_ms: u64,
    /// Which boot; empty: it is not known.
    pub boot_id: String,
}

/// What is known of the time, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// It is this moment.
    Now(u64),
    /// It is this moment or a later one: the machine started since.
    AtLeast(u64),
}

/// A clock that goes on by the time since boot and follows the wall clock only where that is being
/// corrected, never where it was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SteadyClock {
    unix_ms: u64,
    boot_ms: u64,
    /// How far the wall clock is ahead.
    wall_ahead_ms: i64,
}

/// What another voter's clock said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Its own steady clock when it answered, in milliseconds since 1970.
    pub unix_ms: u64,
    /// This machine's time since boot when the answer came.
    pub boot_ms: u64,
    /// How long question and answer took together.
    pub round_trip_ms: u64,
}

/// What voters agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreement {
    /// The moment, in milliseconds since 1970.
    pub unix_ms: u64,
    /// Whether a majority was heard; else it is carried on or this voter's own.
    pub is_majority: bool,
}

impl Mark {
    /// What the mark says later, in the same boot or another one.
    #[must_use]
    pub fn read(&self, boot_id: &str, boot_ms: u64) -> Reading {
        let since_ms = boot_ms.checked_sub(self.boot_ms);
        let is_known = !self.boot_id.is_empty() && !boot_id.is_empty();
        match since_ms {
            Some(since_ms) if !is_known => Reading::AtLeast(self.unix_ms.saturating_add(since_ms)),
            Some(since_ms) if self.boot_id == boot_id => {
                Reading::Now(self.unix_ms.saturating_add(since_ms))
            }
            // The boot began after the mark was made.
            _ => Reading::AtLeast(self.unix_ms.saturating_add(boot_ms)),
        }
    }
}

impl Reading {
    /// The earliest moment that it can be.
    #[must_use]
    pub fn earliest_ms(self) -> u64 {
        match self {
            Self::Now(unix_ms) | Self::AtLeast(unix_ms) => unix_ms,
        }
    }
}

impl SteadyClock {
    /// A clock that starts at what is known: where the machine has not started since, what the
    /// mark says, unless the wall clock agrees but for drift; else the wall clock, which can't be
    /// behind the mark.
    #[must_use]
    pub fn start(known: Option<(&Mark, &str)>, wall_ms: u64, boot_ms: u64) -> Self {
        let reading = known.map(|(mark, boot_id)| (mark.read(boot_id, boot_ms), mark.boot_ms));
        let unix_ms = match reading {
            None => wall_ms,
            Some((Reading::AtLeast(earliest_ms), _)) => wall_ms.max(earliest_ms),
            Some((Reading::Now(unix_ms), marked_ms)) => {
                let drift_ms = (boot_ms - marked_ms) / DRIFT_SHARE + DRIFT_MIN_MS;
                if wall_ms.abs_diff(unix_ms) <= drift_ms {
                    wall_ms
                } else {
                    unix_ms
                }
            }
        };
        Self {
            unix_ms,
            boot_ms,
            wall_ahead_ms: ahead(wall_ms, unix_ms),
        }
    }

    /// The moment at a time since boot.
    #[must_use]
    pub fn at(&self, boot_ms: u64) -> u64 {
        self.unix_ms
            .saturating_add(boot_ms.saturating_sub(self.boot_ms))
    }

    /// Looks at the wall clock: follows a correction, and only notes that it was set.
    pub fn look(&mut self, wall_ms: u64, boot_ms: u64) {
        let elapsed_ms = boot_ms.saturating_sub(self.boot_ms);
        let expected_ms = self.at(boot_ms).saturating_add_signed(self.wall_ahead_ms);
        let slew_ms = (elapsed_ms / SLEW_SHARE).clamp(SLEW_MIN_MS, SLEW_MAX_MS);
        let change_ms = ahead(wall_ms, expected_ms);
        self.unix_ms = self.at(boot_ms);
        self.boot_ms = boot_ms;
        if change_ms.unsigned_abs() <= slew_ms {
            self.unix_ms = self.unix_ms.saturating_add_signed(change_ms);
        } else {
            self.wall_ahead_ms = self.wall_ahead_ms.saturating_add(change_ms);
        }
    }

    /// It is known to be this late at least.
    pub fn raise(&mut self, earliest_ms: u64, boot_ms: u64) {
        let behind_ms = ahead(earliest_ms, self.at(boot_ms)).max(0);
        self.unix_ms = self.unix_ms.saturating_add_signed(behind_ms);
        self.wall_ahead_ms = self.wall_ahead_ms.saturating_sub(behind_ms);
    }

    /// How far the wall clock is ahead of this one, in milliseconds.
    #[must_use]
    pub fn wall_ahead_ms(&self) -> i64 {
        self.wall_ahead_ms
    }
}

/// The median of the voters' clocks at a time since boot; `carried_ms` is what they agreed on
/// before, carried on. Without a majority it stays with that.
#[must_use]
pub fn agree(
    own_ms: u64,
    samples: &[Sample],
    voters: usize,
    boot_ms: u64,
    carried_ms: Option<u64>,
) -> Agreement {
    let mut moments: Vec<u64> = samples
        .iter()
        .filter_map(|sample| sample.at(boot_ms))
        .collect();
    moments.push(own_ms);
    moments.sort_unstable();
    let is_majority = moments.len() > voters / 2;
    let upper = moments.len() / 2;
    let unix_ms = match carried_ms {
        Some(carried_ms) if !is_majority => carried_ms,
        None if !is_majority => own_ms,
        Some(_) | None if moments.len() % 2 == 1 => moments[upper],
        // Two in the middle: the one that goes on from what was agreed.
        Some(carried_ms) => {
            let (low, high) = (moments[upper - 1], moments[upper]);
            if high.abs_diff(carried_ms) < low.abs_diff(carried_ms) {
                high
            } else {
                low
            }
        }
        None => moments[upper - 1],
    };
    Agreement {
        unix_ms,
        is_majority,
    }
}

impl Sample {
    /// What that clock says at a later time since boot; none: it is too old or took too long.
    #[must_use]
    pub fn at(&self, boot_ms: u64) -> Option<u64> {
        let age_ms = boot_ms.checked_sub(self.boot_ms)?;
        let says_enough = age_ms <= SAMPLE_AGE_MAX_MS && self.round_trip_ms <= ROUND_TRIP_MAX_MS;
        // On average the answer was under way for half of the time.
        let under_way_ms = self.round_trip_ms / 2;
        says_enough.then(|| {
            self.unix_ms
                .saturating_add(under_way_ms)
                .saturating_add(age_ms)
        })
    }
}

/// How far one moment is ahead of another.
fn ahead(moment_ms: u64, other_ms: u64) -> i64 {
    i64::try_from(i128::from(moment_ms) - i128::from(other_ms)).unwrap_or(if moment_ms > other_ms {
        i64::MAX
    } else {
        i64::MIN
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY_MS: u64 = 24 * 3600 * 1000;
    const NOW_MS: u64 = 1_800_000_000_000;

    fn mark() -> Mark {
        Mark {
            unix_ms: NOW_MS,
            boot_ms: 5_000,
            boot_id: "one".into(),
        }
    }

    fn sample(unix_ms: u64) -> Sample {
        Sample {
            unix_ms,
            boot_ms: 0,
            round_trip_ms: 0,
        }
    }

    #[test]
    fn a_mark_tells_the_time_in_its_boot_and_a_bound_in_another() {
        assert_eq!(mark().read("one", 8_000), Reading::Now(NOW_MS + 3_000));
        for boot_ms in [1_000, 9_000] {
            let bound = Reading::AtLeast(NOW_MS + boot_ms);
            assert_eq!(mark().read("two", boot_ms), bound);
        }
    }

    /// A machine that runs for days and takes a token of today is not days ahead.
    #[test]
    fn a_mark_of_an_unknown_boot_counts_only_the_time_since_it_was_made() {
        let unknown = Mark {
            boot_id: String::new(),
            ..mark()
        };
        for (mark, boot_id) in [(unknown, "one"), (mark(), "")] {
            let same = Reading::AtLeast(NOW_MS + 4_000);
            assert_eq!(mark.read(boot_id, 9_000), same);
            let other = Reading::AtLeast(NOW_MS + 1_000);
            assert_eq!(mark.read(boot_id, 1_000), other);
        }
    }

    #[test]
    fn a_wall_clock_that_was_set_is_not_followed_and_one_that_is_corrected_is() {
        let mut clock = SteadyClock::start(None, NOW_MS, 0);
        clock.look(NOW_MS + 10_000 + 300, 10_000);
        assert_eq!(clock.at(10_000), NOW_MS + 10_300);
        clock.look(NOW_MS + 20_300 + DAY_MS, 20_000);
        assert_eq!(clock.at(21_000), NOW_MS + 21_300);
        assert_eq!(clock.wall_ahead_ms(), DAY_MS as i64);
        // It is still corrected, a day away.
        clock.look(NOW_MS + 30_300 + DAY_MS - 200, 30_000);
        assert_eq!(clock.at(30_000), NOW_MS + 30_100);
        clock.look(NOW_MS + 40_100, 40_000);
        assert_eq!(clock.wall_ahead_ms(), 0);
    }

    #[test]
    fn an_agent_that_starts_again_in_the_same_boot_goes_on_where_it_was() {
        for wall_ms in [NOW_MS - DAY_MS, NOW_MS + DAY_MS] {
            let clock = SteadyClock::start(Some((&mark(), "one")), wall_ms, 65_000);
            assert_eq!(clock.at(65_000), NOW_MS + 60_000);
            assert_eq!(clock.wall_ahead_ms(), ahead(wall_ms, NOW_MS + 60_000));
        }
        // What drift explains is the wall clock's to say: somebody corrects it.
        let clock = SteadyClock::start(Some((&mark(), "one")), NOW_MS + 61_000, 65_000);
        assert_eq!(clock.at(65_000), NOW_MS + 61_000);
    }

    #[test]
    fn after_a_restart_of_the_machine_time_never_goes_back() {
        let known = Some((&mark(), "two"));
        let behind = SteadyClock::start(known, NOW_MS - DAY_MS, 30_000);
        assert_eq!(behind.at(30_000), NOW_MS + 30_000);
        let later = SteadyClock::start(known, NOW_MS + DAY_MS, 30_000);
        assert_eq!(later.at(30_000), NOW_MS + DAY_MS);
    }

    #[test]
    fn what_is_committed_later_than_the_clock_raises_it() {
        let mut clock = SteadyClock::start(None, NOW_MS, 0);
        clock.raise(NOW_MS + DAY_MS, 1_000);
        assert_eq!(clock.at(2_000), NOW_MS + DAY_MS + 1_000);
        clock.raise(NOW_MS, 2_000);
        assert_eq!(clock.at(2_000), NOW_MS + DAY_MS + 1_000);
    }

    #[test]
    fn a_minority_with_another_time_is_outvoted() {
        let others = [sample(NOW_MS + 5), sample(NOW_MS + DAY_MS)];
        assert_eq!(agree(NOW_MS, &others, 3, 0, None).unix_ms, NOW_MS + 5);
        let wrong = agree(NOW_MS + DAY_MS, &[sample(NOW_MS); 2], 3, 0, None);
        assert_eq!(wrong.unix_ms, NOW_MS);
        let five = [
            sample(NOW_MS + DAY_MS),
            sample(NOW_MS - DAY_MS),
            sample(NOW_MS + 1),
            sample(NOW_MS + 2),
        ];
        assert_eq!(agree(NOW_MS, &five, 5, 0, None).unix_ms, NOW_MS + 1);
    }

    #[test]
    fn two_that_disagree_go_on_from_what_was_agreed() {
        for carried_ms in [NOW_MS, NOW_MS + DAY_MS] {
            let other = [sample(NOW_MS + DAY_MS)];
            let agreed = agree(NOW_MS, &other, 3, 0, Some(carried_ms + 7));
            assert_eq!(agreed.unix_ms, carried_ms);
        }
    }

    #[test]
    fn without_a_majority_time_is_carried_on() {
        let agreed = agree(NOW_MS + DAY_MS, &[], 3, 0, Some(NOW_MS));
        let expected = Agreement {
            unix_ms: NOW_MS,
            is_majority: false,
        };
        assert_eq!(agreed, expected);
        let old = Sample {
            round_trip_ms: 0,
            ..sample(NOW_MS)
        };
        let slow = Sample {
            round_trip_ms: ROUND_TRIP_MAX_MS + 1,
            boot_ms: SAMPLE_AGE_MAX_MS,
            ..old
        };
        let later_ms = SAMPLE_AGE_MAX_MS + 1;
        assert!(!agree(NOW_MS, &[old, slow], 3, later_ms, None).is_majority);
        assert!(agree(NOW_MS, &[], 1, 0, None).is_majority);
    }

    proptest! {
        #[test]
        fn no_clock_of_a_minority_moves_the_time_beyond_the_honest_ones(
            honest in proptest::collection::vec(NOW_MS..NOW_MS + 1000, 4),
            liars in proptest::collection::vec(any::<u64>(), 0..=3),
        ) {
            let samples: Vec<Sample> = honest[1..].iter().chain(&liars).copied().map(sample).collect();
            let agreed = agree(honest[0], &samples, 7, 0, None).unix_ms;
            prop_assert!((NOW_MS..NOW_MS + 1000).contains(&agreed), "{agreed}");
        }

        #[test]
        fn no_reading_of_any_clock_breaks_the_arithmetic(
            wall_ms in any::<u64>(), boot_ms in any::<u64>(), looks in proptest::collection::vec(any::<(u64, u64)>(), 0..4),
        ) {
            let mut clock = SteadyClock::start(Some((&mark(), "one")), wall_ms, boot_ms);
            for (wall_ms, boot_ms) in looks {
                clock.look(wall_ms, boot_ms);
                clock.raise(wall_ms, boot_ms);
                let _ = clock.at(boot_ms);
            }
        }
    }
}
