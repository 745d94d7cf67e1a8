//! Rules of how clients outside the mesh are led, and of who is told.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::duration::Span;
use crate::finding::{Finding, Path};
use crate::name::ClusterName;
use crate::object::DrPlan;

/// How long resolvers may keep a record at most: nobody waits longer for a failover.
const TTL_MAX: Duration = Duration::from_secs(24 * 3600);
/// The most hooks of a plan: each has a queue on every voter.
const HOOKS_MAX: usize = 8;

/// Checks how a plan leads clients and whom it tells.
pub(super) fn check(plan: &DrPlan, findings: &mut Vec<Finding>) {
    if let Some(dns) = &plan.dns {
        let path = |name| Path::of("dns").attribute(name);
        if !dns.record.is_within(&dns.zone) {
            findings.push(Finding::error(
                path("record"),
                "A record outside its zone",
                format!(
                    "`{}` is not in the zone `{}`. Write a record that ends with .{1}.",
                    dns.record, dns.zone
                ),
            ));
        }
        ttl(&dns.ttl, path("ttl"), findings);
        let version = dns.tsig_secret_version;
        is_version(version, path("tsig_secret_wo_version"), findings);
        addresses(plan, &dns.addresses, &path("addresses"), findings);
    }
    if let Some(zone) = &plan.route53 {
        let path = |name| Path::of("route53").attribute(name);
        ttl(&zone.ttl, path("ttl"), findings);
        let version = zone.secret_access_key_version;
        is_version(version, path("secret_access_key_wo_version"), findings);
        addresses(plan, &zone.addresses, &path("addresses"), findings);
        let id = zone.zone_id.rsplit('/').next().unwrap_or_default();
        if id.is_empty() || id.len() > 32 || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            findings.push(Finding::error(
                path("zone_id"),
                "No id of a hosted zone",
                "Write one such as Z0123456789ABC: `aws route53 list-hosted-zones` shows it.",
            ));
        }
        if zone.access_key_id.is_empty() {
            findings.push(Finding::error(
                path("access_key_id"),
                "No access key",
                "Write the id of the access key that may change the zone.",
            ));
        }
        if let Some(endpoint) = &zone.endpoint {
            is_endpoint(endpoint, path("endpoint"), findings);
        }
    }
    if plan.hooks.len() > HOOKS_MAX {
        findings.push(Finding::error(
            Path::of("hooks"),
            "Too many hooks",
            format!("A plan has at most {HOOKS_MAX}."),
        ));
    }
    for (name, hook) in &plan.hooks {
        let path = |attribute| Path::of("hooks").key(name).attribute(attribute);
        is_url(&hook.url, path("url"), findings);
        is_version(hook.secret_version, path("secret_wo_version"), findings);
    }
}

fn ttl(ttl: &Span, path: Path, findings: &mut Vec<Finding>) {
    let value = ttl.value();
    if value < Duration::from_secs(1) || value > TTL_MAX || value.subsec_nanos() > 0 {
        findings.push(Finding::error(
            path,
            "No such TTL",
            format!("Resolvers keep a record for whole seconds: write 1s to 24h, not {ttl}."),
        ));
    }
}

pub(super) fn is_version(version: u64, path: Path, findings: &mut Vec<Finding>) {
    if version == 0 {
        findings.push(Finding::error(
            path,
            "Which secret?",
            "Write 1 with the first secret, and a higher number with each that replaces it.",
        ));
    }
}

fn addresses(
    plan: &DrPlan,
    addresses: &BTreeMap<ClusterName, IpAddr>,
    path: &Path,
    findings: &mut Vec<Finding>,
) {
    for site in addresses.keys() {
        if !plan.sites().any(|other| other == site) {
            findings.push(Finding::error(
                path.clone().key(site),
                "A site without a copy",
                format!("`{site}` is neither the home nor a standby of this plan."),
            ));
        }
    }
}

