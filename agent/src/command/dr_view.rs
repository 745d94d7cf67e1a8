//! DR plans as tables and JSON.

use std::time::Duration;

use comfy_table::{Cell, Color};
use hanse_client::drill_run::{describe_drill, describe_running};
use hanse_client::plan_run::describe_run;
use hanse_client::proto;
use serde_json::{Value, json};

use super::run_plan::past_to_json;
use super::{dr_backup_view, drill as drills, output};

const HEADING: [&str; 6] = [
    "PLAN",
    "PRIMARY",
    "STANDBYS",
    "REPLICATION",
    "RUN",
    "LAST RUN",
];

/// For people; `is_whole`: with all that is known.
pub(super) fn text(plans: &[proto::PlanStatus], is_whole: bool) -> String {
    if plans.is_empty() {
        return "No DR plan is declared.".to_owned();
    }
    let mut table = output::table(&HEADING);
    let mut lines = Vec::new();
    for status in plans {
        table.add_row(row(status));
        lines.extend(remarks(status));
        if is_whole {
            lines.extend(details(status));
        }
    }
    let mut parts = vec![output::lines(&table)];
    if !lines.is_empty() {
        parts.push(String::new());
        parts.extend(lines);
    }
    parts.join("\n")
}

fn row(status: &proto::PlanStatus) -> Vec<Cell> {
    let is_well = status.waits_for.is_empty();
    let standbys = status.copies.iter();
    let standbys = standbys.filter(|copy| copy.member_cluster != status.primary);
    let standbys: Vec<String> = standbys.map(standby).collect();
    vec![
        Cell::new(&status.plan),
        primary(status),
        Cell::new(standbys.join("\n")),
        Cell::new(&status.replication),
        output::verdict(state(status), is_well),
        Cell::new(last_run(status.past.as_ref())),
    ]
}

fn primary(status: &proto::PlanStatus) -> Cell {
    let text = match (status.primary.as_str(), status.primary_node.as_str()) {
        ("", _) => return Cell::new("none yet").fg(Color::Yellow),
        (site, "") => site.to_owned(),
        (site, node) => format!("{site} ({node})"),
    };
    match status.primary == status.home {
        true => Cell::new(text),
        false => Cell::new(format!("{text}, away from {}", status.home)).fg(Color::Yellow),
    }
}

/// A standby, how much it lacks and since when, and how old that word is.
fn standby(copy: &proto::CopyView) -> String {
    let place = match copy.node.as_str() {
        "" => copy.member_cluster.clone(),
        node => format!("{} ({node})", copy.member_cluster),
    };
    let Some(told) = &copy.status else {
        return format!("{place}: not heard of yet");
    };
    let lag = match copy.lag_bytes {
        Some(0) => ", lacks nothing".to_owned(),
        Some(bytes) if bytes < 10 << 10 => format!(", lacks {bytes} B"),
        Some(bytes) => format!(", lacks {}", output::bytes(bytes)),
        None => String::new(),
    };
    let behind = match copy.lag_s {
        None | Some(0) => String::new(),
        Some(lag_s) => format!(", {} behind", output::age(lag_s.saturating_mul(1000))),
    };
    let heard = match output::age(copy.heard_ago_ms).as_str() {
        "now" => String::new(),
        age => format!(", heard {age} ago"),
    };
    format!("{place}: {}{lag}{behind}{heard}", told.role)
}

/// What is under way, in a few words.
fn state(status: &proto::PlanStatus) -> String {
    match &status.run {
        Some(run) => {
            let to = match run.to.as_str() {
                "" => String::new(),
                to => format!(" to {to}"),
            };
            format!("{}{to}: {}", run.kind, run.phase)
        }
        None if !status.held.is_empty() => "held".to_owned(),
        None if status.paused => "paused".to_owned(),
        None if !status.waits_for.is_empty() => "waits".to_owned(),
        None => "none".to_owned(),
    }
}

fn last_run(past: Option<&proto::PastPlanRun>) -> String {
    let Some(past) = past else {
        return String::new();
    };
    let took_s = past.ended_unix_s.saturating_sub(past.began_unix_s);
    let lost = match past.lost_bytes {
        None | Some(0) => String::new(),
        Some(bytes) => format!(", {bytes} bytes lost"),
    };
    format!(
        "{} to {}: {} {}, took {took_s} s{lost}",
        past.kind,
        past.to,
        past.outcome,
        output::since(past.ended_unix_s),
    )
}

