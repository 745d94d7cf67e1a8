//! The leader's turn at DR plans: looks, asks `hanse-core` what is next, proposes it.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use hanse_client::client::request_id;
use hanse_core::command::PlanRequest;
use hanse_core::dr::change::PlanChange;
use hanse_core::dr::copies::placement;
use hanse_core::dr::hold::calls_somebody;
use hanse_core::dr::lookout::Circumstances;
use hanse_core::dr::machine::{Next, next};
use hanse_core::dr::quorum;
use hanse_core::dr::record::{Phase, PlanRecord};
use hanse_core::dr::sight::{Sight, Terms};
use hanse_core::name::PlanName;
use hanse_core::object::DrPlan;
use hanse_core::state::FederationState;

use super::super::voter::Voter;
use super::{outside, redirect};

/// How often the leader looks at a plan at most and at least: eight times for each check.
const LOOK_INTERVAL_MIN: Duration = Duration::from_millis(50);
const LOOK_INTERVAL_MAX: Duration = Duration::from_secs(1);
/// So many steps of a plan are taken in a row before others have their turn.
const STEPS_MAX: usize = 8;

/// What there is to know of a plan at a moment.
pub(super) struct Glance {
    pub(super) state: Arc<FederationState>,
    pub(super) plan: DrPlan,
    pub(super) terms: Terms,
    pub(super) record: PlanRecord,
    pub(super) sight: Sight,
}

/// Looks again and again until the voter's `stop`.
pub(in super::super) async fn conduct(voter: Arc<Voter>) {
    let mut changes = voter.replica.changes();
    loop {
        let interval = look_interval(&voter.replica.read());
        tokio::select! {
            () = voter.stop.cancelled() => return,
            () = voter.desk.wake.notified() => {}
            changed = changes.changed() => {
                if changed.is_err() {
                    return;
                }
                voter.desk.bump();
            }
            () = tokio::time::sleep(interval) => {}
        }
        if !voter.is_leader() {
            voter.desk.end();
            continue;
        }
        let state = changes.borrow_and_update().clone();
        let plans = state.inventory().dr_plans.keys();
        join_all(plans.map(|plan| walk(&voter, plan))).await;
        let is_there = |plan: &PlanName| state.plans().contains_key(plan);
        voter.desk.lock().keep_only(is_there);
    }
}

fn look_interval(state: &FederationState) -> Duration {
    let plans = state.inventory().dr_plans.values();
    let intervals = plans.map(|plan| plan.spec.timings().check_interval.value() / 8);
    let shortest = intervals.min().unwrap_or(LOOK_INTERVAL_MAX);
    shortest.clamp(LOOK_INTERVAL_MIN, LOOK_INTERVAL_MAX)
}

/// Takes a plan as far as it goes now.
async fn walk(voter: &Arc<Voter>, plan: &PlanName) {
    for _ in 0..STEPS_MAX {
        let Some(glance) = glance(voter, plan) else {
            return;
        };
        redirect::tend(voter, &glance);
        let moved = placement(glance.state.inventory(), &glance.plan, &glance.record);
        let next = match moved {
            Some(change) => Next::Commit(change),
            None => next(&glance.terms, &glance.record, &glance.sight),
        };
        let waits_for = match next {
            Next::Rest => None,
            Next::Wait(reason) => Some(with_what_lacks(voter, &glance, reason)),
            Next::FenceOutside(cluster) => Some(outside::fence(voter, &glance, &cluster)),
            Next::Commit(change) => match commit(voter, plan, &glance, change).await {
                Ok(()) => continue,
                Err(reason) => Some(reason),
            },
        };
        if let Some(reason) = &waits_for {
            hold(voter, plan, &glance, reason);
        }
        return wait(voter, plan, waits_for);
    }
}

/// What is waited for, and why clients are not led yet, if that is it.
fn with_what_lacks(voter: &Voter, glance: &Glance, reason: String) -> String {
    let Glance {
        state,
        plan,
        record,
        ..
    } = glance;
    let is_asked = redirect::is_redirecting(record);
    match redirect::is_led(&voter.desk.lock(), state, plan, record) {
        Err(lack) if is_asked => format!("{reason}: {lack}"),
        Ok(()) | Err(_) => reason,
    }
}

