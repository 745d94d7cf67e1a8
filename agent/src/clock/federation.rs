//! The time that a voter goes by: the median of the voters' clocks.
//!
//! Each voter brings in a clock of its own that ignores whoever sets the system's. A lone voter goes
//! by that. Never below what was committed: no voter was that early. After its start a voter among
//! others knows a bound only, until it has heard a majority: by that, what has ended is refused and
//! what begins later is let in, lest those who could tell it the time be shut out.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hanse_client::{Clock, Reading};
use hanse_core::clock::{Mark, Sample, SteadyClock, agree};
use hanse_core::name::NodeName;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use tokio_util::sync::CancellationToken;

use super::{boot_ms, complaint, mark_file, wall_ms};
use crate::data::DataFolder;
use crate::follower::report::boot_id;

/// How often the system's clock is looked at: a correction is followed, a jump is noticed.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// How often the time is kept on the disk: less than certificates are dated back.
const KEEP_INTERVAL_MS: u64 = 60_000;

/// The federation's time, as this voter knows it.
pub struct FederationClock {
    folder: Option<DataFolder>,
    boot_id: String,
    inner: Mutex<Inner>,
}

struct Inner {
    own: SteadyClock,
    /// What the voters agreed on, and when.
    agreed_ms: u64,
    agreed_boot_ms: u64,
    samples: BTreeMap<NodeName, Sample>,
    voters: usize,
    /// Whether a majority was heard since the start. Till then only a bound is known, unless this
    /// voter is the only one.
    is_settled: bool,
    /// What was known before the start, and when that was read.
    bound_ms: u64,
    bound_boot_ms: u64,
    kept_boot_ms: Option<u64>,
}

impl FederationClock {
    /// The clock of a folder, going on from what was known there. `committed_unix_s` is when the
    /// last entry was decided.
    #[must_use]
    pub fn start(folder: &DataFolder, committed_unix_s: u64) -> Self {
        let boot_id = boot_id();
        let mark = mark_file::read(folder);
        let known = mark.as_ref().map(|mark| (mark, boot_id.as_str()));
        let boot_ms = boot_ms();
        let mut own = SteadyClock::start(known, wall_ms(), boot_ms);
        let committed_ms = committed_unix_s.saturating_mul(1000);
        own.raise(committed_ms, boot_ms);
        let known_ms = known.map_or(0, |(mark, id)| mark.read(id, boot_ms).earliest_ms());
        let bound_ms = known_ms.max(committed_ms);
        Self::new(Some(folder.clone()), own, (bound_ms, boot_ms), boot_id)
    }

    /// The system's clock as it is now, for a federation that is being founded.
    #[must_use]
    pub fn of_system() -> Self {
        let boot_ms = boot_ms();
        let own = SteadyClock::start(None, wall_ms(), boot_ms);
        Self::new(None, own, (0, boot_ms), boot_id())
    }

    fn new(
        folder: Option<DataFolder>,
        own: SteadyClock,
        (bound_ms, boot_ms): (u64, u64),
        boot_id: String,
    ) -> Self {
        let inner = Inner {
            agreed_ms: own.at(boot_ms),
            agreed_boot_ms: boot_ms,
            own,
            samples: BTreeMap::new(),
            voters: 1,
            is_settled: false,
            bound_ms,
            bound_boot_ms: boot_ms,
            kept_boot_ms: None,
        };
        Self {
            folder,
            boot_id,
            inner: Mutex::new(inner),
        }
    }

    /// What time it is, in seconds since 1970.
    #[must_use]
    pub fn now_unix_s(&self) -> u64 {
        self.now_ms() / 1000
    }

