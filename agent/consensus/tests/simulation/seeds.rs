//! Runs every seed once and shows its history to every property.
//!
//! `HANSE_SIMULATION_SEED=N` runs that seed alone; `HANSE_SIMULATION_SEEDS=N` runs so many.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use openraft::AsyncRuntime as _;
use openraft_rt_sim::SimRuntime;

use super::history::{History, Records};
use super::holder::Holder;
use super::nemesis;
use super::workload::Client;
use super::world::World;

/// How many seeds the gate runs.
const SEEDS: u64 = if cfg!(feature = "long") { 10_000 } else { 500 };
/// How long everything may take to be well again.
const RECOVERY: Duration = Duration::from_secs(90);

/// What one seed led to: a history, or why there is none.
type Ended = Result<Records, String>;

/// Judges the history of every seed; a failure names the seeds.
pub(crate) fn every_history(judge: impl Fn(&Records) -> Result<(), String>) {
    let mut failures = Vec::new();
    for (seed, ended) in all() {
        if let Err(reason) = ended.as_ref().map_err(Clone::clone).and_then(&judge) {
            failures.push(format!("HANSE_SIMULATION_SEED={seed}: {reason}"));
        }
    }
    let shown = failures
        .iter()
        .take(5)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    assert!(
        failures.is_empty(),
        "{} seeds failed:\n{shown}",
        failures.len()
    );
}

/// Runs one seed; the same seed gives the same history.
pub(crate) fn run(seed: u64) -> Records {
    let voters = [3, 5, 7][(seed % 3) as usize];
    let changes_voters = (seed / 3) % 2 == 1;
    let history = History::default();
    let mut runtime = SimRuntime::with_seed(seed);
    runtime.block_on(async {
        let mut world = World::new(seed, voters, u64::from(changes_voters) * 2, history.clone());
        for id in world.machines() {
            world.start(id).await;
        }
        let begins_no_more = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (1..=3)
            .map(|number| {
                let directory = world.directory.clone();
                let stop = begins_no_more.clone();
                let client = Client::new(number, directory, history.clone(), seed, stop);
                SimRuntime::spawn(client.run())
            })
            .collect();
        let holders: Vec<_> = (1..=3)
            .map(|number| {
                let directory = world.directory.clone();
                let stop = begins_no_more.clone();
                let holder = Holder::new(number, directory, history.clone(), seed, stop);
                SimRuntime::spawn(holder.run())
            })
            .collect();
        nemesis::trouble(&mut world, changes_voters).await;
        nemesis::peace(&mut world).await;
        begins_no_more.store(true, Ordering::Relaxed);
        let well = SimRuntime::timeout(RECOVERY, async {
            for client in clients {
                client.await.unwrap();
            }
            for holder in holders {
                holder.await.unwrap();
            }
            agree(&mut world).await;
        });
        assert!(
            well.await.is_ok(),
            "nothing goes on though everything was mended"
        );
    });
    history.lock().clone()
}

/// Waits until all voters show the same revision as the leader.
async fn agree(world: &mut World) {
    loop {
        SimRuntime::sleep(Duration::from_millis(500)).await;
        let Some(leader) = world.leader() else {
            continue;
        };
        if leader.survey().is_joint {
            let _ = leader.settle().await;
            continue;
        }
        let Ok(state) = leader.confirmed().await else {
            continue;
        };
        let voters = world.voters();
        let replicas = voters.iter().filter_map(|id| world.replica(*id));
        let same = replicas.filter(|replica| replica.read().revision() == state.revision());
        if !voters.is_empty() && same.count() == voters.len() {
            world.history.lock().last = Some(state);
            return;
        }
    }
}

fn all() -> &'static BTreeMap<u64, Ended> {
    static ALL: OnceLock<BTreeMap<u64, Ended>> = OnceLock::new();
    ALL.get_or_init(|| {
        let (first, last) = range();
        let next = AtomicU64::new(first);
        let ended = Mutex::new(BTreeMap::new());
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= last {
                            return;
                        }
                        let result = catch_unwind(AssertUnwindSafe(|| run(seed)));
                        ended.lock().unwrap().insert(seed, result.map_err(reason));
                    }
                });
            }
        });
        ended.into_inner().unwrap()
    })
}

fn range() -> (u64, u64) {
    let number = |name| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().unwrap())
    };
    match number("HANSE_SIMULATION_SEED") {
        Some(seed) => (seed, seed + 1),
        None => (0, number("HANSE_SIMULATION_SEEDS").unwrap_or(SEEDS)),
    }
}

fn reason(panic: Box<dyn std::any::Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(other) => other
            .downcast::<&str>()
            .map_or("it panicked".into(), |text| (*text).into()),
    }
}

#[test]
fn the_same_seed_gives_the_same_history() {
    for seed in [1, 3] {
        let told = |records: &Records| format!("{:?}{:?}", records.operations, records.shown);
        assert_eq!(told(&run(seed)), told(&run(seed)), "seed {seed}");
    }
}