/// Tells others, once for each revision of the record, that somebody has to act.
fn hold(voter: &Voter, plan: &PlanName, glance: &Glance, reason: &str) {
    if !calls_somebody(&glance.record, &glance.sight) {
        return;
    }
    let revision = glance.record.revision;
    let before = voter.desk.lock().held_at.insert(plan.clone(), revision);
    if before != Some(revision) {
        let id = format!("{plan}/{revision}/held");
        voter.desk.refuse(plan, id, reason);
    }
}

/// Notes what a plan waits for, and says it once.
fn wait(voter: &Voter, plan: &PlanName, reason: Option<String>) {
    let mut memory = voter.desk.lock();
    let before = match &reason {
        Some(reason) => memory.waits.insert(plan.clone(), reason.clone()),
        None => memory.waits.remove(plan),
    };
    drop(memory);
    if before != reason {
        if let Some(reason) = reason {
            tracing::info!(%plan, reason, "the DR plan waits");
        }
        voter.desk.bump();
    }
}

async fn commit(
    voter: &Voter,
    plan: &PlanName,
    glance: &Glance,
    change: PlanChange,
) -> Result<(), String> {
    let is_mark = change.is_mark();
    let said = change.to_string();
    let request = PlanRequest {
        plan: plan.clone(),
        record_revision: glance.record.revision,
        spec_revision: glance.terms.revision,
        change,
        asked_by: None,
        ended_epoch: None,
    };
    // Another one each time: what was decided on another state is refused and decided anew.
    let id = request_id().map_err(|error| error.to_string())?;
    match voter.replica.change_plan(format!("dr/{id}"), request).await {
        Ok(committed) if !is_mark => {
            tracing::info!(%plan, revision = committed.revision, "DR plan: {said}");
            Ok(())
        }
        Ok(_) => Ok(()),
        Err(error) => {
            tracing::debug!(%plan, %error, said, "a step of a DR plan was not taken");
            Err(format!("{said}; it could not be committed yet: {error}"))
        }
    }
}

/// What this voter sees of a plan, if it leads; none: it doesn't, or there is no such plan.
pub(super) fn glance(voter: &Voter, plan: &PlanName) -> Option<Glance> {
    let (state, lease) = voter.replica.lease_glance(plan)?;
    let inventory = state.inventory();
    let stored = inventory.dr_plans.get(plan)?;
    let record = state.plans().get(plan)?.clone();
    let terms = stored
        .spec
        .terms(stored.revision, &inventory.federation.spec);
    let circumstances = Circumstances {
        lease,
        redirected: is_redirected(voter, &state, &stored.spec, &record),
        now_unix_s: voter.now_unix_s(),
        quorum_trouble: quorum_trouble(&state, &stored.spec),
    };
    let now = voter.desk.now();
    let sight = voter
        .desk
        .lock()
        .lookout
        .sight((plan, &terms), &record, circumstances, now);
    Some(Glance {
        plan: stored.spec.clone(),
        terms,
        record,
        sight,
        state,
    })
}

/// Whether every node of the mesh that is heard of leads clients to the primary: it has put the
/// revision of the promotion into effect. And so do the records outside.
fn is_redirected(
    voter: &Voter,
    state: &FederationState,
    plan: &DrPlan,
    record: &PlanRecord,
) -> bool {
    let is_asked = record
        .run
        .as_ref()
        .is_some_and(|run| run.phase == Phase::Redirecting);
    if is_asked && redirect::is_led(&voter.desk.lock(), state, plan, record).is_err() {
        return false;
    }
    let inventory = state.inventory();
    let Some(mesh) = inventory.mesh_of_plan(plan).filter(|_| is_asked) else {
        return true;
    };
    if plan.service_address.is_none() {
        return true;
    }
    let patience = plan.timings().silence_max();
    let lags = inventory.nodes_in(mesh).any(|(node, _)| {
        let seen = voter.statuses.of(node);
        let heard = seen.filter(|seen| seen.age() < patience);
        heard.is_some_and(|seen| seen.status.applied_revision < record.epoch)
    });
    !lags
}

fn quorum_trouble(state: &FederationState, plan: &DrPlan) -> Option<String> {
    let voters = quorum::voters_to_be(state.inventory());
    let copies = plan.sites().cloned().collect();
    quorum::check(&voters, &copies)
        .err()
        .map(|trouble| trouble.to_string())
}
