//! What nodes reported last and who hears from whom, in the leader's memory only: a new leader
//! begins with nothing and counts silence from there.
//!
//! All times are the leader's own and monotonic. What a node says of the time counts only as an
//! age at the moment when it was said.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hanse_client::proto;
use hanse_core::health::{Sighting, Sign, SignKind};
use hanse_core::inventory::Inventory;
use hanse_core::name::NodeName;
use tokio::sync::watch;

use super::intake;
use crate::clock::wall_ms;

/// What a node reported, and when.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What it reported.
    pub status: Arc<proto::NodeStatus>,
    /// When.
    pub at: Instant,
}

/// What all nodes reported last, with a version that every change moves.
#[derive(Debug)]
pub struct Statuses {
    memory: Mutex<Memory>,
    version: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Memory {
    is_begun: bool,
    watched: BTreeMap<NodeName, Watched>,
    seen: BTreeMap<NodeName, Seen>,
    /// By the node that was heard.
    heard: BTreeMap<NodeName, Heard>,
}

/// Since when this leader listens for a node.
#[derive(Debug)]
struct Watched {
    since: Instant,
    inherited: bool,
    /// Tells the node from an earlier one of that name.
    enrolled_revision: u64,
}

/// Who heard from a node over a mesh last, and when.
#[derive(Debug)]
struct Heard {
    by: NodeName,
    at: Instant,
}

impl Default for Statuses {
    fn default() -> Self {
        // Not comparable across restarts, so not the same after one either.
        let (version, _) = watch::channel(wall_ms() << 10);
        Self {
            memory: Mutex::default(),
            version,
        }
    }
}

impl Statuses {
    /// This voter does not lead: whatever it knows of nodes is old, and its watch begins anew when
    /// it leads again.
    pub fn end(&self) {
        *self.lock() = Memory::default();
    }

    /// Listens for nodes from now on, and forgets those that are no more. The first call begins the
    /// watch: nodes that are there already were somebody else's to watch before.
    pub fn watch(&self, inventory: &Inventory) {
        self.lock().watch(inventory);
    }

    /// Keeps a report, as far as it can be believed.
    pub fn report(&self, inventory: &Inventory, node: NodeName, status: proto::NodeStatus) {
        let Some(status) = intake::believable(inventory, &node, status) else {
            return;
        };
        let mut memory = self.lock();
        if memory.is_begun {
            memory.watch_node(&node, inventory, false);
        } else {
            memory.watch(inventory);
        }
        memory.keep(node, Arc::new(status));
        drop(memory);
        self.bump();
    }

    /// Forgets what a node reported.
    pub fn forget(&self, node: &NodeName) {
        self.lock().forget(node);
        self.bump();
    }

    /// Something else of what a snapshot shows has changed.
    pub fn bump(&self) {
        self.version.send_modify(|version| *version += 1);
    }

