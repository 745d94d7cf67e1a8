//! How the backups of a plan are, as the node tells that makes them.

/// How the backups of a plan are. Times are in seconds since 1970 by the node's own clock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackupSight {
    /// How many there are to restore from.
    pub count: u32,
    /// When the latest one ended; none: there is none.
    pub backed_up_unix_s: Option<u64>,
    /// The earliest time that can be restored; none: nothing can be yet.
    pub restorable_from_unix_s: Option<u64>,
    /// When the latest part of the log arrived in the repository; none: none has.
    pub archived_unix_s: Option<u64>,
    /// How much of the log waits for the repository, in bytes.
    pub waiting_bytes: u64,
    /// What is wrong with them, in one sentence.
    pub trouble: Option<String>,
    /// What is under way, in words.
    pub progress: Option<String>,
}
