//! How much of the log is kept: `[audit]` in agent.toml.

use hanse_core::duration::Span;
use hanse_core::size::ByteSize;
use serde::{Deserialize, Serialize};

/// So large a file grows before the next one is begun.
const FILE_SIZE_MAX_BYTES: u64 = 16 << 20;
/// So many files there are, the one that is written included.
const FILES_MAX: usize = 16;
/// The fewest: what was dropped is told in a file that stays.
const FILES_MIN: usize = 2;

/// How much of the log is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditLimits {
    /// So large a file grows before the next one is begun; by default 16 MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_size_max: Option<ByteSize>,
    /// So many files there are, at least 2; by default 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_max: Option<usize>,
    /// A file whose last line is older goes when the next one is begun; by default none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_max: Option<Span>,
}

impl AuditLimits {
    /// So many bytes a file may have.
    #[must_use]
    pub fn file_bytes_max(&self) -> u64 {
        let size = self.file_size_max.as_ref();
        size.map_or(FILE_SIZE_MAX_BYTES, ByteSize::bytes)
    }

    /// So many files there may be.
    #[must_use]
    pub fn files_max(&self) -> usize {
        self.files_max.unwrap_or(FILES_MAX).max(FILES_MIN)
    }

    /// Whether these are the defaults.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