    /// The version, now and whenever it changes.
    #[must_use]
    pub fn version(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// What a node reported last.
    #[must_use]
    pub fn of(&self, node: &NodeName) -> Option<Seen> {
        self.lock().seen.get(node).cloned()
    }

    /// What this leader has of every node that it listens for. `streams` are those that it holds
    /// itself, as the voter `own`.
    #[must_use]
    pub fn sightings(
        &self,
        own: &NodeName,
        streams: &BTreeSet<NodeName>,
    ) -> BTreeMap<NodeName, Sighting> {
        let now = Instant::now();
        let memory = self.lock();
        let elsewhere = memory.streams_elsewhere(own, now);
        let watched = memory.watched.iter();
        watched
            .map(|(node, watched)| {
                let here = streams.contains(node).then(|| Sign {
                    by: own.clone(),
                    what: SignKind::Stream,
                    ago: Duration::ZERO,
                });
                let heard = memory.heard.get(node).map(|heard| Sign {
                    by: heard.by.clone(),
                    what: SignKind::Mesh,
                    ago: now.duration_since(heard.at),
                });
                let signs = [here, elsewhere.get(node).cloned(), heard];
                let sighting = Sighting {
                    watched_for: now.duration_since(watched.since),
                    inherited: watched.inherited,
                    reported_ago: memory
                        .seen
                        .get(node)
                        .map(|seen| now.duration_since(seen.at)),
                    sign: signs.into_iter().flatten().min_by_key(|sign| sign.ago),
                };
                (node.clone(), sighting)
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// How long ago.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.at.elapsed()
    }
}

impl Memory {
    fn watch(&mut self, inventory: &Inventory) {
        let inherited = !std::mem::replace(&mut self.is_begun, true);
        let enrolled = &inventory.nodes;
        self.watched.retain(|node, _| enrolled.contains_key(node));
        self.seen.retain(|node, _| enrolled.contains_key(node));
        self.heard.retain(|node, _| enrolled.contains_key(node));
        for node in enrolled.keys() {
            self.watch_node(node, inventory, inherited);
        }
    }

    /// Listens for a node from now on, unless it does already. Whoever has the name of an earlier
    /// node is another one.
    fn watch_node(&mut self, node: &NodeName, inventory: &Inventory, inherited: bool) {
        let Some(record) = inventory.nodes.get(node) else {
            return;
        };
        let enrolled_revision = record.enrolled_revision;
        let watched = self.watched.get(node);
        if watched.is_some_and(|watched| watched.enrolled_revision == enrolled_revision) {
            return;
        }
        self.forget(node);
        let watched = Watched {
            since: Instant::now(),
            inherited,
            enrolled_revision,
        };
        self.watched.insert(node.clone(), watched);
    }

    fn forget(&mut self, node: &NodeName) {
        self.watched.remove(node);
        self.seen.remove(node);
        self.heard.remove(node);
    }

    fn keep(&mut self, node: NodeName, status: Arc<proto::NodeStatus>) {
        let at = Instant::now();
        let before = self.seen.get(&node).map(|seen| seen.status.clone());
        let before = before.as_deref().map(received).unwrap_or_default();
        for mesh in &status.meshes {
            for peer in &mesh.peers {
                let Some(ago) = last_sign(&before, mesh, peer) else {
                    continue;
                };
                let (Some(at), Ok(other)) = (at.checked_sub(ago), peer.node.parse()) else {
                    continue;
                };
                self.hear(other, &node, at);
            }
        }
        self.seen.insert(node, Seen { status, at });
    }

    fn hear(&mut self, node: NodeName, by: &NodeName, at: Instant) {
        if self.heard.get(&node).is_none_or(|heard| heard.at < at) {
            let by = by.clone();
            self.heard.insert(node, Heard { by, at });
        }
    }

    /// The freshest word of another voter that it holds a node's stream.
    fn streams_elsewhere(&self, own: &NodeName, now: Instant) -> BTreeMap<NodeName, Sign> {
        let mut signs: BTreeMap<NodeName, Sign> = BTreeMap::new();
        for (voter, seen) in self.seen.iter().filter(|(voter, _)| *voter != own) {
            for follower in &seen.status.followers {
                let Ok(node) = follower.parse::<NodeName>() else {
                    continue;
                };
                let sign = Sign {
                    by: voter.clone(),
                    what: SignKind::Stream,
                    ago: now.duration_since(seen.at),
                };
                let kept = signs.entry(node).or_insert_with(|| sign.clone());
                if sign.ago < kept.ago {
                    *kept = sign;
                }
            }
        }
        signs
    }
}

/// The bytes that a report counted, by mesh and node.
fn received(status: &proto::NodeStatus) -> BTreeMap<(&str, &str), u64> {
    let meshes = status.meshes.iter();
    meshes
        .flat_map(|mesh| {
            let peers = mesh.peers.iter();
            peers.map(|peer| {
                let key = (mesh.mesh.as_str(), peer.node.as_str());
                (key, peer.received_bytes)
            })
        })
        .collect()
}

/// How long ago a reporter heard from a peer, at the moment of the report: just now, if it counted
/// more bytes than before.
fn last_sign(
    before: &BTreeMap<(&str, &str), u64>,
    mesh: &proto::MeshObservation,
    peer: &proto::PeerObservation,
) -> Option<Duration> {
    let counted = before.get(&(mesh.mesh.as_str(), peer.node.as_str()));
    if counted.is_some_and(|before| peer.received_bytes > *before) {
        return Some(Duration::ZERO);
    }
    let ages = [peer.handshake_age_ms, peer.proof_age_ms];
    ages.into_iter().flatten().min().map(Duration::from_millis)
}

#[cfg(test)]
mod tests;
