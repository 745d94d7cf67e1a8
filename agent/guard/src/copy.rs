//! What of the workload runs, as the decision sees it.

use std::time::Duration;

use crate::order::Program;

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

    pub(crate) fn is_killed(&self) -> bool {
        matches!(self.ending, Some(Ending::Killed { .. }))
    }
}
