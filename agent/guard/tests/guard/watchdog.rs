//! The host's watchdog, here a file that keeps what it was fed with.

use std::fs;

use hanse_guard::{LeaseTerms, Process};
use rustix::process::Signal;

use crate::Scenario;
use crate::world::{World, eventually, lease, order, run, send};

pub(crate) const ALL: &[Scenario] = &[
    (
        "a_watchdog_is_fed_while_the_lease_lasts_and_left_in_good_order",
        fed_and_left,
    ),
    ("a_guard_that_stands_still_feeds_no_watchdog", frozen),
    (
        "a_host_without_a_watchdog_guards_on_and_says_so",
        without_one,
    ),
    (
        "a_guard_that_is_killed_leaves_its_watchdog_to_the_next_one",
        killed,
    ),
];

const TTL_MS: u64 = 4000;

fn watched() -> LeaseTerms {
    LeaseTerms {
        watchdog: true,
        ..lease(7)
    }
}

fn food(world: &World) -> String {
    fs::read_to_string(world.path("watchdog")).unwrap()
}

/// A primary that writes, and the watchdog is set for half its lease.
async fn leading(world: &mut World) {
    world.put("watchdog", "");
    world.put("federation", &format!("* {TTL_MS}"));
    world
        .order(order(Some(world.program()), Some(watched())))
        .await;
    world.said("up").await;
    world.status("may write", |status| status.may_write).await;
    world.event("watchdog 2").await;
    let known = food(world).len();
    eventually("food", || food(world).len() > known).await;
}

fn fed_and_left() {
    run(async {
        let mut world = World::new();
        leading(&mut world).await;
        let before = food(&world);
        // It was opened before anybody knew how long the lease is, and then for half of it.
        assert!(!before.ends_with('V'), "{before}");
        world.order(order(None, None)).await;
        world.dead().await;
        eventually("a good end", || food(&world).ends_with('V')).await;
    });
}

fn frozen() {
    run(async {
        let mut world = World::new();
        leading(&mut world).await;
        send(world.guard(), Signal::STOP);
        let before = food(&world);
        world.lease_ended(TTL_MS).await;
        let after = food(&world);
        assert!(after.len() <= before.len() + 1, "{before} then {after}");
        assert!(!after.ends_with('V'), "{after}");
    });
}

fn without_one() {
    run(async {
        let mut world = World::new();
        world
            .order(order(Some(world.program()), Some(watched())))
            .await;
        world.said("up").await;
        let told = world
            .status("in trouble", |status| {
                status.may_write && status.trouble.is_some()
            })
            .await;
        assert_eq!(told.trouble.as_deref(), Some("there is no watchdog"));
        assert!(matches!(told.process, Process::Running { .. }));
        world.put("watchdog", "");
        world
            .status("well", |status| status.trouble.is_none())
            .await;
    });
}

fn killed() {
    run(async {
        let mut world = World::new();
        leading(&mut world).await;
        world.kill_guard();
        world.dead().await;
        assert!(!food(&world).ends_with('V'));
        let known = food(&world).len();
        world.start_guard();
        world.said("up").await;
        eventually("food", || food(&world).len() > known).await;
    });
}
