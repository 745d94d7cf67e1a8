//! The whole of a failover on virtual time: guards, servers, a federation that loses its leader,
//! links that are cut in either direction, hosts that die, sleep and come back, clocks that drift.
//!
//! Raft itself is not simulated here (hanse-consensus does that): the federation answers whoever
//! reaches its leader, and it has one while somebody reaches a majority of the voters. What a seed
//! does is printed when it fails.

mod drills;
mod host;
mod leader;
mod scenarios;
mod servers;
mod world;

use super::record::Outcome;
use crate::object::federation::ReplicationMode;
use world::{World, WorldTerms};

/// Seeds of each property, unless the environment says otherwise.
const SEEDS: u64 = 300;

fn seeds() -> u64 {
    let told = std::env::var("HANSE_SEEDS").ok();
    told.and_then(|text| text.parse().ok()).unwrap_or(SEEDS)
}

fn every_seed(terms: WorldTerms, check: impl Fn(&mut World)) {
    let first = std::env::var("HANSE_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    let all = first.map_or(0..seeds(), |seed: u64| seed..seed + 1);
    for seed in all {
        let mut world = World::new(seed, terms);
        check(&mut world);
    }
}

const ASYNC: WorldTerms = WorldTerms {
    mode: ReplicationMode::Async,
    automatic_failback: false,
};
const SYNC: WorldTerms = WorldTerms {
    mode: ReplicationMode::Sync,
    automatic_failback: true,
};
const SEMI_SYNC: WorldTerms = WorldTerms {
    mode: ReplicationMode::SemiSync,
    automatic_failback: true,
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

/// Checked after every tick, by the world itself.
#[test]
fn there_are_never_two_writers() {
    for terms in [ASYNC, SYNC, SEMI_SYNC] {
        every_seed(terms, World::suffer);
    }
}

/// Checked at every promotion, by the world itself.
#[test]
fn no_acknowledged_commit_is_lost_in_sync_mode() {
    every_seed(SYNC, |world| {
        world.suffer();
        world.assert_nothing_lost();
    });
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
    for terms in [ASYNC, SYNC, SEMI_SYNC] {
        every_seed(terms, |world| {
            world.suffer();
            world.heal();
            world.run_for_ticks(1500);
            world.assert_serves_or_explains();
        });
    }
}
