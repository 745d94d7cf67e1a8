//! What a node tells of the time when nobody heard it.

use serde::{Deserialize, Serialize};

/// The most changes that are committed together.
pub const CHANGES_MAX: usize = 32;
/// The longest sentence, in characters: the state keeps it.
const SENTENCE_LENGTH_MAX: usize = 200;

/// Something that began or ended on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastChange {
    /// When, by the node's word, in seconds since 1970.
    pub at_unix_s: u64,
    /// What, in one sentence.
    pub sentence: String,
    /// Whether it ended; else it began.
    #[serde(default)]
    pub ended: bool,
}

/// The changes as they may be kept: so many, so long, and none of them from the future.
#[must_use]
pub(crate) fn bounded(changes: Vec<PastChange>, now_unix_s: u64) -> Vec<PastChange> {
    let bound = |change: PastChange| PastChange {
        at_unix_s: change.at_unix_s.min(now_unix_s),
        sentence: change.sentence.chars().take(SENTENCE_LENGTH_MAX).collect(),
        ended: change.ended,
    };
    changes.into_iter().take(CHANGES_MAX).map(bound).collect()
}
