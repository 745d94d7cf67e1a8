//! Followers without hosts: real identities, connections, plans and reports.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use hanse_agent::follower::held::Held;
use hanse_client::proto::{self, follow_event::Event};
use hanse_client::{Client, ClientError};
use hanse_core::endpoint::Endpoint;
use rand::Rng as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::federation::{Change, Enrolled};
use crate::figures::Acknowledged;

/// Between what an agent observes and its report, as in the agent.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// Handshakes at a time.
const CONNECTIONS_MAX: usize = 32;
const TIMEOUT: Duration = Duration::from_secs(120);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Everybody who follows.
pub(crate) struct Crowd {
    acknowledged: mpsc::UnboundedReceiver<Acknowledgement>,
    /// The newest revision that each has reported.
    revisions: Vec<u64>,
    _tasks: JoinSet<anyhow::Result<()>>,
}

/// A report that was answered.
struct Acknowledgement {
    follower: usize,
    revision: u64,
    has_key: bool,
    at: Instant,
}

struct Follower {
    number: usize,
    enrolled: Enrolled,
    client: Client,
    held: Option<Held>,
    acknowledged: mpsc::UnboundedSender<Acknowledgement>,
}

impl Crowd {
    /// Connects all of them, and waits until the federation has everybody's key.
    pub(crate) async fn gather(
        endpoint: Endpoint,
        identities: Vec<Enrolled>,
    ) -> anyhow::Result<Self> {
        let (sender, acknowledged) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        let count = identities.len();
        let turns = std::sync::Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
        for (number, enrolled) in identities.into_iter().enumerate() {
            let (endpoint, sender) = (endpoint.clone(), sender.clone());
            let turns = turns.clone();
            let following = async move {
                let turn = turns.acquire_owned().await?;
                let client = connect(&endpoint, &enrolled).await?;
                drop(turn);
                let follower = Follower {
                    number,
                    enrolled,
                    client: client.with_patience(Duration::ZERO),
                    held: None,
                    acknowledged: sender,
                };
                follower.run().await
            };
            tasks.spawn(async move {
                let ended: anyhow::Result<()> = following.await;
                if let Err(error) = &ended {
                    eprintln!("follower {number}: {error:#}");
                }
                ended
            });
        }
        let mut crowd = Self {
            acknowledged,
            revisions: vec![0; count],
            _tasks: tasks,
        };
        let mut keyed = vec![false; count];
        while keyed.iter().any(|has_key| !has_key) {
            let told = crowd.next().await?;
            keyed[told.follower] |= told.has_key;
        }
        Ok(crowd)
    }

    /// Waits until all have reported a change's revision.
    pub(crate) async fn acknowledge(&mut self, change: Change) -> anyhow::Result<Acknowledged> {
        let mut delays = Vec::new();
        let mut last = change.committed;
        let mut missing = self
            .revisions
            .iter()
            .filter(|it| **it < change.revision)
            .count();
        while missing > 0 {
            let told = self.next().await?;
            let before = std::mem::replace(&mut self.revisions[told.follower], told.revision);
            if before < change.revision && told.revision >= change.revision {
                missing -= 1;
                delays.push(told.at - change.asked);
                last = last.max(told.at);
            }
        }
        Ok(Acknowledged {
            commit: change.committed - change.asked,
            last: last - change.asked,
            delays,
        })
    }

    async fn next(&mut self) -> anyhow::Result<Acknowledgement> {
        tokio::time::timeout(TIMEOUT, self.acknowledged.recv())
            .await
            .context("some followers never report")?
            .context("all followers ended")
    }
}

/// Tries again as agents do: all of these come from one address, which has few handshakes at a
/// time.
async fn connect(endpoint: &Endpoint, enrolled: &Enrolled) -> Result<Client, ClientError> {
    let endpoints = std::slice::from_ref(endpoint);
    let began = Instant::now();
    loop {
        match Client::connect(endpoints, &enrolled.credentials).await {
            Err(_) if began.elapsed() < TIMEOUT => {
                let pause = RETRY_PAUSE_MAX.mul_f64(rand::rng().random_range(0.0..1.0));
                tokio::time::sleep(pause).await;
            }
            connected => return connected,
        }
    }
}

