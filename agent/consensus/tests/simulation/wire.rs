//! The network between voters: every message may come late, twice, out of order, or never.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hanse_consensus::replica::Replica;
use hanse_consensus::types::{VoterId, VoterNode};
use hanse_consensus::wire::{Wire, WireError};
use openraft::AsyncRuntime as _;
use openraft_rt_sim::SimRuntime;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

/// All links.
#[derive(Clone)]
pub(crate) struct Wires(Arc<Mutex<State>>);

/// How the links are at the moment.
pub(crate) struct State {
    random: SmallRng,
    /// Voters that run, each with the number of its life.
    pub(crate) running: BTreeMap<VoterId, (u64, Replica<SimRuntime>)>,
    /// Directions that nothing passes.
    pub(crate) cut: BTreeSet<(VoterId, VoterId)>,
    /// Of a hundred messages, so many are lost.
    pub(crate) loss_percent: u32,
    /// The longest that a message takes.
    pub(crate) delay_ms_max: u64,
}

/// One voter's ends, in one of its lives.
#[derive(Clone)]
pub(crate) struct Ends {
    pub(crate) wires: Wires,
    pub(crate) from: VoterId,
    pub(crate) life: u64,
}

/// What becomes of one message.
struct Passage {
    delay: Duration,
    arrives: bool,
    is_doubled: bool,
}

impl Wires {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            random: SmallRng::seed_from_u64(seed),
            running: BTreeMap::new(),
            cut: BTreeSet::new(),
            loss_percent: 0,
            delay_ms_max: 20,
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn passage(&self, from: VoterId, to: VoterId) -> Passage {
        let mut state = self.lock();
        let longest = state.delay_ms_max;
        let loss = state.loss_percent;
        let is_cut = state.cut.contains(&(from, to));
        Passage {
            delay: Duration::from_micros(state.random.random_range(100..=longest * 1000)),
            arrives: !is_cut && state.random.random_range(0..100) >= loss,
            is_doubled: state.random.random_range(0..100) < 2,
        }
    }

    fn receiver(&self, from: VoterId, life: u64, to: VoterId) -> Option<Replica<SimRuntime>> {
        let state = self.lock();
        let sender_lives = state
            .running
            .get(&from)
            .is_some_and(|(now, _)| *now == life);
        let receiver = state.running.get(&to).map(|(_, replica)| replica.clone());
        receiver.filter(|_| sender_lives && !state.cut.contains(&(from, to)))
    }
}

impl Wire for Ends {
    async fn ask(
        &self,
        to: VoterId,
        _: &VoterNode,
        question: Vec<u8>,
        patience: Duration,
    ) -> Result<Vec<u8>, WireError> {
        let exchanged = SimRuntime::timeout(patience, async {
            let there = self.wires.passage(self.from, to);
            SimRuntime::sleep(there.delay).await;
            let receiver = self.wires.receiver(self.from, self.life, to);
            let Some(receiver) = receiver.filter(|_| there.arrives) else {
                return std::future::pending().await;
            };
            if there.is_doubled {
                let (receiver, question) = (receiver.clone(), question.clone());
                let _detached = SimRuntime::spawn(async move {
                    SimRuntime::sleep(there.delay * 3).await;
                    receiver.answer(&question).await;
                });
            }
            let answer = receiver.answer(&question).await;
            let back = self.wires.passage(to, self.from);
            SimRuntime::sleep(back.delay).await;
            match back.arrives {
                true => answer,
                false => std::future::pending().await,
            }
        });
        exchanged.await.map_err(|_| WireError::Late)
    }
}
