//! `kill -9` at random moments: no acknowledged change is lost, and an interrupted beginning can be
//! made again.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hanse_client::{Client, Credentials};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::harness::{bootstrap, cluster, free_address};

const SEED: u64 = 0x4841_4e53;
const KILLS: usize = 10;

fn start(folder: &std::path::Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_hanse"))
        .args(["agent", "--data-dir"])
        .arg(folder.join("voter"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn a_voter_killed_at_random_moments_keeps_every_acknowledged_change() {
    let parent = tempfile::tempdir().unwrap();
    let listen = free_address();
    bootstrap(parent.path(), listen).found().await.unwrap();
    let credentials = Credentials::read(&parent.path().join("admin.pem")).unwrap();
    let endpoints = [listen.to_string().parse().unwrap()];
    let mut random = StdRng::seed_from_u64(SEED);
    let mut acknowledged = Vec::new();
    for kill in 0..=KILLS {
        let mut agent = start(parent.path());
        let client = loop {
            if let Ok(client) = Client::connect(&endpoints, &credentials).await {
                break client.with_patience(Duration::ZERO);
            }
            tokio::task::yield_now().await;
        };
        let snapshot = client.snapshot(0, Duration::ZERO).await.unwrap();
        for (name, revision) in &acknowledged {
            let stored = snapshot
                .inventory
                .clusters
                .get(name)
                .expect("an acknowledged object");
            assert_eq!(stored.revision, *revision, "{name:?} after kill {kill}");
        }
        // However slow the machine is, each life acknowledges something before it ends.
        let wanted = random.random_range(1..=3);
        let life = Duration::from_micros(random.random_range(0..30_000));
        let death = tokio::time::sleep(Duration::MAX);
        tokio::pin!(death);
        for number in 0.. {
            if number == wanted {
                death.as_mut().reset(tokio::time::Instant::now() + life);
            }
            let object = cluster(&format!("c-{kill}-{number}"));
            let id = format!("{kill}-{number}");
            tokio::select! {
                applied = client.apply(&object, 0, &id) => {
                    let applied = applied.unwrap();
                    let hanse_core::object::Object::MemberCluster(spec) = object else { panic!() };
                    acknowledged.push((spec.name, applied.stored.revision));
                }
                () = &mut death => break,
            }
        }
        agent.kill().unwrap();
        agent.wait().unwrap();
    }
    assert!(acknowledged.len() > KILLS, "{}", acknowledged.len());
}

#[tokio::test]
async fn an_interrupted_bootstrap_can_be_run_again() {
    let parent = tempfile::tempdir().unwrap();
    let attempt = bootstrap(parent.path(), free_address());
    let mut random = StdRng::seed_from_u64(SEED);
    let mut interrupted: u64 = 0;
    for _ in 0..20 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_hanse"))
            .args([
                "bootstrap",
                "--federation",
                "acme",
                "--cluster",
                "home",
                "--node",
                "home-1",
            ])
            .args(["--listen", &attempt.listen.to_string(), "--data-dir"])
            .arg(&attempt.data_dir)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // The first is killed at once, so that one is interrupted however fast the machine is.
        let life = Duration::from_micros(random.random_range(0..20_000) * interrupted.min(1));
        tokio::time::sleep(life).await;
        let _ = child.kill();
        if child.wait().unwrap().success() {
            break;
        }
        interrupted += 1;
    }
    assert!(interrupted > 0, "no attempt was interrupted");
    match attempt.found().await {
        Ok(()) => {}
        Err(error) => assert!(
            error.to_string().contains("holds an agent already"),
            "{error}"
        ),
    }
}

#[test]
fn wrong_usage_a_refusal_and_a_success_have_their_exit_codes() {
    let code = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hanse"));
        command
            .env_remove("HANSE_ENDPOINTS")
            .env_remove("HANSE_CREDENTIALS");
        let status = command
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.unwrap().code()
    };
    assert_eq!(code(&["--help"]), Some(0));
    assert_eq!(code(&["status", "--endpoints", "127.0.0.1:1"]), Some(1));
    assert_eq!(code(&["stauts"]), Some(2));
    assert_eq!(
        code(&["join", "--node", "a", "--data-dir", "/nowhere"]),
        Some(2)
    );
}
