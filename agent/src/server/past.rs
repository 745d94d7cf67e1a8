//! What a node tells of the time when nobody heard it, kept in order and once.

use hanse_client::proto;
use hanse_core::command::Request;
use hanse_core::name::NodeName;
use hanse_core::recollection::{CHANGES_MAX, PastChange};

use super::authorize::Call;
use super::caller::Caller;
use super::enroll::request_id;
use super::voter::Voter;

/// Commits it, and yields the sequence number up to which it is kept; 0: none of it, so that the
/// node tells it again.
pub(super) async fn keep(
    voter: &Voter,
    caller: &Caller,
    node: &NodeName,
    status: &mut proto::NodeStatus,
) -> u64 {
    let mut past = std::mem::take(&mut status.past);
    let past_id = std::mem::take(&mut status.past_id);
    past.truncate(CHANGES_MAX);
    let Some(last) = past.last().map(|change| change.sequence) else {
        return 0;
    };
    let id = request_id(&[
        node.as_str().as_bytes(),
        past_id.as_bytes(),
        &last.to_le_bytes(),
    ]);
    let changes = past.into_iter().map(|change| PastChange {
        at_unix_s: change.at_unix_s,
        sentence: change.sentence,
        ended: change.ended,
    });
    let request = Request::Recall {
        node: node.clone(),
        dropped: status.past_dropped,
        changes: changes.collect(),
    };
    let object = format!("past of node `{node}`");
    let kept = voter.propose(caller, Call::Report, &object, &id, request);
    match kept.await {
        Ok(_) => last,
        Err(error) => {
            tracing::debug!(%node, %error, "what it tells of the past is not kept yet");
            0
        }
    }
}
