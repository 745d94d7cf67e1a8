//! The network between voters: every message may come late, twice, out of order, or never.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hanse_consensus::machine::Snapshot;
use hanse_consensus::replica::Raft;
use hanse_consensus::types::{Types, Vote, VoterId, VoterNode};
use hanse_core::state::FederationState;
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::network::RPCOption;
use openraft::network::v2::RaftNetworkV2;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{AnyError, AsyncRuntime as _, OptionalSend, RPCTypes, RaftNetworkFactory};
use openraft_rt_sim::SimRuntime;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

type OurTypes = Types<SimRuntime>;

/// All links.
#[derive(Clone)]
pub(crate) struct Wires(Arc<Mutex<State>>);

/// How the links are at the moment.
pub(crate) struct State {
    random: SmallRng,
    /// Voters that run, each with the number of its life.
    pub(crate) running: BTreeMap<VoterId, (u64, Raft<SimRuntime>)>,
    /// Directions that nothing passes.
    pub(crate) cut: BTreeSet<(VoterId, VoterId)>,
    /// Of a hundred messages, so many are lost.
    pub(crate) loss_percent: u32,
    /// The longest that a message takes.
    pub(crate) delay_ms_max: u64,
}

/// One voter's ends.
pub(crate) struct Ends {
    pub(crate) wires: Wires,
    pub(crate) from: VoterId,
    pub(crate) life: u64,
}

/// The way from one voter to another.
pub(crate) struct Link {
    wires: Wires,
    from: VoterId,
    life: u64,
    to: VoterId,
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

    fn receiver(&self, from: VoterId, life: u64, to: VoterId) -> Option<Raft<SimRuntime>> {
        let state = self.lock();
        let sender_lives = state
            .running
            .get(&from)
            .is_some_and(|(now, _)| *now == life);
        let receiver = state.running.get(&to).map(|(_, raft)| raft.clone());
        receiver.filter(|_| sender_lives && !state.cut.contains(&(from, to)))
    }
}

impl Link {
    async fn exchange<T, F>(
        &self,
        kind: RPCTypes,
        option: &RPCOption,
        call: impl Fn(Raft<SimRuntime>) -> F + Send + Sync,
    ) -> Result<T, RPCError<OurTypes>>
    where
        F: Future<Output = Result<T, String>> + Send + 'static,
        T: Send + 'static,
    {
        let patience = option.soft_ttl();
        let late = || {
            RPCError::Timeout(Timeout {
                action: kind,
                id: self.from,
                target: self.to,
                timeout: patience,
            })
        };
        let exchanged = SimRuntime::timeout(patience, async {
            let there = self.wires.passage(self.from, self.to);
            SimRuntime::sleep(there.delay).await;
            let receiver = self.wires.receiver(self.from, self.life, self.to);
            let Some(receiver) = receiver.filter(|_| there.arrives) else {
                return std::future::pending().await;
            };
            if there.is_doubled {
                let again = call(receiver.clone());
                let _detached = SimRuntime::spawn(async move {
                    SimRuntime::sleep(there.delay * 3).await;
                    let _ = again.await;
                });
            }
            let answer = call(receiver).await;
            let back = self.wires.passage(self.to, self.from);
            SimRuntime::sleep(back.delay).await;
            if back.arrives {
                answer
            } else {
                std::future::pending().await
            }
        });
        match exchanged.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(reason)) => Err(RPCError::Unreachable(Unreachable::new(&AnyError::error(
                reason,
            )))),
            Err(_) => Err(late()),
        }
    }
}

impl RaftNetworkFactory<OurTypes> for Ends {
    type Network = Link;

    async fn new_client(&mut self, target: VoterId, _: &VoterNode) -> Link {
        Link {
            wires: self.wires.clone(),
            from: self.from,
            life: self.life,
            to: target,
        }
    }
}

impl RaftNetworkV2<OurTypes> for Link {
    type SnapshotData = Arc<FederationState>;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<OurTypes>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<OurTypes>, RPCError<OurTypes>> {
        self.exchange(RPCTypes::AppendEntries, &option, |raft| {
            let request = request.clone();
            async move {
                raft.append_entries(request)
                    .await
                    .map_err(|e| e.to_string())
            }
        })
        .await
    }

    async fn vote(
        &mut self,
        request: VoteRequest<OurTypes>,
        option: RPCOption,
    ) -> Result<VoteResponse<OurTypes>, RPCError<OurTypes>> {
        self.exchange(RPCTypes::Vote, &option, |raft| {
            let request = request.clone();
            async move { raft.vote(request).await.map_err(|e| e.to_string()) }
        })
        .await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<OurTypes>,
        option: RPCOption,
    ) -> Result<VoteResponse<OurTypes>, RPCError<OurTypes>> {
        self.exchange(RPCTypes::Vote, &option, |raft| {
            let request = request.clone();
            async move { raft.pre_vote(request).await.map_err(|e| e.to_string()) }
        })
        .await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<OurTypes>, StreamingError<OurTypes>> {
        let sent = self.exchange(RPCTypes::InstallSnapshot, &option, |raft| {
            let snapshot = snapshot.clone();
            async move {
                let installed = raft.install_full_snapshot(vote, snapshot).await;
                installed.map_err(|e| e.to_string())
            }
        });
        sent.await.map_err(|error| match error {
            RPCError::Timeout(timeout) => StreamingError::Timeout(timeout),
            other => StreamingError::Unreachable(Unreachable::new(&other)),
        })
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<OurTypes>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<OurTypes>, RPCError<OurTypes>> {
        self.exchange(RPCTypes::TransferLeader, &option, |raft| {
            let request = request.clone();
            async move {
                raft.handle_transfer_leader(request)
                    .await
                    .map_err(|e| e.to_string())
            }
        })
        .await
    }
}
