//! The replicated state as a signed file, in pieces.

use std::sync::Arc;

use futures::stream;
use hanse_client::proto;
use tokio_stream::Stream;
use tonic::Status;

use super::authorize::Call;
use super::caller::Caller;
use super::voter::{Voter, unaudited};
use crate::audit::Outcome;
use crate::identity::Backup;

/// How much goes into one message.
const CHUNK_LENGTH: usize = 256 << 10;

/// Signs the state with everything in it that was acknowledged before this call. What is sent is
/// that state, however long the sending takes.
pub(super) async fn backup(
    voter: &Voter,
    caller: &Caller,
) -> Result<impl Stream<Item = Result<proto::BackupChunk, Status>> + Send + use<>, Status> {
    let state = voter.confirmed().await?;
    let keys = voter.keys()?;
    let revision = state.revision();
    let (node, now_unix_s) = (voter.node.clone(), voter.now_unix_s());
    let signing = tokio::task::spawn_blocking(move || {
        Backup::sign(&state, &keys.authority, &node, now_unix_s)
    });
    let file = signing
        .await
        .map_err(|_| Status::unavailable("the voter is stopping; try again"))?
        .map_err(|error| Status::internal(format!("unable to make a backup: {error}")))?;
    let words = format!("signed at {revision}");
    voter
        .audit
        .note(caller, Call::Backup, "federation", Outcome::Done(&words))
        .await
        .map_err(unaudited)?;
    let file = Arc::new(file);
    let chunks = (0..file.len()).step_by(CHUNK_LENGTH).map(move |start| {
        let end = file.len().min(start + CHUNK_LENGTH);
        let content = file[start..end].to_vec();
        Ok(proto::BackupChunk { content })
    });
    Ok(stream::iter(chunks))
}
