//! What a decision about a plan is made from, beside what is committed of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::choose::SyncSet;
use super::drill::{DrillSight, DrillTerms};
use super::position::Position;
use super::timings::Timings;
use crate::name::{ClusterName, NodeName};
use crate::object::federation::ReplicationMode;
use crate::object::words;

/// A standby that lacks more than that is no target of a planned move: clients would wait for it.
pub const PLANNED_LAG_BYTES_MAX: u64 = 16 << 20;

/// What a plan asks for, as far as decisions need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The revision at which it was declared so.
    pub revision: u64,
    /// Where the primary belongs.
    pub home: ClusterName,
    /// Who may take over, in order of preference.
    pub standbys: Vec<ClusterName>,
    /// How the primary is watched and fenced.
    pub timings: Timings,
    /// Whether a failover needs nobody's word.
    pub automatic_failover: bool,
    /// Whether the primary goes home by itself.
    pub automatic_failback: bool,
    /// How many bytes may be missing in a failover, as far as is known.
    pub lag_bytes_max: u64,
    /// When a write counts as done.
    pub mode: ReplicationMode,
    /// How many standbys must have a write, unless the mode is asynchronous.
    pub in_sync_min: u32,
    /// When drills begin, and how long one may take.
    pub drill: DrillTerms,
    /// Whether a guard runs what writes, so that the end of its lease can stop it.
    pub is_guarded: bool,
    /// Sites whose primary must be fenced from outside before anybody is promoted.
    pub fenced_outside: BTreeSet<ClusterName>,
}

/// What the leader sees of a plan. Times are lengths by the leader's own clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// Who has the plan's lease.
    pub lease: LeaseSight,
    /// What each site's copy told last.
    pub copies: BTreeMap<ClusterName, CopySight>,
    /// Where the primary was when it told for the first time, as far as this leader knows, that who is
    /// to have each commit is in effect: those it acknowledged before are no further. None: it has not
    /// told so.
    pub in_effect_at: Option<Position>,
    /// Whether the primary's agent told lately that it leads, whatever its guard does.
    pub is_heard: bool,
    /// How long ago the fence from outside began that stopped the primary's site for this run; none:
    /// none has.
    pub fenced_outside: Option<Duration>,
    /// Whether every reachable node leads clients to the primary.
    pub redirected: bool,
    /// What the node of the drill that is under way told of it; none: nothing yet.
    pub drill: Option<DrillSight>,
    /// What time it is, in seconds since 1970: for marks and drills, and for nothing else that is decided.
    pub now_unix_s: u64,
    /// How long ago the run's latest step was committed, as far as this leader knows.
    pub step_for: Duration,
    /// Why nothing may be done by itself: there are too few voters, or one site has too many.
    pub quorum_trouble: Option<String>,
}

/// A plan's lease, as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseSight {
    /// Nobody holds it.
    Free,
    /// Somebody holds it, or held it.
    Held {
        /// Who.
        holder: NodeName,
        /// Which one.
        epoch: u64,
        /// How long ago it was renewed or granted, or this leader began.
        silent_for: Duration,
        /// Whether the holder must have noticed its end.
        has_ended: bool,
    },
}

/// What a copy told last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopySight {
    /// How long ago.
    pub ago: Duration,
    /// What it is.
    pub role: CopyRole,
    /// The revision of the duty that it has put into effect.
    pub revision: u64,
    /// The latest run for which it cut its connection to the primary and noted so on its disk: the
    /// revision at which that began to fence. 0: none.
    pub barrier: u64,
    /// The lease under which it takes writes, or did last. 0: none.
    pub epoch: u64,
    /// Whether its guard stops it when that lease ends.
    pub fences_itself: bool,
    /// How far it is; none: it can't tell.
    pub position: Option<Position>,
    /// The latest lease of whose primary it may have received anything: equal to the position's branch
    /// once that is certain.
    pub received_epoch: u64,
    /// Who has each commit before it is acknowledged, as the server is configured.
    pub set: SyncSet,
    /// What is wrong with it, in one sentence.
    pub trouble: Option<String>,
}

words! {
    /// What a copy is.
    CopyRole {
        /// There is none, or none that is whole.
        Absent = "absent",
        /// It is being made.
        Seeding = "seeding",
        /// It is whole, and nothing runs on it.
        Stopped = "stopped",
        /// It receives what the primary writes.
        Following = "following",
        /// It is whole, runs, and has cut its connection to the primary.
        Detached = "detached",
        /// It takes writes.
        Primary = "primary",
    }
}

impl Terms {
    /// Home and standbys, in the order of preference.
    pub fn sites(&self) -> impl Iterator<Item = &ClusterName> {
        std::iter::once(&self.home).chain(&self.standbys)
    }
}

impl Sight {
    /// How many bytes the copy in a site is known to lack of that in another; none: nobody can tell.
    #[must_use]
    pub fn lag_bytes(&self, of: &ClusterName, behind: &ClusterName) -> Option<u64> {
        let position = |cluster| self.copies.get(cluster)?.position;
        position(of)?.lacks_bytes_of(&position(behind)?)
    }
}

impl CopyRole {
    /// Whether all data is there.
    #[must_use]
    pub fn is_whole(self) -> bool {
        match self {
            Self::Absent | Self::Seeding => false,
            Self::Stopped | Self::Following | Self::Detached | Self::Primary => true,
        }
    }
}

impl CopySight {
    /// Whether nothing reaches it any more: what it tells of its position is the last.
    #[must_use]
    pub fn is_detached(&self) -> bool {
        match self.role {
            CopyRole::Stopped | CopyRole::Detached => true,
            CopyRole::Absent | CopyRole::Seeding | CopyRole::Following | CopyRole::Primary => false,
        }
    }

    /// Whether it may become primary as it is.
    #[must_use]
    pub fn is_able(&self) -> bool {
        self.is_detached() && self.trouble.is_none()
    }

    /// Whether it receives what the primary writes, and is well.
    #[must_use]
    pub fn follows(&self) -> bool {
        self.role == CopyRole::Following && self.trouble.is_none()
    }
}
