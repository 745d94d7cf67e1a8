//! From what the passes and proofs found to what the agent reports.

use std::collections::BTreeMap;
use std::time::SystemTime;

use hanse_core::key::PublicKey;
use hanse_core::mesh::{MeshPlan, PeerPlan};
use hanse_core::name::NodeName;
use hanse_core::wireguard::HANDSHAKE_FRESH_MAX;

use crate::device::{Counters, Device};
use crate::observation::{MeshObservation, PeerObservation};
use crate::proof::Verdict;
use crate::reconcile::MeshState;

/// What is to be said of one mesh.
pub(crate) fn mesh(plan: &MeshPlan, state: Option<&MeshState>, now: SystemTime) -> MeshObservation {
    let mut seen = MeshObservation::new(plan.mesh.clone());
    let Some(state) = state else { return seen };
    seen.public_key = state.key.as_ref().map(|key| key.public());
    seen.backend = state.device.as_ref().map(Device::backend);
    seen.problems = state.report.problems();
    let mut nodes: BTreeMap<&NodeName, (PublicKey, Option<&PeerPlan>)> = BTreeMap::new();
    for target in &plan.probe_targets {
        nodes.insert(&target.node, (target.public_key, None));
    }
    for peer in &plan.peers {
        nodes.insert(&peer.node, (peer.public_key, Some(peer)));
    }
    let views = nodes
        .into_iter()
        .map(|(node, (key, peer))| node_view(node, key, peer, state, now));
    seen.peers = views.collect();
    seen
}

fn node_view(
    node: &NodeName,
    key: PublicKey,
    peer: Option<&PeerPlan>,
    state: &MeshState,
    now: SystemTime,
) -> PeerObservation {
    let counters = state.state.counters.get(&key).copied().unwrap_or_default();
    let endpoint = state
        .state
        .observed
        .peers
        .get(&key)
        .and_then(|peer| peer.endpoint);
    let verdict = state
        .prover
        .as_ref()
        .and_then(|prover| prover.verdict(node));
    let unproved = verdict.as_ref().filter(|verdict| !verdict.proved);
    let reason = unproved.map(|verdict| why(verdict, peer, &counters, now));
    let unresolved = state.unresolved.get(&key).cloned();
    PeerObservation {
        node: node.clone(),
        endpoint,
        last_handshake: counters.last_handshake,
        received_bytes: counters.received_bytes,
        sent_bytes: counters.sent_bytes,
        proved: verdict.as_ref().is_some_and(|verdict| verdict.proved),
        last_proof: verdict.as_ref().and_then(|verdict| verdict.last_proof),
        round_trip: verdict.as_ref().and_then(|verdict| verdict.round_trip),
        problem: match (unresolved, reason) {
            (Some(unresolved), Some(reason)) => Some(format!("{unresolved}; {reason}")),
            (unresolved, reason) => unresolved.or(reason),
        },
    }
}

/// Why data was not proved to come through.
fn why(verdict: &Verdict, peer: Option<&PeerPlan>, counters: &Counters, now: SystemTime) -> String {
    let Some((address, size)) = verdict.lost.first() else {
        return "it has no address of a family that this node has".to_owned();
    };
    let Some(peer) = peer else {
        return format!("no answer from {address} through the hub or gateway");
    };
    match counters.handshake_age(now) {
        None if peer.endpoint.is_none() => {
            "no handshake: it has no endpoint, so it must dial this node".to_owned()
        }
        None => "no handshake: nothing answers at its endpoint; check that its agent runs and \
                 that UDP reaches it"
            .to_owned(),
        Some(age) if age >= HANDSHAKE_FRESH_MAX => {
            format!("no handshake for {} s", age.as_secs())
        }
        Some(_) => format!(
            "handshake fine, probe of {size} bytes to {address} lost: is the path's MTU smaller, \
             or does a firewall on the mesh interface drop UDP?"
        ),
    }
}
