//! What of the workload runs, as the decision sees it.

use std::time::Duration;

use crate::order::Program;

/// A server under load may take its time with one answer, and not with so many in so long.
pub(crate) const SILENCE_MIN: Duration = Duration::from_secs(10);
/// The same of one that took no writes since it was started: it makes its shared memory before it can
/// say that it is starting.
const SILENCE_AT_START_MIN: Duration = Duration::from_secs(30);
const UNANSWERED_MIN: u32 = 5;
/// One that is asked seldom is given so many intervals.
const SILENT_INTERVALS: u32 = 3;

/// Questions in a row that had no answer, of those that were asked while the guard itself ran.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Silence {
    /// When the one was asked whose answer is awaited.
    asked_at: Option<Duration>,
    /// When the first of them was asked.
    since: Option<Duration>,
    unanswered: u32,
}

impl Silence {
    pub(crate) fn asked(&mut self, now: Duration) {
        self.asked_at = Some(now);
    }

    /// Nobody answered.
    pub(crate) fn unanswered(&mut self) {
        if let Some(asked_at) = self.asked_at.take() {
            self.since.get_or_insert(asked_at);
            self.unanswered += 1;
        }
    }
}

/// One start of a program, until nothing of it is left.
#[derive(Debug)]
pub(crate) struct Copy {
    pub(crate) start: u64,
    pub(crate) program: Program,
    /// Its process; none: it doesn't run yet.
    pub(crate) pid: Option<u32>,
    pub(crate) since: Duration,
    /// It may have written: it runs under a lease, and never again without.
    pub(crate) is_leased: bool,
    /// For when the kernel's timer was asked, and for when it is known to be set.
    pub(crate) asked_ms: Option<u64>,
    pub(crate) armed_ms: Option<u64>,
    pub(crate) ending: Option<Ending>,
    /// A server that was started again writes by then.
    pub(crate) writes_by: Option<Duration>,
    /// When it told last that it takes writes; none: it did not yet.
    pub(crate) wrote_at: Option<Duration>,
    pub(crate) silence: Silence,
}

/// How it is being ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It was asked to, and is killed at this moment.
    Asked {
        /// When.
        kill_at: Duration,
    },
    /// It was killed, for this reason.
    Killed {
        /// Why.
        why: String,
        /// When.
        at: Duration,
    },
}

impl Copy {
    /// It was not asked to end.
    pub(crate) fn is_wanted(&self) -> bool {
        self.ending.is_none()
    }

    /// For how long a server has not answered, if that is so long that it stands still: its processes
    /// were stopped, or wait for a disk, or there is no room on that to let anybody in.
    pub(crate) fn silent_for(&self, now: Duration, check_interval: Duration) -> Option<Duration> {
        let silent_for = now.saturating_sub(self.silence.since?);
        let silence_min = match self.wrote_at {
            Some(_) => SILENCE_MIN,
            None => SILENCE_AT_START_MIN,
        };
        let silence_max = silence_min.max(check_interval.saturating_mul(SILENT_INTERVALS));
        let is_silent = self.silence.unanswered >= UNANSWERED_MIN && silent_for >= silence_max;
        is_silent.then_some(silent_for)
    }

    /// Why it was killed; none: it was not.
    pub(crate) fn killed_because(&self) -> Option<&str> {
        match &self.ending {
            Some(Ending::Killed { why, .. }) => Some(why),
            Some(Ending::Asked { .. }) | None => None,
        }
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.killed_because().is_some()
    }
}
