//! Brings the voters' list to what is declared, while this voter leads: one step at a time, as
//! `hanse-core` says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hanse_consensus::membership::Survey;
use hanse_consensus::types::{VoterId, VoterNode};
use hanse_core::command::Request;
use hanse_core::inventory::Inventory;
use hanse_core::name::NodeName;
use hanse_core::state::FederationState;
use hanse_core::voters::vote::{Pending, VoteRequest};
use hanse_core::voters::{self, Needed, Seen, Step, next_step};

use super::time;
use crate::server::Voter;

/// How often it is looked whether a step is due.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Since when each voter has been caught up.
type CaughtUp = BTreeMap<VoterId, Instant>;

/// Looks again and again until the voter's `stop`.
pub async fn run(voter: Arc<Voter>) {
    let mut caught_up = CaughtUp::new();
    loop {
        let pause = tokio::time::sleep(LOOK_INTERVAL);
        if voter.stop.run_until_cancelled(pause).await.is_none() {
            return;
        }
        if !voter.is_leader() {
            caught_up.clear();
            continue;
        }
        let state = voter.replica.read();
        let survey = voter.replica.survey();
        release(&voter, &state, &survey).await;
        if survey.is_joint {
            if let Err(error) = voter.replica.settle().await {
                tracing::warn!(%error, "unable to end a change of who votes; trying again");
            }
            continue;
        }
        let wanted = wanted(state.inventory());
        let seen = see(&state, &survey, &mut caught_up);
        let ids: BTreeSet<VoterId> = wanted.keys().copied().collect();
        if let Some(step) = next_step(&ids, &seen) {
            take(&voter, step, &wanted, &seen).await;
        }
    }
}

/// Whether a voter can be done without at this very moment: those who would be left are asked, since
/// what was heard of them some seconds ago may be true no more.
pub async fn check_removal(voter: &Voter, id: VoterId) -> Result<(), Needed> {
    let answered = time::ask_all(voter).await;
    let state = voter.replica.read();
    let mut seen = see(&state, &voter.replica.survey(), &mut CaughtUp::new());
    for (other, seen) in &mut seen {
        let is_here = *other == voter.replica.voter() || answered.contains(other);
        seen.silent_for = is_here.then_some(Duration::ZERO);
    }
    voters::check_removal(&seen, id)
}

/// Lets go whoever was dismissed and is not in the voters' list any more. This is committed after
/// the list without it, so whoever reads it is out for good.
async fn release(voter: &Voter, state: &FederationState, survey: &Survey) {
    let nodes = state.inventory().nodes.iter();
    let gone = nodes.filter(|(_, record)| {
        record.vote.pending == Some(Pending::Dismissed)
            && !survey.members.contains_key(&record.voter_id())
    });
    for (node, record) in gone {
        let node = node.clone();
        let id = format!("release/{}/{}", record.voter_id(), state.revision());
        let request = Request::Vote(VoteRequest::Release { node: node.clone() });
        match voter.replica.propose(id, request).await {
            Ok(_) => tracing::info!(%node, "it is no voter any more"),
            Err(error) => tracing::warn!(%node, %error, "unable to let it go; trying again"),
        }
    }
}

/// The nodes that shall be voters, by the number that consensus knows them by.
fn wanted(inventory: &Inventory) -> BTreeMap<VoterId, VoterNode> {
    let voters = inventory
        .nodes
        .iter()
        .filter(|(_, record)| record.shall_vote());
    let placed = voters.filter_map(|(node, record)| {
        let place = VoterNode {
            name: node.to_string(),
            endpoint: record.advertise.as_ref()?.to_string(),
        };
        Some((record.voter_id(), place))
    });
    placed.collect()
}

/// What the leader knows of the voters, with how long each has been caught up. One that can't open
/// the federation's secrets could not lead, and so has not caught up.
fn see(
    state: &FederationState,
    survey: &Survey,
    caught_up: &mut CaughtUp,
) -> BTreeMap<VoterId, Seen> {
    caught_up.retain(|id, _| survey.members.contains_key(id));
    let members = survey.members.iter().map(|(id, member)| {
        let mut seen = Seen {
            is_voter: member.is_voter,
            lag_entries: member
                .matched_index
                .map(|matched| survey.last_index.saturating_sub(matched)),
            silent_for: member.silent_for,
            caught_up_for: Duration::ZERO,
        };
        let name: Option<NodeName> = member.node.name.parse().ok();
        let could_lead = name.is_some_and(|name| state.secrets().are_all_sealed_to(&name));
        if could_lead && seen.is_caught_up() {
            seen.caught_up_for = caught_up.entry(*id).or_insert_with(Instant::now).elapsed();
        } else {
            caught_up.remove(id);
        }
        (*id, seen)
    });
    members.collect()
}

async fn take(
    voter: &Voter,
    step: Step,
    wanted: &BTreeMap<VoterId, VoterNode>,
    seen: &BTreeMap<VoterId, Seen>,
) {
    let votes = |id| seen.get(&id).is_some_and(|seen: &Seen| seen.is_voter);
    tracing::info!(?step, "changing who votes");
    let taken = match step {
        Step::Learn(id) => match wanted.get(&id) {
            Some(node) => voter.replica.add_learner(id, node.clone()).await,
            None => Ok(()),
        },
        Step::Promote(id) => voter.replica.promote(id).await,
        Step::Remove(id) if votes(id) && check_removal(voter, id).await.is_err() => Ok(()),
        Step::Remove(id) if id == voter.replica.voter() => {
            // Whoever leads next takes this one out.
            voter.replica.hand_over().await;
            Ok(())
        }
        Step::Remove(id) => voter.replica.remove(id).await,
    };
    if let Err(error) = taken {
        tracing::warn!(?step, %error, "unable to change who votes; trying again");
    }
}
