//! DR plans as JSON.

use hanse_client::proto;
use serde_json::{Value, json};

use super::run_plan::past_to_json;
use super::{dr_backup_view, dr_hook_view, dr_prediction_view, drill as drills};

/// For programs.
pub(super) fn to_json(plans: &[proto::PlanStatus]) -> Value {
    json!({ "plans": plans.iter().map(one_to_json).collect::<Vec<_>>() })
}

fn one_to_json(status: &proto::PlanStatus) -> Value {
    json!({
        "plan": status.plan,
        "home": status.home,
        "primary": status.primary,
        "primary_node": status.primary_node,
        "fence_epoch": status.fence_epoch,
        "run": status.run.as_ref().map(|run| json!({
            "kind": run.kind,
            "phase": run.phase,
            "from": run.from,
            "to": run.to,
            "reason": run.reason,
            "began_unix_s": run.began_unix_s,
        })),
        "past": status.past.as_ref().map(past_to_json),
        "copies": status.copies.iter().map(copy_to_json).collect::<Vec<_>>(),
        "paused": status.paused,
        "held": status.held,
        "waits_for": status.waits_for,
        "lease_silent_for_ms": status.lease_silent_for_ms,
        "mark_age_ms": status.mark_age_ms,
        "set": status.set.as_ref().map(|set| json!({ "members": set.members, "needed": set.needed })),
        "service_address": status.service_address,
        "redirects": status.redirects.iter().map(|one| json!({
            "way": one.way,
            "record": one.record,
            "leads_to": one.leads_to,
            "trouble": one.trouble,
        })).collect::<Vec<_>>(),
        "hooks": status.hooks.iter().map(dr_hook_view::to_json).collect::<Vec<_>>(),
        "replication": status.replication,
        "automatic_failover": status.automatic_failover,
        "accepts_pause_risk": status.accepts_pause_risk,
        "drill": status.drill.as_ref().map(|drill| json!({
            "number": drill.number,
            "member_cluster": drill.member_cluster,
            "node": drill.node,
            "began_unix_s": drill.began_unix_s,
            "reason": drill.reason,
            "progress": drill.progress,
        })),
        "last_drill": status.drills.last().map(drills::past_to_json),
        "last_drill_age_s": status
            .drills
            .last()
            .map(|past| status.now_unix_s.saturating_sub(past.ended_unix_s)),
        "next_drill_unix_s": status.next_drill_unix_s,
        "quorum_trouble": status.quorum_trouble,
        "predicted": status.predicted.as_ref().map(dr_prediction_view::to_json),
        "predicted_paths": dr_prediction_view::paths_to_json(status),
    })
}

fn copy_to_json(copy: &proto::CopyView) -> Value {
    let told = copy.status.as_ref();
    let position = told.and_then(|told| told.position.as_ref());
    json!({
        "member_cluster": copy.member_cluster,
        "node": copy.node,
        "role": told.map(|told| &told.role),
        "lag_bytes": copy.lag_bytes,
        "lag_s": copy.lag_s,
        "position": position.map(|at| json!({ "branch": at.branch, "offset_bytes": at.offset_bytes })),
        "trouble": told.map(|told| &told.trouble),
        "warnings": told.map(|told| &told.warnings),
        "progress": told.map(|told| &told.progress),
        "backup": told.and_then(|told| told.backup.as_ref()).map(dr_backup_view::to_json),
        "watchdog": told.and_then(|told| told.watchdog),
        "heard_ago_ms": told.map(|_| copy.heard_ago_ms),
    })
}

#[cfg(test)]
mod tests {
    use super::super::dr_view::tests::status;
    use super::*;

    #[test]
    fn programs_get_null_for_what_is_not_known() {
        let mut status = status();
        status.copies[1].lag_bytes = None;
        status.copies[1].status = None;
        let all = to_json(&[status]);
        let standby = &all["plans"][0]["copies"][1];
        assert_eq!(standby["member_cluster"], "hamburg");
        for unknown in ["role", "lag_bytes", "lag_s", "position", "heard_ago_ms"] {
            assert_eq!(standby[unknown], Value::Null, "{unknown}");
        }
        assert_eq!(all["plans"][0]["run"], Value::Null);
    }

    #[test]
    fn programs_get_what_a_copy_warns_of() {
        let mut status = status();
        let told = status.copies[0].status.as_mut().unwrap();
        told.warnings = vec!["it listens elsewhere".into()];
        let all = to_json(&[status]);
        let warnings = &all["plans"][0]["copies"][0]["warnings"];
        assert_eq!(*warnings, json!(["it listens elsewhere"]));
    }

    #[test]
    fn programs_get_whether_a_watchdog_resets_a_host() {
        let mut status = status();
        status.copies[1].status.as_mut().unwrap().watchdog = Some(false);
        let all = to_json(&[status]);
        assert_eq!(all["plans"][0]["copies"][1]["watchdog"], false);
        assert_eq!(all["plans"][0]["copies"][0]["watchdog"], Value::Null);
    }

    #[test]
    fn programs_get_what_is_wrong_outside() {
        let mut status = status();
        status.redirects.push(proto::RedirectView {
            trouble: "its TSIG key hanse has another secret".into(),
            ..Default::default()
        });
        status.hooks.push(proto::HookView {
            name: "pager".into(),
            trouble: "it answered 503".into(),
            ..Default::default()
        });
        let all = to_json(&[status]);
        let plan = &all["plans"][0];
        let redirect = &plan["redirects"][0];
        assert_eq!(redirect["trouble"], "its TSIG key hanse has another secret");
        assert_eq!(plan["hooks"][0]["trouble"], "it answered 503");
    }
}
