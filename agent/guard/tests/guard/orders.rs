//! From each order to the next, and what is given back when.

use hanse_guard::Process;
use rustix::process::Signal;

use crate::Scenario;
use crate::world::{World, lease, order, run, send};

pub(crate) const ALL: &[Scenario] = &[
    ("a_standby_is_promoted_without_a_restart", promotion),
    (
        "a_primary_stops_in_good_order_under_its_lease_and_gives_it_back",
        good_order,
    ),
    (
        "a_lease_goes_back_once_nothing_runs_and_until_that_is_heard",
        stubborn,
    ),
    ("a_new_lease_takes_over_from_the_old_one", next_epoch),
    (
        "the_old_lease_counts_until_the_new_one_is_answered",
        next_epoch_silent,
    ),
    (
        "another_program_takes_the_place_of_the_first",
        other_program,
    ),
    ("a_primary_that_is_to_follow_stops_first", demotion),
    (
        "a_guard_that_begins_again_starts_nothing_without_an_answer",
        begins_again,
    ),
    (
        "a_guard_that_is_asked_to_end_stops_the_workload_first",
        closed,
    ),
    ("a_primary_is_started_again_once", restart),
    (
        "a_restarted_primary_that_does_not_write_is_given_up",
        no_writes,
    ),
    ("a_released_workload_outlives_its_guard", released),
];

fn promotion() {
    run(async {
        let mut world = World::new();
        world.put("federation", "* silent");
        world.put("server", "follows");
        world.order(order(Some(world.program()), None)).await;
        let running = world.running().await;
        world.said("up").await;
        world
            .order(order(Some(world.program()), Some(lease(7))))
            .await;
        world.more("renew 7", 2).await;
        let status = world
            .status("leads", |status| status.epoch == Some(7))
            .await;
        assert!(!status.may_write);
        assert_eq!(world.running().await, running);
        world.put("federation", "* 60000");
        world.status("may write", |status| status.may_write).await;
        world.put("server", "writes");
        world
            .status("writes", |status| {
                status.observed.as_ref().is_some_and(|known| known.writes)
            })
            .await;
        assert_eq!(world.running().await, running);
    });
}

fn good_order() {
    run(async {
        let mut world = World::new();
        world.put("federation", "* 1500");
        let program = world.script(
            r#"trap 'echo stopping >&9; while [ ! -e "$FOLDER/ends" ]; do sleep 0.02; done; exit 0' TERM
            echo up >&9; while :; do sleep 0.02; done"#,
        );
        world.order(order(Some(program), Some(lease(7)))).await;
        world.said("up").await;
        let mut stop = order(None, None);
        stop.gives_back = true;
        world.order(stop).await;
        world.said("stopping").await;
        world
            .status("stopping", |status| status.process == Process::Stopping)
            .await;
        // Longer than one renewal lasts.
        world.lease_ended(1500).await;
        world.more("renew 7", 2).await;
        assert_eq!(world.count("give back"), 0);
        world.put("ends", "");
        world.dead().await;
        world.event("give back 7 alive 0").await;
        let ended = Some("exit status: 0".to_owned());
        world
            .status("stopped", |status| {
                status.process
                    == Process::Stopped {
                        ended: ended.clone(),
                    }
            })
            .await;
        assert_eq!(world.count("give back"), 1);
    });
}

fn stubborn() {
    run(async {
        let mut world = World::new();
        world.put("deaf", "yes");
        let mut program = world.script("trap '' TERM; echo up >&9; while :; do sleep 0.02; done");
        program.stop_max_ms = 300;
        world.order(order(Some(program), Some(lease(7)))).await;
        world.said("up").await;
        let mut stop = order(None, Some(lease(7)));
        stop.gives_back = true;
        world.order(stop).await;
        world.dead().await;
        world.more("give back 7 alive 0", 2).await;
        world.put("deaf", "");
        let status = world
            .status("stopped", |status| {
                matches!(status.process, Process::Stopped { .. })
            })
            .await;
        let said = format!("{:?}", status.process);
        assert!(said.contains("did not stop within 300 ms"), "{said}");
        let all = world.count("give back");
        assert_eq!(world.count("give back 7 alive 0"), all);
    });
}

fn next_epoch() {
    run(async {
        let mut world = World::new();
        world
            .order(order(Some(world.program()), Some(lease(7))))
            .await;
        let running = world.running().await;
        world.said("up").await;
        world.status("may write", |status| status.may_write).await;
        world
            .order(order(Some(world.program()), Some(lease(9))))
            .await;
        world
            .status("may write under 9", |status| {
                status.epoch == Some(9) && status.may_write
            })
            .await;
        assert_eq!(world.running().await, running);
        assert!(world.is_silent());
    });
}

fn next_epoch_silent() {
    run(async {
        let mut world = World::new();
        world.put("federation", "7 2500\n9 silent");
        world
            .order(order(Some(world.program()), Some(lease(7))))
            .await;
        world.said("up").await;
        world.status("may write", |status| status.may_write).await;
        world
            .order(order(Some(world.program()), Some(lease(9))))
            .await;
        world.event("renew 9").await;
        let status = world
            .status("leads", |status| status.epoch == Some(9))
            .await;
        assert!(!status.may_write);
        assert!(
            matches!(status.process, Process::Running { .. }),
            "{status:?}"
        );
        send(world.guard(), Signal::STOP);
        world.lease_ended(2500).await;
        assert!(world.alive().is_empty(), "it outlives the old lease");
        world.dead().await;
    });
}

