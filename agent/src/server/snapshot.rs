//! Everything that is declared and known, in one answer; at once, or after the next change.

use std::time::Duration;

use hanse_client::convert;
use hanse_client::proto;
use hanse_core::object::Federation;
use hanse_core::state::FederationState;
use tonic::Status;

use super::voter::Voter;

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
    Ok(assemble(voter, version))
}

fn assemble(voter: &Voter, version: u64) -> proto::SnapshotResponse {
    let state = voter.replica.read();
    let inventory = state.inventory();
    let silence_max = silence_max(&inventory.federation.spec);
    let nodes = inventory
        .nodes
        .iter()
        .map(|(name, record)| {
            let mut node = convert::node_to_proto(name, record);
            if let Some(seen) = voter.statuses.of(name) {
                let age = seen.age();
                node.last_seen_age_ms = u64::try_from(age.as_millis()).ok();
                node.live = age < silence_max;
                node.status = Some(seen.status);
            }
            node
        })
        .collect();
    proto::SnapshotResponse {
        federation: voter.authority.federation().to_string(),
        ca_fingerprint: voter.authority.fingerprint().to_string(),
        revision: state.revision(),
        version,
        objects: convert::snapshot_objects(inventory),
        nodes,
        retired_addresses: convert::retired_addresses(inventory),
        revoked_nodes: revoked_nodes(&state),
    }
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

/// A node that is silent for longer is not live.
pub(super) fn silence_max(federation: &Federation) -> Duration {
    let health = &federation.health;
    health
        .check_interval
        .value()
        .saturating_mul(health.failure_threshold)
}
