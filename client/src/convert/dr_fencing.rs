//! How the sites of a DR plan are fenced.

use std::collections::BTreeMap;

use hanse_core::duration::Span;
use hanse_core::finding::Path;
use hanse_core::name::ClusterName;
use hanse_core::object::dr_fencing::{Ec2, GuestKind, Proxmox};
use hanse_core::object::dr_plan::Fencing;

use super::collector::Collector;
use crate::proto;

pub(super) fn fencing_to_proto(fencing: &Fencing) -> proto::Fencing {
    let text = |timeout: &Option<Span>| timeout.as_ref().map(Span::to_string).unwrap_or_default();
    let method = |method: &str| proto::Fencing {
        method: method.to_owned(),
        ..Default::default()
    };
    match fencing {
        Fencing::Lease => method("lease"),
        Fencing::Watchdog => method("watchdog"),
        Fencing::Command { command, timeout } => proto::Fencing {
            command: command.clone(),
            timeout: timeout.to_string(),
            ..method("command")
        },
        Fencing::Proxmox(machine) => proto::Fencing {
            timeout: text(&machine.timeout),
            proxmox: Some(proxmox_to_proto(machine)),
            ..method("proxmox")
        },
        Fencing::Ec2(instance) => proto::Fencing {
            timeout: text(&instance.timeout),
            ec2: Some(ec2_to_proto(instance)),
            ..method("ec2")
        },
    }
}

fn proxmox_to_proto(machine: &Proxmox) -> proto::ProxmoxMachine {
    let fingerprints = machine.fingerprints.iter();
    proto::ProxmoxMachine {
        urls: machine.urls.clone(),
        node: machine.node.clone(),
        vmid: machine.vmid,
        kind: machine.kind.to_string(),
        name: machine.name.clone().unwrap_or_default(),
        token_id: machine.token_id.clone(),
        token_secret_version: machine.token_secret_version,
        fingerprints: fingerprints.map(ToString::to_string).collect(),
        ca: machine.ca.clone().unwrap_or_default(),
    }
}

fn ec2_to_proto(instance: &Ec2) -> proto::Ec2Instance {
    proto::Ec2Instance {
        instance_id: instance.instance_id.clone(),
        region: instance.region.clone(),
        name: instance.name.clone().unwrap_or_default(),
        access_key_id: instance.access_key_id.clone(),
        secret_access_key_version: instance.secret_access_key_version,
        endpoint: instance.endpoint.clone().unwrap_or_default(),
    }
}

pub(super) fn read_fencing(
    collector: &mut Collector,
    fencing: &BTreeMap<String, proto::Fencing>,
) -> Option<BTreeMap<ClusterName, Fencing>> {
    let read: Vec<_> = fencing
        .iter()
        .map(|(site, fencing)| {
            let path = Path::of("fencing").key(site);
            let cluster = collector.parse(path.clone(), "name", site);
            let how = read_one(collector, &path, fencing);
            Some((cluster?, how?))
        })
        .collect();
    read.into_iter().collect()
}

fn read_one(collector: &mut Collector, path: &Path, fencing: &proto::Fencing) -> Option<Fencing> {
    let at = |name| path.clone().attribute(name);
    match fencing.method.as_str() {
        "lease" => Some(Fencing::Lease),
        "watchdog" => Some(Fencing::Watchdog),
        "command" => {
            let timeout = collector.parse(at("timeout"), "duration", &fencing.timeout);
            timeout.map(|timeout| Fencing::Command {
                command: fencing.command.clone(),
                timeout,
            })
        }
        "proxmox" => {
            let timeout = collector.optional(at("timeout"), "duration", &fencing.timeout);
            let Some(machine) = &fencing.proxmox else {
                return lacks(
                    collector,
                    at("proxmox"),
                    "which machine is stopped (proxmox)",
                );
            };
            let machine = read_proxmox(collector, &at("proxmox"), machine);
            Some(Fencing::Proxmox(Proxmox {
                timeout: timeout?,
                ..machine?
            }))
        }
        "ec2" => {
            let timeout = collector.optional(at("timeout"), "duration", &fencing.timeout);
            let Some(instance) = &fencing.ec2 else {
                return lacks(collector, at("ec2"), "which instance is stopped (ec2)");
            };
            Some(Fencing::Ec2(read_ec2(instance, timeout?)))
        }
        other => {
            let other: String = other.chars().take(64).collect();
            let detail = format!("`{other}` is not one of lease, watchdog, command, proxmox, ec2.");
            let summary = "Invalid method of fencing".to_owned();
            collector.fault(at("method"), summary, detail);
            None
        }
    }
}

fn lacks<T>(collector: &mut Collector, path: Path, what: &str) -> Option<T> {
    let detail = format!("This method of fencing needs to know {what}.");
    collector.fault(path, "Nothing to stop".to_owned(), detail);
    None
}

fn read_proxmox(
    collector: &mut Collector,
    path: &Path,
    machine: &proto::ProxmoxMachine,
) -> Option<Proxmox> {
    let at = |name| path.clone().attribute(name);
    let kind = collector.parse_or(at("kind"), "kind", &machine.kind, GuestKind::Vm);
    let fingerprints = &machine.fingerprints;
    let fingerprints = collector.list(&at("fingerprints"), "fingerprint", fingerprints);
    Some(Proxmox {
        urls: machine.urls.clone(),
        node: machine.node.clone(),
        vmid: machine.vmid,
        kind: kind?,
        name: some(&machine.name),
        token_id: machine.token_id.clone(),
        token_secret_version: machine.token_secret_version,
        fingerprints: fingerprints?,
        ca: some(&machine.ca),
        timeout: None,
    })
}

fn read_ec2(instance: &proto::Ec2Instance, timeout: Option<Span>) -> Ec2 {
    Ec2 {
        instance_id: instance.instance_id.clone(),
        region: instance.region.clone(),
        name: some(&instance.name),
        access_key_id: instance.access_key_id.clone(),
        secret_access_key_version: instance.secret_access_key_version,
        endpoint: some(&instance.endpoint),
        timeout,
    }
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}
