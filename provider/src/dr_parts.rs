//! The values inside a DR plan, each with how it maps to the wire.

use std::time::Duration;

use hanse_client::proto;
use hanse_core::dr::timings::Preset;
use hanse_core::finding::Path;
use hanse_core::object::DrPlan;
use terraform_plugin::{Attr, Model};

use crate::duration::duration;
use crate::unknowns::Unknowns;

/// When a write counts as done.
#[derive(Clone, Model)]
pub(crate) struct ReplicationOverride {
    /// `async`, `semi-sync` (as `sync`, and as `async` while too few standbys are there) or `sync`.
    #[attribute(required)]
    pub(crate) mode: Attr<String>,
    /// How many standbys must have a write.
    #[attribute(optional, computed, default = 1_u32)]
    pub(crate) min_in_sync: Attr<u32>,
}

/// How the primary is watched and fenced. What is left out is as in the preset `standard`.
#[derive(Clone, Model)]
pub(crate) struct TimingsModel {
    /// How often the primary renews its lease, and how often copies report.
    #[attribute(optional, computed, default = standard().check_interval, validate = duration)]
    pub(crate) check_interval: Attr<String>,
    /// How many renewals in a row must lack before the primary counts as dead.
    #[attribute(optional, computed, default = standard().failure_threshold)]
    pub(crate) failure_threshold: Attr<u32>,
    /// How long the lease lasts without being renewed.
    #[attribute(optional, computed, default = standard().lease_ttl, validate = duration)]
    pub(crate) lease_ttl: Attr<String>,
    /// How long before the end of the lease the guard begins to stop the workload.
    #[attribute(optional, computed, default = standard().stop_budget, validate = duration)]
    pub(crate) stop_budget: Attr<String>,
    /// How long a promotion may take before another standby is tried.
    #[attribute(optional, computed, default = standard().promotion_timeout, validate = duration)]
    pub(crate) promotion_timeout: Attr<String>,
}

/// How long each part of a failover takes at most, like `6s`.
#[derive(Clone, Model)]
pub(crate) struct PredictionModel {
    /// Until the primary counts as dead.
    #[attribute(computed)]
    pub(crate) detection: Attr<String>,
    /// From there until it is certain that it can't write.
    #[attribute(computed)]
    pub(crate) fencing: Attr<String>,
    /// From there until the standby takes writes.
    #[attribute(computed)]
    pub(crate) promotion: Attr<String>,
    /// From there until clients are led to it.
    #[attribute(computed)]
    pub(crate) redirect: Attr<String>,
    /// All of it.
    #[attribute(computed)]
    pub(crate) total: Attr<String>,
}

impl ReplicationOverride {
    pub(crate) fn to_wire(&self, unknowns: &mut Unknowns) -> proto::ReplicationPolicy {
        let at = |name| Path::of("replication").attribute(name);
        proto::ReplicationPolicy {
            mode: unknowns.value(at("mode"), &self.mode),
            min_in_sync: unknowns.with_default(at("min_in_sync"), &self.min_in_sync, 1),
        }
    }
}

impl From<proto::ReplicationPolicy> for ReplicationOverride {
    fn from(wire: proto::ReplicationPolicy) -> Self {
        Self {
            mode: Attr::Known(wire.mode),
            min_in_sync: Attr::Known(wire.min_in_sync),
        }
    }
}

impl TimingsModel {
    pub(crate) fn to_wire(&self, unknowns: &mut Unknowns) -> proto::Timings {
        let at = |name| Path::of("timings").attribute(name);
        let standard = standard();
        proto::Timings {
            check_interval: unknowns.with_default(
                at("check_interval"),
                &self.check_interval,
                standard.check_interval,
            ),
            failure_threshold: unknowns.with_default(
                at("failure_threshold"),
                &self.failure_threshold,
                standard.failure_threshold,
            ),
            lease_ttl: unknowns.with_default(at("lease_ttl"), &self.lease_ttl, standard.lease_ttl),
            stop_budget: unknowns.with_default(
                at("stop_budget"),
                &self.stop_budget,
                standard.stop_budget,
            ),
            promotion_timeout: unknowns.with_default(
                at("promotion_timeout"),
                &self.promotion_timeout,
                standard.promotion_timeout,
            ),
        }
    }
}

impl From<proto::Timings> for TimingsModel {
    fn from(wire: proto::Timings) -> Self {
        Self {
            check_interval: Attr::Known(wire.check_interval),
            failure_threshold: Attr::Known(wire.failure_threshold),
            lease_ttl: Attr::Known(wire.lease_ttl),
            stop_budget: Attr::Known(wire.stop_budget),
            promotion_timeout: Attr::Known(wire.promotion_timeout),
        }
    }
}

impl PredictionModel {
    /// Of a plan's worst path, from what it declares.
    pub(crate) fn of(plan: &DrPlan) -> Self {
        let (_, parts) = plan.timings().worst(plan.others());
        Self {
            detection: written(parts.detection),
            fencing: written(parts.fencing),
            promotion: written(parts.promotion),
            redirect: written(parts.redirect),
            total: written(parts.total()),
        }
    }
}

impl From<proto::Prediction> for PredictionModel {
    fn from(wire: proto::Prediction) -> Self {
        let of = |milliseconds| written(Duration::from_millis(milliseconds));
        Self {
            detection: of(wire.detection_ms),
            fencing: of(wire.fencing_ms),
            promotion: of(wire.promotion_ms),
            redirect: of(wire.redirect_ms),
            total: of(wire.total_ms),
        }
    }
}

/// A duration as users write it, to the millisecond.
fn written(duration: Duration) -> Attr<String> {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Attr::Known(format!("{:?}", Duration::from_millis(milliseconds)))
}

fn standard() -> proto::Timings {
    hanse_client::convert::dr_plan::timings_to_proto(&Preset::Standard.timings())
}
