//! Everything that is declared and known, in one answer; at once, or after the next change.

use std::time::Duration;

use hanse_client::convert;
use hanse_client::proto;
use hanse_client::proto::snapshot_request::Peers;
use hanse_core::health;
use hanse_core::name::NodeName;
use hanse_core::state::FederationState;
use hanse_core::voters::vote::Pending;
use tonic::Status;

use super::authority;
use super::voter::Voter;
use crate::consensus::level::Told;

/// The longest wait, so that a caller that is gone is not served for ever.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Changes that come together are answered together.
const COALESCE: Duration = Duration::from_millis(50);

/// Answers a request for a snapshot.
pub(super) async fn snapshot(
    voter: &Voter,
    request: proto::SnapshotRequest,
) -> Result<proto::SnapshotResponse, Status> {
    let wait = Duration::from_millis(request.wait_ms.into()).min(WAIT_MAX);
    let mut version = voter.statuses.version();
    if !wait.is_zero() && *version.borrow_and_update() == request.after_version {
        let change = tokio::time::timeout(wait, version.changed());
        if let Some(Ok(Ok(()))) = voter.stop.run_until_cancelled(change).await {
            tokio::time::sleep(COALESCE.min(wait)).await;
        }
    }
    // The version is read first: what changes meanwhile is shown now and announced again.
    let version = *version.borrow();
    let state = voter.confirmed().await?;
    Ok(assemble(voter, &state, version, &wanted_peers(&request)))
}

/// Whose observations of one another a snapshot shows.
enum WantedPeers {
    All,
    None,
    OfMesh(String),
}

fn wanted_peers(request: &proto::SnapshotRequest) -> WantedPeers {
    match request.peers() {
        Peers::Unspecified => WantedPeers::All,
        Peers::None => WantedPeers::None,
        Peers::OfMesh => WantedPeers::OfMesh(request.peers_mesh.clone()),
    }
}

fn assemble(
    voter: &Voter,
    state: &FederationState,
    version: u64,
    peers: &WantedPeers,
) -> proto::SnapshotResponse {
    let inventory = state.inventory();
    let policy = &inventory.federation.spec.health;
    voter.statuses.watch(inventory);
    let sightings = voter
        .statuses
        .sightings(&voter.node, &voter.streams.nodes());
    let nodes = inventory
        .nodes
        .iter()
        .map(|(name, record)| {
            let mut node = convert::node_to_proto(name, record);
            node.awaited = state.identities().is_awaited(name);
            if let Some(sighting) = sightings.get(name) {
                node.live = health::is_live(record.health.state, sighting, policy);
            }
            if let Some(seen) = voter.statuses.of(name) {
                node.last_seen_age_ms = u64::try_from(seen.age().as_millis()).ok();
                node.status = Some(shown(&seen.status, peers));
            }
            node
        })
        .collect();
    let trust = voter.trust();
    let signing = trust.signing().map(|one| one.fingerprint.to_string());
    proto::SnapshotResponse {
        federation: voter.federation().to_string(),
        ca_fingerprint: signing.unwrap_or_default(),
        revision: state.revision(),
        version,
        objects: convert::snapshot_objects(inventory),
        nodes,
        retired_addresses: convert::retired_addresses(inventory),
        revoked_nodes: revoked_nodes(state),
        authorities: authority::shown(voter, state),
        voters: voters(voter, state),
        feature_level: state.feature_level().number().into(),
    }
}

/// Who votes, who learns, and who is to.
fn voters(voter: &Voter, state: &FederationState) -> Vec<proto::Voter> {
    let survey = voter.replica.survey();
    let pending = |node: &str| {
        let node: Option<NodeName> = node.parse().ok();
        let record = node.and_then(|node| state.inventory().nodes.get(&node));
        match record.and_then(|record| record.vote.pending.as_ref()) {
            None => String::new(),
            Some(Pending::Called { .. }) => "called".to_owned(),
            Some(Pending::Dismissed) => "dismissed".to_owned(),
        }
    };
    let members = survey.members.iter();
    let told = |id| match id == survey.voter {
        true => Some(Told::own()),
        false => voter.levels.of(id),
    };
    let listed = members.map(|(id, member)| proto::Voter {
        pending: pending(&member.node.name),
        feature_level: told(*id).map(|told| told.level.number().into()),
        program: told(*id).map(|told| told.program).unwrap_or_default(),
        node: member.node.name.clone(),
        endpoint: member.node.endpoint.clone(),
        votes: member.is_voter,
        leads: survey.leader == Some(*id),
        lag_entries: member
            .matched_index
            .map(|matched| survey.last_index.saturating_sub(matched)),
        silent_for_ms: member
            .silent_for
            .map(|silent| u64::try_from(silent.as_millis()).unwrap_or(u64::MAX)),
    });
    let mut voters: Vec<proto::Voter> = listed.collect();
    let nodes = state.inventory().nodes.iter();
    let to_come = nodes.filter_map(|(node, record)| {
        let advertise = match &record.vote.pending {
            Some(Pending::Called { advertise, .. }) => Some(advertise),
            Some(Pending::Dismissed) => None,
            None if record.voter => record.advertise.as_ref(),
            None => None,
        };
        let is_listed = |voter: &proto::Voter| voter.node == node.as_str();
        let advertise = advertise.filter(|_| !voters.iter().any(is_listed))?;
        Some(proto::Voter {
            node: node.to_string(),
            endpoint: advertise.to_string(),
            pending: pending(node.as_str()),
            ..Default::default()
        })
    });
    let to_come: Vec<proto::Voter> = to_come.collect();
    voters.extend(to_come);
    voters
}

fn revoked_nodes(state: &FederationState) -> Vec<proto::RevokedNode> {
    let revoked = state.identities().revoked_nodes();
    revoked
        .iter()
        .map(|(name, node)| proto::RevokedNode {
            name: name.to_string(),
            member_cluster: node.cluster.to_string(),
            revision: node.revision,
        })
        .collect()
}

/// A status with those observations that are wanted. What is left out is not even copied.
fn shown(status: &proto::NodeStatus, wanted: &WantedPeers) -> proto::NodeStatus {
    let meshes = status.meshes.iter().map(|mesh| {
        let is_wanted = match wanted {
            WantedPeers::All => true,
            WantedPeers::None => false,
            WantedPeers::OfMesh(name) => *name == mesh.mesh,
        };
        proto::MeshObservation {
            mesh: mesh.mesh.clone(),
            public_key: mesh.public_key.clone(),
            backend: mesh.backend.clone(),
            peers: if is_wanted {
                mesh.peers.clone()
            } else {
                Vec::new()
            },
            problems: mesh.problems.clone(),
            peers_total: mesh.peers_total,
            peers_connected: mesh.peers_connected,
        }
    });
    proto::NodeStatus {
        applied_revision: status.applied_revision,
        meshes: meshes.collect(),
        capacity: status.capacity,
        agent_version: status.agent_version.clone(),
        boot_id: status.boot_id.clone(),
        problems: status.problems.clone(),
        followers: status.followers.clone(),
        trusted_authorities: status.trusted_authorities.clone(),
        past: Vec::new(),
        past_id: String::new(),
        past_dropped: 0,
    }
}
