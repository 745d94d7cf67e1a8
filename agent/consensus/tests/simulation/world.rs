//! The voters: their machines, which crash and start, and what runs on them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hanse_consensus::disk::{Disk, Write};
use hanse_consensus::form::{LogIdForm, MembershipForm, NodeForm, SnapshotForm};
use hanse_consensus::journal::{Delegate, Done, Journal};
use hanse_consensus::replica::Replica;
use hanse_consensus::timing::Timing;
use hanse_consensus::types::{VoterId, VoterNode};
use hanse_core::name::FederationName;
use hanse_core::state::FederationState;
use openraft::AsyncRuntime as _;
use openraft_rt_sim::SimRuntime;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::mpsc;

use super::history::History;
use super::medium::Medium;
use super::wire::{Ends, Wires};

/// All machines.
pub(crate) struct World {
    federation: FederationName,
    pub(crate) wires: Wires,
    pub(crate) history: History,
    pub(crate) random: SmallRng,
    /// What runs, for whoever wants to ask it.
    pub(crate) directory: Directory,
    machines: BTreeMap<VoterId, Machine>,
}

/// What runs: for each machine the number of its life and its voter.
pub(crate) type Directory = Arc<Mutex<BTreeMap<VoterId, (u64, Replica<SimRuntime>)>>>;

/// One machine, running or not.
struct Machine {
    medium: Medium,
    life: u64,
    running: Option<Running>,
}

/// What runs on a machine.
struct Running {
    replica: Replica<SimRuntime>,
    disk: Arc<Mutex<Disk>>,
    /// What is being written.
    in_flight: Arc<Mutex<Vec<Write>>>,
}

impl World {
    /// Machines for so many voters and so many more that may become some.
    pub(crate) fn new(seed: u64, voters: u64, spares: u64, history: History) -> Self {
        let federation: FederationName = "acme".parse().unwrap();
        let state = FederationState::founded(federation.clone());
        let first = LogIdForm {
            term: 0,
            leader: 1,
            index: 0,
        };
        let node = |id| {
            let VoterNode { name, endpoint } = place(id);
            (id, NodeForm { name, endpoint })
        };
        let founding = SnapshotForm {
            last_log_id: Some(first),
            membership_log_id: Some(first),
            membership: MembershipForm {
                voters: vec![(1..=voters).collect()],
                nodes: (1..=voters).map(node).collect(),
            },
        };
        let machine = |id| {
            let founding = (id <= voters).then_some((&founding, &state));
            let machine = Machine {
                medium: Medium::new(&federation, id, founding),
                life: 0,
                running: None,
            };
            (id, machine)
        };
        Self {
            machines: (1..=voters + spares).map(machine).collect(),
            federation,
            wires: Wires::new(seed),
            history,
            directory: Directory::default(),
            random: SmallRng::seed_from_u64(seed ^ 0x5eed),
        }
    }

    /// Starts a machine that is off.
    pub(crate) async fn start(&mut self, id: VoterId) {
        let seed = self.random.random();
        let machine = self.machines.get_mut(&id).unwrap();
        if machine.running.is_some() {
            return;
        }
        machine.life += 1;
        let (disk, contents) = machine.medium.open(&self.federation);
        let disk = Arc::new(Mutex::new(disk));
        let in_flight = Arc::new(Mutex::new(Vec::new()));
        let delegate = writer(disk.clone(), in_flight.clone(), seed);
        let journal = Journal::delegated(Path::new("simulated"), delegate);
        let ends = Ends {
            wires: self.wires.clone(),
            from: id,
            life: machine.life,
        };
        let clock = Arc::new(|| 0);
        let started = Replica::start(contents, journal, Timing::Wan, ends, clock).await;
        let replica = started.unwrap();
        let known = (machine.life, replica.clone());
        self.wires.lock().running.insert(id, known.clone());
        self.directory.lock().unwrap().insert(id, known);
        self.history.watch(id, machine.life, replica.changes());
        machine.running = Some(Running {
            replica,
            disk,
            in_flight,
        });
    }

