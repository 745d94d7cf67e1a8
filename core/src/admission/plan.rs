//! Whether a decision on a DR plan may be committed, and whether a plan may be taken back. What is
//! decided is the leader's alone, from what it sees: here it is only made sure that it was decided on
//! what is committed now.

use super::{Refusal, RefusalKind};
use crate::command::{Command, PlanRequest};
use crate::dr::change::PlanChange;
use crate::finding::Path;
use crate::lease::LeaseError;
use crate::name::{LeaseName, PlanName};
use crate::object::DrPlan;
use crate::state::FederationState;

/// Decides on a request.
pub(super) fn admit(state: &FederationState, request: PlanRequest) -> Result<Command, Refusal> {
    let PlanRequest {
        plan,
        record_revision,
        spec_revision,
        change,
        asked_by,
        ended_epoch,
    } = request;
    let declared = state.inventory().dr_plans.get(&plan);
    let (Some(declared), Some(record)) = (declared, state.plans().get(&plan)) else {
        let detail = format!("The DR plan `{plan}` is not declared. See: hanse dr");
        let kind = RefusalKind::NotFound;
        return Err(Refusal::one(kind, Path::of("plan"), "Not found", detail));
    };
    if (record.revision, declared.revision) != (record_revision, spec_revision) {
        let detail = format!("The DR plan `{plan}` went a step meanwhile. Try again.");
        let kind = RefusalKind::Conflict;
        return Err(Refusal::one(kind, Path::root(), "Overtaken", detail));
    }
    if matches!(change, PlanChange::Promoted { .. }) {
        let lease = LeaseName::from(&plan);
        let held = state.leases().get(&lease);
        if let Some(held) = held.filter(|held| Some(held.epoch) != ended_epoch) {
            let holder = held.holder.clone();
            let detail = format!("{}.", LeaseError::Held { lease, holder });
            let kind = RefusalKind::Conflict;
            return Err(Refusal::one(kind, Path::root(), "Held", detail));
        }
    }
    Ok(Command::Plan {
        plan,
        change,
        asked_by,
    })
}

/// Refuses to take a plan back while a run is under way.
pub(super) fn check_delete(state: &FederationState, plan: &PlanName) -> Result<(), Refusal> {
    let run = state
        .plans()
        .get(plan)
        .and_then(|record| record.run.as_ref());
    let Some(run) = run else {
        return Ok(());
    };
    let detail = format!(
        "A {} is under way ({}). Wait for its end, which `hanse dr` shows, then destroy the plan.",
        run.kind, run.phase
    );
    let kind = RefusalKind::Conflict;
    Err(Refusal::one(
        kind,
        Path::root(),
        "A run is under way",
        detail,
    ))
}

/// Refuses to take a site out of a plan while it is primary, and a workload that is another one.
pub(super) fn check_change(state: &FederationState, next: &DrPlan) -> Result<(), Refusal> {
    let Some(record) = state.plans().get(&next.name) else {
        return Ok(());
    };
    let leaves = |cluster: &&crate::name::ClusterName| !next.sites().any(|site| site == *cluster);
    if let Some(primary) = record.primary.as_ref().filter(leaves) {
        let detail = format!(
            "`{primary}` is primary now. Move the primary first: hanse switchover {} --to SITE",
            next.name
        );
        let kind = RefusalKind::Conflict;
        let path = Path::of("home");
        return Err(Refusal::one(
            kind,
            path,
            "The primary's site can't leave",
            detail,
        ));
    }
    let declared = state.inventory().dr_plans.get(&next.name);
    let is_other = declared.is_some_and(|stored| stored.spec.workload != next.workload);
    if is_other && record.primary.is_some() {
        let detail = "The plan has a primary, whose workload stays where and what it is. For another \
                      one, declare another plan.";
        let kind = RefusalKind::Conflict;
        let path = Path::of("workload");
        return Err(Refusal::one(kind, path, "Another workload", detail));
    }
    let mends = declared.is_some_and(|stored| mends_fences(&stored.spec, next));
    if record.run.is_some() && !mends {
        let detail = "A run is under way. Wait for its end, which `hanse dr` shows, then apply again. \
                      Meanwhile only how its sites are fenced may change, and not the method.";
        let kind = RefusalKind::Conflict;
        return Err(Refusal::one(
            kind,
            Path::root(),
            "A run is under way",
            detail,
        ));
    }
    Ok(())
}

/// Whether a change is only of how fences from outside are reached: a run may wait for one that was
/// declared wrongly. Each site stays fenced by the method that it was.
fn mends_fences(declared: &DrPlan, next: &DrPlan) -> bool {
    let methods = |plan: &DrPlan| -> Vec<_> {
        let sites = plan.fencing.iter();
        sites
            .map(|(site, how)| (site.clone(), std::mem::discriminant(how)))
            .collect()
    };
    let else_same = DrPlan {
        fencing: next.fencing.clone(),
        ..declared.clone()
    };
    else_same == *next && methods(declared) == methods(next)
}
