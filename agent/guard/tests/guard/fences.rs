//! Nothing of a workload outlives its guard or its lease, whoever is killed or frozen.

use std::fs;

use hanse_guard::Process;
use rustix::process::Signal;

use crate::Scenario;
use crate::world::{GROUP, NOBODY, World, eventually, freeze_or_gone, lease, order, run, send};

pub(crate) const ALL: &[Scenario] = &[
    ("a_guard_that_is_killed_takes_a_busy_workload_along", killed),
    (
        "a_frozen_keeper_does_not_keep_the_workload_of_a_killed_guard",
        killed_with_frozen_keeper,
    ),
    (
        "a_keeper_that_is_killed_takes_the_workload_along",
        keeper_killed,
    ),
    ("a_frozen_guards_workload_ends_with_its_lease", guard_frozen),
    (
        "a_frozen_keepers_workload_ends_with_its_lease",
        keeper_frozen,
    ),
    ("all_frozen_processes_end_with_the_lease", all_frozen),
    (
        "a_promoted_standby_that_freezes_ends_with_its_lease",
        promoted_frozen,
    ),
    (
        "a_program_whose_guard_died_before_it_began_never_begins",
        before_it_began,
    ),
    ("a_seal_is_there_for_the_program_alone", seal),
    (
        "a_seal_outside_keeps_the_workload_from_starting",
        seal_outside,
    ),
    ("a_lease_that_is_not_renewed_ends_the_workload", silence),
    ("a_slow_answer_is_one_all_the_same", slow_answer),
    ("a_lost_lease_ends_the_workload_until_another_order", lost),
    (
        "a_jump_of_the_wall_clock_ends_the_workload_until_the_next_renewal",
        jump,
    ),
    ("a_lease_that_fences_nothing_ends_nothing", fences_nothing),
    ("clients_leave_before_the_workload_is_ended", address),
    (
        "an_address_that_is_stuck_keeps_no_workload_alive",
        stuck_address,
    ),
];

const TTL_MS: u64 = 2500;

/// A primary under a lease.
async fn leading(world: &mut World, ttl_ms: u64) -> u32 {
    world.put("federation", &format!("* {ttl_ms}"));
    world
        .order(order(Some(world.program()), Some(lease(7))))
        .await;
    let (_, pid) = world.running().await;
    world.said("up").await;
    world.status("may write", |status| status.may_write).await;
    pid
}

fn killed() {
    run(async {
        let mut world = World::new();
        let pid = leading(&mut world, 60_000).await;
        let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let user = format!("Uid:\t{NOBODY}\t{NOBODY}\t{NOBODY}\t{NOBODY}");
        assert!(text.contains(&user), "{text}");
        assert!(text.contains(&format!("Groups:\t{GROUP} \n")), "{text}");
        let oom = fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
        assert_eq!(oom.trim(), "0");
        eventually("the workload has descendants", || world.alive().len() > 3).await;
        world.kill_guard();
        world.dead().await;
        assert!(world.alive().is_empty());
    });
}

fn killed_with_frozen_keeper() {
    run(async {
        let mut world = World::new();
        leading(&mut world, 60_000).await;
        send(world.keeper(), Signal::STOP);
        world.kill_guard();
        world.dead().await;
        assert!(world.alive().is_empty());
    });
}

fn keeper_killed() {
    run(async {
        let mut world = World::new();
        leading(&mut world, 60_000).await;
        world.put("federation", "* silent");
        let keeper = world.keeper();
        send(world.guard(), Signal::STOP);
        send(keeper, Signal::KILL);
        world.dead().await;
        assert!(world.alive().is_empty());
    });
}

fn guard_frozen() {
    run(async {
        let mut world = World::new();
        leading(&mut world, TTL_MS).await;
        send(world.guard(), Signal::STOP);
        world.lease_ended(TTL_MS).await;
        assert!(world.alive().is_empty(), "it outlives its lease");
        world.dead().await;
    });
}

fn keeper_frozen() {
    run(async {
        let mut world = World::new();
        leading(&mut world, TTL_MS).await;
        let keeper = world.keeper();
        world.put("federation", "* silent");
        send(keeper, Signal::STOP);
        world.lease_ended(TTL_MS).await;
        world.dead().await;
        assert!(world.alive().is_empty(), "it outlives its lease");
    });
}

