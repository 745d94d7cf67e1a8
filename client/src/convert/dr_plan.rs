//! DR plans.

use std::collections::BTreeMap;

use hanse_core::dr::timings::Timings;
use hanse_core::finding::Path;
use hanse_core::name::{ClusterName, NodeName};
use hanse_core::object::DrPlan;
use hanse_core::object::dr_plan::{Failback, LAG_MAX_DEFAULT};
use hanse_core::object::federation::ReplicationPolicy;

use super::collector::Collector;
use super::drill;
use super::workload::{read_workload, workload_to_proto};
use super::{dr_backup, dr_fencing, dr_redirect};
use crate::proto;

/// A plan for the wire.
#[must_use]
pub fn dr_plan_to_proto(plan: &DrPlan) -> proto::DrPlan {
    fn text<T: ToString>(value: Option<&T>) -> String {
        value.map(ToString::to_string).unwrap_or_default()
    }
    proto::DrPlan {
        federation: plan.federation.to_string(),
        name: plan.name.to_string(),
        home: plan.home.to_string(),
        standbys: plan.standbys.iter().map(ToString::to_string).collect(),
        nodes: plan
            .nodes
            .iter()
            .map(|(site, node)| (site.to_string(), node.to_string()))
            .collect(),
        workload: Some(workload_to_proto(&plan.workload)),
        replication: plan
            .replication
            .as_ref()
            .map(|policy| proto::ReplicationPolicy {
                mode: policy.mode.to_string(),
                min_in_sync: policy.min_in_sync,
            }),
        preset: text(plan.preset.as_ref()),
        timings: plan.timings.as_ref().map(timings_to_proto),
        rpo: text(plan.rpo.as_ref()),
        rto: text(plan.rto.as_ref()),
        automatic_failover: plan.automatic_failover,
        failback: plan.failback.to_string(),
        max_lag_on_failover: plan.max_lag_on_failover.to_string(),
        fencing: plan
            .fencing
            .iter()
            .map(|(site, fencing)| (site.to_string(), dr_fencing::fencing_to_proto(fencing)))
            .collect(),
        accept_pause_risk: plan.accept_pause_risk,
        service_address: text(plan.service_address.as_ref()),
        dns: plan.dns.as_ref().map(dr_redirect::dns_to_proto),
        route53: plan.route53.as_ref().map(dr_redirect::route53_to_proto),
        hooks: dr_redirect::hooks_to_proto(&plan.hooks),
        backup: plan.backup.as_ref().map(dr_backup::backup_to_proto),
        drill: plan.drill.as_ref().map(drill::policy_to_proto),
    }
}

/// Timings for the wire.
#[must_use]
pub fn timings_to_proto(timings: &Timings) -> proto::Timings {
    proto::Timings {
        check_interval: timings.check_interval.to_string(),
        failure_threshold: timings.failure_threshold,
        lease_ttl: timings.lease_ttl.to_string(),
        stop_budget: timings.stop_budget.to_string(),
        promotion_timeout: timings.promotion_timeout.to_string(),
    }
}

pub(super) fn read(collector: &mut Collector, plan: &proto::DrPlan) -> Option<DrPlan> {
    let federation = collector.parse(Path::of("federation"), "name", &plan.federation);
    let name = collector.parse(Path::of("name"), "name", &plan.name);
    let home = collector.parse(Path::of("home"), "name", &plan.home);
    let standbys = collector.list(&Path::of("standbys"), "name", &plan.standbys);
    let nodes = read_nodes(collector, &plan.nodes);
    let workload = read_workload(collector, &Path::of("workload"), plan.workload.as_ref());
    let replication = match &plan.replication {
        None => Some(None),
        Some(policy) => {
            let path = Path::of("replication").attribute("mode");
            let mode = collector.parse(path, "replication mode", &policy.mode);
            mode.map(|mode| {
                Some(ReplicationPolicy {
                    mode,
                    min_in_sync: policy.min_in_sync,
                })
            })
        }
    };
    let preset = collector.optional(Path::of("preset"), "preset", &plan.preset);
    let timings = match &plan.timings {
        None => Some(None),
        Some(timings) => read_timings(collector, &Path::of("timings"), timings).map(Some),
    };
    let rpo = collector.optional(Path::of("rpo"), "duration", &plan.rpo);
    let rto = collector.optional(Path::of("rto"), "duration", &plan.rto);
    let failback = collector.parse_or(
        Path::of("failback"),
        "way home",
        &plan.failback,
        Failback::Manual,
    );
    let max_lag_on_failover = match plan.max_lag_on_failover.as_str() {
        "" => LAG_MAX_DEFAULT,
        text => text,
    };
    let path = Path::of("max_lag_on_failover");
    let max_lag_on_failover = collector.parse(path, "size", max_lag_on_failover);
    let fencing = dr_fencing::read_fencing(collector, &plan.fencing);
    let path = Path::of("service_address");
    let service_address = collector.optional(path, "address", &plan.service_address);
    let dns = dr_redirect::read_dns(collector, plan.dns.as_ref());
    let route53 = dr_redirect::read_route53(collector, plan.route53.as_ref());
    let hooks = dr_redirect::read_hooks(collector, &plan.hooks);
    let backup = dr_backup::read_backup(collector, Path::of("backup"), plan.backup.as_ref());
    let drill = match &plan.drill {
        None => Some(None),
        Some(drill) => drill::read_policy(collector, drill).map(Some),
    };
    Some(DrPlan {
        federation: federation?,
        name: name?,
        home: home?,
        standbys: standbys?,
        nodes: nodes?,
        workload: workload?,
        replication: replication?,
        preset: preset?,
        timings: timings?,
        rpo: rpo?,
        rto: rto?,
        automatic_failover: plan.automatic_failover,
        failback: failback?,
        max_lag_on_failover: max_lag_on_failover?,
        fencing: fencing?,
        accept_pause_risk: plan.accept_pause_risk,
        service_address: service_address?,
        dns: dns?,
        route53: route53?,
        hooks: hooks?,
        backup: backup?,
        drill: drill?,
    })
}

fn read_nodes(
    collector: &mut Collector,
    nodes: &BTreeMap<String, String>,
) -> Option<BTreeMap<ClusterName, NodeName>> {
    let read: Vec<_> = nodes
        .iter()
        .map(|(site, node)| {
            let path = Path::of("nodes").key(site);
            let cluster = collector.parse(path.clone(), "name", site);
            let node = collector.parse(path, "name", node);
            Some((cluster?, node?))
        })
        .collect();
    read.into_iter().collect()
}

pub(super) fn read_timings(
    collector: &mut Collector,
    path: &Path,
    timings: &proto::Timings,
) -> Option<Timings> {
    let mut span =
        |name: &str, text: &str| collector.parse(path.clone().attribute(name), "duration", text);
    let check_interval = span("check_interval", &timings.check_interval);
    let lease_ttl = span("lease_ttl", &timings.lease_ttl);
    let stop_budget = span("stop_budget", &timings.stop_budget);
    let promotion_timeout = span("promotion_timeout", &timings.promotion_timeout);
    Some(Timings {
        check_interval: check_interval?,
        failure_threshold: timings.failure_threshold,
        lease_ttl: lease_ttl?,
        stop_budget: stop_budget?,
        promotion_timeout: promotion_timeout?,
    })
}