/// Whoever sends reads it whole.
pub(super) fn is_url(text: &str, path: Path, findings: &mut Vec<Finding>) {
    let rest = ["https://", "http://"].map(|scheme| text.strip_prefix(scheme));
    let rest = rest.into_iter().flatten().next().unwrap_or_default();
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    if host.is_empty() || host.contains('@') || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        findings.push(Finding::error(
            path,
            "No such URL",
            "Write one such as https://hooks.example.org/hanse, without a user or a password.",
        ));
    }
}

/// Where an API of AWS's is asked: requests are signed and not hidden, and answers aren't signed. Whoever
/// is between would answer that a machine is stopped, or a name led elsewhere.
pub(super) fn is_endpoint(text: &str, path: Path, findings: &mut Vec<Finding>) {
    let plain = text.strip_prefix("http://");
    if plain.is_none_or(is_loopback) {
        return is_url(text, path, findings);
    }
    findings.push(Finding::error(
        path,
        "An answer that anybody may give",
        "Whoever is between could answer in its place: write a URL that begins with https://. Only an \
         address of this host's own, such as http://127.0.0.1:5000, may do without.",
    ));
}

/// Whether what follows a scheme is an address that no packet leaves the host for. A name is none: it is
/// whatever somebody answers.
fn is_loopback(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_port = |text: &str| text.parse::<u16>().is_ok();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if is_port(port) => host,
        Some(_) | None => authority,
    };
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    match inner {
        Some(inner) => inner.parse().is_ok_and(|it: Ipv6Addr| it.is_loopback()),
        None => host.parse().is_ok_and(|it: Ipv4Addr| it.is_loopback()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::dr_redirect::{Dns, Hook, Route53, TsigAlgorithm};
    use crate::testing::dr_plan;

    fn whole() -> DrPlan {
        let dns = Dns {
            server: "192.0.2.53:53".parse().unwrap(),
            zone: "example.org".parse().unwrap(),
            record: "app.example.org".parse().unwrap(),
            ttl: Span::from_secs(30),
            tsig_key_name: "hanse".parse().unwrap(),
            algorithm: TsigAlgorithm::HmacSha256,
            tsig_secret_version: 1,
            addresses: [("a".parse().unwrap(), "192.0.2.1".parse().unwrap())].into(),
        };
        let route53 = Route53 {
            zone_id: "Z0123456789ABC".to_owned(),
            record: "app.example.org".parse().unwrap(),
            ttl: Span::from_secs(60),
            access_key_id: "AKIA".to_owned(),
            secret_access_key_version: 1,
            region: None,
            endpoint: Some("http://127.0.0.1:5000".to_owned()),
            addresses: BTreeMap::new(),
        };
        let hook = Hook {
            url: "https://hooks.example.org/hanse?x=1".to_owned(),
            secret_version: 1,
            events: Default::default(),
        };
        DrPlan {
            dns: Some(dns),
            route53: Some(route53),
            hooks: [("pager".parse().unwrap(), hook)].into(),
            ..dr_plan()
        }
    }

    fn found(change: impl FnOnce(&mut DrPlan, &mut Dns, &mut Route53, &mut Hook)) -> Vec<String> {
        let mut plan = whole();
        let (mut dns, mut route53) = (plan.dns.take().unwrap(), plan.route53.take().unwrap());
        let (name, mut hook) = plan.hooks.pop_first().unwrap();
        change(&mut plan, &mut dns, &mut route53, &mut hook);
        (plan.dns, plan.route53) = (Some(dns), Some(route53));
        plan.hooks.insert(name, hook);
        let mut findings = Vec::new();
        check(&plan, &mut findings);
        let paths = findings.iter().map(|finding| finding.path.to_string());
        paths.collect()
    }

    #[test]
    fn what_can_be_led_and_told_has_no_finding() {
        assert_eq!(found(|_, _, _, _| ()), Vec::<String>::new());
    }

    #[test]
    fn each_fault_is_found_at_its_own_attribute() {
        let one = found(|_, dns, _, _| dns.zone = "example.net".parse().unwrap());
        assert_eq!(one, ["dns.record"]);
        for ttl in ["0s", "1500ms", "25h"] {
            assert_eq!(
                found(|_, dns, _, _| dns.ttl = ttl.parse().unwrap()),
                ["dns.ttl"]
            );
        }
        let one = found(|_, dns, _, _| dns.tsig_secret_version = 0);
        assert_eq!(one, ["dns.tsig_secret_wo_version"]);
        let one = found(|_, _, zone, _| zone.secret_access_key_version = 0);
        assert_eq!(one, ["route53.secret_access_key_wo_version"]);
        let one = found(|_, _, zone, _| zone.zone_id = "Z-1".to_owned());
        assert_eq!(one, ["route53.zone_id"]);
        let one = found(|_, _, zone, _| zone.access_key_id.clear());
        assert_eq!(one, ["route53.access_key_id"]);
        let one = found(|_, _, _, hook| hook.secret_version = 0);
        assert_eq!(one, ["hooks[\"pager\"].secret_wo_version"]);
        for url in ["", "ftp://a", "https://", "https://me:pw@a/", "https://a b"] {
            let one = found(|_, _, _, hook| hook.url = url.to_owned());
            assert_eq!(one, ["hooks[\"pager\"].url"], "{url}");
        }
        let stray = found(|_, dns, _, _| {
            dns.addresses = [("x".parse().unwrap(), "192.0.2.1".parse().unwrap())].into();
        });
        assert_eq!(stray, ["dns.addresses[\"x\"]"]);
    }

    #[test]
    fn an_api_is_asked_in_the_clear_on_the_host_itself_alone() {
        let told =
            |endpoint: &str| found(|_, _, zone, _| zone.endpoint = Some(endpoint.to_owned()));
        for good in [
            "https://route53.amazonaws.com.cn",
            "http://127.0.0.1:5000",
            "http://127.8.9.10/path",
            "http://[::1]:5000/",
            "http://[::1]",
        ] {
            assert_eq!(told(good), [""; 0], "{good}");
        }
        for bad in [
            "http://route53.amazonaws.com",
            "http://192.0.2.1:5000",
            "http://127.0.0.1.example.org",
            "http://127.0.0.1@example.org",
            "http://127.0.0.1:5000@example.org",
            "http://localhost:5000",
            "http://[::2]",
            "http://[::1",
            "http://",
            "ftp://127.0.0.1",
            "https://me:pw@a/",
        ] {
            assert_eq!(told(bad), ["route53.endpoint"], "{bad}");
        }
    }

    #[test]
    fn a_plan_needs_one_secret_for_each_way_and_each_hook_and_an_older_state_has_none() {
        let named = |plan: &DrPlan| -> Vec<(String, String)> {
            let secrets = plan.secrets().into_iter();
            secrets
                .map(|(name, path)| (name.to_string(), path.to_string()))
                .collect()
        };
        let expected = [
            ("plan/orders/tsig/1", "dns.tsig_secret_wo"),
            ("plan/orders/route53/1", "route53.secret_access_key_wo"),
            ("plan/orders/hook/pager/1", "hooks[\"pager\"].secret_wo"),
        ];
        let expected = expected.map(|(name, path)| (name.to_owned(), path.to_owned()));
        assert_eq!(named(&whole()), expected);
        assert_eq!(whole().dns_ttl(), Some(Duration::from_secs(60)));
        let older = serde_json::to_string(&dr_plan()).unwrap();
        let is_new = |field: &&str| older.contains(*field);
        assert_eq!(
            ["\"dns\"", "\"route53\"", "\"hooks\""]
                .iter()
                .find(|f| is_new(f)),
            None
        );
        assert_eq!(serde_json::from_str::<DrPlan>(&older).unwrap(), dr_plan());
    }
}
