//! Breaks things at random moments, then mends them all.

use std::time::Duration;

use openraft::AsyncRuntime as _;
use openraft_rt_sim::SimRuntime;
use rand::Rng as _;
use rand::seq::{IndexedRandom as _, SliceRandom as _};

use super::world::{World, place};

/// How long things break.
const TROUBLE: Duration = Duration::from_secs(25);

/// Breaks things for a while.
pub(crate) async fn trouble(world: &mut World, changes_voters: bool) {
    let mut spent = Duration::ZERO;
    while spent < TROUBLE {
        let pause = Duration::from_millis(world.random.random_range(100..2500));
        SimRuntime::sleep(pause).await;
        spent += pause;
        match world.random.random_range(0..100) {
            0..12 => cut_some(world),
            12..22 => isolate_one(world),
            22..48 => world.wires.lock().cut.clear(),
            48..58 => crash_one(world),
            58..62 => lose_power(world).await,
            62..68 => crash_while_voting(world).await,
            68..80 => start_one(world).await,
            80..83 => stop_one(world).await,
            83..90 => worsen(world),
            _ if changes_voters => change_voters(world),
            _ => isolate_one(world),
        }
    }
}

/// Mends everything that [`trouble`] broke.
pub(crate) async fn peace(world: &mut World) {
    {
        let mut wires = world.wires.lock();
        wires.cut.clear();
        wires.loss_percent = 0;
        wires.delay_ms_max = 20;
    }
    for id in world.machines() {
        world.start(id).await;
    }
}

/// Cuts the voters into two parts, or some directions between them.
fn cut_some(world: &mut World) {
    let mut ids = world.machines();
    ids.shuffle(&mut world.random);
    let border = world.random.random_range(1..ids.len());
    let (left, right) = ids.split_at(border);
    let is_both_ways = world.random.random_bool(0.6);
    let mut wires = world.wires.lock();
    for from in left {
        for to in right {
            wires.cut.insert((*from, *to));
            if is_both_ways {
                wires.cut.insert((*to, *from));
            }
        }
    }
}

/// Cuts one off, both ways, or only what it sends, or only what it hears.
fn isolate_one(world: &mut World) {
    let ids = world.machines();
    let leader = world.leader().map(|leader| leader.voter());
    let chosen = match leader.filter(|_| world.random.random_bool(0.5)) {
        Some(leader) => leader,
        None => *ids.choose(&mut world.random).unwrap(),
    };
    let way = world.random.random_range(0..4);
    let mut wires = world.wires.lock();
    for other in ids.iter().filter(|id| **id != chosen) {
        if way != 0 {
            wires.cut.insert((chosen, *other));
        }
        if way != 1 {
            wires.cut.insert((*other, chosen));
        }
    }
}

fn crash_one(world: &mut World) {
    let running = world.running();
    let leader = world.leader().map(|leader| leader.voter());
    let chosen = leader.filter(|_| world.random.random_bool(0.5));
    if let Some(id) = chosen.or_else(|| running.choose(&mut world.random).copied()) {
        world.crash(id);
    }
}

/// All machines die at once, and some start again at once.
async fn lose_power(world: &mut World) {
    for id in world.running() {
        world.crash(id);
    }
    for id in world.machines() {
        if world.random.random_bool(0.7) {
            world.start(id).await;
        }
    }
}

/// Cuts the leader off and waits until somebody is about to write its vote down: there it dies, and
/// starts again while the election still goes on.
async fn crash_while_voting(world: &mut World) {
    let Some(leader) = world.leader().map(|leader| leader.voter()) else {
        return;
    };
    for other in world.machines() {
        world
            .wires
            .lock()
            .cut
            .extend([(leader, other), (other, leader)]);
    }
    let mut dead = Vec::new();
    for _ in 0..2500 {
        SimRuntime::sleep(Duration::from_millis(2)).await;
        for id in world.about_to_vote() {
            world.crash(id);
            dead.push(id);
        }
        if !dead.is_empty() && world.random.random_bool(0.05) {
            break;
        }
    }
    for id in dead {
        world.start(id).await;
    }
}

async fn stop_one(world: &mut World) {
    let running = world.running();
    if let Some(id) = running.choose(&mut world.random) {
        world.stop(*id).await;
    }
}

async fn start_one(world: &mut World) {
    let running = world.running();
    let machines = world.machines();
    let off: Vec<_> = machines.iter().filter(|id| !running.contains(id)).collect();
    if let Some(id) = off.choose(&mut world.random).copied() {
        world.start(*id).await;
    }
}

fn worsen(world: &mut World) {
    let loss_percent = *[0, 1, 5, 20].choose(&mut world.random).unwrap();
    let delay_ms_max = *[5, 50, 200, 600].choose(&mut world.random).unwrap();
    let mut wires = world.wires.lock();
    wires.loss_percent = loss_percent;
    wires.delay_ms_max = delay_ms_max;
}

/// Adds, promotes or removes one, without waiting for the end of it: more trouble may come first.
fn change_voters(world: &mut World) {
    let Some(leader) = world.leader() else {
        return;
    };
    let members = leader.survey().members;
    let voters = members.values().filter(|member| member.is_voter).count();
    let id = *world.machines().choose(&mut world.random).unwrap();
    let member = members.get(&id).map(|member| member.is_voter);
    let removes = world.random.random_bool(0.5);
    let _detached = SimRuntime::spawn(async move {
        let _ = match member {
            None => leader.add_learner(id, place(id)).await,
            Some(false) if removes => leader.remove(id).await,
            Some(false) => leader.promote(id).await,
            Some(true) if voters > 2 => leader.remove(id).await,
            Some(true) => Ok(()),
        };
    });
}
