//! A node's own plan, now and whenever it changes.
//!
//! Nothing is queued for a node that is slow: it gets the newest plan when it can take one, and
//! one that takes none for a while is cut off and comes again.

use std::sync::Arc;
use std::time::Duration;

use hanse_client::convert;
use hanse_client::proto::{self, follow_event::Event};
use hanse_core::mesh::NodePlan;
use hanse_core::name::NodeName;
use hanse_core::state::FederationState;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::voter::Voter;

/// How long a node may take to take a plan.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

type Sender = mpsc::Sender<Result<proto::FollowEvent, Status>>;

/// Follows a node's plan until the node goes or the voter stops.
pub(super) fn follow(
    voter: Arc<Voter>,
    node: NodeName,
) -> impl Stream<Item = Result<proto::FollowEvent, Status>> + Send {
    let (sender, receiver) = mpsc::channel(1);
    let held = voter.streams.hold(node.clone());
    tokio::spawn(async move {
        let _held = held;
        let closed = sender.clone();
        tokio::select! {
            () = send_plans(&voter, &node, &sender) => {}
            () = closed.closed() => {}
            () = voter.stop.cancelled() => {}
        }
    });
    ReceiverStream::new(receiver)
}

async fn send_plans(voter: &Voter, node: &NodeName, sender: &Sender) {
    let mut changes = voter.replica.changes();
    let mut sent: Option<(NodePlan, u32)> = None;
    loop {
        let state = changes.borrow_and_update().clone();
        let Some(event) = next_event(voter, &state, node, &mut sent) else {
            // The node is out: the guard ends the stream, and says why.
            sender.closed().await;
            return;
        };
        let event = proto::FollowEvent { event: Some(event) };
        if sender.send_timeout(Ok(event), SEND_TIMEOUT).await.is_err() {
            tracing::info!(%node, "a follower takes nothing and is cut off");
            return;
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// The plan if it differs from the one that was sent last; none: there is no such node.
fn next_event(
    voter: &Voter,
    state: &FederationState,
    node: &NodeName,
    sent: &mut Option<(NodePlan, u32)>,
) -> Option<Event> {
    let plan = voter.plan(state.inventory(), node)?;
    let check_interval = state
        .inventory()
        .federation
        .spec
        .health
        .check_interval
        .value();
    let report_interval_ms = u32::try_from(check_interval.as_millis()).unwrap_or(u32::MAX);
    let next = (plan, report_interval_ms);
    if sent.as_ref() == Some(&next) {
        return Some(Event::UnchangedUntilRevision(state.revision()));
    }
    let message = convert::node_plan_to_proto(&next.0, state.revision(), report_interval_ms);
    *sent = Some(next);
    Some(Event::Plan(message))
}
