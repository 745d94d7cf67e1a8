//! Since when commits wait for whoever has to have them.
//!
//! A server tells of a setting before all of it goes by that. Whether commits wait at all is a mark
//! that its checkpointer sets once it has read the configuration: which it doesn't while it syncs
//! files, and does before it rests.

use std::time::{Duration, Instant};

use hanse_core::dr::choose::SyncSet;

/// The other processes of a server go by what one of them tells a moment later.
const SETTLING: Duration = Duration::from_millis(500);

/// What a server said of who has each commit.
#[derive(Debug, Default)]
pub(crate) struct Announced {
    told: Option<Told>,
    in_effect: SyncSet,
}

#[derive(Debug)]
struct Told {
    set: SyncSet,
    since: Instant,
    /// The checkpointer's mark is set.
    is_marked: bool,
}

impl Announced {
    /// A server tells. `writes`: on one that doesn't, nobody waits. `rests`: its checkpointer does.
    pub(crate) fn told(&mut self, set: &SyncSet, (writes, rests): (bool, bool), now: Instant) {
        let known = self.told.take();
        let mut told = match known {
            Some(known) if known.set == *set => known,
            known => {
                self.in_effect = SyncSet::default();
                Told {
                    set: set.clone(),
                    since: now,
                    // From one set to another the mark stays.
                    is_marked: known.is_some_and(|known| known.is_marked && !set.is_empty()),
                }
            }
        };
        if now.saturating_duration_since(told.since) >= SETTLING {
            told.is_marked |= rests && !set.is_empty();
            self.in_effect = match writes && told.is_marked {
                true => set.clone(),
                false => SyncSet::default(),
            };
        }
        self.told = Some(told);
    }

    /// Who has each commit before it is acknowledged.
    pub(crate) fn in_effect(&self) -> &SyncSet {
        &self.in_effect
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(member: &str) -> SyncSet {
        SyncSet {
            members: [member.parse().unwrap()].into(),
            needed: 1,
        }
    }

    /// What is in effect after a server told, at milliseconds.
    fn after(tellings: &[(u64, &SyncSet, bool, bool)]) -> SyncSet {
        let begin = Instant::now();
        let mut announced = Announced::default();
        for (at_ms, set, writes, rests) in tellings {
            let now = begin + Duration::from_millis(*at_ms);
            announced.told(set, (*writes, *rests), now);
        }
        announced.in_effect().clone()
    }

    #[test]
    fn a_set_is_in_effect_once_the_checkpointer_has_rested_since() {
        let (none, b) = (SyncSet::default(), set("b"));
        assert_eq!(after(&[(0, &b, true, true)]), none);
        let busy = [(0, &none, true, true), (100, &b, true, true)];
        let with = |more: &[_]| after(&[&busy[..], more].concat());
        assert_eq!(with(&[(599, &b, true, true)]), none);
        assert_eq!(with(&[(600, &b, true, false)]), none);
        assert_eq!(with(&[(60_000, &b, true, false)]), none);
        assert_eq!(with(&[(600, &b, true, true)]), b);
        let later = [(600, &b, true, true), (700, &b, true, false)];
        assert_eq!(with(&later), b, "the mark stays");
    }

    #[test]
    fn what_a_standby_was_told_counts_from_its_promotion_on() {
        let (none, b, c) = (SyncSet::default(), set("b"), set("c"));
        let standby = [(0, &b, false, true), (600, &b, false, true)];
        assert_eq!(after(&standby), none);
        let promoted = [(700, &c, true, false), (1200, &c, true, false)];
        assert_eq!(after(&[&standby[..], &promoted[..1]].concat()), none);
        assert_eq!(after(&[&standby[..], &promoted[..]].concat()), c);
    }

    #[test]
    fn a_set_that_went_and_came_back_counts_anew() {
        let (none, b, c) = (SyncSet::default(), set("b"), set("c"));
        let back = |between| {
            [
                (0, &b, true, true),
                (600, &b, true, true),
                (700, between, true, true),
                (800, &b, true, false),
                (1300, &b, true, false),
            ]
        };
        assert_eq!(after(&back(&c)[..4]), none);
        assert_eq!(after(&back(&c)), b, "commits never stopped waiting");
        assert_eq!(after(&back(&none)), none, "they did, and may not wait yet");
    }
}
