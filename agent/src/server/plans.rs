//! What all followers' plans are made from, worked out once for each commit and shared.
//!
//! A bounded history of it lets a follower have what changed since the plan that it has. It holds
//! no plans and nothing of any follower: a thousand of them would be a thousand plans.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hanse_core::endpoint::Endpoint;
use hanse_core::mesh::plan::{PresharedKeyOf, mesh_plan};
use hanse_core::mesh::topology::Topology;
use hanse_core::mesh::{MeshChange, NodePlan, SiteTerms};
use hanse_core::name::{MeshName, NodeName};
use hanse_core::state::FederationState;
use hanse_core::voters::vote::Duty;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// So many revisions are remembered, as far as they fit.
const MOMENTS_MAX: usize = 64;
/// What the history may take beyond what the present state takes.
const HISTORY_BYTES_MAX: usize = 2 << 20;

/// The meshes at one revision, shared with others at which they were the same.
type Topologies = Arc<BTreeMap<MeshName, Arc<Topology>>>;

/// Everything that plans are made from, at one revision.
#[derive(Debug)]
pub struct Frame {
    /// The revision.
    pub revision: u64,
    /// How often nodes report when nothing changes.
    pub report_interval_ms: u32,
    /// Where voters are, sorted.
    pub voters: Arc<[String]>,
    state: Arc<FederationState>,
    topologies: Topologies,
    history: Arc<Mutex<History>>,
    /// What changed since an earlier revision, worked out when the first follower asks.
    changes: Mutex<BTreeMap<u64, Arc<[MeshChange]>>>,
}

#[derive(Debug, Default)]
struct History {
    moments: VecDeque<Moment>,
    bytes: usize,
}

#[derive(Debug)]
struct Moment {
    revision: u64,
    topologies: Topologies,
    bytes: usize,
}

/// Works frames out, one for each state that is seen, until `stop`. `own` are the endpoints to name
/// while none is committed.
pub fn start(
    mut states: watch::Receiver<Arc<FederationState>>,
    own: Vec<Endpoint>,
    stop: CancellationToken,
) -> watch::Receiver<Arc<Frame>> {
    let first = states.borrow_and_update().clone();
    let (sender, receiver) = watch::channel(Arc::new(Frame::new(None, first, &own)));
    tokio::spawn(async move {
        while let Some(Ok(())) = stop.run_until_cancelled(states.changed()).await {
            let state = states.borrow_and_update().clone();
            let before = sender.borrow().clone();
            sender.send_replace(Arc::new(Frame::new(Some(&before), state, &own)));
        }
    });
    receiver
}

impl Frame {
    fn new(before: Option<&Self>, state: Arc<FederationState>, own: &[Endpoint]) -> Self {
        let inventory = state.inventory();
        let mut topologies = BTreeMap::new();
        let mut bytes = 0;
        for (name, stored) in &inventory.meshes {
            let earlier = before.and_then(|before| before.topologies.get(name));
            let topology = Topology::after(earlier.map(AsRef::as_ref), inventory, &stored.spec);
            let topology = match earlier {
                Some(earlier) if **earlier == topology => earlier.clone(),
                _ => {
                    bytes += topology.weight_bytes(earlier.map(AsRef::as_ref));
                    Arc::new(topology)
                }
            };
            topologies.insert(name.clone(), topology);
        }
        let topologies = match before {
            Some(before) if are_same(&before.topologies, &topologies) => before.topologies.clone(),
            Some(_) | None => Arc::new(topologies),
        };
        let history = before.map_or_else(Arc::default, |before| before.history.clone());
        lock(&history).push(Moment {
            revision: state.revision(),
            topologies: topologies.clone(),
            bytes,
        });
        let voters = voters(&state, own);
        let check_interval = inventory.federation.spec.health.check_interval.value();
        Self {
            revision: state.revision(),
            report_interval_ms: u32::try_from(check_interval.as_millis()).unwrap_or(u32::MAX),
            voters: match before {
                Some(before) if before.voters == voters => before.voters.clone(),
                Some(_) | None => voters,
            },
            topologies,
            history,
            changes: Mutex::default(),
            state,
        }
    }

