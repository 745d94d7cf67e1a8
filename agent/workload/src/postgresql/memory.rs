//! What a copy must not forget: which branch it is on, what it promised, what it began.

use std::collections::BTreeMap;

use hanse_core::name::PlanName;
use serde::{Deserialize, Serialize};

/// What is kept of a copy on the disk, beside the agent's data and never within the workload's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// The plan.
    pub(crate) plan: PlanName,
    /// The latest duty that was heard of: an older one is never obeyed again.
    pub(crate) heard: u64,
    /// The lease under which what is here was written last.
    pub(crate) branch: u64,
    /// The primary that the server was pointed at since, and may have received from; none: everything
    /// here is of the branch.
    #[serde(default)]
    pub(crate) pointed: Option<Pointed>,
    /// The latest run for which it cut its connection to the primary.
    pub(crate) barrier: u64,
    /// The lease under which it writes, or did last.
    pub(crate) epoch: u64,
    /// It was primary since it last followed one, and may have what nobody else has.
    pub(crate) may_diverge: bool,
    /// It was about to be promoted, and which timeline that began is not noted yet.
    pub(crate) promotes: bool,
    /// What is here is not whole until it has followed a primary: it was copied, or rewound.
    pub(crate) is_being_made: bool,
    /// A rewind began and did not end: what is here can't be used.
    pub(crate) is_half_rewound: bool,
    /// Which lease began each of PostgreSQL's timelines, of those that began under the plan. Two
    /// servers that are promoted from the same place call their timelines alike.
    pub(crate) lineage: Lineage,
}

/// A primary that a server was pointed at, as it told of itself before that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pointed {
    /// Its lease.
    pub(crate) epoch: u64,
    /// PostgreSQL's timeline that it wrote on.
    pub(crate) timeline: u32,
    /// How far it was.
    pub(crate) offset_bytes: u64,
    /// The earliest timeline of it, and of those that the server was pointed at before without
    /// telling what came of that.
    pub(crate) timeline_min: u32,
}

/// Timelines, and the lease that began each.
pub(crate) type Lineage = BTreeMap<u32, u64>;

impl Memory {
    pub(crate) fn new(plan: PlanName) -> Self {
        Self {
            plan,
            heard: 0,
            branch: 0,
            pointed: None,
            barrier: 0,
            epoch: 0,
            may_diverge: false,
            promotes: false,
            is_being_made: false,
            is_half_rewound: false,
            lineage: Lineage::new(),
        }
    }

    /// Whether all data is there.
    pub(crate) fn is_whole(&self) -> bool {
        !self.is_being_made && !self.is_half_rewound
    }

    /// The latest lease of whose primary it may have received anything.
    pub(crate) fn received_epoch(&self) -> u64 {
        let pointed = self.pointed.map_or(0, |pointed| pointed.epoch);
        self.branch.max(pointed)
    }
}
