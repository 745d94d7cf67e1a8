//! Somebody who wants to hold the one lease: takes it, renews it, lets it go, or dies with it. Its
//! clock runs a little too fast or too slow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hanse_consensus::lease::NoLease;
use hanse_consensus::replica::Replica;
use hanse_core::name::{LeaseName, NodeName};
use openraft::AsyncRuntime as _;
use openraft_rt_sim::SimRuntime;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

use super::history::{Held, History};
use super::world::Directory;

/// How long the lease lasts without being renewed: less than an election takes, or more than two.
const TTLS: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(10)];
/// How long a holder waits for an answer before it asks somebody else.
const PATIENCE: Duration = Duration::from_secs(1);

/// Somebody who wants to hold the lease.
pub(crate) struct Holder {
    name: NodeName,
    lease: LeaseName,
    directory: Directory,
    history: History,
    random: SmallRng,
    begins_no_more: Arc<AtomicBool>,
    /// How long a second of its clock takes.
    pace: f64,
    attempts: u32,
    ttl: Duration,
}

impl Holder {
    pub(crate) fn new(
        number: u32,
        directory: Directory,
        history: History,
        seed: u64,
        begins_no_more: Arc<AtomicBool>,
    ) -> Self {
        let mut random = SmallRng::seed_from_u64(seed.wrapping_mul(37).wrapping_add(number.into()));
        Self {
            name: format!("holder-{number}").parse().unwrap(),
            lease: "orders".parse().unwrap(),
            pace: random.random_range(0.991..1.009),
            directory,
            history,
            random,
            begins_no_more,
            attempts: 0,
            ttl: TTLS[(seed % 2) as usize],
        }
    }

    pub(crate) async fn run(mut self) {
        while !self.begins_no_more.load(Ordering::Relaxed) {
            let Some(mut held) = self.take().await else {
                self.pause(50..1500).await;
                continue;
            };
            let until_it_goes = self.random.random_range(0..12);
            let mut renewals = 0;
            while self.history.now() < held.until && renewals < until_it_goes {
                self.pause(100..1800).await;
                renewals += 1;
                match self.renew(held).await {
                    Ok(until) => held.until = held.until.max(until),
                    Err(NoLease::Refused(_)) => break,
                    Err(NoLease::Unknown(_)) => {}
                }
                self.history.held(held);
            }
            // Half of them die with it: then it ends by itself.
            if self.random.random() {
                self.release(held).await;
            }
        }
    }

    /// Asks until it is answered; none: another one has it.
    async fn take(&mut self) -> Option<Held> {
        self.attempts += 1;
        let id = format!("{}-{}", self.name, self.attempts);
        for _ in 0..3 {
            let asked = self.history.now();
            let Some(replica) = self.somebody() else {
                self.pause(50..500).await;
                continue;
            };
            let granting = replica.grant_lease(id.clone(), &self.lease, &self.name, self.ttl);
            match SimRuntime::timeout(PATIENCE, granting).await {
                Ok(Ok(granted)) => {
                    let held = Held {
                        epoch: granted.revision,
                        from: self.history.now(),
                        until: asked + self.ttl.mul_f64(self.pace),
                    };
                    self.history.held(held);
                    return Some(held);
                }
                Ok(Err(NoLease::Refused(_))) => return None,
                Ok(Err(NoLease::Unknown(_))) | Err(_) => self.pause(20..300).await,
            }
        }
        None
    }

    /// Until when it is held by the answer.
    async fn renew(&mut self, held: Held) -> Result<Duration, NoLease> {
        let asked = self.history.now();
        let Some(replica) = self.somebody() else {
            return Ok(held.until);
        };
        let renewing = replica.renew_lease(&self.lease, &self.name, held.epoch);
        match SimRuntime::timeout(PATIENCE, renewing).await {
            Ok(renewed) => Ok(asked + renewed?.mul_f64(self.pace)),
            Err(_) => Ok(held.until),
        }
    }

    async fn release(&mut self, mut held: Held) {
        held.until = held.until.min(self.history.now());
        self.history.held(held);
        self.attempts += 1;
        let id = format!("{}-{}", self.name, self.attempts);
        if let Some(replica) = self.somebody() {
            let releasing = replica.release_lease(id, &self.lease, &self.name, held.epoch);
            let _ = SimRuntime::timeout(PATIENCE, releasing).await;
        }
    }

    /// Mostly one that believes that it leads.
    fn somebody(&mut self) -> Option<Replica<SimRuntime>> {
        let directory = self.directory.lock().unwrap();
        let all: Vec<_> = directory.values().map(|(_, one)| one.clone()).collect();
        drop(directory);
        let leading: Vec<_> = all.iter().filter(|one| one.is_leader()).collect();
        match leading.choose(&mut self.random) {
            Some(leader) if self.random.random_bool(0.9) => Some((*leader).clone()),
            Some(_) | None => all.choose(&mut self.random).cloned(),
        }
    }

    async fn pause(&mut self, milliseconds: std::ops::Range<u64>) {
        let pause = self.random.random_range(milliseconds);
        SimRuntime::sleep(Duration::from_millis(pause)).await;
    }
}
