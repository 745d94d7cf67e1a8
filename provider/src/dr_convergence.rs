//! Waits until a DR plan's primary takes writes and every standby follows it, and names who is late.

use std::time::{Duration, Instant};

use hanse_client::plan_run::describe_run;
use hanse_client::proto;
use hanse_core::dr::sight::CopyRole;
use hanse_core::name::ClusterName;
use hanse_core::object::DrPlan;
use terraform_plugin::{Cx, Diagnostic, Diagnostics};

use crate::declared::{Change, Operation};
use crate::session::Session;

/// The longest that one look waits for news.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// Waits until all copies are what they are to be since the change.
///
/// Whatever ends the wait early is an error of an update and a warning of a create: Terraform would
/// replace a plan whose creation failed, and so begin anew with copies that are nearly made. The
/// change itself is committed in any case, and the nodes go on.
pub(crate) async fn wait(
    cx: &Cx<Session>,
    plan: &DrPlan,
    change: &Change,
) -> Result<(), Diagnostics> {
    match (watch(cx, plan, change).await, change.operation) {
        (Ok(()), _) => Ok(()),
        (Err((summary, detail)), Operation::Create) => {
            cx.warn(summary, detail);
            Ok(())
        }
        (Err((summary, detail)), Operation::Update | Operation::Delete) => {
            Err(Diagnostic::error(summary, detail).into())
        }
    }
}

/// Why the wait ended early: summary and detail.
async fn watch(cx: &Cx<Session>, plan: &DrPlan, change: &Change) -> Result<(), (String, String)> {
    let name = &plan.name;
    let unable = |error: String| (format!("Unable to wait for the DR plan `{name}`"), error);
    let client = cx.client().and_then(Session::federation);
    let federation = client.map_err(|_| unable("The federation is not known.".to_owned()))?;
    let deadline = Instant::now() + change.limit;
    let mut version = 0;
    let mut late = vec!["the federation, which did not answer".to_owned()];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let look = federation.plan_status(Some(name), version, left.min(LOOK_TIMEOUT));
        let answer = tokio::select! {
            () = cx.cancellation().cancelled() => return Err(interrupted(plan)),
            answer = look => answer,
        };
        match answer {
            Ok(answer) => {
                version = answer.version;
                let mut plans = answer.plans.iter();
                let status = plans.find(|status| status.plan == name.as_str());
                let seen = match status {
                    Some(status) => laggards(plan, change.spec_revision, status),
                    None => vec!["the voters, which don't tell of it".to_owned()],
                };
                if seen.is_empty() {
                    if let Some(status) = status {
                        let warnings = unled(status).chain(warned(status));
                        warnings.for_each(|(summary, detail)| cx.warn(summary, detail));
                    }
                    return Ok(());
                }
                let news = seen.iter().filter(|line| !late.contains(line));
                news.for_each(|line| cx.progress(format!("{name} waits for {line}")));
                late = seen;
            }
            Err(error) if error.is_transient() => pause(cx).await,
            Err(error) => return Err(unable(error.to_string())),
        }
        if left.is_zero() {
            return Err(overdue(plan, change, &late));
        }
    }
}

/// Who is not yet what it is to be, and why.
fn laggards(plan: &DrPlan, spec_revision: u64, status: &proto::PlanStatus) -> Vec<String> {
    let mut late = Vec::new();
    if let Some(run) = &status.run {
        late.push(format!(
            "a run's end: {}",
            describe_run("", run).trim_start_matches(": ")
        ));
    }
    if status.primary.is_empty() {
        late.push("a primary: there is none yet".to_owned());
    }
    let lately = plan.timings().lately();
    for site in plan.sites() {
        let mut copies = status.copies.iter();
        let copy = copies.find(|copy| copy.member_cluster == site.as_str());
        // Whoever is at home begins.
        let is_primary = match status.primary.as_str() {
            "" => *site == plan.home,
            primary => site.as_str() == primary,
        };
        if let Err(reason) = is_well(copy, is_primary, (spec_revision, lately)) {
            let node = copy.map_or("", |copy| &copy.node);
            late.push(format!("{}: {reason}", place(site, node)));
        }
    }
    for redirect in &status.redirects {
        if redirect.leads_to.is_empty() && redirect.trouble.is_empty() && !status.primary.is_empty()
        {
            let record = &redirect.record;
            late.push(format!(
                "{record}: it is not known yet whether clients are led"
            ));
        }
    }
    let is_said = late.iter().any(|line| line.contains(&status.waits_for));
    if !late.is_empty() && !is_said {
        late.insert(0, status.waits_for.clone());
    }
    late
}