/// What needs somebody's eye, in sentences.
fn remarks(status: &proto::PlanStatus) -> Vec<String> {
    let plan = &status.plan;
    let mut lines = Vec::new();
    let mut told = status.copies.iter().filter_map(|copy| copy.status.as_ref());
    let is_said = told.any(|told| told.trouble == status.waits_for);
    if !status.waits_for.is_empty() && !is_said {
        lines.push(format!("! {plan} waits: {}", status.waits_for));
    }
    for redirect in &status.redirects {
        if !redirect.trouble.is_empty() {
            lines.push(format!(
                "! {plan}: {}: {}",
                redirect.record, redirect.trouble
            ));
        }
    }
    if !status.held.is_empty() {
        lines.push(format!(
            "! {plan}: `{0}` may still be primary. Make sure that it can't write, then run: \
             hanse dr confirm-fenced {plan} --holder {0}",
            status.held
        ));
    }
    for copy in &status.copies {
        let told = copy.status.clone().unwrap_or_default();
        if !told.trouble.is_empty() {
            lines.push(format!("! {plan}: {}: {}", copy.node, told.trouble));
        }
        for warning in &told.warnings {
            lines.push(format!("! {plan}: {}: {warning}", copy.node));
        }
        if !told.progress.is_empty() {
            lines.push(format!("  {plan}: {}: {}", copy.node, told.progress));
        }
        let backup = told.backup.as_ref();
        lines.extend(
            backup
                .into_iter()
                .flat_map(|it| dr_backup_view::remarks(plan, &copy.node, it)),
        );
    }
    if let Some(drill) = &status.drill {
        lines.push(format!("  {}", describe_running(plan, drill)));
    }
    // Whoever relies on a plan is to know that it proved to be none.
    if let Some(past) = status.drills.last().filter(|past| past.outcome == "failed") {
        lines.push(format!("! {}", describe_drill(plan, past)));
    }
    if status.automatic_failover && status.accepts_pause_risk {
        lines.push(format!(
            "! {plan}: a machine that was paused may write for a moment when it goes on \
             (accept_pause_risk)"
        ));
    }
    lines
}

/// The rest, for whoever asks for one plan.
fn details(status: &proto::PlanStatus) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(run) = &status.run {
        let said = describe_run(&status.plan, run);
        let began = output::since(run.began_unix_s);
        lines.push(format!("  {said}, began {began}: {}", run.reason));
    }
    if let Some(past) = &status.past {
        lines.push(format!("  Last run: {}", past.reason));
    }
    let failover = match status.automatic_failover {
        true => "automatic",
        false => "when somebody asks",
    };
    let predicted = status.predicted.as_ref().map_or_else(String::new, |total| {
        let total = Duration::from_millis(total.total_ms);
        format!(", at most {total:?} when the primary's host dies")
    });
    lines.push(format!("  Failover: {failover}{predicted}"));
    lines.push(drill(status));
    if status.fence_epoch > 0 {
        let silent = status.lease_silent_for_ms;
        let silent = silent.map_or_else(String::new, |silent_ms| {
            match output::age(silent_ms).as_str() {
                "now" => ", renewed just now".to_owned(),
                age => format!(", last renewed {age} ago"),
            }
        });
        lines.push(format!("  Lease: epoch {}{silent}", status.fence_epoch));
    }
    if let Some(set) = status.set.as_ref().filter(|set| set.needed > 0) {
        let (needed, members) = (set.needed, set.members.join(", "));
        lines.push(format!(
            "  Each write is on {needed} of {members} before it is acknowledged"
        ));
    }
    if !status.service_address.is_empty() {
        lines.push(format!("  Service address: {}", status.service_address));
    }
    for redirect in &status.redirects {
        let leads = match (redirect.leads_to.as_str(), redirect.trouble.as_str()) {
            ("", "") => "not known yet".to_owned(),
            ("", trouble) => format!("can't be led: {trouble}"),
            (leads_to, _) => format!("leads to {leads_to}"),
        };
        lines.push(format!("  {} ({}): {leads}", redirect.record, redirect.way));
    }
    let told = status.copies.iter().filter_map(|copy| copy.status.as_ref());
    let backups = told.filter_map(|told| told.backup.as_ref());
    lines.extend(backups.map(dr_backup_view::line));
    lines
}

