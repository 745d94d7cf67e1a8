//! Rules of how a plan is proved.

use std::time::Duration;

use crate::finding::{Finding, Path};
use crate::object::DrPlan;
use crate::object::dr_plan::{DrillPolicy, Workload};

/// The most checks of a drill, and the longest names and questions: all of them go into each record.
const CHECKS_MAX: usize = 32;
const NAME_LENGTH_MAX: usize = 63;
const SQL_LENGTH_MAX: usize = 4096;
/// A drill takes at least and at most so long.
const TIMEOUT_MIN: Duration = Duration::from_secs(30);
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);

/// Checks how a plan is proved.
pub(super) fn check(plan: &DrPlan, findings: &mut Vec<Finding>) {
    let Some(drill) = &plan.drill else {
        return;
    };
    checks(plan, drill, findings);
    let path = |name: &str| Path::of("drill").attribute(name);
    let is_empty = drill.command.first().is_some_and(String::is_empty);
    if is_empty || drill.command.iter().any(|word| word.contains('\0')) {
        findings.push(Finding::error(
            path("command"),
            "No program",
            "Write the program and its arguments, or leave it out.",
        ));
    }
    if !(TIMEOUT_MIN..=TIMEOUT_MAX).contains(&drill.timeout.value()) {
        findings.push(Finding::error(
            path("timeout"),
            "No such time",
            format!(
                "A drill may take 30s to 24h, and the copying counts; this is {}.",
                drill.timeout
            ),
        ));
    }
}

fn checks(plan: &DrPlan, drill: &DrillPolicy, findings: &mut Vec<Finding>) {
    let path = || Path::of("drill").attribute("checks");
    let is_asked = match &plan.workload {
        Workload::Postgresql(_) => true,
        Workload::Directory(_) | Workload::Command(_) => false,
    };
    if !drill.checks.is_empty() && !is_asked {
        findings.push(Finding::error(
            path(),
            "Nothing that answers SQL",
            "Checks are questions to PostgreSQL, and this plan protects something else. Verify it with \
             drill.command.",
        ));
        return;
    }
    if drill.checks.len() > CHECKS_MAX {
        findings.push(Finding::error(
            path(),
            "Too many checks",
            format!("Write {CHECKS_MAX} at most; one question may ask for several things."),
        ));
        return;
    }
    for (place, check) in drill.checks.iter().enumerate() {
        let at = |name: &str| path().index(place).attribute(name);
        let before = &drill.checks[..place];
        let is_plain = !check.name.chars().any(char::is_control);
        if check.name.trim().is_empty() || check.name.len() > NAME_LENGTH_MAX || !is_plain {
            findings.push(Finding::error(
                at("name"),
                "No name",
                format!("Name the check in one line of {NAME_LENGTH_MAX} characters at most."),
            ));
        } else if before.iter().any(|other| other.name == check.name) {
            findings.push(Finding::error(
                at("name"),
                "A name twice",
                format!(
                    "Records tell checks apart by their names, and `{}` names two.",
                    check.name
                ),
            ));
        }
        if check.sql.trim().is_empty() || check.sql.len() > SQL_LENGTH_MAX {
            findings.push(Finding::error(
                at("sql"),
                "No question",
                format!(
                    "Write SQL of {SQL_LENGTH_MAX} bytes at most that yields one row whose first column is \
                     true, like `select count(*) > 0 from orders`."
                ),
            ));
        }
        let is_database = !check.database.is_empty() && check.database.len() <= NAME_LENGTH_MAX;
        if !is_database || check.database.contains(char::is_control) {
            findings.push(Finding::error(
                at("database"),
                "No database",
                "Name the database that is asked, or leave it out for `postgres`.",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duration::Span;
    use crate::object::dr_plan::{Commands, DrillCheck};
    use crate::testing::dr_plan;

    fn question(name: &str, sql: &str) -> DrillCheck {
        DrillCheck {
            name: name.to_owned(),
            sql: sql.to_owned(),
            database: "postgres".to_owned(),
        }
    }

    fn found(change: impl FnOnce(&mut DrPlan, &mut DrillPolicy)) -> Vec<String> {
        let mut plan = dr_plan();
        let mut drill = DrillPolicy {
            checks: vec![question("one", "select true"), question("two", "select 1")],
            ..DrillPolicy::default()
        };
        change(&mut plan, &mut drill);
        plan.drill = Some(drill);
        let mut findings = Vec::new();
        check(&plan, &mut findings);
        let found = findings.iter();
        found.map(|finding| finding.path.to_string()).collect()
    }

    #[test]
    fn what_could_never_be_asked_is_refused_where_it_stands() {
        assert!(found(|_, _| ()).is_empty());
        assert_eq!(
            found(|_, drill| drill.checks[1].name = "one".to_owned()),
            ["drill.checks[1].name"]
        );
        assert_eq!(
            found(|_, drill| drill.checks[0].sql = " \n".to_owned()),
            ["drill.checks[0].sql"]
        );
        assert_eq!(
            found(|_, drill| drill.checks[0].name = " ".to_owned()),
            ["drill.checks[0].name"]
        );
        assert_eq!(
            found(|_, drill| drill.checks[0].database.clear()),
            ["drill.checks[0].database"]
        );
        assert_eq!(
            found(|_, drill| drill.command = vec![String::new()]),
            ["drill.command"]
        );
        for seconds in [0, 29, 90_000] {
            let timeout = Span::from_secs(seconds);
            assert_eq!(found(|_, drill| drill.timeout = timeout), ["drill.timeout"]);
        }
    }

    #[test]
    fn only_postgresql_answers_questions() {
        let call = |name: &str| crate::object::dr_plan::Call {
            command: vec![name.to_owned()],
            timeout: Span::from_secs(1),
        };
        let other = found(|plan, _| {
            plan.workload = Workload::Command(Commands {
                user: "app".to_owned(),
                run: None,
                replicate: call("replicate"),
                lag: call("lag"),
                promote: call("promote"),
                demote: call("demote"),
                verify: None,
                interval: Span::from_secs(10),
            });
        });
        assert_eq!(other, ["drill.checks"]);
    }
}
