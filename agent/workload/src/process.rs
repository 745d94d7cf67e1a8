//! What runs under the guard, as a decision sees it.

use hanse_guard::{Process, Status};

/// What is of the workload's processes under the guard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Run {
    /// The guard doesn't tell, and why.
    Unknown(&'static str),
    Stopped,
    Running,
    Stopping,
    GaveUp(String),
}

impl Run {
    /// What of the guard's telling counts: what it told before an order was in effect does not.
    pub(crate) fn told(status: Option<&Status>, serial: u64) -> Self {
        match status.filter(|status| status.serial >= serial) {
            None => Self::Unknown(match status {
                None => "the plan's guard is not there",
                Some(_) => "the plan's guard has not taken up its order yet",
            }),
            Some(status) => match &status.process {
                Process::Stopped { .. } => Self::Stopped,
                Process::Running { .. } => Self::Running,
                Process::Stopping => Self::Stopping,
                Process::GaveUp { reason } => Self::GaveUp(reason.clone()),
            },
        }
    }
}
