//! Rules of what a plan protects.

use crate::duration::Span;
use crate::finding::{Finding, Path};
use crate::inventory::Inventory;
use crate::object::DrPlan;
use crate::object::dr_plan::{Call, Commands, Directory, Keep, Postgresql, Workload};
use crate::object::federation::ReplicationMode;

/// Nothing is copied more often than that.
const INTERVAL_MIN_S: u64 = 1;

/// Checks what a plan protects.
pub(super) fn check(inventory: &Inventory, plan: &DrPlan, findings: &mut Vec<Finding>) {
    match &plan.workload {
        Workload::Postgresql(it) => postgresql(it, findings),
        Workload::Directory(it) => directory(it, findings),
        Workload::Command(it) => commands(it, findings),
    }
    now_and_then(inventory, plan, findings);
    unguarded(inventory, plan, findings);
}

fn postgresql(it: &Postgresql, findings: &mut Vec<Finding>) {
    let path = Path::of("workload").attribute("postgresql");
    absolute(
        path.clone().attribute("data_directory"),
        &it.data_directory,
        findings,
    );
    if let Some(folder) = &it.bin_directory {
        absolute(path.clone().attribute("bin_directory"), folder, findings);
    }
    if it.port == 0 {
        findings.push(Finding::error(
            path.attribute("port"),
            "No port",
            "Write the port on which the server listens, for example 5432.",
        ));
    }
}

fn directory(it: &Directory, findings: &mut Vec<Finding>) {
    let path = Path::of("workload").attribute("directory");
    let at = |name: &str| path.clone().attribute(name);
    absolute(at("path"), &it.path, findings);
    if it.path.starts_with('/') && it.path.trim_matches('/').is_empty() {
        findings.push(Finding::error(
            at("path"),
            "The whole host",
            "A standby replaces the folder by what it restored. Name one that can be replaced.",
        ));
    }
    absolute(at("password_file"), &it.password_file, findings);
    if let Some(file) = &it.environment_file {
        absolute(at("environment_file"), file, findings);
    }
    repository(at("repository"), it, findings);
    interval(at("interval"), &it.interval, findings);
    let Keep {
        last,
        hourly,
        daily,
        weekly,
    } = it.keep();
    if last == 0 {
        findings.push(Finding::error(
            at("keep").attribute("last"),
            "Nothing would stay",
            format!(
                "Standbys restore the latest snapshot, so at least 1 has to stay, beside {hourly} \
                 hourly, {daily} daily and {weekly} weekly ones."
            ),
        ));
    }
    for (place, pattern) in it.exclude.iter().enumerate() {
        if pattern.is_empty() || pattern.contains(['\0', '\n']) {
            findings.push(Finding::error(
                at("exclude").index(place),
                "No pattern",
                "Write a pattern of one line, as restic's --exclude takes it.",
            ));
        }
    }
    match (&it.run, &it.user) {
        (Some(run), user) => {
            call(&at("run"), run, findings);
            if let Some(user) = user {
                self::user(at("user"), user, findings);
            }
        }
        (None, Some(_)) => findings.push(Finding::error(
            at("user"),
            "Nothing runs as this user",
            "The folder is copied as root, with its owners. Write what runs (run), or leave this out.",
        )),
        (None, None) => {}
    }
}

fn repository(path: Path, it: &Directory, findings: &mut Vec<Finding>) {
    let text = &it.repository;
    let kinds = [
        "sftp:", "rest:", "s3:", "b2:", "azure:", "gs:", "swift:", "rclone:",
    ];
    let is_local = text.starts_with('/');
    let is_known = is_local || kinds.iter().any(|kind| text.starts_with(kind));
    if !is_known || text.contains(char::is_control) {
        findings.push(Finding::error(
            path,
            "Unknown kind of repository",
            format!(
                "Write an absolute path that every node mounts, or a repository of restic that begins \
                 with one of {}; this is `{}`.",
                kinds.join(", "),
                text.escape_debug()
            ),
        ));
        return;
    }
    let folder = |path: &str| format!("{}/", path.trim_end_matches('/'));
    let (inner, outer) = (folder(text), folder(&it.path));
    if is_local && (inner.starts_with(&outer) || outer.starts_with(&inner)) {
        findings.push(Finding::error(
            path,
            "A repository within its folder",
            "The repository and the folder would contain one another. Keep them apart.",
        ));
    }
}