    /// What time it is, in milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.lock().carried(boot_ms())
    }

    /// This voter's own clock, in milliseconds since 1970: what it tells other voters, for their
    /// [`FederationClock::observe`]. Never the agreed time, lest a mistake confirm itself.
    #[must_use]
    pub fn own_ms(&self) -> u64 {
        self.lock().own.at(boot_ms())
    }

    /// Another voter told its own clock; `round_trip` is how long question and answer took.
    pub fn observe(&self, voter: &NodeName, own_ms: u64, round_trip: Duration) {
        let boot_ms = boot_ms();
        let sample = Sample {
            unix_ms: own_ms,
            boot_ms,
            round_trip_ms: u64::try_from(round_trip.as_millis()).unwrap_or(u64::MAX),
        };
        let mut inner = self.lock();
        inner.samples.insert(voter.clone(), sample);
        inner.settle(boot_ms);
    }

    /// Who votes now, this voter aside.
    pub fn set_others<'a>(&self, others: impl IntoIterator<Item = &'a NodeName>) {
        let others: Vec<&NodeName> = others.into_iter().collect();
        let mut inner = self.lock();
        inner.voters = others.len() + 1;
        inner.samples.retain(|voter, _| others.contains(&voter));
        inner.settle(boot_ms());
    }

    /// An entry was decided then: it is not earlier now.
    pub fn raise(&self, committed_unix_s: u64) {
        let (earliest_ms, boot_ms) = (committed_unix_s.saturating_mul(1000), boot_ms());
        let mut inner = self.lock();
        if inner.carried(boot_ms) < earliest_ms {
            inner.agreed_ms = inner.agreed_ms.max(earliest_ms);
            inner.agreed_boot_ms = boot_ms;
            inner.bound_ms = earliest_ms;
            inner.bound_boot_ms = boot_ms;
            // A lone voter brings it in from now on.
            inner.own.raise(earliest_ms, boot_ms);
        }
    }

    /// Looks at the system's clock once.
    fn look(&self) -> Option<Mark> {
        let (wall_ms, boot_ms) = (wall_ms(), boot_ms());
        let mut inner = self.lock();
        inner.own.look(wall_ms, boot_ms);
        inner.settle(boot_ms);
        let is_kept = inner
            .kept_boot_ms
            .is_some_and(|kept_ms| boot_ms.saturating_sub(kept_ms) < KEEP_INTERVAL_MS);
        if is_kept {
            return None;
        }
        inner.kept_boot_ms = Some(boot_ms);
        Some(Mark {
            unix_ms: inner.carried(boot_ms),
            boot_ms,
            boot_id: self.boot_id.clone(),
        })
    }

    /// Looks at the system's clock at intervals, and keeps the time on the disk, until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        loop {
            if let (Some(mark), Some(folder)) = (self.look(), self.folder.clone()) {
                let kept = tokio::task::spawn_blocking(move || mark_file::write(&folder, &mark));
                if let Ok(Err(error)) = kept.await {
                    tracing::warn!(%error, "unable to keep the time for the next start");
                }
            }
            let pause = tokio::time::sleep(LOOK_INTERVAL);
            if stop.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// What was agreed, carried on.
    fn carried(&self, boot_ms: u64) -> u64 {
        if self.is_known() {
            return self
                .agreed_ms
                .saturating_add(boot_ms.saturating_sub(self.agreed_boot_ms));
        }
        self.bound_ms
            .saturating_add(boot_ms.saturating_sub(self.bound_boot_ms))
    }

    /// Whether the time is known, and not a bound alone.
    fn is_known(&self) -> bool {
        self.is_settled || self.voters == 1
    }

    fn settle(&mut self, boot_ms: u64) {
        let samples: Vec<Sample> = self.samples.values().copied().collect();
        let carried_ms = self.is_settled.then(|| self.carried(boot_ms));
        let own_ms = self.own.at(boot_ms);
        let agreement = agree(own_ms, &samples, self.voters, boot_ms, carried_ms);
        self.is_settled |= agreement.is_majority && self.voters > 1;
        self.agreed_ms = agreement.unix_ms;
        self.agreed_boot_ms = boot_ms;
    }
}

impl TimeProvider for FederationClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(
            self.now_ms(),
        )))
    }
}

impl Clock for FederationClock {
    fn reading(&self) -> Reading {
        let inner = self.lock();
        let now_ms = inner.carried(boot_ms());
        if inner.is_known() {
            Reading::Now(now_ms)
        } else {
            Reading::AtLeast(now_ms)
        }
    }

    fn learn(&self, _: u64, _: Duration) {}

