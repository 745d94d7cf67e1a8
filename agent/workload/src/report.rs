//! What a copy tells of itself.

use hanse_core::dr::backup::BackupSight;
use hanse_core::dr::choose::SyncSet;
use hanse_core::dr::position::Position;
use hanse_core::dr::sight::CopyRole;

/// What a copy is, as `hanse_core::dr::sight::CopySight` has it, but for how long ago it was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyReport {
    /// What it is.
    pub role: CopyRole,
    /// The revision of the duty that it has put into effect.
    pub revision: u64,
    /// The latest run for which it cut its connection to the primary and noted so on its disk. 0: none.
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
    /// How far a long step is, such as the copying of all data; nothing is wrong meanwhile.
    pub progress: Option<String>,
    /// By how many seconds a standby lags at most; none: it is none, or nobody can tell.
    pub lag_s: Option<u64>,
    /// What somebody should know of, although nothing is wrong, each in one sentence.
    pub warnings: Vec<String>,
    /// How the backups are; none: this copy makes none.
    pub backup: Option<BackupSight>,
}

impl Default for CopyReport {
    fn default() -> Self {
        Self {
            role: CopyRole::Absent,
            revision: 0,
            barrier: 0,
            epoch: 0,
            fences_itself: false,
            position: None,
            received_epoch: 0,
            set: SyncSet::default(),
            trouble: None,
            progress: None,
            lag_s: None,
            warnings: Vec::new(),
            backup: None,
        }
    }
}
