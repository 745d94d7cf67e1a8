//! From what a plan declares and a secret to what can lead clients, or sign.

use std::sync::OnceLock;
use std::time::Duration;

use hanse_core::object::DrPlan;
use hanse_core::object::dr_redirect::{self, TsigAlgorithm, Way};
use hanse_core::secret::Purpose;
use hanse_redirect::hook::HookSecret;
use hanse_redirect::{
    AwsCredentials, Clock, ConfigError, Dns, DnsConfig, Http, Redirect, Route53, Route53Config,
    Secret, TsigKey,
};

use super::machines;

/// How long a server may take for each answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The purpose of the secret that a way needs.
pub(super) fn purpose(way: Way) -> Purpose {
    match way {
        Way::Dns => Purpose::Tsig,
        Way::Route53 => Purpose::Route53,
    }
}

/// What leads clients one way, with its secret; none: the plan has no such way.
pub(super) fn open(
    plan: &DrPlan,
    way: Way,
    secret: &[u8],
    clock: Clock,
) -> Option<Result<Redirect, ConfigError>> {
    match way {
        Way::Dns => {
            let dns = plan.dns.as_ref()?;
            Some(open_dns(dns, secret, clock).map(Redirect::Dns))
        }
        Way::Route53 => {
            let zone = plan.route53.as_ref()?;
            Some(open_route53(zone, secret, clock).map(Redirect::Route53))
        }
    }
}

/// Whether a secret could be what it is given for.
pub(super) fn check(plan: &DrPlan, purpose: &Purpose, secret: &[u8]) -> Result<(), ConfigError> {
    let clock = Clock::system();
    let opened = match purpose {
        Purpose::Tsig => open(plan, Way::Dns, secret, clock),
        Purpose::Route53 => open(plan, Way::Route53, secret, clock),
        Purpose::Hook(_) => return HookSecret::try_new(secret).map(drop),
        Purpose::Fence(site) => {
            let opened = machines::open(plan, site, secret, clock);
            return opened.map_or(Ok(()), |opened| opened.map(drop));
        }
        // It is checked by whoever knows what it is for.
        Purpose::Backup => return Ok(()),
    };
    opened.map_or(Ok(()), |opened| opened.map(drop))
}

/// One for all: it holds the host's certificate authorities.
pub(super) fn http() -> Result<Http, ConfigError> {
    static HTTP: OnceLock<Http> = OnceLock::new();
    if let Some(http) = HTTP.get() {
        return Ok(http.clone());
    }
    let http = Http::system()?;
    Ok(HTTP.get_or_init(|| http).clone())
}

fn open_dns(dns: &dr_redirect::Dns, secret: &[u8], clock: Clock) -> Result<Dns, ConfigError> {
    let algorithm = match dns.algorithm {
        TsigAlgorithm::HmacSha256 => hanse_redirect::TsigAlgorithm::HmacSha256,
        TsigAlgorithm::HmacSha384 => hanse_redirect::TsigAlgorithm::HmacSha384,
        TsigAlgorithm::HmacSha512 => hanse_redirect::TsigAlgorithm::HmacSha512,
    };
    let key_name = dns.tsig_key_name.to_string().parse()?;
    let config = DnsConfig {
        server: dns.server.to_string(),
        zone: dns.zone.to_string().parse()?,
        record: dns.record.to_string().parse()?,
        ttl_s: seconds(dns.ttl.value()),
        key: TsigKey::try_new(key_name, algorithm, &String::from_utf8_lossy(secret))?,
        timeout: TIMEOUT,
    };
    Dns::try_new(config, clock)
}

fn open_route53(
    zone: &dr_redirect::Route53,
    secret: &[u8],
    clock: Clock,
) -> Result<Route53, ConfigError> {
    let endpoint = zone.endpoint.as_deref().map(str::parse).transpose()?;
    let config = Route53Config {
        hosted_zone: zone.zone_id.clone(),
        record: zone.record.to_string().parse()?,
        ttl_s: seconds(zone.ttl.value()),
        credentials: AwsCredentials {
            access_key_id: zone.access_key_id.clone(),
            secret_access_key: Secret::new(secret),
            session_token: None,
        },
        endpoint,
        region: zone.region.clone(),
        timeout: TIMEOUT,
        // Whoever waited for all of its name servers would lengthen each failover.
        in_sync: None,
    };
    Route53::try_new(config, http()?, clock)
}

fn seconds(length: Duration) -> u32 {
    u32::try_from(length.as_secs()).unwrap_or(u32::MAX)
}