/// The last drill, its age and what it found.
fn drill(status: &proto::PlanStatus) -> String {
    let next = status
        .next_drill_unix_s
        .map(|at| at.saturating_sub(status.now_unix_s));
    let next = next.map_or_else(
        || "; the next when somebody asks".to_owned(),
        |after_s| match output::age(after_s.saturating_mul(1000)).as_str() {
            "now" => "; the next is due".to_owned(),
            age => format!("; the next in {age}"),
        },
    );
    let Some(past) = status.drills.last() else {
        return format!("  Last drill: never{next}");
    };
    let age_s = status.now_unix_s.saturating_sub(past.ended_unix_s);
    let age = output::age(age_s.saturating_mul(1000));
    let said = describe_drill(&status.plan, past);
    format!("  Last drill ({age} old): {said}{next}")
}

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
        "predicted": status.predicted.as_ref().map(|part| json!({
            "detection_ms": part.detection_ms,
            "fencing_ms": part.fencing_ms,
            "promotion_ms": part.promotion_ms,
            "redirect_ms": part.redirect_ms,
            "total_ms": part.total_ms,
        })),
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
        "heard_ago_ms": told.map(|_| copy.heard_ago_ms),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> proto::PlanStatus {
        let copy = |site: &str, role: &str| proto::CopyView {
            member_cluster: site.into(),
            node: format!("{site}-1"),
            status: Some(proto::CopyStatus {
                role: role.into(),
                ..Default::default()
            }),
            lag_bytes: Some(0),
            ..Default::default()
        };
        proto::PlanStatus {
            plan: "orders".into(),
            home: "lubeck".into(),
            primary: "lubeck".into(),
            primary_node: "lubeck-1".into(),
            fence_epoch: 7,
            replication: "async".into(),
            copies: vec![copy("lubeck", "primary"), copy("hamburg", "following")],
            ..Default::default()
        }
    }

    fn shown(change: impl FnOnce(&mut proto::PlanStatus)) -> String {
        let mut status = status();
        change(&mut status);
        text(&[status], false)
    }

    #[test]
    fn a_plan_that_is_well_is_one_line_with_its_primary_and_standbys() {
        let shown = shown(|_| ());
        assert_eq!(shown.lines().count(), 2, "{shown}");
        assert!(shown.contains("lubeck (lubeck-1)"), "{shown}");
        let standby = "hamburg (hamburg-1): following, lacks nothing";
        assert!(shown.contains(standby), "{shown}");
        assert!(!shown.contains("away"), "{shown}");
    }

    #[test]
    fn what_a_plan_waits_for_and_what_is_wrong_stand_below_it() {
        let shown = shown(|status| {
            status.waits_for = "too few voters answer".into();
            status.held = "lubeck-1".into();
            let told = status.copies[1].status.as_mut().unwrap();
            told.trouble = "its disk is full".into();
        });
        for line in [
            "! orders waits: too few voters answer",
            "hanse dr confirm-fenced orders --holder lubeck-1",
            "! orders: hamburg-1: its disk is full",
        ] {
            assert!(shown.contains(line), "{line}: {shown}");
        }
    }

    #[test]
    fn what_a_copy_complains_about_is_said_once_although_the_plan_waits_for_it() {
        let shown = shown(|status| {
            status.waits_for = "its disk is full".into();
            let told = status.copies[1].status.as_mut().unwrap();
            told.trouble = "its disk is full".into();
        });
        assert_eq!(shown.matches("its disk is full").count(), 1, "{shown}");
        assert!(shown.contains("hamburg-1: its disk is full"), "{shown}");
    }

    #[test]
    fn a_primary_that_was_promoted_is_shown_as_away_from_home() {
        let shown = shown(|status| status.primary = "hamburg".into());
        assert!(shown.contains("away from lubeck"), "{shown}");
    }

    #[test]
    fn a_standby_that_was_not_heard_of_or_lags_says_so() {
        let shown = shown(|status| {
            status.copies[1].lag_bytes = Some(300 << 20);
            status.copies[1].heard_ago_ms = 42_000;
            status.copies.push(proto::CopyView {
                member_cluster: "visby".into(),
                ..Default::default()
            });
        });
        assert!(shown.contains("lacks 300 MiB, heard 42 s ago"), "{shown}");
        assert!(shown.contains("visby: not heard of yet"), "{shown}");
    }

    #[test]
    fn a_standby_says_for_how_long_it_lags_and_nothing_if_it_does_not() {
        let standby = |lag_s| shown(|status| status.copies[1].lag_s = lag_s);
        let late = standby(Some(40));
        assert!(late.contains("lacks nothing, 40 s behind"), "{late}");
        for lag_s in [None, Some(0)] {
            let shown = standby(lag_s);
            assert!(!shown.contains("behind"), "{shown}");
        }
    }

    #[test]
    fn what_a_copy_warns_of_stands_below_the_plan_and_is_told_to_programs() {
        let mut status = status();
        let told = status.copies[0].status.as_mut().unwrap();
        told.warnings = vec!["it listens elsewhere".into()];
        let all = to_json(&[status.clone()]);
        let warnings = &all["plans"][0]["copies"][0]["warnings"];
        assert_eq!(*warnings, json!(["it listens elsewhere"]));
        let shown = text(&[status], false);
        let line = "! orders: lubeck-1: it listens elsewhere";
        assert!(shown.contains(line), "{shown}");
    }

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
}