    /// A machine dies, perhaps in the middle of a write.
    pub(crate) fn crash(&mut self, id: VoterId) {
        let machine = self.machines.get_mut(&id).unwrap();
        let Some(running) = machine.running.take() else {
            return;
        };
        self.wires.lock().running.remove(&id);
        self.directory.lock().unwrap().remove(&id);
        let writes = std::mem::take(&mut *running.in_flight.lock().unwrap());
        if !writes.is_empty() && self.random.random() {
            machine.medium.die_after(self.random.random_range(0..12));
            let _ = running.disk.lock().unwrap().write(&writes);
        }
        machine.medium.crash(&mut self.random);
        let _detached = SimRuntime::spawn(async move {
            running.replica.abandon().await;
        });
    }

    /// A machine stops as it is told to.
    pub(crate) async fn stop(&mut self, id: VoterId) {
        let machine = self.machines.get_mut(&id).unwrap();
        if let Some(running) = machine.running.take() {
            running.replica.stop().await;
            self.wires.lock().running.remove(&id);
            self.directory.lock().unwrap().remove(&id);
            machine.medium.crash(&mut self.random);
        }
    }

    pub(crate) fn machines(&self) -> Vec<VoterId> {
        self.machines.keys().copied().collect()
    }

    pub(crate) fn running(&self) -> Vec<VoterId> {
        let running = self.machines.iter().filter(|(_, m)| m.running.is_some());
        running.map(|(id, _)| *id).collect()
    }

    /// Machines that are writing their vote down.
    pub(crate) fn about_to_vote(&self) -> Vec<VoterId> {
        let votes = |running: &Running| {
            let writes = running.in_flight.lock().unwrap();
            writes.iter().any(|write| matches!(write, Write::Vote(_)))
        };
        let machines = self.machines.iter();
        let voting = machines.filter(|(_, machine)| machine.running.as_ref().is_some_and(votes));
        voting.map(|(id, _)| *id).collect()
    }

    /// What runs on a machine.
    pub(crate) fn replica(&self, id: VoterId) -> Option<Replica<SimRuntime>> {
        let running = self.machines.get(&id)?.running.as_ref()?;
        Some(running.replica.clone())
    }

    /// One that believes that it leads.
    pub(crate) fn leader(&self) -> Option<Replica<SimRuntime>> {
        let mut replicas = self.running().into_iter().filter_map(|id| self.replica(id));
        replicas.find(Replica::is_leader)
    }

    /// The voters by the word of whoever leads.
    pub(crate) fn voters(&self) -> BTreeSet<VoterId> {
        let Some(leader) = self.leader() else {
            return BTreeSet::new();
        };
        let members = leader.survey().members;
        let voters = members.iter().filter(|(_, member)| member.is_voter);
        voters.map(|(id, _)| *id).collect()
    }
}

/// Where a simulated voter is.
pub(crate) fn place(id: VoterId) -> VoterNode {
    VoterNode {
        name: format!("n{id}"),
        endpoint: format!("192.0.2.{id}:7443"),
    }
}

/// Writes in order, each a while after it was asked for; a machine that dies meanwhile never says
/// that it was done.
fn writer(disk: Arc<Mutex<Disk>>, in_flight: Arc<Mutex<Vec<Write>>>, seed: u64) -> Delegate {
    let (jobs, mut queue) = mpsc::unbounded_channel::<(Vec<Write>, Done)>();
    let mut random = SmallRng::seed_from_u64(seed);
    let _detached = SimRuntime::spawn(async move {
        while let Some((writes, done)) = queue.recv().await {
            in_flight.lock().unwrap().clone_from(&writes);
            let is_slow = random.random_range(0..50) == 0;
            let longest = if is_slow { 400_000 } else { 6_000 };
            let pause = Duration::from_micros(random.random_range(50..longest));
            SimRuntime::sleep(pause).await;
            if in_flight.lock().unwrap().is_empty() {
                return;
            }
            let written = disk.lock().unwrap().write(&writes);
            in_flight.lock().unwrap().clear();
            done(written);
        }
    });
    Arc::new(move |writes, done| {
        let _ = jobs.send((writes, done));
    })
}
