//! The time that a follower goes by: the last that a voter told it over an authenticated
//! connection, carried on by the time since boot.
//!
//! The system's clock has no say. After a restart of the machine only an older bound is known, until
//! a voter tells the time again.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hanse_client::{Clock, Reading};
use hanse_core::clock::Mark;

use super::{boot_ms, complaint, mark_file, wall_ms};
use crate::data::DataFolder;
use crate::follower::report::boot_id;

/// How often the time is kept on the disk.
const KEEP_INTERVAL_MS: u64 = 600_000;
/// An answer that was under way for longer tells too little.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(10);

/// The federation's time, as this follower knows it.
pub struct FollowerClock {
    folder: DataFolder,
    boot_id: String,
    inner: Mutex<Inner>,
}

struct Inner {
    mark: Mark,
    kept_boot_ms: Option<u64>,
}

impl FollowerClock {
    /// The clock of a folder, going on from what was known there. `earliest_unix_s` is a moment
    /// that has passed for sure, such as when the token was made; 0: none is known.
    #[must_use]
    pub fn start(folder: &DataFolder, earliest_unix_s: u64) -> Self {
        let boot_id = boot_id();
        let earliest_ms = earliest_unix_s.saturating_mul(1000);
        // Made in a boot that nobody knows, and before now.
        let bound = Mark {
            unix_ms: earliest_ms,
            boot_ms: boot_ms(),
            boot_id: String::new(),
        };
        let mark = mark_file::read(folder)
            .filter(|mark| mark.unix_ms >= earliest_ms)
            .unwrap_or(bound);
        Self {
            folder: folder.clone(),
            boot_id,
            inner: Mutex::new(Inner {
                mark,
                kept_boot_ms: None,
            }),
        }
    }

    fn known(&self) -> Reading {
        self.lock().mark.read(&self.boot_id, boot_ms())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a time; yields the mark if it is to be kept.
    fn take(&self, unix_ms: u64, round_trip: Duration) -> Option<Mark> {
        if round_trip > ROUND_TRIP_MAX {
            return None;
        }
        let boot_ms = boot_ms();
        let mut inner = self.lock();
        inner.mark = Mark {
            unix_ms,
            boot_ms,
            boot_id: self.boot_id.clone(),
        };
        let is_kept = inner
            .kept_boot_ms
            .is_some_and(|kept_ms| boot_ms.saturating_sub(kept_ms) < KEEP_INTERVAL_MS);
        (!is_kept).then(|| {
            inner.kept_boot_ms = Some(boot_ms);
            inner.mark.clone()
        })
    }
}

impl Clock for FollowerClock {
    /// Never more than a bound: the federation's time may have gone ahead meanwhile, and only the
    /// federation signs what begins later.
    fn reading(&self) -> Reading {
        Reading::AtLeast(self.known().earliest_ms())
    }

    fn learn(&self, unix_ms: u64, round_trip: Duration) {
        let kept = self.take(unix_ms, round_trip);
        if let Some(mark) = kept {
            let folder = self.folder.clone();
            // Small and rare: a thread of the runtime can spare it.
            if let Err(error) = mark_file::write(&folder, &mark) {
                tracing::warn!(%error, "unable to keep the time for the next start");
            }
        }
    }

    fn problem(&self) -> Option<String> {
        match self.known() {
            Reading::Now(federation_ms) => {
                complaint(wall_ms(), federation_ms).map(|words| format!("{words}; set it right"))
            }
            Reading::AtLeast(_) => None,
        }
    }
}

impl std::fmt::Debug for FollowerClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FollowerClock({:?})", self.reading())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_800_000_000_000;

    fn folder() -> (tempfile::TempDir, DataFolder) {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::new(parent.path());
        (parent, folder)
    }

    fn is_now(reading: Reading, expected_ms: u64) -> bool {
        matches!(reading, Reading::Now(ms) if ms.abs_diff(expected_ms) < 60_000)
    }

    #[test]
    fn before_a_voter_has_told_the_time_only_a_bound_is_known() {
        let (_parent, folder) = folder();
        let clock = FollowerClock::start(&folder, NOW_MS / 1000);
        let bound = NOW_MS..NOW_MS + 60_000;
        assert!(matches!(clock.known(), Reading::AtLeast(ms) if bound.contains(&ms)));
        assert_eq!(clock.problem(), None);
        clock.learn(NOW_MS + 5, Duration::from_millis(3));
        assert!(is_now(clock.known(), NOW_MS));
        assert!(clock.problem().unwrap().contains("set it right"));
    }

    #[test]
    fn what_was_told_is_known_after_a_restart_of_the_agent_and_a_bound_after_one_of_the_machine() {
        let (_parent, folder) = folder();
        FollowerClock::start(&folder, 0).learn(NOW_MS, Duration::ZERO);
        assert!(is_now(FollowerClock::start(&folder, 0).known(), NOW_MS));
        let mut mark = mark_file::read(&folder).unwrap();
        mark.boot_id = "another".into();
        mark_file::write(&folder, &mark).unwrap();
        let bound = FollowerClock::start(&folder, 0).known();
        assert!(matches!(bound, Reading::AtLeast(ms) if ms >= NOW_MS));
    }

    #[test]
    fn a_slow_answer_tells_nothing_and_a_damaged_file_is_none() {
        let (_parent, folder) = folder();
        std::fs::write(folder.clock(), "{").unwrap();
        let clock = FollowerClock::start(&folder, 0);
        clock.learn(NOW_MS, ROUND_TRIP_MAX * 2);
        assert!(matches!(clock.known(), Reading::AtLeast(ms) if ms < NOW_MS));
    }
}
