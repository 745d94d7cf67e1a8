//! What happened lately and what happens from now on, from this voter's own replica.
//!
//! Nothing is queued for a reader that is slow: it reads from the state's history at its own pace,
//! and is told when it fell so far behind that something was forgotten.

use std::sync::Arc;
use std::time::Duration;

use hanse_client::proto::{self, events_response::Answer};
use hanse_core::history::{Happened, History};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::voter::Voter;

/// Events on their way to one reader.
const QUEUE_LENGTH: usize = 16;
/// How long a reader may take to take an event.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

type Sender = mpsc::Sender<Result<proto::EventsResponse, Status>>;

/// Tells events until the reader goes or the voter stops; or until all are told that are
/// remembered.
pub(super) fn events(
    voter: Arc<Voter>,
    request: proto::EventsRequest,
) -> impl Stream<Item = Result<proto::EventsResponse, Status>> + Send {
    let (sender, receiver) = mpsc::channel(QUEUE_LENGTH);
    tokio::spawn(async move {
        let closed = sender.clone();
        tokio::select! {
            () = tell(&voter, &request, &sender) => {}
            () = closed.closed() => {}
            () = voter.stop.cancelled() => {}
        }
    });
    ReceiverStream::new(receiver)
}

async fn tell(voter: &Voter, request: &proto::EventsRequest, sender: &Sender) {
    let mut changes = voter.replica.changes();
    let mut next_revision = request.from_revision;
    loop {
        let state = changes.borrow_and_update().clone();
        let (answers, told_until) = answers(state.history(), next_revision);
        next_revision = told_until;
        for answer in answers {
            let response = proto::EventsResponse {
                answer: Some(answer),
            };
            if sender
                .send_timeout(Ok(response), SEND_TIMEOUT)
                .await
                .is_err()
            {
                return;
            }
        }
        if !request.follow || changes.changed().await.is_err() {
            return;
        }
    }
}

/// What is to be told from a revision on, and from where to go on. 0 asks for what there is.
fn answers(history: &History, from_revision: u64) -> (Vec<Answer>, u64) {
    let first_revision = history.complete_from();
    let is_compacted = from_revision > 0 && from_revision < first_revision;
    let compacted = is_compacted.then_some(Answer::Compacted(proto::Compacted { first_revision }));
    let from = if is_compacted {
        first_revision
    } else {
        from_revision
    };
    let happened: Vec<&Happened> = history.since(from).collect();
    let next = happened.last().map_or(from, |last| last.revision + 1);
    let happened = happened
        .into_iter()
        .flat_map(to_proto)
        .map(Answer::Happened);
    (compacted.into_iter().chain(happened).collect(), next)
}

fn to_proto(happened: &Happened) -> impl Iterator<Item = proto::Happened> + use<> {
    let revision = happened.revision;
    let tellings = happened.tellings().into_iter();
    tellings.map(move |(at_unix_s, telling)| proto::Happened {
        revision,
        at_unix_s,
        kind: telling.kind.to_owned(),
        subject: telling.subject,
        sentence: telling.sentence,
    })
}