/// The ways by which clients can't be led. The plan is proved without them: they fence nobody.
fn unled(status: &proto::PlanStatus) -> impl Iterator<Item = (String, String)> {
    let troubled = status.redirects.iter().filter(|it| !it.trouble.is_empty());
    troubled.map(|it| {
        let summary = format!("Clients of {} can't be led to the primary", it.record);
        let detail = format!(
            "{}. The copies are well; it is tried again and again, and `hanse dr {}` shows what came \
             of it.",
            it.trouble, status.plan
        );
        (summary, detail)
    })
}

/// What the copies warn of. The plan is proved all the same.
fn warned(status: &proto::PlanStatus) -> impl Iterator<Item = (String, String)> {
    status.copies.iter().flat_map(move |copy| {
        let told = copy.status.iter().flat_map(|told| &told.warnings);
        told.map(move |warning| {
            let (node, plan) = (&copy.node, &status.plan);
            let summary = format!("`{node}` warns of its copy of the DR plan `{plan}`");
            let detail = format!("{warning}. `hanse dr {plan}` shows it, too.");
            (summary, detail)
        })
    })
}

/// Whether a copy is what it is to be: else why not.
fn is_well(
    copy: Option<&proto::CopyView>,
    is_primary: bool,
    (spec_revision, lately): (u64, Duration),
) -> Result<(), String> {
    let copy = copy.filter(|copy| !copy.node.is_empty());
    let copy = copy.ok_or("no node of it has the copy yet")?;
    let told = copy.status.as_ref().ok_or("it has told nothing yet")?;
    let silent_for = Duration::from_millis(copy.heard_ago_ms);
    if silent_for >= lately {
        return Err(format!("it has been silent for {} s", silent_for.as_secs()));
    }
    let because = match (told.trouble.as_str(), told.progress.as_str()) {
        ("", "") => String::new(),
        ("", progress) => format!(", {progress}"),
        (trouble, _) => format!(", {trouble}"),
    };
    let wanted = match is_primary {
        true => CopyRole::Primary,
        false => CopyRole::Following,
    };
    if told.role != wanted.as_str() {
        return Err(format!("it is {} and not {wanted} yet{because}", told.role));
    }
    if !told.trouble.is_empty() {
        return Err(told.trouble.clone());
    }
    if told.revision < spec_revision {
        return Err(format!("it has not put the change into effect{because}"));
    }
    Ok(())
}

fn place(site: &ClusterName, node: &str) -> String {
    match node {
        "" => site.to_string(),
        node => format!("{site} ({node})"),
    }
}

fn overdue(plan: &DrPlan, change: &Change, late: &[String]) -> (String, String) {
    let name = &plan.name;
    let lines: Vec<String> = late.iter().map(|line| format!("- {line}")).collect();
    let summary = format!(
        "The DR plan `{name}` is not proved after {:?}",
        change.limit
    );
    let detail = format!(
        "The change is committed (revision {}) and goes on taking effect by itself. Waiting for:\n{}\n\
         `hanse dr {name} --watch` shows how far it is. To wait longer, raise the time in the timeouts \
         block; to wait for nothing, write wait_for = \"accepted\".",
        change.revision,
        lines.join("\n"),
    );
    (summary, detail)
}

fn interrupted(plan: &DrPlan) -> (String, String) {
    let detail = format!(
        "The change of the DR plan `{0}` is committed, and the nodes go on making its copies; only the \
         wait for them was given up. `hanse dr {0}` shows how far they are.",
        plan.name
    );
    ("Interrupted".to_owned(), detail)
}

