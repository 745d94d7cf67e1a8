//! What of a plan goes into a guard's orders, whatever the workload is.

use std::time::Duration;

use hanse_core::dr::duty::CopyPlan;
use hanse_guard::{LeaseTerms, ServiceAddress};

/// The lease under which a workload writes.
pub(crate) fn lease(plan: &CopyPlan, epoch: u64, fences_itself: bool) -> LeaseTerms {
    let timings = &plan.timings;
    LeaseTerms {
        epoch,
        check_interval_ms: milliseconds(timings.check_interval.value()),
        stop_budget_ms: milliseconds(timings.stop_budget.value()),
        fences_itself,
        restart_max_ms: milliseconds(timings.silence_max()),
        watchdog: plan.watchdog,
    }
}

/// The address that leads clients to whoever writes.
pub(crate) fn service(plan: &CopyPlan) -> Option<ServiceAddress> {
    plan.service.as_ref().map(|service| ServiceAddress {
        address: service.address,
        interface: service.interface.to_string(),
    })
}

pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
