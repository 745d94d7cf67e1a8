//! Nodes that go: revoked or removed by an admin, or by themselves.

use hanse_client::proto;
use hanse_core::command::{Farewell, Request};
use hanse_core::finding::Path;
use hanse_core::level::FeatureLevel;
use hanse_core::name::NodeName;
use tonic::Status;

use super::authorize::Call;
use super::caller::Caller;
use super::enroll::calling_node;
use super::voter::{Voter, invalid};
use crate::consensus::autopilot;

/// Ends whatever a node may do.
pub(super) async fn revoke(
    voter: &Voter,
    caller: &Caller,
    request: proto::RevokeNodeRequest,
) -> Result<proto::RevokeNodeResponse, Status> {
    let node = read_name(&request.node)?;
    check_force(voter, &node).await?;
    let change = Request::RevokeNode { node: node.clone() };
    let revision = go(
        voter,
        caller,
        Call::RevokeNode,
        &node,
        &request.request_id,
        change,
    );
    let revision = revision.await?;
    Ok(proto::RevokeNodeResponse { revision })
}

/// Forgets a node that is gone.
pub(super) async fn remove(
    voter: &Voter,
    caller: &Caller,
    request: proto::RemoveNodeRequest,
) -> Result<proto::RemoveNodeResponse, Status> {
    let node = read_name(&request.node)?;
    let farewell = if request.force {
        check_force(voter, &node).await?;
        Farewell::Forced
    } else if is_reporting(voter, &node) {
        Farewell::Reporting
    } else {
        Farewell::Silent
    };
    let change = Request::RemoveNode {
        node: node.clone(),
        farewell,
    };
    let revision = go(
        voter,
        caller,
        Call::RemoveNode,
        &node,
        &request.request_id,
        change,
    );
    let revision = revision.await?;
    Ok(proto::RemoveNodeResponse { revision })
}

/// Forgets the calling node.
pub(super) async fn leave(
    voter: &Voter,
    caller: &Caller,
    request: proto::LeaveRequest,
) -> Result<proto::LeaveResponse, Status> {
    let node = calling_node(caller)?;
    let change = Request::RemoveNode {
        node: node.clone(),
        farewell: Farewell::Leaves,
    };
    let revision = go(
        voter,
        caller,
        Call::Leave,
        &node,
        &request.request_id,
        change,
    );
    let revision = revision.await?;
    Ok(proto::LeaveResponse { revision })
}

async fn go(
    voter: &Voter,
    caller: &Caller,
    call: Call,
    node: &NodeName,
    request_id: &str,
    change: Request,
) -> Result<u64, Status> {
    let object = format!("node `{node}`");
    let committed = voter
        .propose(caller, call, &object, request_id, change)
        .await?;
    // Another machine may get the name: what this one reported is not its own.
    voter.statuses.forget(node);
    Ok(committed.revision)
}

/// Where votes can't be ended yet, a voter goes with its node.
async fn check_force(voter: &Voter, node: &NodeName) -> Result<(), Status> {
    if voter.replica.read().feature_level() >= FeatureLevel::SECOND {
        return Ok(());
    }
    check_quorum(voter, node).await
}

/// A voter may go only where enough others can be heard at this moment.
pub(super) async fn check_quorum(voter: &Voter, node: &NodeName) -> Result<(), Status> {
    let state = voter.confirmed().await?;
    let record = state.inventory().nodes.get(node);
    let Some(record) = record.filter(|record| record.voter) else {
        return Ok(());
    };
    let checked = autopilot::check_removal(voter, record.voter_id()).await;
    checked.map_err(|needed| {
        let detail = format!(
            "`{node}` can't be removed from the voters: {needed}. `hanse status` shows who can't \
             be heard: start those first, or add another voter."
        );
        invalid(Path::of("node"), "No quorum would be left", &detail)
    })
}

fn is_reporting(voter: &Voter, node: &NodeName) -> bool {
    let state = voter.replica.read();
    let policy = &state.inventory().federation.spec.health;
    let seen = voter.statuses.of(node);
    seen.is_some_and(|seen| seen.age() < policy.silence_max())
}

pub(super) fn read_name(text: &str) -> Result<NodeName, Status> {
    text.parse()
        .map_err(|error| invalid(Path::of("node"), "Invalid name", &format!("{error}.")))
}