impl Follower {
    async fn run(mut self) -> anyhow::Result<()> {
        let mut events = self.client.follow(self.request()).await?;
        let phase = rand::rng().random_range(0.0..1.0);
        let mut next_report = tokio::time::Instant::now() + self.interval().mul_f64(phase);
        loop {
            tokio::select! {
                event = events.message() => {
                    match event? {
                        // As after a large plan.
                        None => events = self.client.follow(self.request()).await?,
                        Some(event) => if self.take(event)? {
                            next_report = next_report.min(tokio::time::Instant::now() + DEBOUNCE);
                        }
                    }
                }
                () = tokio::time::sleep_until(next_report) => {
                    self.report().await?;
                    next_report = tokio::time::Instant::now() + self.interval();
                }
            }
        }
    }

    fn request(&self) -> proto::FollowRequest {
        let held = self.held.as_ref();
        proto::FollowRequest {
            from_revision: held.map_or(0, |held| held.revision),
            plan_digest: held.map_or(Vec::new(), |held| held.digest().to_bytes().to_vec()),
            takes_changes: true,
        }
    }

    /// Takes what came; whether it says something new.
    fn take(&mut self, event: proto::FollowEvent) -> anyhow::Result<bool> {
        match event.event {
            Some(Event::Plan(plan)) => self.held = Some(Held::whole(&plan)?),
            Some(Event::Change(change)) => {
                let held = self.held.as_mut().context("a difference and no plan")?;
                held.change(&change, &event.plan_digest)?;
            }
            Some(Event::UnchangedUntilRevision(revision)) => {
                if let Some(held) = &mut self.held {
                    held.revision = revision;
                }
            }
            None => return Ok(false),
        }
        Ok(true)
    }

    async fn report(&self) -> Result<(), ClientError> {
        let status = self.status();
        let (revision, has_key) = (status.applied_revision, !status.meshes.is_empty());
        self.client.report(status).await?;
        let told = Acknowledgement {
            follower: self.number,
            revision,
            has_key,
            at: Instant::now(),
        };
        let _ = self.acknowledged.send(told);
        Ok(())
    }

    /// What an agent reports of a mesh of this size: the nodes to which it proves its path.
    fn status(&self) -> proto::NodeStatus {
        let meshes = self.held.iter().flat_map(|held| &held.plan.meshes);
        let observed = meshes.map(|mesh| proto::MeshObservation {
            mesh: mesh.mesh.to_string(),
            public_key: self.enrolled.wireguard_key.as_bytes().to_vec(),
            backend: "kernel".to_owned(),
            peers: mesh
                .probe_targets
                .iter()
                .map(|target| proto::PeerObservation {
                    node: target.node.to_string(),
                    endpoint: "203.0.113.7:51820".to_owned(),
                    handshake_age_ms: Some(1000),
                    received_bytes: 1 << 20,
                    sent_bytes: 1 << 20,
                    proved: true,
                    round_trip_us: Some(900),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        });
        proto::NodeStatus {
            applied_revision: self.held.as_ref().map_or(0, |held| held.revision),
            meshes: observed.collect(),
            capacity: Some(proto::Capacity {
                cpus: 2,
                memory_total_bytes: 1 << 34,
                memory_available_bytes: 1 << 33,
                ..Default::default()
            }),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            boot_id: "00000000-0000-4000-8000-000000000000".to_owned(),
            ..Default::default()
        }
    }

    fn interval(&self) -> Duration {
        let told = self.held.as_ref().map_or(0, |held| held.report_interval_ms);
        Duration::from_millis(if told == 0 { 5000 } else { told.into() })
    }
}
