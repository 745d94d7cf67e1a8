//! Rules of how the sites of a plan are fenced.

use std::time::Duration;

use crate::check::dr_redirect::{is_endpoint, is_url, is_version};
use crate::duration::Span;
use crate::finding::{Finding, Path};
use crate::inventory::Inventory;
use crate::object::DrPlan;
use crate::object::dr_fencing::{Ec2, Proxmox};
use crate::object::dr_plan::Fencing;
use crate::object::member_cluster::Platform;

/// What a fence from outside may take. A failover waits for it.
const TIMEOUT_MIN: Duration = Duration::from_secs(1);
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);
/// The most places at which the API of one Proxmox VE cluster is looked for.
const URLS_MAX: usize = 16;
/// The numbers that Proxmox VE gives.
const VMID_MIN: u32 = 100;
const VMID_MAX: u32 = 999_999_999;

/// Checks how the sites of a plan are fenced.
pub(super) fn check(inventory: &Inventory, plan: &DrPlan, findings: &mut Vec<Finding>) {
    for (site, how) in &plan.fencing {
        let path = Path::of("fencing").key(site);
        if !plan.sites().any(|other| other == site) {
            findings.push(Finding::error(
                path.clone(),
                "A site without a copy",
                format!("`{site}` is neither the home nor a standby of this plan."),
            ));
        }
        match how {
            Fencing::Lease | Fencing::Watchdog => {}
            Fencing::Command { command, timeout } => {
                self::command(&path, command, findings);
                self::timeout(path.attribute("timeout"), Some(timeout), findings);
            }
            Fencing::Proxmox(machine) => {
                proxmox(&path.clone().attribute("proxmox"), machine, findings);
                timeout(
                    path.attribute("timeout"),
                    machine.timeout.as_ref(),
                    findings,
                );
            }
            Fencing::Ec2(instance) => {
                ec2(&path.clone().attribute("ec2"), instance, findings);
                timeout(
                    path.attribute("timeout"),
                    instance.timeout.as_ref(),
                    findings,
                );
            }
        }
    }
    one_machine_for_each(plan, findings);
    paused(inventory, plan, findings);
}

fn command(path: &Path, command: &[String], findings: &mut Vec<Finding>) {
    let path = path.clone().attribute("command");
    if command.first().is_none_or(String::is_empty) {
        findings.push(Finding::error(
            path.clone(),
            "No program",
            "Write the program that fences the node, and its arguments after it.",
        ));
    }
    if command.iter().any(|word| word.contains('\0')) {
        findings.push(Finding::error(
            path,
            "Not an argument",
            "A program can't be given a zero byte.",
        ));
    }
}

fn timeout(path: Path, timeout: Option<&Span>, findings: &mut Vec<Finding>) {
    let limits = TIMEOUT_MIN..=TIMEOUT_MAX;
    if let Some(timeout) = timeout.filter(|timeout| !limits.contains(&timeout.value())) {
        findings.push(Finding::error(
            path,
            "No such time for a fence",
            format!("A failover waits for the fence: write 1s to 1h, not {timeout}."),
        ));
    }
}

fn proxmox(path: &Path, machine: &Proxmox, findings: &mut Vec<Finding>) {
    let at = |name: &str| path.clone().attribute(name);
    if machine.urls.is_empty() || machine.urls.len() > URLS_MAX {
        findings.push(Finding::error(
            at("urls"),
            "Nowhere to ask",
            format!(
                "Write where the API of Proxmox VE is, such as https://pve1.example.org:8006, on 1 \
                 to {URLS_MAX} nodes of its cluster."
            ),
        ));
    }
    for (place, url) in machine.urls.iter().enumerate() {
        if url.starts_with("https://") {
            is_url(url, at("urls").index(place), findings);
        } else {
            findings.push(Finding::error(
                at("urls").index(place),
                "A token for anybody to read",
                "The API token goes there with each request: write a URL that begins with https://.",
            ));
        }
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    if machine.node.is_empty() || !machine.node.bytes().all(is_plain) {
        findings.push(Finding::error(
            at("node"),
            "No node of Proxmox VE",
            "Write the node's name as Proxmox VE shows it, such as pve1.",
        ));
    }
    if !(VMID_MIN..=VMID_MAX).contains(&machine.vmid) {
        findings.push(Finding::error(
            at("vmid"),
            "No number of a machine",
            format!("Proxmox VE numbers machines from {VMID_MIN} to {VMID_MAX}."),
        ));
    }
    if !is_token_id(&machine.token_id) {
        findings.push(Finding::error(
            at("token_id"),
            "No id of an API token",
            "Write it as `pveum user token list` shows it, such as hanse@pve!fence.",
        ));
    }
    if !machine.fingerprints.is_empty() && machine.ca.is_some() {
        findings.push(Finding::error(
            at("ca"),
            "Two ways to know the server",
            "It is known by its certificate's fingerprint or by its authority. Write one of the two.",
        ));
    }
    let begins = "-----BEGIN CERTIFICATE-----";
    if machine.ca.as_ref().is_some_and(|pem| !pem.contains(begins)) {
        findings.push(Finding::error(
            at("ca"),
            "No certificate",
            "Write the authority's certificate in PEM: Proxmox VE has its own in \
             /etc/pve/pve-root-ca.pem.",
        ));
    }
    name(machine.name.as_ref(), at("name"), findings);
    let version = machine.token_secret_version;
    is_version(version, at("token_secret_wo_version"), findings);
}

/// `user@realm!name`, with nothing that would end a header.
fn is_token_id(text: &str) -> bool {
    let is_whole = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'=');
    let parts = text.split_once('!').and_then(|(user, name)| {
        let (user, realm) = user.rsplit_once('@')?;
        Some([user, realm, name])
    });
    is_whole && parts.is_some_and(|parts| !parts.contains(&""))
}

