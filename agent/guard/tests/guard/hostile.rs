//! What comes over the socket, or lies on the disk, can be anything.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use hanse_guard::Process;

use crate::Scenario;
use crate::world::{World, lease, order, run};

pub(crate) const ALL: &[Scenario] = &[
    ("whatever_comes_over_the_socket_the_guard_guards_on", socket),
    ("a_torn_order_is_refused_and_nothing_starts", torn),
    ("a_program_that_cannot_be_started_is_told_of", no_program),
];

fn socket() {
    run(async {
        let mut world = World::new();
        world
            .order(order(Some(world.program()), Some(lease(7))))
            .await;
        let running = world.running().await;
        world.said("up").await;
        let path = world.path("guard/socket");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let known = path.clone();
        let talk = move |bytes: Vec<u8>| {
            let mut stream = UnixStream::connect(&known).unwrap();
            // A guard that hangs up early is right to.
            let _ = stream.write_all(&bytes);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut said = Vec::new();
            let _ = stream.read_to_end(&mut said);
            String::from_utf8_lossy(&said).into_owned()
        };
        let heard = tokio::task::spawn_blocking(move || {
            [
                talk(b"\xff\x00\n{}\n".to_vec()),
                talk(vec![b'x'; 3 << 20]),
                talk(br#"{"order":{"plan":"#.to_vec()),
                talk([b"[".repeat(100_000), b"\n".to_vec()].concat()),
            ]
        })
        .await
        .unwrap();
        assert!(heard[0].contains("that is no request"), "{}", heard[0]);
        // Many that say nothing.
        let _silent: Vec<_> = (0..10)
            .map(|_| UnixStream::connect(&path).unwrap())
            .collect();
        world.more("renew 7", 2).await;
        let serial = world.client.order(order(Some(world.program()), None)).await;
        assert_eq!(serial.unwrap(), 2);
        assert_ne!(world.running_other_than(running.0).await, running);
    });
}

fn torn() {
    run(async {
        let mut world = World::new();
        world.order(order(Some(world.program()), None)).await;
        world.said("up").await;
        world.kill_guard();
        world.dead().await;
        let path = world.path("guard/order");
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        world.start_guard();
        assert!(!world.guard_ended().await);
        let said = fs::read_to_string(world.path("error")).unwrap();
        assert!(said.contains("is damaged, so nothing is started"), "{said}");
        assert!(world.alive().is_empty());
    });
}

fn no_program() {
    run(async {
        let world = World::new();
        let mut program = world.program();
        program.command = vec!["/there/is/none".to_owned()];
        world.order(order(Some(program), None)).await;
        let status = world
            .status("told", |status| {
                matches!(&status.process, Process::Stopped { ended: Some(_) })
            })
            .await;
        let said = format!("{:?}", status.process);
        assert!(said.contains("unable to execute /there/is/none"), "{said}");
    });
}
