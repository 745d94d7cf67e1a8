//! Clients that read and write, ask again under the same id when nobody answers, and note it all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hanse_consensus::replica::{ProposeError, Replica};
use hanse_core::command::Request;
use hanse_core::name::ClusterName;
use hanse_core::object::member_cluster::{Platform, SiteRole};
use hanse_core::object::{MemberCluster, Object};
use hanse_core::state::FederationState;
use openraft::AsyncRuntime as _;
use openraft_rt_sim::SimRuntime;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

use super::history::{Acknowledgement, Action, Answer, History};
use super::world::Directory;

/// What clients write: the weights of so many member clusters.
pub(crate) const KEYS: usize = 3;
/// How long a client waits before it asks somebody else.
const PATIENCE: Duration = Duration::from_secs(3);

/// One client.
pub(crate) struct Client {
    pub(crate) number: u32,
    pub(crate) directory: Directory,
    pub(crate) history: History,
    pub(crate) random: SmallRng,
    pub(crate) begins_no_more: Arc<AtomicBool>,
    known: [u64; KEYS],
    operations: u32,
}

impl Client {
    pub(crate) fn new(
        number: u32,
        directory: Directory,
        history: History,
        seed: u64,
        begins_no_more: Arc<AtomicBool>,
    ) -> Self {
        Self {
            number,
            directory,
            history,
            random: SmallRng::seed_from_u64(seed.wrapping_mul(31).wrapping_add(number.into())),
            begins_no_more,
            known: [0; KEYS],
            operations: 0,
        }
    }

    pub(crate) async fn run(mut self) {
        while !self.begins_no_more.load(Ordering::Relaxed) {
            let pause = self.random.random_range(10..200);
            SimRuntime::sleep(Duration::from_millis(pause)).await;
            let key = self.random.random_range(0..KEYS);
            self.operations += 1;
            let action = if self.random.random_bool(0.3) {
                Action::Read
            } else {
                Action::Write {
                    expected: self.known[key],
                    // Never the same twice, so that each write changes something.
                    value: self.number * 1_000_000 + self.operations,
                    request_id: format!("{}-{}", self.number, self.operations),
                }
            };
            let operation = self.history.invoke(key, action.clone());
            let answer = self.until_answered(key, &action).await;
            self.known[key] = match answer {
                Answer::Value(value) => value.map_or(0, |(revision, _)| revision),
                Answer::Written(revision) => revision,
                Answer::Refused => self.known[key],
            };
            self.history.finish(operation, answer);
            if answer == Answer::Refused {
                let again = self.history.invoke(key, Action::Read);
                let answer = self.until_answered(key, &Action::Read).await;
                if let Answer::Value(value) = answer {
                    self.known[key] = value.map_or(0, |(revision, _)| revision);
                }
                self.history.finish(again, answer);
            }
        }
    }

    async fn until_answered(&mut self, key: usize, action: &Action) -> Answer {
        loop {
            if let Some((life, replica)) = self.somebody() {
                let asked = self.history.moment();
                let attempt = attempt(&replica, key, action);
                let answer = SimRuntime::timeout(PATIENCE, attempt).await.ok().flatten();
                if let Some((answer, log_id)) = answer
                    && self.is_alive(replica.voter(), life)
                {
                    if let (Answer::Written(revision), Some(log_id)) = (answer, log_id) {
                        let answered = self.history.moment();
                        self.history.lock().acknowledgements.push(Acknowledgement {
                            asked,
                            answered,
                            log_id,
                            revision,
                        });
                    }
                    return answer;
                }
            }
            let pause = self.random.random_range(20..300);
            SimRuntime::sleep(Duration::from_millis(pause)).await;
        }
    }

    /// Mostly one that believes that it leads: several may.
    fn somebody(&mut self) -> Option<(u64, Replica<SimRuntime>)> {
        let directory = self.directory.lock().unwrap();
        let all: Vec<_> = directory.values().cloned().collect();
        drop(directory);
        let leading: Vec<_> = all
            .iter()
            .filter(|(_, replica)| replica.is_leader())
            .collect();
        if !leading.is_empty() && self.random.random_bool(0.9) {
            return leading
                .choose(&mut self.random)
                .map(|chosen| (*chosen).clone());
        }
        all.choose(&mut self.random).cloned()
    }

    fn is_alive(&self, voter: u64, life: u64) -> bool {
        let directory = self.directory.lock().unwrap();
        directory.get(&voter).is_some_and(|(now, _)| *now == life)
    }
}

/// The value of a key in a state, with the revision that it was written at.
pub(crate) fn value_of(state: &FederationState, key: usize) -> Option<(u64, u32)> {
    let stored = state.inventory().clusters.get(&name(key))?;
    Some((stored.revision, stored.spec.weight))
}

/// None: unknown; ask again.
async fn attempt(
    replica: &Replica<SimRuntime>,
    key: usize,
    action: &Action,
) -> Option<(Answer, Option<hanse_consensus::form::LogIdForm>)> {
    match action {
        Action::Read => {
            let state = replica.confirmed().await.ok()?;
            Some((Answer::Value(value_of(&state, key)), None))
        }
        Action::Write {
            expected,
            value,
            request_id,
        } => {
            let request = Request::Apply {
                object: Object::MemberCluster(cluster(key, *value)),
                expected_revision: *expected,
                boxes: Vec::new(),
            };
            match replica.propose(request_id.clone(), request).await {
                Ok(committed) => Some((Answer::Written(committed.revision), committed.log_id)),
                Err(ProposeError::Refused(_)) => Some((Answer::Refused, None)),
                Err(ProposeError::NotLeader(_) | ProposeError::Failed(_)) => None,
            }
        }
    }
}

fn name(key: usize) -> ClusterName {
    format!("key-{key}").parse().unwrap()
}

fn cluster(key: usize, weight: u32) -> MemberCluster {
    MemberCluster {
        federation: "acme".parse().unwrap(),
        name: name(key),
        platform: Platform::Other,
        region: String::new(),
        role: SiteRole::Replica,
        weight,
        capabilities: Default::default(),
        labels: Default::default(),
        limits: None,
        networks: Vec::new(),
    }
}