fn ec2(path: &Path, instance: &Ec2, findings: &mut Vec<Finding>) {
    let at = |name: &str| path.clone().attribute(name);
    let id = instance.instance_id.strip_prefix("i-").unwrap_or_default();
    if !matches!(id.len(), 8 | 17) || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        findings.push(Finding::error(
            at("instance_id"),
            "No id of an instance",
            "Write one such as i-0123456789abcdef0.",
        ));
    }
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if instance.region.is_empty() || !instance.region.bytes().all(is_plain) {
        findings.push(Finding::error(
            at("region"),
            "No region",
            "Write one such as eu-central-1.",
        ));
    }
    let key = &instance.access_key_id;
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        findings.push(Finding::error(
            at("access_key_id"),
            "No access key",
            "Write the id of an access key that may stop the instance.",
        ));
    }
    if let Some(endpoint) = &instance.endpoint {
        is_endpoint(endpoint, at("endpoint"), findings);
    }
    name(instance.name.as_ref(), at("name"), findings);
    let version = instance.secret_access_key_version;
    is_version(version, at("secret_access_key_wo_version"), findings);
}

fn name(name: Option<&String>, path: Path, findings: &mut Vec<Finding>) {
    if name.is_some_and(String::is_empty) {
        findings.push(Finding::error(
            path,
            "No name",
            "Write the machine's name, or leave this out to stop whatever has its number.",
        ));
    }
}

/// Whoever fences one site must not stop another's machine, which may be the one that is promoted.
fn one_machine_for_each(plan: &DrPlan, findings: &mut Vec<Finding>) {
    let sites: Vec<_> = plan.fencing.iter().collect();
    for (place, (site, how)) in sites.iter().enumerate() {
        let same = |(_, other): &&&(_, &Fencing)| match (how, other) {
            (Fencing::Proxmox(one), Fencing::Proxmox(other)) => {
                let is_shared = |url: &String| other.urls.contains(url);
                one.vmid == other.vmid && one.urls.iter().any(is_shared)
            }
            (Fencing::Ec2(one), Fencing::Ec2(other)) => {
                one.instance_id == other.instance_id && one.region == other.region
            }
            (
                Fencing::Lease
                | Fencing::Watchdog
                | Fencing::Command { .. }
                | Fencing::Proxmox(_)
                | Fencing::Ec2(_),
                _,
            ) => false,
        };
        if let Some((other, _)) = sites[..place].iter().find(|it| same(&it)) {
            findings.push(Finding::error(
                Path::of("fencing").key(site),
                "One machine of two sites",
                format!(
                    "The machine that is stopped here is that of `{other}` too: whoever fences one \
                     site would stop the other."
                ),
            ));
        }
    }
}

/// A machine whose clock stands still while it is paused doesn't notice the end of its lease (rule 3).
fn paused(inventory: &Inventory, plan: &DrPlan, findings: &mut Vec<Finding>) {
    let terms = plan.terms(0, &inventory.federation.spec);
    let is_at_risk = plan.automatic_failover
        && !plan.accept_pause_risk
        && !plan.is_synchronous(&inventory.federation.spec);
    for site in plan.sites().filter(|_| is_at_risk) {
        let platform = inventory
            .clusters
            .get(site)
            .map(|stored| stored.spec.platform);
        let may_pause = match platform {
            Some(Platform::Aws | Platform::Gcp | Platform::Azure | Platform::Oci) => true,
            Some(Platform::Proxmox | Platform::Kubernetes | Platform::Edge | Platform::Other)
            | None => false,
        };
        if may_pause && !terms.fenced_outside.contains(site) {
            findings.push(Finding::error(
                Path::of("fencing"),
                "A paused machine could write on",
                format!(
                    "The machines of `{site}` are virtual: one that is paused for longer than its \
                     lease doesn't notice, and may acknowledge writes for a moment when it goes on. \
                     Say how it is fenced from outside (fencing), take replication.mode = \"sync\", \
                     or write accept_pause_risk = true."
                ),
            ));
        }
    }
}

#[cfg(test)]
mod tests;
