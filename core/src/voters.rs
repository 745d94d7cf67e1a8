//! Who is to vote next: a voter is let in once it has proved itself, and out only where a quorum
//! stays.
//!
//! Which nodes shall be voters is declared by who joined as one and who was removed. This says by
//! which steps the voters' own list gets there, one change at a time.

pub mod vote;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The most voters: more make every change slower and nothing safer.
pub const VOTERS_MAX: usize = 7;
/// A learner that lacks more entries than that has not caught up.
const LAG_ENTRIES_MAX: u64 = 16;
/// So long a learner must have been caught up without a break before it votes.
const STEADY_FOR: Duration = Duration::from_secs(5);
/// Whoever was not heard of for longer is counted as dead.
const SILENCE_MAX: Duration = Duration::from_secs(6);

/// One of the voters' list, as the leader sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Whether it votes; else it learns.
    pub is_voter: bool,
    /// How many entries of the leader's log it is not known to have; none: nothing is known.
    pub lag_entries: Option<u64>,
    /// For how long the leader has not heard from it; none: not yet.
    pub silent_for: Option<Duration>,
    /// For how long it has been caught up without a break.
    pub caught_up_for: Duration,
}

/// One change of the voters' list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Send it the log.
    Learn(u64),
    /// Let it vote.
    Promote(u64),
    /// Take it out.
    Remove(u64),
}

/// Why a voter has to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Needed {
    /// There is no other.
    #[error("it is the only voter")]
    Last,
    /// Without it too few would be left alive.
    #[error(
        "of the {left} voters that would be left only {alive} can be heard, which is no majority: \
         nothing could be changed any more"
    )]
    Quorum {
        /// How many would be left.
        left: usize,
        /// How many of those are heard of.
        alive: usize,
    },
}

impl Seen {
    /// Whether it lacks nothing that matters and is heard of.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        let is_near = self.lag_entries.is_some_and(|lag| lag <= LAG_ENTRIES_MAX);
        is_near && self.is_alive()
    }

    fn is_alive(&self) -> bool {
        self.silent_for.is_some_and(|silent| silent <= SILENCE_MAX)
    }
}

/// The next change, if one is due and safe.
#[must_use]
pub fn next_step(wanted: &BTreeSet<u64>, seen: &BTreeMap<u64, Seen>) -> Option<Step> {
    let unwanted = seen.keys().find(|id| {
        !wanted.contains(id) && (!seen[id].is_voter || check_removal(seen, **id).is_ok())
    });
    if let Some(id) = unwanted {
        return Some(Step::Remove(*id));
    }
    if let Some(id) = wanted.iter().find(|id| !seen.contains_key(id)) {
        return Some(Step::Learn(*id));
    }
    let voters = seen.values().filter(|seen| seen.is_voter).count();
    let ready = seen.iter().find(|(_, seen)| {
        !seen.is_voter && seen.is_caught_up() && seen.caught_up_for >= STEADY_FOR
    });
    ready
        .filter(|_| voters < VOTERS_MAX)
        .map(|(id, _)| Step::Promote(*id))
}

/// Whether a voter may go.
///
/// # Errors
///
/// No quorum would be left.
pub fn check_removal(seen: &BTreeMap<u64, Seen>, id: u64) -> Result<(), Needed> {
    let others = seen
        .iter()
        .filter(|(other, seen)| **other != id && seen.is_voter);
    let left = others.clone().count();
    let alive = others.filter(|(_, seen)| seen.is_alive()).count();
    if left == 0 {
        return Err(Needed::Last);
    }
    if alive <= left / 2 {
        return Err(Needed::Quorum { left, alive });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Option<Duration> = Some(Duration::ZERO);

    fn voter(silent_s: u64) -> Seen {
        Seen {
            is_voter: true,
            lag_entries: Some(0),
            silent_for: Some(Duration::from_secs(silent_s)),
            caught_up_for: Duration::from_secs(100),
        }
    }

    fn learner(lag_entries: u64, caught_up_s: u64) -> Seen {
        Seen {
            is_voter: false,
            lag_entries: Some(lag_entries),
            silent_for: NOW,
            caught_up_for: Duration::from_secs(caught_up_s),
        }
    }

    fn step(wanted: &[u64], seen: &[(u64, Seen)]) -> Option<Step> {
        let wanted = wanted.iter().copied().collect();
        next_step(&wanted, &seen.iter().copied().collect())
    }

    #[test]
    fn a_new_voter_learns_first_and_votes_once_it_was_steady_for_a_while() {
        let lone = [(1, voter(0))];
        assert_eq!(step(&[1], &lone), None);
        assert_eq!(step(&[1, 2], &lone), Some(Step::Learn(2)));
        let behind = [(1, voter(0)), (2, learner(1000, 0))];
        assert_eq!(step(&[1, 2], &behind), None);
        let fresh = [(1, voter(0)), (2, learner(0, 1))];
        assert_eq!(step(&[1, 2], &fresh), None);
        let steady = [(1, voter(0)), (2, learner(0, 60))];
        assert_eq!(step(&[1, 2], &steady), Some(Step::Promote(2)));
    }

    #[test]
    fn a_voter_goes_only_where_a_quorum_stays() {
        let healthy = [(1, voter(0)), (2, voter(0)), (3, voter(0))];
        assert_eq!(step(&[1, 2], &healthy), Some(Step::Remove(3)));
        let one_dead = [(1, voter(0)), (2, voter(60)), (3, voter(0))];
        assert_eq!(step(&[1, 2], &one_dead), None);
        assert_eq!(step(&[1, 3], &one_dead), Some(Step::Remove(2)));
        let seen = BTreeMap::from([(1, voter(0))]);
        assert_eq!(check_removal(&seen, 1), Err(Needed::Last));
    }

    #[test]
    fn there_are_at_most_seven() {
        let mut seen: Vec<(u64, Seen)> = (1..=7).map(|id| (id, voter(0))).collect();
        seen.push((8, learner(0, 60)));
        assert_eq!(step(&[1, 2, 3, 4, 5, 6, 7, 8], &seen), None);
    }

    proptest! {
        #[test]
        fn no_step_leaves_a_majority_dead(
            wanted in proptest::collection::btree_set(1_u64..9, 0..8),
            seen in proptest::collection::btree_map(
                1_u64..9,
                (any::<bool>(), 0_u64..40, 0_u64..12, 0_u64..12),
                1..8,
            ),
        ) {
            let seen: BTreeMap<u64, Seen> = seen
                .into_iter()
                .map(|(id, (is_voter, lag, silent_s, caught_up_s))| {
                    let seen = Seen {
                        is_voter,
                        lag_entries: Some(lag),
                        silent_for: Some(Duration::from_secs(silent_s)),
                        caught_up_for: Duration::from_secs(caught_up_s),
                    };
                    (id, seen)
                })
                .collect();
            let Some(Step::Remove(gone)) = next_step(&wanted, &seen) else {
                return Ok(());
            };
            prop_assert!(!wanted.contains(&gone));
            if seen[&gone].is_voter {
                let left = seen.iter().filter(|(id, seen)| **id != gone && seen.is_voter);
                let alive = left.clone().filter(|(_, seen)| seen.is_alive()).count();
                prop_assert!(2 * alive > left.count());
            }
        }
    }
}
