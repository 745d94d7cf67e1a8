//! One line of the log.

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

/// The longest line; a longer one is none of ours.
pub const LINE_LENGTH_MAX: usize = 16 << 10;
/// The longest name of an object, and the longest outcome, in characters.
pub const TEXT_LENGTH_MAX: usize = 1024;

/// One line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// One higher than that of the line before; 0 in a log that was written before lines had any.
    #[serde(default)]
    pub number: u64,
    /// When, by RFC 3339.
    pub time: String,
    /// Who.
    pub caller: String,
    /// What.
    pub call: String,
    /// On which object.
    pub object: String,
    /// With what result.
    pub outcome: String,
    /// How many lines were left out before this one: refusals of strangers, and what a full disk
    /// did not take.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u64,
    /// With this line, older ones went with their file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<Dropped>,
    /// SHA-256 of the line before, hexadecimal; of nothing for the first.
    pub previous: String,
}

/// Up to where older lines were dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// The number of the last line that went.
    pub number: u64,
    /// Its hash, which the first line that stays carries.
    pub hash: String,
}

/// SHA-256 of a line without its end, hexadecimal.
#[must_use]
pub fn hash(line: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, line);
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is serde's"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