async fn freeze_everything(world: &World, keeper: u32) {
    send(world.guard(), Signal::STOP);
    send(keeper, Signal::STOP);
    for pid in world.alive() {
        freeze_or_gone(pid);
    }
    world.lease_ended(TTL_MS).await;
    assert!(world.alive().is_empty(), "it outlives its lease");
}

fn all_frozen() {
    run(async {
        let mut world = World::new();
        leading(&mut world, TTL_MS).await;
        let keeper = world.keeper();
        freeze_everything(&world, keeper).await;
        world.dead().await;
    });
}

fn promoted_frozen() {
    run(async {
        let mut world = World::new();
        world.put("federation", &format!("* {TTL_MS}"));
        world.order(order(Some(world.program()), None)).await;
        let (start, pid) = world.running().await;
        world.said("up").await;
        let keeper = world.keeper();
        // Without its keeper's word, nobody says that the kernel will end it.
        send(keeper, Signal::STOP);
        world
            .order(order(Some(world.program()), Some(lease(7))))
            .await;
        world.more("renew 7", 4).await;
        let status = world
            .status("an order", |status| status.epoch == Some(7))
            .await;
        assert!(!status.may_write, "it may write, and no timer is set");
        send(keeper, Signal::CONT);
        let status = world.status("may write", |status| status.may_write).await;
        assert_eq!(status.process, Process::Running { start, pid });
        freeze_everything(&world, keeper).await;
        world.dead().await;
    });
}

fn before_it_began() {
    run(async {
        // It has not asked the kernel yet when its keeper dies, and what it is to run is in its pipe.
        let slow = r#"echo > "$0/waits"; while [ ! -e "$0/goes" ]; do sleep 0.02; done
            exec /proc/1/exe stage "$0""#;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap().to_owned();
        fs::set_permissions(
            folder.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o777),
        )
        .unwrap();
        let exe = fs::read_link("/proc/self/exe").unwrap();
        let copied = folder.path().join("program");
        fs::copy(exe, &copied).unwrap();
        let slow = slow.replace("/proc/1/exe", copied.to_str().unwrap());
        let mut world = World::with_stage(&["/bin/sh", "-c", &slow, &path]);
        world.order(order(Some(world.program()), None)).await;
        eventually("it waits", || folder.path().join("waits").exists()).await;
        eventually("it is noted", || world.path("guard/process").exists()).await;
        // The keeper has written what is to run: it waits for events again.
        let keeper = world.keeper();
        let waits = || fs::read_to_string(format!("/proc/{keeper}/wchan")).unwrap_or_default();
        eventually("the keeper waits", || {
            waits().contains("poll") || waits() == "0"
        })
        .await;
        world.kill_guard();
        fs::write(folder.path().join("goes"), "").unwrap();
        let is_there = |pid: u32| {
            fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|text| {
                pid != std::process::id() && String::from_utf8_lossy(&text).contains(&path)
            })
        };
        eventually("it ends", || crate::fakes::processes(is_there).is_empty()).await;
        assert!(!world.path("log").exists(), "it began to be the program");
        assert!(world.is_silent());
    });
}

