//! What a copy's keeper sees, and what it can do.

use hanse_core::dr::duty::Duty;

use super::super::memory::{Lineage, Memory, Pointed};
use crate::process::Run;

/// What is seen of a copy at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Scene<'a> {
    pub(crate) duty: &'a Duty,
    pub(crate) is_home: bool,
    pub(crate) memory: &'a Memory,
    pub(crate) data: Data,
    pub(crate) process: Run,
    /// A server runs on the data, and not under the guard.
    pub(crate) runs_outside: bool,
    /// What was ordered of the guard and is in effect; none: not known.
    pub(crate) ordered: Option<Ordered>,
    /// The lease that the guard has and may write under, now.
    pub(crate) may_write_under: Option<u64>,
    /// What the server tells; none: it doesn't answer.
    pub(crate) seen: Option<Seen>,
    /// Whether the server's settings are what the duty asks for, and are in effect.
    pub(crate) is_configured: bool,
    /// Whether those whom the duty lets in can come in.
    pub(crate) is_provided: bool,
    /// What the primary that is to be followed told of itself, under the lease of the duty.
    pub(crate) source: Option<&'a Source>,
    /// Whether what is to follow can go on by itself.
    pub(crate) course: Course,
}

/// What lies in the data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Data {
    /// Nothing.
    None,
    /// A database.
    Whole {
        /// Which one, among all that there are.
        system: u64,
        /// It starts as a standby, which can't write.
        is_standby: bool,
        /// It ended in good order.
        is_clean: bool,
        /// PostgreSQL's timeline that it is on.
        timeline: u32,
    },
}

/// What is ordered of the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ordered {
    /// That nothing runs.
    Nothing { gives_back: bool },
    /// A server that can't write.
    Standby,
    /// A server under a lease.
    Primary { epoch: u64 },
}

/// What the server tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) writes: bool,
    /// It receives from the primary that the duty names.
    pub(crate) receives: bool,
    /// Nothing reaches it any more, and it has gone through all that did.
    pub(crate) is_settled: bool,
    pub(crate) offset_bytes: u64,
    pub(crate) timeline: u32,
    /// The latest timeline that any of its log is of; 0: it is of no interest.
    pub(crate) log_timeline: u32,
}

/// Whether a copy that is to follow can go on by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    /// Nothing tells that it can't.
    Open,
    /// It has stood still for a while, and needs the log from this place on.
    Stands { place: u64 },
    /// Nobody has the log any more that it needs next.
    CutOff,
}

/// What a primary tells of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) system: u64,
    pub(crate) timeline: u32,
    /// The timeline in its control file, by which `pg_rewind` goes; it may lag after a promotion.
    pub(crate) noted_timeline: u32,
    pub(crate) offset_bytes: u64,
    pub(crate) lineage: Lineage,
    /// Where each of its earlier timelines ended.
    pub(crate) forks: Vec<(u32, u64)>,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing: the duty is in effect.
    Rest,
    /// Nothing can be done before something else happens.
    Wait(String),
    /// Nothing can be done before somebody mends it.
    Trouble(String),
    Create,
    StopOutside,
    Configure,
    Order(Ordered),
    /// It writes under this lease, or is about to.
    NoteLead {
        epoch: u64,
        /// A promotion follows, and with it a new timeline.
        is_promotion: bool,
    },
    Promote,
    /// The promotion began this timeline.
    NoteTimeline {
        timeline: u32,
    },
    Provide,
    /// Ask the primary what it is.
    Ask,
    /// Ask it whether it still has the log from this place on.
    AskLog {
        place: u64,
    },
    Seed,
    /// Bring a server that ended by force to where it can be told how far it was.
    Recover,
    Rewind,
    /// Make it a standby.
    MarkStandby,
    /// It is about to receive from the primary, on whatever timelines that has.
    NoteLineage,
    /// It may receive from the primary from now on.
    NotePointed(Pointed),
    /// It received nothing of the primary that it was pointed at.
    NoteUntouched,
    /// It has what the primary doesn't have.
    NoteDiverges,
    NoteBranch {
        epoch: u64,
    },
    NoteBarrier {
        barrier: u64,
    },
}