fn commands(it: &Commands, findings: &mut Vec<Finding>) {
    let path = Path::of("workload").attribute("command");
    let at = |name: &str| path.clone().attribute(name);
    user(at("user"), &it.user, findings);
    let calls = [
        ("run", it.run.as_ref()),
        ("replicate", Some(&it.replicate)),
        ("lag", Some(&it.lag)),
        ("promote", Some(&it.promote)),
        ("demote", Some(&it.demote)),
        ("verify", it.verify.as_ref()),
    ];
    for (name, it) in calls {
        if let Some(it) = it {
            call(&at(name), it, findings);
        }
    }
    interval(at("interval"), &it.interval, findings);
}

fn call(path: &Path, it: &Call, findings: &mut Vec<Finding>) {
    let at = || path.clone().attribute("command");
    match it.command.first() {
        None => findings.push(Finding::error(
            at(),
            "No program",
            "Write the program as an absolute path, and its arguments after it.",
        )),
        Some(program) => absolute(at().index(0), program, findings),
    }
    for (place, word) in it.command.iter().enumerate() {
        if word.contains('\0') {
            findings.push(Finding::error(
                at().index(place),
                "Not an argument",
                "A program can't be given a zero byte.",
            ));
        }
    }
    if it.timeout.value().is_zero() {
        findings.push(Finding::error(
            path.clone().attribute("timeout"),
            "No time at all",
            "Write how long it may take, for example 30s.",
        ));
    }
}

fn user(path: Path, text: &str, findings: &mut Vec<Finding>) {
    let is_name = |byte: char| byte.is_ascii_alphanumeric() || "._-".contains(byte);
    if text.is_empty() || text.starts_with('-') || !text.chars().all(is_name) {
        findings.push(Finding::error(
            path,
            "No user",
            "Write the name of a user that each node has, for example `www-data`.",
        ));
    }
}

fn interval(path: Path, it: &Span, findings: &mut Vec<Finding>) {
    if it.value().as_secs() < INTERVAL_MIN_S {
        findings.push(Finding::error(
            path,
            "Too often",
            format!("Write at least {INTERVAL_MIN_S}s; this is {it}."),
        ));
    }
}

fn absolute(path: Path, text: &str, findings: &mut Vec<Finding>) {
    let leaves = text.split('/').any(|part| part == "..");
    if !text.starts_with('/') || leaves || text.contains(['\0', '\n']) {
        findings.push(Finding::error(
            path,
            "No absolute path",
            format!(
                "Write the whole path from the root, without `..`; this is `{}`.",
                text.escape_debug()
            ),
        ));
    }
}

/// What is copied now and then is on no standby when it is acknowledged.
fn now_and_then(inventory: &Inventory, plan: &DrPlan, findings: &mut Vec<Finding>) {
    let Some(interval) = plan.workload.interval() else {
        return;
    };
    let mode = plan.replication(&inventory.federation.spec).mode;
    if mode != ReplicationMode::Async {
        findings.push(Finding::error(
            Path::of("replication"),
            "No write of this workload waits for a standby",
            format!(
                "It is copied every {interval}, and this plan's replication is {mode}. Write \
                 replication.mode = \"async\"."
            ),
        ));
    }
    if let Some(rpo) = plan
        .rpo
        .as_ref()
        .filter(|rpo| rpo.value() < interval.value())
    {
        findings.push(Finding::error(
            Path::of("rpo"),
            "This interval can't keep it",
            format!(
                "It is copied every {interval}, so what was written since may be lost, which is more \
                 than {rpo}. Copy it more often (interval), or allow more."
            ),
        ));
    }
}

/// Without a process that the guard ends, the end of a lease stops nobody from writing.
fn unguarded(inventory: &Inventory, plan: &DrPlan, findings: &mut Vec<Finding>) {
    if plan.workload.is_guarded() || !plan.automatic_failover {
        return;
    }
    let terms = plan.terms(0, &inventory.federation.spec);
    let lack: Vec<_> = plan
        .sites()
        .filter(|site| !terms.fenced_outside.contains(*site))
        .map(|site| format!("`{site}`"))
        .collect();
    if !lack.is_empty() {
        findings.push(Finding::error(
            Path::of("automatic_failover"),
            "Nothing fences the primary",
            format!(
                "No program of this workload runs under its guard (run), so the end of its lease stops \
                 nobody from writing. Write what runs, or fence {} from outside (fencing, method \
                 \"command\", \"proxmox\" or \"ec2\"), or fail over by hand.",
                lack.join(", ")
            ),
        ));
    }
}

#[cfg(test)]
mod tests;
