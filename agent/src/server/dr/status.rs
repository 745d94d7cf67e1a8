//! How DR plans are, as they are shown to people and programs.

use std::time::Duration;

use hanse_client::{convert, proto};
use hanse_core::dr::record::{PastRun, PlanRecord, Run};
use hanse_core::dr::sight::{CopySight, LeaseSight};
use hanse_core::dr::timings::{Failure, Prediction};
use hanse_core::name::{ClusterName, PlanName};
use tonic::Status;

use super::super::voter::Voter;
use super::calls::read_plan;
use super::conductor::{Glance, glance};
use super::{drills, hooks, redirect};

/// The longest wait for a change.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// How the plans are, at once or after a change.
pub(in super::super) async fn plan_status(
    voter: &Voter,
    request: &proto::PlanStatusRequest,
) -> Result<proto::PlanStatusResponse, Status> {
    let wanted = match request.plan.as_str() {
        "" => None,
        plan => Some(read_plan(plan)?),
    };
    let mut version = voter.desk.version.subscribe();
    let wait = Duration::from_millis(request.wait_ms.into()).min(WAIT_MAX);
    let is_other = version.wait_for(|version| *version != request.after_version);
    tokio::select! {
        _ = is_other => {}
        () = tokio::time::sleep(wait) => {}
        () = voter.stop.cancelled() => {
            return Err(Status::unavailable("the voter is stopping; try again"));
        }
    }
    let version = *voter.desk.version.borrow();
    let state = voter.confirmed().await?;
    let plans = state.plans().keys();
    let plans = plans.filter(|plan| wanted.as_ref().is_none_or(|wanted| wanted == *plan));
    let shown = plans.filter_map(|plan| {
        let glance = glance(voter, plan)?;
        Some(show(voter, plan, &glance, request.with_reports))
    });
    let plans = shown.collect();
    Ok(proto::PlanStatusResponse { version, plans })
}

fn show(voter: &Voter, plan: &PlanName, glance: &Glance, with_reports: bool) -> proto::PlanStatus {
    let Glance {
        state,
        plan: spec,
        terms,
        record,
        sight,
    } = glance;
    let memory = voter.desk.lock();
    let waits_for = memory.waits.get(plan).cloned().unwrap_or_default();
    let view = |cluster: &ClusterName| {
        let key = (plan.clone(), cluster.clone());
        let mut view = view(
            glance,
            cluster,
            memory.progress.get(&key).map(String::as_str),
        );
        if let Some(status) = &mut view.status {
            let backup = memory.backups.get(&key);
            status.backup = backup.map(convert::backup_status_to_proto);
            if let Some(remarks) = memory.remarks.get(&key) {
                status.watchdog = remarks.watchdog;
                status.warnings.clone_from(&remarks.warnings);
                // What leads now may have told that when it followed.
                let follows = record.primary.as_ref() != Some(cluster);
                view.lag_s = remarks.lag_s.filter(|_| follows);
            }
        }
        view
    };
    let copies = spec.sites().map(view).collect();
    let redirects = redirect::show(&memory, spec);
    drop(memory);
    let (_, predicted) = terms.timings.worst(spec.others());
    let paths = terms.timings.paths(spec.others());
    let name = |cluster: Option<&ClusterName>| cluster.map(ToString::to_string).unwrap_or_default();
    let now_unix_s = sight.now_unix_s;
    proto::PlanStatus {
        plan: plan.to_string(),
        home: spec.home.to_string(),
        primary: name(record.primary.as_ref()),
        primary_node: record
            .primary_node()
            .map(ToString::to_string)
            .unwrap_or_default(),
        fence_epoch: record.epoch,
        run: record.run.as_ref().map(show_run),
        past: record.past.as_ref().map(show_past),
        copies,
        paused: record.paused,
        held: record
            .held
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        waits_for,
        lease_silent_for_ms: match &sight.lease {
            LeaseSight::Free => None,
            LeaseSight::Held { silent_for, .. } => Some(milliseconds(*silent_for)),
        },
        set: Some(convert::sync_set_to_proto(&record.set)),
        service_address: spec
            .service_address
            .map(|it| it.to_string())
            .unwrap_or_default(),
        predicted: Some(show_prediction(&predicted)),
        paths: paths.iter().map(show_path).collect(),
        quorum_trouble: sight
            .quorum_trouble
            .clone()
            .filter(|_| spec.automatic_failover)
            .unwrap_or_default(),
        accepts_pause_risk: spec.accept_pause_risk,
        automatic_failover: spec.automatic_failover,
        mark_age_ms: record.mark.map(|mark| {
            now_unix_s
                .saturating_sub(mark.at_unix_s)
                .saturating_mul(1000)
        }),
        replication: spec
            .replication(&state.inventory().federation.spec)
            .mode
            .to_string(),
        redirects,
        hooks: hooks::show(&voter.desk.lines(), plan),
        drill: record
            .drill
            .as_ref()
            .map(|drill| drills::show(drill, glance)),
        drills: record
            .drills
            .iter()
            .map(|past| drills::show_past(state, past, with_reports))
            .collect(),
        next_drill_unix_s: drills::next_unix_s(glance),
        now_unix_s,
    }
}

fn view(glance: &Glance, cluster: &ClusterName, progress: Option<&str>) -> proto::CopyView {
    let PlanRecord { nodes, primary, .. } = &glance.record;
    let copy: Option<&CopySight> = glance.sight.copies.get(cluster);
    let is_primary = primary.as_ref() == Some(cluster);
    let lag_bytes = match (primary, is_primary) {
        (Some(primary), false) => glance.sight.lag_bytes(cluster, primary),
        (Some(_) | None, _) => None,
    };
    proto::CopyView {
        member_cluster: cluster.to_string(),
        node: nodes
            .get(cluster)
            .map(ToString::to_string)
            .unwrap_or_default(),
        status: copy.map(|copy| convert::copy_status_to_proto(&glance.plan.name, copy, progress)),
        heard_ago_ms: copy.map_or(0, |copy| milliseconds(copy.ago)),
        lag_bytes,
        lag_s: None,
    }
}

fn show_path((failure, predicted): &(Failure, Prediction)) -> proto::PredictedPath {
    proto::PredictedPath {
        failure: failure.to_string(),
        predicted: Some(show_prediction(predicted)),
    }
}

fn show_prediction(predicted: &Prediction) -> proto::Prediction {
    proto::Prediction {
        detection_ms: milliseconds(predicted.detection),
        fencing_ms: milliseconds(predicted.fencing),
        promotion_ms: milliseconds(predicted.promotion),
        redirect_ms: milliseconds(predicted.redirect),
        total_ms: milliseconds(predicted.total()),
    }
}

fn show_run(run: &Run) -> proto::PlanRun {
    proto::PlanRun {
        kind: run.kind.to_string(),
        phase: run.phase.to_string(),
        from: run
            .from
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        to: run.to.as_ref().map(ToString::to_string).unwrap_or_default(),
        reason: run.reason.clone(),
        began_unix_s: run.began_unix_s,
        began_revision: run.began_revision,
    }
}

fn show_past(past: &PastRun) -> proto::PastPlanRun {
    proto::PastPlanRun {
        kind: past.kind.to_string(),
        outcome: past.outcome.to_string(),
        from: past
            .from
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        to: past.to.to_string(),
        reason: past.reason.clone(),
        began_unix_s: past.began_unix_s,
        ended_unix_s: past.ended_unix_s,
        lost_bytes: past.lost_bytes,
    }
}

fn milliseconds(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}
