//! What is true of each promotion, by what the servers have: what the machine believed is no proof.

use std::collections::BTreeSet;

use super::super::answers::untold_max;
use super::super::record::{Phase, Run};
use super::host::{Database, TICK};
use super::network::DELAY_MAX_TICKS;
use super::world::{COPIES, World, cluster};
use crate::name::ClusterName;
use crate::object::federation::ReplicationMode;

/// A mark's second may have just begun, and be over when it is compared.
const SECOND_TICKS: u64 = 10;

impl World {
    /// A promotion is about to be committed that says that so many bytes are lost: commits, here.
    pub(super) fn check_promotion(&mut self, to: &ClusterName, lost_bytes: Option<u64>) {
        let Some(chosen) = self.database_in(to) else {
            panic!("promotes nothing: {}", self.story());
        };
        let Some(run) = &self.record.run else {
            panic!("promotes without a run: {}", self.story());
        };
        // Nobody was primary before, or somebody said that data may be lost.
        let Some(primary) = self
            .record
            .primary
            .as_ref()
            .filter(|_| !run.allows_data_loss)
        else {
            return;
        };
        let has: BTreeSet<u64> = chosen.commits.iter().copied().collect();
        if self.terms.mode == ReplicationMode::Sync {
            let lost = self.acknowledged.difference(&has).next();
            assert_eq!(
                lost,
                None,
                "lost though it was acknowledged: {}",
                self.story()
            );
        }
        let lost = self.lost_of(primary, chosen, &has);
        if run.phase == Phase::Demoting {
            assert_eq!((lost_bytes, lost), (Some(0), 0), "{}", self.story());
        } else if !self.record.set.is_empty() {
            assert_eq!(lost, 0, "enough had it: {}", self.story());
        } else {
            self.check_lag(run, lost_bytes, lost);
            self.promoted_by_lag += 1;
        }
    }

    /// What is lost is what was said, and what the primary may have written since it was heard last.
    fn check_lag(&self, run: &Run, lost_bytes: Option<u64>, lost: u64) {
        let Some(told) = lost_bytes else {
            panic!("nobody knows the lag: {}", self.story());
        };
        assert!(told <= self.terms.lag_bytes_max, "{}", self.story());
        // One commit a tick; what is known comes from a report that was under way, and was noted lately.
        let untold = untold_max(&self.terms) + self.terms.timings.lately();
        let untold_ticks = u64::try_from(untold.as_millis() / TICK.as_millis()).unwrap();
        let bound = told + untold_ticks + u64::from(DELAY_MAX_TICKS) + SECOND_TICKS;
        assert!(
            lost <= bound,
            "{run}: {lost} are lost, of {told} that were told: {}",
            self.story()
        );
    }

    /// How many acknowledged commits the primary has, and the one that is promoted has not.
    fn lost_of(&self, primary: &ClusterName, chosen: &Database, has: &BTreeSet<u64>) -> u64 {
        let Some(wrote) = self.database_in(primary) else {
            return 0;
        };
        // What a rewound copy has of its branch is less than it tells. What the primary wrote since its own
        // promotion is told right even so.
        let is_told_wrong = chosen.is_rewound || wrote.is_rewound;
        let mark = self.record.mark.filter(|_| is_told_wrong);
        let from = mark.map_or(0, |mark| mark.fork.offset_bytes);
        let own = wrote.commits.iter().skip(usize::try_from(from).unwrap());
        let lost = own.filter(|one| self.acknowledged.contains(*one) && !has.contains(*one));
        lost.count() as u64
    }

    fn database_in(&self, site: &ClusterName) -> Option<&Database> {
        let host = (0..COPIES).find(|number| cluster(*number) == *site)?;
        self.hosts[host].disk.database.as_ref()
    }
}
