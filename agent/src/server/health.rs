//! The leader's watch over the nodes: looks, asks `hanse-core` what follows, proposes it.
//!
//! It decides nothing. Reports stay in memory; what is proposed are transitions only.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use hanse_core::command::Request;
use hanse_core::health;

use super::voter::Voter;

/// The bounds of how often the leader looks: four times for each report that may lack.
const LOOK_INTERVAL_MIN: Duration = Duration::from_millis(250);
const LOOK_INTERVAL_MAX: Duration = Duration::from_secs(1);
/// Transitions that are proposed at a time: they share writes to the disk.
const PROPOSALS_MAX: usize = 64;

/// Watches until the voter stops.
pub(super) async fn watch(voter: Arc<Voter>) {
    loop {
        if voter.is_leader() {
            look(&voter).await;
        } else {
            voter.statuses.end();
        }
        let interval = look_interval(&voter);
        let pause = tokio::time::sleep(interval);
        if voter.stop.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}

fn look_interval(voter: &Voter) -> Duration {
    let state = voter.replica.read();
    let policy = &state.inventory().federation.spec.health;
    (policy.check_interval.value() / 4).clamp(LOOK_INTERVAL_MIN, LOOK_INTERVAL_MAX)
}

async fn look(voter: &Voter) {
    let state = voter.replica.read();
    voter.statuses.watch(state.inventory());
    let sightings = voter
        .statuses
        .sightings(&voter.node, &voter.streams.nodes());
    let requests = health::step(state.inventory(), &sightings);
    let revision = state.revision();
    let proposals = requests.into_iter().map(|request| async move {
        // The same for the same look at the same state: it happens once.
        let id = match &request {
            Request::SetHealth { node, health, .. } => format!("health/{revision}/{node}/{health}"),
            other => format!("health/{revision}/{other:?}"),
        };
        if let Err(error) = voter.replica.propose(id, request).await {
            tracing::warn!(%error, "unable to commit a change of health; it is tried again");
        }
    });
    futures::stream::iter(proposals)
        .buffer_unordered(PROPOSALS_MAX)
        .collect::<()>()
        .await;
}
