//! Tells the federation what a copy is: whenever that changes, and as often as the plan checks.

use std::time::Duration;

use hanse_client::{Client, convert};
use hanse_core::dr::duty::CopyPlan;
use hanse_core::dr::sight::CopySight;
use hanse_core::name::PlanName;
use hanse_workload::CopyReport;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How long one report may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How soon a report that failed is made again.
const RETRY: Duration = Duration::from_millis(250);

/// Reports for as long as there is somebody who keeps the copy.
pub(super) async fn run(
    plan: PlanName,
    plans: watch::Receiver<Option<(u64, CopyPlan)>>,
    mut reports: watch::Receiver<CopyReport>,
    mut client: watch::Receiver<Option<Client>>,
) {
    loop {
        let report = reports.borrow_and_update().clone();
        let federation = client.borrow_and_update().clone();
        let interval = plans
            .borrow()
            .as_ref()
            .map_or(TIMEOUT, |(_, copy)| copy.timings.check_interval.value());
        let mut pause = interval;
        if let Some(federation) = federation {
            let status =
                convert::copy_status_to_proto(&plan, &sight(&report), report.progress.as_deref());
            match timeout(TIMEOUT, federation.report_copy(status)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::debug!(%plan, %error, "a copy's report did not arrive");
                    pause = RETRY;
                }
                Err(_) => tracing::debug!(%plan, "a copy's report had no answer"),
            }
        }
        tokio::select! {
            changed = reports.changed() => if changed.is_err() {
                return;
            },
            Ok(()) = client.changed() => {}
            () = sleep(pause) => {}
        }
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
        set,
        trouble,
        progress: _,
    } = report.clone();
    CopySight {
        ago: Duration::ZERO,
        role,
        revision,
        barrier,
        epoch,
        fences_itself,
        position,
        set,
        trouble,
    }
}