    fn problem(&self) -> Option<String> {
        let inner = self.lock();
        let boot_ms = boot_ms();
        let wall_ahead_ms = inner.own.wall_ahead_ms();
        let wall_ms = inner.own.at(boot_ms).saturating_add_signed(wall_ahead_ms);
        if !inner.is_known() {
            return None;
        }
        let complaint = complaint(wall_ms, inner.carried(boot_ms))?;
        Some(match (&self.folder, inner.voters) {
            // Time that is behind can catch up; it never goes back.
            (Some(folder), 1) if wall_ms > inner.carried(boot_ms) => format!(
                "{complaint}; set it right, or, if it is right, stop the agent, remove {} and \
                 start it again",
                folder.clock().display()
            ),
            (Some(_) | None, _) => format!("{complaint}; set it right"),
        })
    }
}

impl std::fmt::Debug for FederationClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FederationClock({} ms)", self.now_ms())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);
    const DAY_MS: u64 = 24 * 3600 * 1000;

    fn is_about(clock: &FederationClock, expected_ms: u64) -> bool {
        clock.now_ms().abs_diff(expected_ms) < 60_000
    }

    #[test]
    fn a_lone_voter_that_starts_again_goes_on_whatever_the_system_says() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::new(parent.path());
        // Its last run knew a time that is a day before the system's clock of now.
        let mark = Mark {
            unix_ms: wall_ms() - DAY_MS,
            boot_ms: boot_ms(),
            boot_id: boot_id(),
        };
        mark_file::write(&folder, &mark).unwrap();
        let clock = FederationClock::start(&folder, 0);
        assert!(is_about(&clock, wall_ms() - DAY_MS));
        let problem = clock.problem().unwrap();
        assert!(
            problem.contains("ahead of") && problem.contains("clock.json"),
            "{problem}"
        );
    }

    #[test]
    fn time_is_never_before_what_was_committed() {
        let parent = tempfile::tempdir().unwrap();
        let committed_ms = wall_ms() + DAY_MS;
        let folder = DataFolder::new(parent.path());
        let clock = FederationClock::start(&folder, committed_ms / 1000);
        assert!(is_about(&clock, committed_ms));
        let clock = FederationClock::start(&folder, 0);
        assert!(is_about(&clock, wall_ms()) && clock.problem().is_none());
        clock.raise(committed_ms / 1000);
        assert!(is_about(&clock, committed_ms));
    }

    #[test]
    fn a_voter_whose_clock_is_wrong_goes_by_the_others() {
        let clock = FederationClock::of_system();
        let others: [NodeName; 2] = ["v2".parse().unwrap(), "v3".parse().unwrap()];
        clock.set_others(&others);
        for other in &others {
            clock.observe(other, wall_ms() + DAY_MS, Duration::ZERO);
        }
        assert!(is_about(&clock, wall_ms() + DAY_MS));
        assert!(clock.problem().unwrap().contains("behind"));
        assert!(clock.own_ms().abs_diff(wall_ms()) < 60_000);
        // A voter that left has no say.
        clock.set_others(&others[..1]);
        clock.set_others([]);
        assert!(is_about(&clock, wall_ms()));
    }

    #[test]
    fn among_others_only_a_bound_is_known_before_a_majority_was_heard() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::new(parent.path());
        let earlier_ms = wall_ms() - DAY_MS;
        let clock = FederationClock::start(&folder, earlier_ms / 1000);
        let others: [NodeName; 2] = ["v2".parse().unwrap(), "v3".parse().unwrap()];
        clock.set_others(&others);
        assert!(matches!(clock.reading(), Reading::AtLeast(_)));
        assert!(is_about(&clock, earlier_ms));
        clock.observe(&others[0], wall_ms(), Duration::ZERO);
        assert!(matches!(clock.reading(), Reading::Now(_)));
        assert!(is_about(&clock, wall_ms()));
    }

    #[test]
    fn a_sample_that_took_a_day_says_nothing() {
        let clock = FederationClock::of_system();
        let other: NodeName = "v2".parse().unwrap();
        clock.set_others([&other]);
        clock.observe(&other, wall_ms() + DAY_MS, DAY);
        assert!(matches!(clock.reading(), Reading::AtLeast(_)));
    }
}
