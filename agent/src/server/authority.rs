//! The certificate authorities: replacing one, and how that stands.
//!
//! The leader acts by itself: it seals secrets to voters that lack them, and takes the steps of a
//! rotation that `hanse-core` decides on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hanse_client::proto;
use hanse_core::authority::rotation::{self, NodeTrust, Seen, Step, Wait, name_some};
use hanse_core::authority::{AuthorityRequest, AuthorityRole};
use hanse_core::command::Request;
use hanse_core::health;
use hanse_core::state::FederationState;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tonic::Status;

use super::authorize::Call;
use super::caller::Caller;
use super::voter::{Voter, failed};
use crate::identity::Trust;

/// How often the leader looks while an authority is being replaced, and after a failure.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How often it looks otherwise, if nothing changes.
const IDLE_INTERVAL: Duration = Duration::from_secs(10);

/// Begins to replace the authority; or, while that is under way and if it is forced, takes the next
/// step, whoever is not ready for it.
pub(super) async fn rotate(
    voter: &Voter,
    caller: &Caller,
    request: proto::RotateAuthorityRequest,
) -> Result<proto::RotateAuthorityResponse, Status> {
    let state = voter.replica.read();
    let forced = rotation::forced_step(&state).filter(|_| request.force);
    let change = match forced {
        Some(change) => change,
        None => voter.introduce_authority(&state)?,
    };
    let object = describe(&change);
    let id = &request.request_id;
    let change = Request::Authority(change);
    let committed = voter
        .propose(caller, Call::RotateAuthority, &object, id, change)
        .await?;
    Ok(proto::RotateAuthorityResponse {
        revision: committed.revision,
        authorities: shown(voter, &committed.state),
    })
}

/// The authorities, and what the next step of a rotation waits for.
pub(super) fn shown(voter: &Voter, state: &FederationState) -> Vec<proto::Authority> {
    let trust = Trust::of(voter.federation(), &state.inventory().authorities);
    let Step { waits_for, .. } = next_step(voter, state);
    let shown = trust.iter().map(|authority| {
        let waits = waits_for.iter().map(sentence);
        let record = state.inventory().authorities.get(authority.number);
        proto::Authority {
            number: authority.number,
            fingerprint: authority.fingerprint.to_string(),
            role: authority.role.to_string(),
            since_unix_s: record.map_or(0, |record| record.since_unix_s),
            waits_for: match authority.role {
                AuthorityRole::Introduced | AuthorityRole::Retiring => waits.collect(),
                AuthorityRole::Signing => Vec::new(),
            },
        }
    });
    shown.collect()
}

/// Notes that the authority signs something for others that ends then, before it does.
pub(super) async fn bind(voter: &Voter, number: u32, until_unix_s: u64) -> Result<(), Status> {
    let state = voter.replica.read();
    let record = state.inventory().authorities.get(number);
    if record.is_some_and(|record| record.issued_until_unix_s >= until_unix_s) {
        return Ok(());
    }
    let change = AuthorityRequest::Bind {
        number,
        until_unix_s,
    };
    let id = format!("authority/{number}/until/{until_unix_s}");
    let bound = voter.replica.propose(id, Request::Authority(change)).await;
    bound.map(|_| ()).map_err(failed)
}

/// Acts while this voter leads, until it stops.
pub(super) async fn watch(voter: Arc<Voter>) {
    let mut changes = voter.replica.changes();
    loop {
        changes.mark_unchanged();
        let is_busy = voter.is_leader() && act(&voter).await;
        let looks_again = async {
            if is_busy {
                tokio::time::sleep(LOOK_INTERVAL).await;
            } else {
                // A voter that begins to lead finds what its predecessor left.
                let _ = tokio::time::timeout(IDLE_INTERVAL, changes.changed()).await;
            }
        };
        if voter.stop.run_until_cancelled(looks_again).await.is_none() {
            return;
        }
    }
}