fn other_program() {
    run(async {
        let mut world = World::new();
        world.order(order(Some(world.program()), None)).await;
        let (first, _) = world.running().await;
        world.said("up").await;
        let other =
            world.script("trap 'exit 0' TERM; echo other >&9; while :; do sleep 0.02; done");
        world.order(order(Some(other), None)).await;
        world.said("other").await;
        let (second, _) = world.running().await;
        assert!(second > first);
        assert_eq!(world.count("renew"), 0);
    });
}

fn demotion() {
    run(async {
        let mut world = World::new();
        world
            .order(order(Some(world.program()), Some(lease(7))))
            .await;
        let (first, _) = world.running().await;
        world.said("up").await;
        world.status("may write", |status| status.may_write).await;
        let mut follow = order(Some(world.program()), None);
        follow.gives_back = true;
        world.order(follow).await;
        world.said("up").await;
        let (second, _) = world.running_other_than(first).await;
        assert!(second > first);
        world.event("give back 7").await;
    });
}

fn begins_again() {
    run(async {
        let mut world = World::new();
        world
            .order(order(Some(world.program()), Some(lease(7))))
            .await;
        world.said("up").await;
        world.put("federation", "* silent");
        world.kill_guard();
        world.dead().await;
        world.start_guard();
        world.more("renew 7", 3).await;
        let status = world.status("there", |_| true).await;
        assert_eq!(status.process, Process::Stopped { ended: None });
        assert_eq!((status.serial, status.may_write), (1, false));
        assert!(world.alive().is_empty());
        world.put("federation", "* 60000");
        world.said("up").await;
    });
}

fn closed() {
    run(async {
        let mut world = World::new();
        let program = world
            .script("trap 'echo bye >&9; exit 0' TERM; echo up >&9; while :; do sleep 0.02; done");
        world.order(order(Some(program), Some(lease(7)))).await;
        world.said("up").await;
        world.running().await;
        send(world.guard(), Signal::TERM);
        world.said("bye").await;
        assert!(world.guard_ended().await);
        assert!(world.alive().is_empty());
        assert_eq!(world.count("give back"), 0);
    });
}

/// Ends by itself once it finds a file, which it takes away.
const MORTAL: &str = r#"trap 'exit 0' TERM; echo up >&9
    while :; do if rm "$FOLDER/dies" 2>/dev/null; then exit 4; fi; sleep 0.02; done"#;

fn restart() {
    run(async {
        let mut world = World::new();
        world.put("server", "writes");
        world
            .order(order(Some(world.script(MORTAL)), Some(lease(7))))
            .await;
        world.said("up").await;
        let (first, _) = world.running().await;
        world.put("dies", "");
        world.said("up").await;
        let (second, _) = world.running_other_than(first).await;
        assert!(second > first);
        world.put("dies", "");
        let status = world
            .status("given up", |status| {
                matches!(status.process, Process::GaveUp { .. })
            })
            .await;
        assert!(
            format!("{status:?}").contains("exit status: 4"),
            "{status:?}"
        );
        world.event("give back 7 alive 0").await;
        // Without a lease nobody takes over, and it is started again.
        world.order(order(Some(world.script(MORTAL)), None)).await;
        world.said("up").await;
        for _ in 0..2 {
            world.put("dies", "");
            world.said("up").await;
        }
    });
}

fn no_writes() {
    run(async {
        let mut world = World::new();
        let mut terms = lease(7);
        terms.restart_max_ms = 300;
        world
            .order(order(Some(world.script(MORTAL)), Some(terms)))
            .await;
        world.said("up").await;
        world.put("dies", "");
        world.said("up").await;
        world.dead().await;
        world.event("give back 7 alive 0").await;
        let status = world
            .status("given up", |status| {
                matches!(status.process, Process::GaveUp { .. })
            })
            .await;
        assert!(
            format!("{status:?}").contains("did not write in time"),
            "{status:?}"
        );
    });
}

fn released() {
    run(async {
        let mut world = World::new();
        world.put("federation", "* 2500");
        world
            .order(order(Some(world.program()), Some(lease(7))))
            .await;
        let (_, pid) = world.running().await;
        world.said("up").await;
        world.status("may write", |status| status.may_write).await;
        if let Err(error) = world.client.release().await {
            let said = std::fs::read_to_string(world.path("error"));
            panic!("{error}: {said:?}");
        }
        assert!(world.guard_ended().await);
        world.lease_ended(2500).await;
        assert!(world.alive().contains(&pid));
        assert!(world.is_silent());
        let log = world.program().log;
        let found = |world: &World| world.client.let_go(&log).unwrap();
        assert_eq!(
            found(&world).first().map(hanse_guard::LetGo::pid),
            Some(pid)
        );
        // The next guard leaves it alone, until somebody wants its end.
        world.start_guard();
        world.answers().await;
        assert!(world.alive().contains(&pid));
        found(&world)[0].end().await.unwrap();
        assert_eq!(found(&world), []);
        world.dead().await;
    });
}
