//! Drills among all that: a host holds one beside its copy, and whatever it or anybody else suffers,
//! the drill ends and nobody leads for it who didn't before.

use super::super::change::PlanChange;
use super::super::drill::{self, DrillEnd, DrillOutcome, DrillSight};
use super::super::record::PlanRecord;
use super::host::Host;
use super::world::World;
use super::{ASYNC, SEMI_SYNC, SYNC, every_seed};

/// How long a drill takes, in ticks.
const DRILL_TICKS: u32 = 100;
/// Within so many ticks of peace every drill has ended: its timeout, and the grace after it.
const END_TICKS: u32 = 2000;

/// A drill that a host holds.
#[derive(Debug, Clone)]
pub(super) struct Practice {
    number: u64,
    left_ticks: u32,
    end: Option<DrillEnd>,
}

impl Host {
    /// What it is told; an order that is gone ends the drill.
    pub(super) fn hear_drill(&mut self, order: Option<u64>) {
        let own = self.drill.as_ref().map(|drill| drill.number);
        match order {
            None => self.drill = None,
            Some(number) if own == Some(number) => {}
            // It began before the host died, and is over.
            Some(number) if self.disk.drilled >= number => {
                self.drill = Some(Practice {
                    number,
                    left_ticks: 0,
                    end: Some(end(DrillOutcome::Failed, "the agent ended")),
                });
            }
            Some(number) => {
                self.disk.drilled = number;
                self.drill = Some(Practice {
                    number,
                    left_ticks: DRILL_TICKS,
                    end: None,
                });
            }
        }
    }

    /// What it tells of the drill that it holds.
    pub(super) fn drill_sight(&self) -> Option<DrillSight> {
        let drill = self.drill.as_ref()?;
        Some(DrillSight {
            number: drill.number,
            progress: String::new(),
            end: drill.end.clone(),
        })
    }

    /// One tick of it.
    pub(super) fn practise(&mut self) {
        if let Some(drill) = self.drill.as_mut().filter(|drill| drill.end.is_none()) {
            drill.left_ticks = drill.left_ticks.saturating_sub(1);
            if drill.left_ticks == 0 {
                drill.end = Some(end(DrillOutcome::Passed, ""));
            }
        }
    }
}

impl World {
    /// Asks for a drill; it may be refused.
    fn ask_for_a_drill(&mut self) {
        if !self.leader.is_some_and(|leader| self.has_majority(leader)) {
            return;
        }
        let sight = self.sight();
        let asked = (None, "a test asks".to_owned());
        if let Ok(change) = drill::admit(&self.terms, &self.record, &sight, asked) {
            self.commit(&change);
        }
    }
}

/// What a drill never touches.
pub(super) fn all_but_drills(record: &PlanRecord) -> PlanRecord {
    PlanRecord {
        revision: 0,
        drill: None,
        drills: Vec::new(),
        drills_begun: 0,
        drilled_unix_s: 0,
        ..record.clone()
    }
}

/// Whether a change is one of a drill's.
pub(super) fn is_of_a_drill(change: &PlanChange) -> bool {
    matches!(
        change,
        PlanChange::DrillBegun { .. } | PlanChange::DrillEnded { .. }
    )
}

fn end(outcome: DrillOutcome, trouble: &str) -> DrillEnd {
    DrillEnd {
        outcome,
        trouble: trouble.to_owned(),
        report: None,
    }
}

/// That nothing else of the record changes, the world checks at every commit.
#[test]
fn a_drill_never_changes_who_leads_and_always_ends() {
    let mut passed = 0;
    for terms in [ASYNC, SYNC, SEMI_SYNC] {
        let count = std::cell::Cell::new(0);
        every_seed(terms, |world| {
            world.run_for_ticks(200);
            for _ in 0..15 {
                world.ask_for_a_drill();
                world.suffer_for_ticks(100);
            }
            world.heal();
            world.run_for_ticks(END_TICKS);
            assert_eq!(world.record().drill, None, "{}", world.story());
            world.assert_serves_or_explains();
            let drills = world.record().drills.iter();
            let passed = drills.filter(|drill| drill.outcome == DrillOutcome::Passed);
            count.set(count.get() + passed.count());
            assert!(world.hosts.iter().all(|host| host.drill.is_none()));
        });
        passed += count.get();
    }
    assert!(passed > 0, "no drill ever passed");
}
