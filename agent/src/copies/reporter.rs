//! Tells the federation what a copy is: whenever that changes, and as often as the plan checks. The
//! answer says what the copy has to be, if this node has not heard it: so a stream that hangs, since
//! its voter stands still, keeps nothing from a copy.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hanse_client::{convert, proto};
use hanse_core::dr::duty::CopyPlan;
use hanse_core::dr::sight::{CopyRole, CopySight};
use hanse_core::name::PlanName;
use hanse_guard::Status;
use hanse_workload::{CopyReport, DrillNews};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::drills::Signer;
use crate::follower::Lines;
use crate::guard::WATCHDOG;

/// How long one report may take at least and at most.
const TIMEOUT_MIN: Duration = Duration::from_millis(500);
const TIMEOUT_MAX: Duration = Duration::from_secs(5);
/// How soon a report that failed is made again.
const RETRY: Duration = Duration::from_millis(100);

/// What there is to report.
pub(super) struct Told {
    pub(super) plans: watch::Receiver<Option<(u64, CopyPlan)>>,
    pub(super) reports: watch::Receiver<CopyReport>,
    pub(super) drills: watch::Receiver<Option<DrillNews>>,
    pub(super) guard: watch::Receiver<Option<Status>>,
}

/// Reports for as long as there is somebody who keeps the copy.
pub(super) async fn run(
    plan: PlanName,
    told: Told,
    mut signer: Signer,
    (lines, news): (Arc<Lines>, mpsc::Sender<proto::CopyPlans>),
) {
    let Told {
        mut plans,
        mut reports,
        mut drills,
        guard,
    } = told;
    loop {
        let report = reports.borrow_and_update().clone();
        let (heard_revision, interval, watchdog) = match &*plans.borrow_and_update() {
            Some((revision, copy)) => {
                let watchdog = is_watched(copy, report.role, guard.borrow().as_ref());
                let interval = copy.timings.check_interval.value();
                (*revision, interval, watchdog)
            }
            None => return,
        };
        let progress = report.progress.as_deref();
        let mut status = convert::copy_status_to_proto(&plan, &sight(&report), progress);
        (status.lag_s, status.warnings) = (report.lag_s, report.warnings.clone());
        status.backup = report.backup.as_ref().map(convert::backup_status_to_proto);
        status.watchdog = Some(watchdog);
        let drill = drills.borrow_and_update().clone();
        let drill = drill.map(|news| signer.tell(&news));
        let asked = lines.ask(|federation| {
            let (status, drill) = (status.clone(), drill.clone());
            async move { federation.report_copy(status, drill, heard_revision).await }
        });
        let patience = interval.clamp(TIMEOUT_MIN, TIMEOUT_MAX);
        let mut pause = interval;
        match timeout(patience, asked).await {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(copies))) => {
                if news.send(copies).await.is_err() {
                    return;
                }
            }
            Ok(Err(reason)) => {
                tracing::debug!(%plan, reason, "a copy's report did not arrive");
                pause = RETRY;
            }
            Err(_) => {
                tracing::debug!(%plan, "a copy's report had no answer");
                pause = RETRY;
            }
        }
        tokio::select! {
            changed = reports.changed() => if changed.is_err() {
                return;
            },
            changed = drills.changed() => if changed.is_err() {
                return;
            },
            changed = plans.changed() => if changed.is_err() {
                return;
            },
            () = sleep(pause) => {}
        }
    }
}

/// Whether the host's watchdog resets it if what writes can't be ended: as the guard has it where something
/// writes, and elsewhere whether there is one.
fn is_watched(copy: &CopyPlan, role: CopyRole, guard: Option<&Status>) -> bool {
    copy.watchdog
        && match role {
            CopyRole::Primary => guard.is_some_and(|guard| guard.watchdog),
            CopyRole::Absent
            | CopyRole::Seeding
            | CopyRole::Stopped
            | CopyRole::Following
            | CopyRole::Detached => Path::new(WATCHDOG).exists(),
        }
}

fn sight(report: &CopyReport) -> CopySight {
    let CopyReport {
        role,
        revision,
        barrier,
        epoch,
        fences_itself,
        position,
        received_epoch,
        set,
        trouble,
        progress: _,
        lag_s: _,
        warnings: _,
        backup: _,
    } = report.clone();
    CopySight {
        ago: Duration::ZERO,
        role,
        revision,
        barrier,
        epoch,
        fences_itself,
        position,
        received_epoch,
        set,
        trouble,
    }
}
