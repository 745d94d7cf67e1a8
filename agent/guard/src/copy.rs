//! What of the workload runs, as the decision sees it.

use std::time::Duration;

use crate::order::Program;

/// A server under load may take its time with one answer, and not with all in so long.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(10);

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
    },
}

impl Copy {
    /// It was not asked to end.
    pub(crate) fn is_wanted(&self) -> bool {
        self.ending.is_none()
    }

    /// A server that took writes has not answered for so long that it stands still: its processes were
    /// stopped, or wait for a disk.
    pub(crate) fn is_silent(&self, now: Duration) -> bool {
        let silent_for = self.wrote_at.map(|at| now.saturating_sub(at));
        silent_for.is_some_and(|silent_for| silent_for >= SILENCE_MAX)
    }

    pub(crate) fn is_killed(&self) -> bool {
        matches!(self.ending, Some(Ending::Killed { .. }))
    }
}
