//! Proofs: data really goes to another node and comes back, at the interface's full size.
//!
//! A handshake proves too little: handshakes are small, so they pass where a full packet is lost,
//! and they say nothing of the way from the interface to the address. Only nodes of the plan are
//! answered, with no more bytes than they sent.

mod message;
mod prover;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use hanse_core::key::PublicKey;
use hanse_core::mesh::{MeshPlan, PeerPlan, ProbeTarget};
use hanse_core::name::{MeshName, NodeName};
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::error::Error;
use crate::key::PrivateKey;
use message::{Nonce, PairKey};

/// A proof holds for so many intervals.
const INTERVALS_VALID: u32 = 3;

/// Proves the paths of one mesh for as long as it lives.
#[derive(Debug)]
pub(crate) struct Prover {
    shared: Arc<Shared>,
    listeners: Vec<AbortHandle>,
    targets: BTreeMap<NodeName, Target>,
}

/// What makes a prover another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) mesh: MeshName,
    pub(crate) key: PrivateKey,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) port: u16,
    pub(crate) mtu: u32,
    pub(crate) interval: Duration,
}

/// What the proofs say of one node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) proved: bool,
    /// When any of the addresses answered last.
    pub(crate) last_proof: Option<std::time::Instant>,
    pub(crate) round_trip: Option<Duration>,
    /// Addresses that are not proved, each with the size of its datagrams.
    pub(crate) lost: Vec<(IpAddr, usize)>,
}

#[derive(Debug)]
struct Target {
    plan: ProbeTarget,
    peer: Option<PeerPlan>,
    tasks: Vec<AbortHandle>,
    paths: BTreeMap<IpAddr, Arc<Path>>,
}

/// How far the proof of one address is.
#[derive(Debug, Default)]
struct Path {
    proof: Mutex<Option<Proof>>,
    /// Told when the node was heard there, so that a path that just came up is proved at once.
    heard: Notify,
}

#[derive(Debug, Clone, Copy)]
struct Proof {
    at: Instant,
    round_trip: Duration,
}

struct Shared {
    settings: Settings,
    sockets: Vec<(IpAddr, UdpSocket)>,
    acquaintances: Mutex<BTreeMap<PublicKey, Acquaintance>>,
    questions: Mutex<BTreeMap<Nonce, Question>>,
    /// Told when a verdict changes.
    changed: Arc<Notify>,
    pace: tokio::sync::Mutex<tokio::time::Interval>,
}

/// A node that is answered.
#[derive(Clone)]
struct Acquaintance {
    /// Computed at the first use: a thousand agreements would hold a plan up. None: the other
    /// key is degenerate.
    key: Arc<OnceLock<Option<PairKey>>>,
    /// Where it may write from; a path that is to be proved is told.
    addresses: BTreeMap<IpAddr, Option<Arc<Path>>>,
}

struct Question {
    to: SocketAddr,
    of: PublicKey,
    asked: Instant,
    answered: tokio::sync::mpsc::Sender<Duration>,
}

