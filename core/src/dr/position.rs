//! How far a copy of a workload is: a place in a history that forks at each promotion.
//!
//! A branch is named by the lease under which it was written, and not by PostgreSQL's timeline: two
//! servers that are promoted from the same place call their timelines alike, and an old primary that
//! leads again doesn't begin a new one. Leases are told apart for ever.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A place in a workload's history. Ordered by what it contains: a copy that has followed the primary
/// of a later lease has whatever survived that promotion, and what another wrote under an earlier one
/// after the fork is nobody's any more, however much it is.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Position {
    /// The branch: the lease of the primary that was followed last, or under which this copy led.
    /// 0: from before the plan.
    pub branch: u64,
    /// How much has been written since the history began, in bytes: PostgreSQL's LSN.
    pub offset_bytes: u64,
}

impl Position {
    /// How many bytes of another this one lacks; none: they are on different branches, so nobody can
    /// tell.
    #[must_use]
    pub fn lacks_bytes_of(&self, other: &Self) -> Option<u64> {
        let is_same = self.branch == other.branch;
        is_same.then(|| other.offset_bytes.saturating_sub(self.offset_bytes))
    }
}

/// What was known of a primary's position at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// How far it was, at least.
    pub position: Position,
    /// Where its branch left the one before.
    pub fork: Position,
    /// When, in seconds since 1970, as the leader heard it.
    pub at_unix_s: u64,
}

impl Mark {
    /// How many bytes that were written on the mark's branch a copy is known to lack; none: nobody
    /// can tell, since the copy is on a branch that ended earlier.
    #[must_use]
    pub fn lag_bytes(&self, copy: &Position) -> Option<u64> {
        let has_bytes = match copy.branch.cmp(&self.position.branch) {
            Ordering::Greater => return Some(0),
            Ordering::Equal => copy.offset_bytes,
            // What it has beyond the fork is not what was written on this branch.
            Ordering::Less if copy.branch == self.fork.branch => {
                copy.offset_bytes.min(self.fork.offset_bytes)
            }
            Ordering::Less => return None,
        };
        Some(self.position.offset_bytes.saturating_sub(has_bytes))
    }
}

impl fmt::Display for Position {
    /// The offset as PostgreSQL writes an LSN.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (high, low) = (self.offset_bytes >> 32, self.offset_bytes & 0xffff_ffff);
        write!(f, "{high:X}/{low:X} of lease {}", self.branch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(branch: u64, offset_bytes: u64) -> Position {
        Position {
            branch,
            offset_bytes,
        }
    }

    #[test]
    fn whoever_followed_the_latest_promotion_is_ahead_however_much_another_wrote_before_it() {
        assert!(at(9, 100) > at(5, 5000));
        assert!(at(9, 101) > at(9, 100));
    }

    #[test]
    fn the_lag_is_what_is_missing_of_the_primarys_own_branch() {
        let mark = Mark {
            position: at(9, 120),
            fork: at(5, 100),
            at_unix_s: 0,
        };
        assert_eq!(mark.lag_bytes(&at(9, 110)), Some(10));
        assert_eq!(mark.lag_bytes(&at(9, 130)), Some(0), "the mark is older");
        assert_eq!(
            mark.lag_bytes(&at(5, 90)),
            Some(30),
            "it would have followed"
        );
        assert_eq!(
            mark.lag_bytes(&at(5, 500)),
            Some(20),
            "the rest is nobody's"
        );
        assert_eq!(mark.lag_bytes(&at(3, 500)), None);
        assert_eq!(mark.lag_bytes(&at(11, 1)), Some(0));
    }

    #[test]
    fn a_position_reads_as_postgresql_writes_it() {
        assert_eq!(at(3, 0x16_B374_D848).to_string(), "16/B374D848 of lease 3");
    }
}
