//! What clients asked and were told, and what each voter showed: all that the properties judge.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hanse_consensus::form::LogIdForm;
use hanse_consensus::types::VoterId;
use hanse_core::state::FederationState;
use openraft::{AsyncRuntime, Instant as _};
use openraft_rt_sim::SimRuntime;
use tokio::sync::watch;

/// Shared by everything that runs.
#[derive(Clone, Default)]
pub(crate) struct History(Arc<Mutex<Records>>);

/// Everything that was noted.
#[derive(Default, Clone)]
pub(crate) struct Records {
    /// Counts moments: of two moments the greater came later.
    moments: u64,
    /// On the clock of the simulation.
    began: Option<<SimRuntime as AsyncRuntime>::Instant>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) acknowledgements: Vec<Acknowledgement>,
    /// By voter and life, the revisions that it showed, in order.
    pub(crate) shown: BTreeMap<(VoterId, u64), Vec<u64>>,
    /// By revision, the hashes of the state that voters showed.
    pub(crate) states: BTreeMap<u64, Vec<(VoterId, u64)>>,
    /// By epoch, from when and until when somebody believed to hold the lease.
    pub(crate) held: BTreeMap<u64, Held>,
    /// The state that all voters had at the end.
    pub(crate) last: Option<Arc<FederationState>>,
}

/// What a client wanted, from the first attempt to the last answer.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) key: usize,
    pub(crate) action: Action,
    pub(crate) invoked: u64,
    /// None: nobody ever answered.
    pub(crate) returned: Option<(u64, Answer)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Read,
    /// Set to a value if it is still at that revision; 0: if it is not there.
    Write {
        expected: u64,
        value: u32,
        request_id: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The revision and value that were read.
    Value(Option<(u64, u32)>),
    /// The revision that carries the write.
    Written(u64),
    /// It was at another revision.
    Refused,
}

/// One answer that some voter gave as a leader.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Acknowledgement {
    pub(crate) asked: u64,
    pub(crate) answered: u64,
    pub(crate) log_id: LogIdForm,
    pub(crate) revision: u64,
}

/// Somebody's belief that it holds the lease.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    pub(crate) epoch: u64,
    pub(crate) from: Duration,
    pub(crate) until: Duration,
}

impl History {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Records> {
        self.0.lock().unwrap()
    }

    /// This moment, later than all before.
    pub(crate) fn moment(&self) -> u64 {
        let mut records = self.lock();
        records.moments += 1;
        records.moments
    }

    /// How long it is since the beginning.
    pub(crate) fn now(&self) -> Duration {
        let now = <SimRuntime as AsyncRuntime>::Instant::now();
        now - *self.lock().began.get_or_insert(now)
    }

    /// Notes what a holder believes.
    pub(crate) fn held(&self, held: Held) {
        let mut records = self.lock();
        let known = records.held.entry(held.epoch).or_insert(held);
        known.until = held.until;
    }

    /// Notes that a client begins; yields the operation's number.
    pub(crate) fn invoke(&self, key: usize, action: Action) -> usize {
        let invoked = self.moment();
        let mut records = self.lock();
        records.operations.push(Operation {
            key,
            action,
            invoked,
            returned: None,
        });
        records.operations.len() - 1
    }

    /// Notes the answer.
    pub(crate) fn finish(&self, operation: usize, answer: Answer) {
        let returned = self.moment();
        self.lock().operations[operation].returned = Some((returned, answer));
    }

    /// Notes everything that a voter shows.
    pub(crate) fn watch(
        &self,
        voter: VoterId,
        life: u64,
        mut state: watch::Receiver<Arc<FederationState>>,
    ) {
        let history = self.clone();
        let _detached = SimRuntime::spawn(async move {
            loop {
                let shown = state.borrow_and_update().clone();
                history.note(voter, life, &shown);
                if state.changed().await.is_err() {
                    return;
                }
            }
        });
    }

    fn note(&self, voter: VoterId, life: u64, state: &FederationState) {
        let mut hasher = DefaultHasher::new();
        serde_json::to_string(state).unwrap().hash(&mut hasher);
        let mut records = self.lock();
        let revision = state.revision();
        records
            .shown
            .entry((voter, life))
            .or_default()
            .push(revision);
        records
            .states
            .entry(revision)
            .or_default()
            .push((voter, hasher.finish()));
    }
}