    /// What a node's member cluster says of it; none: it is not enrolled.
    pub fn terms(&self, node: &NodeName) -> Option<SiteTerms> {
        let inventory = self.state.inventory();
        let record = inventory.nodes.get(node)?;
        Some(SiteTerms::of(inventory, &record.cluster))
    }

    /// What a node is to the voters; none: it is not enrolled.
    pub fn duty(&self, node: &NodeName) -> Option<Duty> {
        let record = self.state.inventory().nodes.get(node)?;
        Some(record.duty())
    }

    /// What a node must have; none: it is not enrolled.
    pub fn plan(&self, node: &NodeName, preshared_key: &PresharedKeyOf<'_>) -> Option<NodePlan> {
        self.plan_in(&self.topologies, node, preshared_key)
    }

    /// What the node had to have at an earlier revision, if that is remembered.
    pub fn plan_at(
        &self,
        revision: u64,
        node: &NodeName,
        preshared_key: &PresharedKeyOf<'_>,
    ) -> Option<NodePlan> {
        let topologies = lock(&self.history).at(revision)?;
        self.plan_in(&topologies, node, preshared_key)
    }

    /// What changed since an earlier revision, mesh by mesh; none: that is no longer remembered.
    pub fn changes_since(&self, revision: u64) -> Option<Arc<[MeshChange]>> {
        let mut changes = lock(&self.changes);
        if let Some(known) = changes.get(&revision) {
            return Some(known.clone());
        }
        let before = lock(&self.history).at(revision)?;
        let found: Arc<[MeshChange]> = if Arc::ptr_eq(&before, &self.topologies) {
            Arc::default()
        } else {
            let names: BTreeSet<&MeshName> = before.keys().chain(self.topologies.keys()).collect();
            let change = |name: &MeshName| {
                let (before, after) = (before.get(name), self.topologies.get(name));
                MeshChange::between(name.clone(), before, after)
            };
            let found = names.into_iter().map(change);
            found.filter(|change| !change.is_nothing()).collect()
        };
        changes.insert(revision, found.clone());
        Some(found)
    }

    fn plan_in(
        &self,
        topologies: &Topologies,
        node: &NodeName,
        preshared_key: &PresharedKeyOf<'_>,
    ) -> Option<NodePlan> {
        let inventory = self.state.inventory();
        let record = inventory.nodes.get(node)?;
        let plans = topologies
            .values()
            .filter_map(|topology| mesh_plan(topology, node, preshared_key));
        let SiteTerms {
            limits,
            capabilities,
        } = SiteTerms::of(inventory, &record.cluster);
        Some(NodePlan {
            node: node.clone(),
            cluster: record.cluster.clone(),
            meshes: plans.collect(),
            limits,
            capabilities,
        })
    }
}

impl History {
    fn push(&mut self, moment: Moment) {
        self.bytes += moment.bytes;
        self.moments.push_back(moment);
        while self.moments.len() > MOMENTS_MAX
            || (self.bytes > HISTORY_BYTES_MAX && self.moments.len() > 2)
        {
            let oldest = self.moments.pop_front();
            self.bytes -= oldest.map_or(0, |moment| moment.bytes);
        }
    }

    fn at(&self, revision: u64) -> Option<Topologies> {
        let found = self
            .moments
            .binary_search_by_key(&revision, |moment| moment.revision);
        found
            .ok()
            .map(|place| self.moments[place].topologies.clone())
    }
}

fn are_same(
    before: &BTreeMap<MeshName, Arc<Topology>>,
    after: &BTreeMap<MeshName, Arc<Topology>>,
) -> bool {
    let pairs = before.iter().zip(after);
    before.len() == after.len()
        && pairs
            .into_iter()
            .all(|((a, before), (b, after))| a == b && Arc::ptr_eq(before, after))
}

fn voters(state: &FederationState, own: &[Endpoint]) -> Arc<[String]> {
    let voters = state.inventory().nodes.values().filter(|node| node.voter);
    let committed: BTreeSet<&Endpoint> =
        voters.filter_map(|node| node.advertise.as_ref()).collect();
    if committed.is_empty() {
        return own.iter().map(ToString::to_string).collect();
    }
    committed.into_iter().map(ToString::to_string).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
