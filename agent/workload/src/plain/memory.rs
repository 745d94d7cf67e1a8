//! What a copy must not forget: which branch it is on, what it promised, whether it may be written to.

use hanse_core::name::{NodeName, PlanName};
use serde::{Deserialize, Serialize};

/// What is kept of a copy on the disk, beside the agent's data and never within the workload's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Memory {
    /// The plan.
    pub(crate) plan: PlanName,
    /// The latest duty that was heard of: an older one is never obeyed again.
    pub(crate) heard: u64,
    /// The latest run for which nothing reaches it any more.
    pub(crate) barrier: u64,
    /// The lease under which what is here was written last.
    pub(crate) branch: u64,
    /// How far it was, when it was copied or published last.
    pub(crate) offset_bytes: u64,
    /// The lease under which it is written to, or was last.
    pub(crate) epoch: u64,
    /// The lease that it follows, or did last, and who has that.
    pub(crate) follows: u64,
    pub(crate) primary: Option<NodeName>,
    /// It is written to, or may be: it was not demoted since.
    pub(crate) may_write: bool,
    /// The lease under which it was promoted. 0: none.
    pub(crate) promoted: u64,
    /// The end of that lease ends what writes.
    pub(crate) fences_itself: bool,
    /// All data is here.
    pub(crate) is_whole: bool,
    /// It was primary since it last received, and may have what nobody else has.
    pub(crate) may_diverge: bool,
}

impl Memory {
    pub(crate) fn new(plan: PlanName) -> Self {
        Self {
            plan,
            heard: 0,
            barrier: 0,
            branch: 0,
            offset_bytes: 0,
            epoch: 0,
            follows: 0,
            primary: None,
            may_write: false,
            promoted: 0,
            fences_itself: false,
            is_whole: false,
            may_diverge: false,
        }
    }
}