impl Prover {
    /// Listens on every own address.
    pub(crate) async fn start(settings: Settings, changed: Arc<Notify>) -> Result<Self, Error> {
        let mut sockets = Vec::new();
        for address in &settings.addresses {
            let local = SocketAddr::new(*address, settings.port);
            let operation = format!("listen for proofs on UDP {local}");
            let socket = UdpSocket::bind(local).await.map_err(Error::io(operation))?;
            sockets.push((*address, socket));
        }
        let shared = Arc::new(Shared {
            settings,
            sockets,
            acquaintances: Mutex::default(),
            questions: Mutex::default(),
            changed,
            pace: tokio::sync::Mutex::new(prover::pace()),
        });
        let indexes = 0..shared.sockets.len();
        let listen = |index| tokio::spawn(prover::listen(shared.clone(), index)).abort_handle();
        let listeners = indexes.map(listen).collect();
        Ok(Self {
            shared,
            listeners,
            targets: BTreeMap::new(),
        })
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Proves the paths of this plan. A target whose configuration is as before keeps its proof.
    pub(crate) fn set_plan(&mut self, plan: &MeshPlan) {
        let mut before = std::mem::take(&mut self.targets);
        let peers: BTreeMap<&NodeName, &PeerPlan> =
            plan.peers.iter().map(|peer| (&peer.node, peer)).collect();
        for wanted in &plan.probe_targets {
            let peer = peers.get(&wanted.node).map(|peer| (*peer).clone());
            let same = before
                .remove(&wanted.node)
                .filter(|target| target.plan == *wanted && target.peer == peer);
            let target = same.unwrap_or_else(|| self.new_target(wanted.clone(), peer));
            self.targets.insert(wanted.node.clone(), target);
        }
        drop(before);
        *lock(&self.shared.acquaintances) = self.acquaintances(plan);
        for target in self
            .targets
            .values_mut()
            .filter(|target| target.tasks.is_empty())
        {
            target.start(&self.shared);
        }
    }

    /// What the proofs say of a node; none: no path to it is to be proved.
    pub(crate) fn verdict(&self, node: &NodeName) -> Option<Verdict> {
        let target = self.targets.get(node)?;
        let settings = &self.shared.settings;
        let lifetime = settings.interval * INTERVALS_VALID;
        let mut verdict = Verdict {
            proved: !target.paths.is_empty(),
            ..Verdict::default()
        };
        for (address, path) in &target.paths {
            let proof = *lock(&path.proof);
            let at = proof.map(|proof| proof.at.into_std());
            verdict.last_proof = verdict.last_proof.max(at);
            match proof.filter(|proof| proof.at.elapsed() < lifetime) {
                Some(proof) => {
                    let shortest = verdict.round_trip.unwrap_or(proof.round_trip);
                    verdict.round_trip = Some(shortest.min(proof.round_trip));
                }
                None => {
                    verdict.proved = false;
                    verdict
                        .lost
                        .push((*address, prover::size(settings.mtu, address)));
                }
            }
        }
        Some(verdict)
    }

    /// Paths lead to the addresses of families that this node has too.
    fn new_target(&self, plan: ProbeTarget, peer: Option<PeerPlan>) -> Target {
        let own = &self.shared.settings.addresses;
        let has_family =
            |address: &&IpAddr| own.iter().any(|own| own.is_ipv4() == address.is_ipv4());
        let paths = plan.addresses.iter().filter(has_family);
        let paths = paths.map(|address| (*address, Arc::default())).collect();
        Target {
            plan,
            peer,
            tasks: Vec::new(),
            paths,
        }
    }

    /// Nodes that are answered: targets, and peers, which may prove this node without being proved.
    fn acquaintances(&self, plan: &MeshPlan) -> BTreeMap<PublicKey, Acquaintance> {
        let known = lock(&self.shared.acquaintances);
        let mut acquaintances = BTreeMap::new();
        let mut meet = |key: PublicKey, addresses: BTreeMap<IpAddr, Option<Arc<Path>>>| {
            let pair = known
                .get(&key)
                .map(|known| known.key.clone())
                .unwrap_or_default();
            acquaintances.insert(
                key,
                Acquaintance {
                    key: pair,
                    addresses,
                },
            );
        };
        for peer in &plan.peers {
            let host = |cidr: &&hanse_core::cidr::Cidr| cidr.host_count() == 1;
            let hosts = peer
                .allowed_ips
                .iter()
                .filter(host)
                .map(|cidr| (cidr.address(), None));
            meet(peer.public_key, hosts.collect());
        }
        for target in self.targets.values() {
            let paths = target.paths.iter();
            let paths = paths.map(|(address, path)| (*address, Some(path.clone())));
            meet(target.plan.public_key, paths.collect());
        }
        acquaintances
    }
}

impl Drop for Prover {
    fn drop(&mut self) {
        self.listeners.iter().for_each(AbortHandle::abort);
    }
}

impl Target {
    fn start(&mut self, shared: &Arc<Shared>) {
        for (address, path) in &self.paths {
            let task = prover::prove(shared.clone(), self.plan.public_key, *address, path.clone());
            self.tasks.push(tokio::spawn(task).abort_handle());
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
