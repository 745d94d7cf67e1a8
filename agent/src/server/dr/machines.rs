//! From what a plan declares and a secret to what can stop a site's machine.

use hanse_core::name::ClusterName;
use hanse_core::object::DrPlan;
use hanse_core::object::dr_fencing::{self, GuestKind};
use hanse_core::object::dr_plan::Fencing;
use hanse_fence::{Ec2, Ec2Config, Guest, Outside, Proxmox, ProxmoxConfig};
use hanse_redirect::{AwsCredentials, Clock, ConfigError, Http, Secret};

use super::ways;

/// What stops a site's machine, with its secret; none: nobody does by an API.
pub(super) fn open(
    plan: &DrPlan,
    site: &ClusterName,
    secret: &[u8],
    clock: Clock,
) -> Option<Result<Outside, ConfigError>> {
    match plan.fencing.get(site)? {
        Fencing::Lease | Fencing::Watchdog | Fencing::Command { .. } => None,
        Fencing::Proxmox(machine) => Some(proxmox(machine, secret).map(Outside::Proxmox)),
        Fencing::Ec2(instance) => Some(ec2(instance, secret, clock).map(Outside::Ec2)),
    }
}

fn proxmox(machine: &dr_fencing::Proxmox, secret: &[u8]) -> Result<Proxmox, ConfigError> {
    let pins: Vec<_> = machine.fingerprints.iter().map(|it| it.bytes()).collect();
    let http = match &machine.ca {
        _ if !pins.is_empty() => Http::with_fingerprints(&pins)?,
        Some(pem) => Http::with_authorities(pem.as_bytes())?,
        None => ways::http()?,
    };
    let urls: Result<_, _> = machine.urls.iter().map(|url| url.parse()).collect();
    let config = ProxmoxConfig {
        urls: urls?,
        node: machine.node.clone(),
        vmid: machine.vmid,
        guest: match machine.kind {
            GuestKind::Vm => Guest::Vm,
            GuestKind::Container => Guest::Container,
        },
        name: machine.name.clone(),
        token_id: machine.token_id.clone(),
        token_secret: Secret::new(secret),
    };
    Proxmox::try_new(config, http)
}

fn ec2(instance: &dr_fencing::Ec2, secret: &[u8], clock: Clock) -> Result<Ec2, ConfigError> {
    let endpoint = instance.endpoint.as_deref().map(str::parse).transpose()?;
    let config = Ec2Config {
        instance_id: instance.instance_id.clone(),
        region: instance.region.clone(),
        name: instance.name.clone(),
        credentials: AwsCredentials {
            access_key_id: instance.access_key_id.clone(),
            secret_access_key: Secret::new(secret),
            session_token: None,
        },
        endpoint,
    };
    Ec2::try_new(config, ways::http()?, clock)
}
