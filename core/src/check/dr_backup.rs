//! Rules of a plan's backups.

use std::time::Duration;

use crate::finding::{Finding, Path};
use crate::object::DrPlan;
use crate::object::dr_backup::{Backup, Place};
use crate::object::dr_plan::Workload;

/// A backup that is made more often would never end.
const INTERVAL_MIN: Duration = Duration::from_secs(60);
/// Nobody asks for more, and it counts in seconds.
const RETENTION_MAX: Duration = Duration::from_secs(20 * 366 * 24 * 3600);

/// Checks how a plan is backed up.
pub(super) fn check(plan: &DrPlan, findings: &mut Vec<Finding>) {
    let Some(backup) = &plan.backup else {
        return;
    };
    match &plan.workload {
        Workload::Postgresql(server) => {
            keeps_apart(backup, &server.data_directory, findings);
        }
        Workload::Directory(_) => findings.push(Finding::error(
            Path::of("backup"),
            "A folder is in its repository already",
            "Each snapshot of a folder is a backup of it, and `keep` says how many stay: raise that \
             (workload.directory.keep), and leave backup out.",
        )),
        Workload::Command(_) => findings.push(Finding::error(
            Path::of("backup"),
            "Only the user's own programs know this workload",
            "What they keep can't be backed up from outside. Have them do it, and leave backup out.",
        )),
    }
    let at = |name| Path::of("backup").attribute(name);
    if backup.interval.value() < INTERVAL_MIN {
        findings.push(Finding::error(
            at("interval"),
            "Too often",
            format!(
                "Write at least {INTERVAL_MIN:?}; this is {}. What is written in between is archived \
                 as it is written.",
                backup.interval
            ),
        ));
    }
    if backup.retention.value().is_zero() {
        findings.push(Finding::error(
            at("retention"),
            "Nothing would stay",
            "Write how far back a restore is to be possible, for example 168h.",
        ));
    } else if backup.retention.value() < backup.interval.value() {
        findings.push(Finding::error(
            at("retention"),
            "Shorter than the interval",
            format!(
                "A backup is made every {}, so a restore is possible at least as far back. Write more \
                 than {}.",
                backup.interval, backup.retention
            ),
        ));
    } else if backup.retention.value() > RETENTION_MAX {
        findings.push(Finding::error(
            at("retention"),
            "Longer than anybody can promise",
            "Write at most 20 years.",
        ));
    }
    if let Some(file) = &backup.environment_file
        && (!file.starts_with('/') || file.contains(char::is_control))
    {
        findings.push(Finding::error(
            at("environment_file"),
            "No absolute path",
            "Write the whole path from the root, the same on each node.",
        ));
    }
    if let (Place::S3 { .. }, None) = (backup.repository.place(), &backup.environment_file) {
        findings.push(Finding::error(
            at("environment_file"),
            "No access key",
            "A bucket asks for one. Write AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY into a file on \
             each node, and its path here.",
        ));
    }
    if backup.password_version == 0 {
        findings.push(Finding::error(
            at("password_wo_version"),
            "Which password?",
            "Write 1 with the first password. Another one needs another repository.",
        ));
    }
}

/// What is lost with the data is no backup.
fn keeps_apart(backup: &Backup, data: &str, findings: &mut Vec<Finding>) {
    let Place::Folder(folder) = backup.repository.place() else {
        return;
    };
    let within = |path: &str| format!("{}/", path.trim_end_matches('/'));
    let (repository, data) = (within(folder), within(data));
    if repository.starts_with(&data) || data.starts_with(&repository) {
        findings.push(Finding::error(
            Path::of("backup").attribute("repository"),
            "A repository within the data",
            "The repository and the data directory would contain one another. Keep them apart, on \
             another disk or another machine.",
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::dr_plan;

    fn found(change: impl FnOnce(&mut DrPlan, &mut Backup)) -> Vec<String> {
        let mut plan = dr_plan();
        let mut backup = Backup {
            repository: "/srv/backups".parse().unwrap(),
            interval: "1h".parse().unwrap(),
            retention: "168h".parse().unwrap(),
            environment_file: None,
            password_version: 1,
        };
        change(&mut plan, &mut backup);
        plan.backup = Some(backup);
        let mut findings = Vec::new();
        check(&plan, &mut findings);
        let paths = findings.iter().map(|finding| finding.path.to_string());
        paths.collect()
    }

    #[test]
    fn each_fault_is_found_at_its_own_attribute() {
        assert_eq!(found(|_, _| ()), Vec::<String>::new());
        let one = found(|_, backup| backup.interval = "59s".parse().unwrap());
        assert_eq!(one, ["backup.interval"]);
        for retention in ["0s", "30m", "200000h"] {
            let one = found(|_, backup| backup.retention = retention.parse().unwrap());
            assert_eq!(one, ["backup.retention"], "{retention}");
        }
        let one = found(|_, backup| backup.password_version = 0);
        assert_eq!(one, ["backup.password_wo_version"]);
        let one = found(|_, backup| backup.environment_file = Some("keys".to_owned()));
        assert_eq!(one, ["backup.environment_file"]);
        let one = found(|_, backup| {
            backup.repository = "s3:https://s3.example.org/acme".parse().unwrap();
        });
        assert_eq!(one, ["backup.environment_file"]);
    }

    #[test]
    fn a_repository_is_not_within_the_data_it_is_a_backup_of() {
        for inner in ["", "/backups"] {
            let one = found(|plan, backup| {
                let Workload::Postgresql(server) = &plan.workload else {
                    panic!("another workload");
                };
                let path = format!("{}{inner}", server.data_directory);
                backup.repository = path.parse().unwrap();
            });
            assert_eq!(one, ["backup.repository"], "{inner}");
        }
    }

    #[test]
    fn what_nobody_can_back_up_from_outside_is_refused() {
        use crate::object::dr_plan::{Call, Commands};
        let call = || Call {
            command: vec!["/bin/true".to_owned()],
            timeout: "30s".parse().unwrap(),
        };
        let commands = Commands {
            user: "app".to_owned(),
            run: None,
            replicate: call(),
            lag: call(),
            promote: call(),
            demote: call(),
            verify: None,
            interval: "10s".parse().unwrap(),
        };
        let one = found(|plan, _| plan.workload = Workload::Command(commands));
        assert_eq!(one, ["backup"]);
    }
}
