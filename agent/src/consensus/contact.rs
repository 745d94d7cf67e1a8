//! Whether this voter is in touch with a majority. One that is not knows less than the others, and
//! whoever follows it had better follow another one.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Replica;

/// How often it is looked.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// Longer than an election takes, with some patience.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// Looks again and again until `stop`.
pub fn watch(replica: Replica, stop: CancellationToken) -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(true);
    tokio::spawn(async move {
        loop {
            let pause = tokio::time::sleep(LOOK_INTERVAL);
            if stop.run_until_cancelled(pause).await.is_none() {
                return;
            }
            let has_contact = replica.silent_for() <= SILENCE_MAX && !is_out(&replica);
            let is_new = |before: &mut bool| std::mem::replace(before, has_contact) != has_contact;
            if sender.send_if_modified(is_new) {
                tracing::warn!(has_contact, "contact with the other voters");
            }
        }
    });
    receiver
}

/// Whether the voters go on without this one, as far as it knows: nobody tells it more.
fn is_out(replica: &Replica) -> bool {
    let survey = replica.survey();
    !survey.members.is_empty() && !survey.members.contains_key(&survey.voter)
}