/// Seals what is missing and takes the next step; whether to look again soon.
async fn act(voter: &Voter) -> bool {
    let state = voter.replica.read();
    let inventory = state.inventory();
    let is_sealed = state.secrets().missing(inventory).is_empty();
    if is_sealed && !inventory.authorities.is_rotating() {
        return false;
    }
    let mut requests = Vec::new();
    if !is_sealed {
        match voter.seal_missing(&state) {
            Ok(boxes) => requests.push(Request::Seal { boxes }),
            Err(error) => tracing::error!(
                error = error.message(),
                "unable to seal secrets to other voters"
            ),
        }
    }
    let step = next_step(voter, &state);
    requests.extend(step.requests.into_iter().map(Request::Authority));
    for (place, request) in requests.into_iter().enumerate() {
        if let Request::Authority(change) = &request {
            tracing::info!(step = describe(change), "an authority is being replaced");
        }
        let id = format!("authority/{}/{place}", state.revision());
        if let Err(error) = voter.replica.propose(id, request).await {
            tracing::warn!(%error, "unable to take a step of the rotation; it is tried again");
        }
    }
    true
}

fn next_step(voter: &Voter, state: &FederationState) -> Step {
    if !state.inventory().authorities.is_rotating() {
        return Step::default();
    }
    rotation::step(state, &seen(voter, state), voter.now_unix_s())
}

/// What this leader knows of the nodes' trust.
fn seen(voter: &Voter, state: &FederationState) -> Seen {
    let inventory = state.inventory();
    let policy = &inventory.federation.spec.health;
    let patience = policy
        .check_interval
        .value()
        .saturating_mul(policy.failure_threshold);
    voter.statuses.watch(inventory);
    let sightings = voter
        .statuses
        .sightings(&voter.node, &voter.streams.nodes());
    let is_settled = sightings
        .values()
        .all(|sighting| sighting.reported_ago.is_some() || sighting.watched_for >= patience);
    let trust = voter.trust();
    let number_of = |fingerprint: &Vec<u8>| {
        let mut authorities = trust.iter();
        let found = authorities.find(|one| one.fingerprint.as_bytes()[..] == fingerprint[..]);
        found.map(|one| one.number)
    };
    let nodes = sightings.iter().filter_map(|(node, sighting)| {
        let record = inventory.nodes.get(node)?;
        let told = voter.statuses.of(node)?;
        let told = &told.status.trusted_authorities;
        let trust = NodeTrust {
            is_live: health::is_live(record.health.state, sighting, policy),
            trusts: told.iter().filter_map(number_of).collect::<BTreeSet<_>>(),
            certified_by: told.first().and_then(number_of),
        };
        Some((node.clone(), trust))
    });
    Seen {
        is_settled,
        nodes: nodes.collect(),
    }
}

fn describe(change: &AuthorityRequest) -> String {
    match change {
        AuthorityRequest::Introduce { number, .. } => {
            format!("authority {number} is to be trusted")
        }
        AuthorityRequest::Sign { number } => format!("authority {number} signs"),
        AuthorityRequest::Retire { number } => format!("authority {number} is trusted no more"),
        AuthorityRequest::Bind { number, .. } => format!("authority {number} signs for others"),
        AuthorityRequest::Certified { nodes } => format!("{} nodes have renewed", nodes.len()),
    }
}

fn sentence(wait: &Wait) -> String {
    match wait {
        Wait::Settling => "the leader does not know yet which nodes live".to_owned(),
        Wait::Voters(nodes) => format!("voters that can't open its key yet: {}", name_some(nodes)),
        Wait::Trust(nodes) => format!("live nodes that don't trust it yet: {}", name_some(nodes)),
        Wait::Certificates {
            nodes,
            until_unix_s,
        } => format!(
            "nodes that have not been seen with a certificate of the new one: {}; theirs are good \
             for nothing any more at {}",
            name_some(nodes),
            date(*until_unix_s)
        ),
        Wait::Issued { until_unix_s } => format!(
            "credentials and tokens that it signed, the last of which ends at {}",
            date(*until_unix_s)
        ),
    }
}

fn date(unix_s: u64) -> String {
    let date = i64::try_from(unix_s).ok();
    let date = date.and_then(|unix_s| OffsetDateTime::from_unix_timestamp(unix_s).ok());
    let text = date.and_then(|date| date.format(&Rfc3339).ok());
    text.unwrap_or_else(|| format!("{unix_s} s since 1970"))
}
