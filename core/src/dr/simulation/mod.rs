//! The whole of a failover on virtual time: guards, servers, a federation that loses its leader,
//! messages that come late or after later ones, links that are cut in either direction, hosts that die,
//! stand still or are paused with their clocks, and come back, clocks that drift.
//!
//! Raft itself is not simulated here (hanse-consensus does that): the federation answers whoever
//! reaches its leader, and it has one while somebody reaches a majority of the voters. What a seed
//! does is printed when it fails. `HANSE_SEED=N` runs that seed alone; `HANSE_SEEDS=N` runs so many.

mod clock;
mod drills;
mod faults;
mod host;
mod leader;
mod network;
mod operator;
mod promotions;
mod random;
mod scenarios;
mod servers;
mod world;

use std::cell::Cell;

use super::change::PlanChange;
use super::record::{Outcome, Phase, RunKind};
use crate::object::federation::ReplicationMode;
use world::{World, WorldTerms, cluster};

/// Seeds of each property, unless the environment says otherwise.
const SEEDS: u64 = 300;

fn seeds() -> u64 {
    let told = std::env::var("HANSE_SEEDS").ok();
    told.and_then(|text| text.parse().ok()).unwrap_or(SEEDS)
}

/// The only seed that is to run; none: all.
fn only_seed() -> Option<u64> {
    std::env::var("HANSE_SEED").ok()?.parse().ok()
}

fn every_seed(terms: WorldTerms, check: impl Fn(&mut World)) {
    let all = only_seed().map_or(0..seeds(), |seed| seed..seed + 1);
    for seed in all {
        let mut world = World::new(seed, terms);
        check(&mut world);
    }
}

const ASYNC: WorldTerms = WorldTerms {
    mode: ReplicationMode::Async,
    automatic_failback: false,
    automatic_failover: true,
    is_fenced_outside: false,
    has_pauses: false,
};
const SYNC: WorldTerms = WorldTerms {
    mode: ReplicationMode::Sync,
    automatic_failback: true,
    ..ASYNC
};
const SEMI_SYNC: WorldTerms = WorldTerms {
    mode: ReplicationMode::SemiSync,
    ..SYNC
};
/// The end of a lease stops nothing, and somebody sees to the plan.
const MANUAL: WorldTerms = WorldTerms {
    automatic_failover: false,
    ..ASYNC
};
const MANUAL_FENCED: WorldTerms = WorldTerms {
    is_fenced_outside: true,
    ..MANUAL
};
/// Machines are paused, and stopped from outside before anybody is promoted.
const PAUSED_FENCED: WorldTerms = WorldTerms {
    is_fenced_outside: true,
    has_pauses: true,
    ..ASYNC
};
/// Machines are paused, and nothing is acknowledged before a standby has it.
const PAUSED_SYNC: WorldTerms = WorldTerms {
    has_pauses: true,
    ..SYNC
};
/// Machines are paused, and that is accepted.
const PAUSED_ACCEPTED: WorldTerms = WorldTerms {
    has_pauses: true,
    ..ASYNC
};

#[test]
fn a_plan_begins_and_its_standbys_follow() {
    every_seed(SYNC, |world| {
        world.run_for_ticks(300);
        world.assert_serves();
    });
}

#[test]
fn a_dead_primary_is_replaced_and_rejoins_as_a_standby() {
    every_seed(ASYNC, |world| {
        world.run_for_ticks(300);
        world.crash(0);
        world.run_for_ticks(300);
        world.assert_serves();
        assert_ne!(world.primary(), Some(0), "{}", world.story());
        let past = world.record().past.clone().unwrap();
        assert_eq!(past.outcome, Outcome::Moved);
        world.restart(0);
        world.run_for_ticks(300);
        world.assert_all_follow();
    });
}

/// Checked after every tick, by the world itself, here and in all other worlds.
#[test]
fn there_are_never_two_writers() {
    for terms in [SEMI_SYNC, MANUAL_FENCED] {
        every_seed(terms, World::suffer);
    }
}

/// Checked after every tick, by the world itself.
#[test]
fn a_paused_machine_never_writes_beside_another_where_it_is_stopped_from_outside_first() {
    every_seed(PAUSED_FENCED, World::suffer);
}

/// Checked after every tick, by the world itself.
#[test]
fn a_paused_machine_writes_for_less_than_a_lease_once_it_goes_on() {
    every_seed(PAUSED_ACCEPTED, World::suffer);
}

/// Checked at every promotion, by the world itself.
#[test]
fn no_acknowledged_commit_is_lost_in_sync_mode_even_by_machines_that_are_paused() {
    for terms in [SYNC, PAUSED_SYNC] {
        every_seed(terms, |world| {
            world.suffer();
            world.assert_nothing_lost();
        });
    }
}

/// Checked at every promotion, by the world itself.
#[test]
fn no_promotion_without_a_known_lag() {
    for terms in [ASYNC, MANUAL] {
        let (promoted, held) = (Cell::new(0), Cell::new(0));
        every_seed(terms, |world| {
            world.suffer();
            promoted.set(promoted.get() + world.promoted_by_lag);
            held.set(held.get() + world.held_as_stale);
        });
        if only_seed().is_none() {
            assert!(promoted.get() > 0, "nobody was promoted by a known lag");
            // Where no lease stops the primary, it was away for too long now and then.
            assert_eq!(held.get() > 0, !terms.automatic_failover);
        }
    }
}

/// The primary writes on alone for a minute, and whoever is to be promoted is said to lack nothing.
#[test]
#[should_panic(expected = "are lost, of 0 that were told")]
fn a_loss_that_nobody_told_of_is_noticed() {
    let mut world = World::calm(MANUAL);
    world.run_for_ticks(300);
    world.cut_off(0);
    world.run_for_ticks(600);
    world.commit(&PlanChange::Begun {
        kind: RunKind::Failover,
        phase: Phase::Fencing,
        to: None,
        reason: "a test".to_owned(),
        asked: true,
        allows_data_loss: false,
    });
    world.check_promotion(&cluster(1), Some(0));
}

#[test]
fn the_same_seed_gives_the_same_story() {
    let story = || {
        let mut world = World::new(7, PAUSED_SYNC);
        world.suffer();
        world.story
    };
    assert_eq!(story(), story());
}

#[test]
fn a_primary_goes_home_by_itself_once_and_loses_nothing() {
    every_seed(SYNC, |world| {
        world.run_for_ticks(300);
        world.crash(0);
        world.run_for_ticks(300);
        world.restart(0);
        world.run_for_ticks(1200);
        world.assert_all_follow();
        assert_eq!(world.primary(), Some(0), "{}", world.story());
        assert_eq!(world.lost(), 0, "{}", world.story());
    });
}

#[test]
fn a_run_always_ends_or_explains_itself() {
    for terms in [ASYNC, SYNC, SEMI_SYNC, MANUAL] {
        every_seed(terms, |world| {
            world.suffer();
            world.heal();
            world.run_for_ticks(1500);
            world.assert_serves_or_explains();
        });
    }
}
