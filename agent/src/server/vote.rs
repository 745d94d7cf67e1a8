//! Who votes, as admins change it, and how a node that was called becomes a voter.

use std::net::SocketAddr;

use hanse_client::proto;
use hanse_core::command::Request;
use hanse_core::endpoint::Endpoint;
use hanse_core::finding::Path;
use hanse_core::name::NodeName;
use hanse_core::secret::SealingKey;
use hanse_core::voters::vote::{Duty, VoteRequest};
use tonic::Status;

use super::authorize::Call;
use super::caller::Caller;
use super::node::{check_quorum, read_name};
use super::voter::{Voter, invalid};
use crate::consensus::Committed;

/// Calls a node to become a voter.
pub(super) async fn add(
    voter: &Voter,
    caller: &Caller,
    request: proto::AddVoterRequest,
) -> Result<proto::AddVoterResponse, Status> {
    let node = read_name(&request.node)?;
    let change = VoteRequest::Call {
        node: node.clone(),
        listen: read_listen(&request.listen)?,
        advertise: read_endpoint("advertise", &request.advertise)?,
    };
    let id = &request.request_id;
    let object = object(&node);
    let committed = propose(voter, caller, Call::AddVoter, &object, id, change).await?;
    let revision = committed.revision;
    Ok(proto::AddVoterResponse { revision })
}

/// Ends a node's vote, if enough others can be heard, and if no DR plan needs it or somebody insists.
pub(super) async fn remove(
    voter: &Voter,
    caller: &Caller,
    request: proto::RemoveVoterRequest,
) -> Result<proto::RemoveVoterResponse, Status> {
    let node = read_name(&request.node)?;
    check_quorum(voter, &node).await?;
    // Whoever overrides a refusal stands in the audit log with it.
    let object = match request.force {
        true => format!("{}, by force", object(&node)),
        false => object(&node),
    };
    let change = VoteRequest::Dismiss {
        node,
        by_force: request.force,
    };
    let id = &request.request_id;
    let committed = propose(voter, caller, Call::RemoveVoter, &object, id, change).await?;
    let revision = committed.revision;
    Ok(proto::RemoveVoterResponse { revision })
}

/// A node that was called is ready. Yields the number that it is known by from now on, and where it
/// shall listen.
pub(super) async fn answer(
    voter: &Voter,
    caller: &Caller,
    node: &NodeName,
    sealing_key: SealingKey,
    request_id: &str,
) -> Result<(u64, String), Status> {
    let change = VoteRequest::Answer {
        node: node.clone(),
        sealing_key,
        boxes: voter.seal_all_for(node, &sealing_key)?,
    };
    let object = object(node);
    let committed = propose(voter, caller, Call::Renew, &object, request_id, change).await?;
    let record = committed.state.inventory().nodes.get(node);
    let listen = record.and_then(|record| record.vote.listen.as_ref());
    let listen = listen.map(ToString::to_string).unwrap_or_default();
    Ok((record.map_or(0, |record| record.voter_id()), listen))
}

/// What a node is told that it is to the voters.
pub(super) fn duty_message(duty: &Duty, revision: u64) -> proto::VoterDuty {
    let (listen, voter_id) = match duty {
        Duty::Follow => (None, 0),
        Duty::Answer { listen } => (Some(listen), 0),
        Duty::Vote { id, listen } => (listen.as_ref(), *id),
    };
    proto::VoterDuty {
        revision,
        listen: listen.map(ToString::to_string).unwrap_or_default(),
        voter_id,
    }
}

async fn propose(
    voter: &Voter,
    caller: &Caller,
    call: Call,
    object: &str,
    request_id: &str,
    change: VoteRequest,
) -> Result<Committed, Status> {
    let change = Request::Vote(change);
    voter
        .propose(caller, call, object, request_id, change)
        .await
}

/// What an audit's line is about.
fn object(node: &NodeName) -> String {
    format!("vote of node `{node}`")
}

/// An address of the machine: names are for those who call it.
fn read_listen(text: &str) -> Result<Endpoint, Status> {
    let _: SocketAddr = text.parse().map_err(|_| {
        let detail = "A voter listens at an address and a port, for example 0.0.0.0:7443.";
        invalid(Path::of("listen"), "Invalid address", detail)
    })?;
    read_endpoint("listen", text)
}

fn read_endpoint(name: &str, text: &str) -> Result<Endpoint, Status> {
    text.parse()
        .map_err(|error| invalid(Path::of(name), "Invalid endpoint", &format!("{error}.")))
}
