//! How a test waits: for what a copy tells, and never for a time.

use std::time::Duration;

use hanse_workload::CopyReport;
use tokio::sync::watch;

/// Nothing here takes as long; it ends a test that would wait for ever.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// Waits until a copy tells something. `more`: what else is said of one that doesn't.
pub(crate) async fn until(
    reports: &mut watch::Receiver<CopyReport>,
    (name, what): (&str, &str),
    is_so: impl Fn(&CopyReport) -> bool,
    more: impl FnOnce() -> String,
) -> CopyReport {
    let waited = tokio::time::timeout(PATIENCE, reports.wait_for(|told| is_so(told))).await;
    let told = waited
        .ok()
        .and_then(|told| told.ok().map(|told| told.clone()));
    told.unwrap_or_else(|| {
        let last = reports.borrow().clone();
        panic!("{name}: {what}: never came true\n{last:#?}\n{}", more())
    })
}