async fn pause(cx: &Cx<Session>) {
    tokio::select! {
        () = cx.cancellation().cancelled() => {}
        () = tokio::time::sleep(Duration::from_millis(250)) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dr_plan::tests::declared;

    fn copy(site: &str, role: &str) -> proto::CopyView {
        proto::CopyView {
            member_cluster: site.into(),
            node: format!("{site}-1"),
            status: Some(proto::CopyStatus {
                role: role.into(),
                revision: 9,
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    fn status() -> proto::PlanStatus {
        proto::PlanStatus {
            plan: "orders".into(),
            primary: "hamburg".into(),
            copies: vec![copy("lubeck", "following"), copy("hamburg", "primary")],
            ..Default::default()
        }
    }

    fn late(change: impl FnOnce(&mut proto::PlanStatus)) -> Vec<String> {
        let mut status = status();
        change(&mut status);
        laggards(&declared(), 9, &status)
    }

    fn told(status: &mut proto::PlanStatus, site: usize) -> &mut proto::CopyStatus {
        status.copies[site].status.as_mut().unwrap()
    }

    #[test]
    fn nobody_is_late_once_the_primary_takes_writes_and_every_standby_follows() {
        assert_eq!(late(|_| ()), Vec::<String>::new());
    }

    #[test]
    fn each_laggard_is_named_with_its_reason() {
        let seeding = late(|status| {
            let told = told(status, 0);
            (told.role, told.progress) = ("seeding".into(), "43 % of 12 GiB are there".into());
        });
        let reason = "it is seeding and not following yet, 43 % of 12 GiB are there";
        assert_eq!(seeding, [format!("lubeck (lubeck-1): {reason}")]);
        let absent = late(|status| {
            status.copies[0].node.clear();
            status.copies[0].status = None;
        });
        assert_eq!(absent, ["lubeck: no node of it has the copy yet"]);
        let unknown = late(|status| drop(status.copies.remove(0)));
        assert_eq!(unknown, ["lubeck: no node of it has the copy yet"]);
        let untold = late(|status| status.copies[0].status = None);
        assert_eq!(untold, ["lubeck (lubeck-1): it has told nothing yet"]);
        let silent = late(|status| status.copies[0].heard_ago_ms = 5000);
        assert_eq!(silent, ["lubeck (lubeck-1): it has been silent for 5 s"]);
        let troubled = late(|status| told(status, 0).trouble = "its disk is full".into());
        assert_eq!(troubled, ["lubeck (lubeck-1): its disk is full"]);
        let old = late(|status| told(status, 0).revision = 8);
        let reason = "it has not put the change into effect";
        assert_eq!(old, [format!("lubeck (lubeck-1): {reason}")]);
    }

    #[test]
    fn clients_that_cant_be_led_are_a_warning_and_not_yet_knowing_is_waited_for() {
        let redirect = |leads_to: &str, trouble: &str| proto::RedirectView {
            way: "dns".into(),
            record: "app.example.org".into(),
            leads_to: leads_to.into(),
            trouble: trouble.into(),
        };
        let seen = |one: proto::RedirectView| {
            let mut warned = Vec::new();
            let late = late(|status| {
                status.redirects = vec![one];
                warned = unled(status).collect();
            });
            (late.len(), warned.len())
        };
        assert_eq!(seen(redirect("192.0.2.1", "")), (0, 0));
        assert_eq!(seen(redirect("", "the key is wrong")), (0, 1));
        assert_eq!(seen(redirect("", "")), (1, 0));
    }

    #[test]
    fn what_a_copy_warns_of_is_a_warning_and_nobody_waits_for_it() {
        let mut warnings = Vec::new();
        let late = late(|status| {
            told(status, 1).warnings = vec!["it listens elsewhere".into()];
            warnings = warned(status).collect();
        });
        assert_eq!(late, Vec::<String>::new());
        let summary = "`hamburg-1` warns of its copy of the DR plan `orders`";
        let detail = "it listens elsewhere. `hanse dr orders` shows it, too.";
        assert_eq!(warnings, [(summary.to_owned(), detail.to_owned())]);
    }

    #[test]
    fn a_run_under_way_is_waited_for_and_what_that_waits_for_comes_first() {
        let running = late(|status| {
            status.waits_for = "lubeck-1 may still write".into();
            status.run = Some(proto::PlanRun {
                kind: "failover".into(),
                phase: "fencing".into(),
                ..Default::default()
            });
        });
        let expected = ["lubeck-1 may still write", "a run's end: failover: fencing"];
        assert_eq!(running, expected);
    }

    #[test]
    fn a_plan_without_a_primary_waits_for_its_home_and_says_why_once() {
        let none = late(|status| {
            status.primary.clear();
            status.waits_for = "its disk is full".into();
            let home = told(status, 0);
            (home.role, home.trouble) = ("absent".into(), "its disk is full".into());
            told(status, 1).role = "following".into();
        });
        let home = "lubeck (lubeck-1): it is absent and not primary yet, its disk is full";
        assert_eq!(none, ["a primary: there is none yet", home]);
    }
}