fn seal() {
    run(async {
        let mut world = World::new();
        let mut program = world.script("echo sealed >&9; while :; do sleep 0.02; done");
        world.order(order(Some(program.clone()), None)).await;
        world.said("sealed").await;
        assert!(!program.seal.exists(), "the seal is visible outside");
        // What the order starts, started past the guard.
        let status = std::process::Command::new("/bin/sh")
            .args(["-c", r#"[ -e "$SEAL" ] || exit 3"#])
            .envs(std::mem::take(&mut program.environment))
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(3));
    });
}

fn seal_outside() {
    run(async {
        let world = World::new();
        fs::create_dir(world.path("sealed")).unwrap();
        fs::write(world.path("sealed/server"), "").unwrap();
        world.order(order(Some(world.program()), None)).await;
        let status = world
            .status("refused", |status| {
                matches!(&status.process, Process::Stopped { ended: Some(_) })
            })
            .await;
        let said = format!("{:?}", status.process);
        assert!(said.contains("exists outside of the guard"), "{said}");
    });
}

fn silence() {
    run(async {
        let mut world = World::new();
        leading(&mut world, TTL_MS).await;
        world.put("federation", "* silent");
        let why = "its lease was not renewed in time".to_owned();
        world
            .status("stopped", |status| {
                status.process
                    == Process::Stopped {
                        ended: Some(why.clone()),
                    }
            })
            .await;
        world.dead().await;
        assert!(world.alive().is_empty());
        world.put("federation", "* 60000");
        world.said("up").await;
    });
}

fn slow_answer() {
    run(async {
        let mut world = World::new();
        // Of these, dozens are asked until the first one is answered.
        world.put("federation", "* 60000 after 1000");
        world
            .order(order(Some(world.program()), Some(lease(7))))
            .await;
        world.said("up").await;
        world.status("may write", |status| status.may_write).await;
    });
}

fn lost() {
    run(async {
        let mut world = World::new();
        let first = leading(&mut world, 60_000).await;
        world.put("federation", "7 lost\n9 60000");
        world.dead().await;
        let status = world
            .status("stopped", |status| {
                matches!(status.process, Process::Stopped { .. })
            })
            .await;
        assert!(status.is_lost && !status.may_write, "{status:?}");
        // The same again is no other order.
        world.put("federation", "* 60000");
        let mut again = order(Some(world.program()), Some(lease(7)));
        again.gives_back = true;
        let serial = world.order(again).await;
        let status = world
            .status("in effect", |status| status.serial == serial)
            .await;
        assert!(status.is_lost && world.alive().is_empty(), "{status:?}");
        world
            .order(order(Some(world.program()), Some(lease(9))))
            .await;
        let (_, pid) = world.running().await;
        assert_ne!(pid, first);
        world.said("up").await;
    });
}

fn jump() {
    run(async {
        let mut world = World::new();
        leading(&mut world, 60_000).await;
        world.put("federation", "* silent");
        world.more("renew 7", 2).await;
        world.put("ahead", "3");
        world.dead().await;
        world.put("federation", "* 60000");
        world.said("up").await;
        world.status("may write", |status| status.may_write).await;
    });
}

fn fences_nothing() {
    run(async {
        let mut world = World::new();
        let terms = hanse_guard::LeaseTerms {
            fences_itself: false,
            ..lease(7)
        };
        world.put("federation", "* 300");
        world.order(order(Some(world.program()), Some(terms))).await;
        let running = world.running().await;
        world.said("up").await;
        world.put("federation", "* silent");
        world.put("ahead", "3");
        world.lease_ended(1000).await;
        world.more("renew 7", 4).await;
        assert_eq!(world.running().await, running);
        // From the moment on at which it does, the kernel knows.
        world.put("federation", "* 60000");
        world.more("renew 7", 2).await;
        let serial = world
            .order(order(Some(world.program()), Some(lease(7))))
            .await;
        world
            .status("in effect", |status| {
                status.serial == serial && status.may_write
            })
            .await;
        assert_eq!(world.running().await, running);
    });
}

fn with_address(world: &World) -> hanse_guard::Order {
    let mut order = order(Some(world.program()), Some(lease(7)));
    order.service_address = Some(hanse_guard::ServiceAddress {
        address: "10.1.2.3".parse().unwrap(),
        interface: "hanse0".to_owned(),
    });
    order
}

fn address() {
    run(async {
        let mut world = World::new();
        world.put("server", "follows");
        world.order(with_address(&world)).await;
        world.said("up").await;
        world
            .status("observed", |status| status.observed.is_some())
            .await;
        assert_eq!(world.count("add"), 0, "nobody writes here");
        world.put("server", "writes");
        world.event("add 10.1.2.3").await;
        world.put("federation", "* lost");
        world.dead().await;
        world.event("remove 10.1.2.3 alive 1").await;
    });
}

fn stuck_address() {
    run(async {
        let mut world = World::new();
        world.put("server", "writes");
        world.put("stuck", "yes");
        world.order(with_address(&world)).await;
        world.said("up").await;
        world.event("add 10.1.2.3").await;
        world.put("federation", "* lost");
        world.dead().await;
        assert_eq!(world.count("remove 10.1.2.3 alive 1"), 1);
    });
}
