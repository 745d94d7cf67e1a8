//! DR plans as tables.

use comfy_table::{Cell, Color};
use hanse_client::drill_run::{describe_drill, describe_running};
use hanse_client::plan_run::describe_run;
use hanse_client::proto;

use super::{dr_backup_view, dr_hook_view, dr_prediction_view, output};

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
    let quorum = status.quorum_trouble.as_str();
    // Once the primary is dead, the plan waits for it.
    if !quorum.is_empty() && !status.waits_for.contains(quorum) {
        lines.push(format!("! {plan} would not fail over by itself: {quorum}"));
    }
    for redirect in &status.redirects {
        if !redirect.trouble.is_empty() {
            lines.push(format!(
                "! {plan}: {}: {}",
                redirect.record, redirect.trouble
            ));
        }
    }
    let hooks = status.hooks.iter();
    lines.extend(hooks.flat_map(|hook| dr_hook_view::remarks(plan, hook)));
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
    let worst = dr_prediction_view::worst(status);
    lines.push(format!("  Failover: {failover}{worst}"));
    lines.extend(dr_prediction_view::paths(status));
    lines.extend(watchdogs(status));
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
    lines.extend(status.hooks.iter().map(dr_hook_view::line));
    let told = status.copies.iter().filter_map(|copy| copy.status.as_ref());
    let backups = told.filter_map(|told| told.backup.as_ref());
    lines.extend(backups.map(dr_backup_view::line));
    lines
}

/// Whether a watchdog resets the hosts of the copies, as far as their nodes tell.
fn watchdogs(status: &proto::PlanStatus) -> Option<String> {
    let told = status.copies.iter().filter_map(|copy| {
        let is_there = copy.status.as_ref()?.watchdog?;
        let word = if is_there { "yes" } else { "no" };
        Some(format!("{} {word}", copy.node))
    });
    let told: Vec<String> = told.collect();
    let all = told.join(", ");
    (!told.is_empty()).then(|| format!("  Watchdog that resets the host: {all}"))
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn status() -> proto::PlanStatus {
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
    fn what_is_wrong_outside_stands_below_it_too() {
        let with_trouble = |status: &mut proto::PlanStatus| {
            status.redirects.push(proto::RedirectView {
                way: "dns".into(),
                record: "app.example.org".into(),
                trouble: "its TSIG key hanse has another secret".into(),
                ..Default::default()
            });
            status.hooks.push(proto::HookView {
                name: "pager".into(),
                waiting: 1,
                attempts: 2,
                trouble: "it answered 503".into(),
                ..Default::default()
            });
        };
        let shown = shown(with_trouble);
        for line in [
            "! orders: app.example.org: its TSIG key hanse has another secret",
            "! orders: the hook pager is not delivered: it answered 503 (tried 2 times, ",
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
    fn a_plan_that_lacks_its_quorum_says_so_although_all_is_well_and_once() {
        let lacks = "the federation has 2 of the 3 voters";
        let well = shown(|status| status.quorum_trouble = lacks.into());
        let line = format!("! orders would not fail over by itself: {lacks}");
        assert!(well.contains(&line), "{well}");
        let dead = shown(|status| {
            status.quorum_trouble = lacks.into();
            status.waits_for = format!("nothing is done by itself: {lacks}");
        });
        assert_eq!(dead.matches(lacks).count(), 1, "{dead}");
    }

    #[test]
    fn one_plan_is_shown_with_the_watchdogs_of_its_hosts() {
        let mut status = status();
        for (copy, is_there) in status.copies.iter_mut().zip([true, false]) {
            copy.status.as_mut().unwrap().watchdog = Some(is_there);
        }
        let shown = text(&[status], true);
        let line = "resets the host: lubeck-1 yes, hamburg-1 no";
        assert!(shown.contains(line), "{shown}");
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
    fn what_a_copy_warns_of_stands_below_the_plan() {
        let mut status = status();
        let told = status.copies[0].status.as_mut().unwrap();
        told.warnings = vec!["it listens elsewhere".into()];
        let shown = text(&[status], false);
        let line = "! orders: lubeck-1: it listens elsewhere";
        assert!(shown.contains(line), "{shown}");
    }
}
