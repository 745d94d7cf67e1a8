//! How clients outside the mesh are led to a DR plan's primary, and who is told of its runs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use hanse_core::duration::Span;
use hanse_core::finding::Path;
use hanse_core::name::{ClusterName, HookName};
use hanse_core::object::dr_redirect::{Dns, Hook, Route53, TTL_DEFAULT, TsigAlgorithm};

use super::collector::Collector;
use crate::proto;

pub(super) fn dns_to_proto(dns: &Dns) -> proto::Dns {
    proto::Dns {
        server: dns.server.to_string(),
        zone: dns.zone.to_string(),
        record: dns.record.to_string(),
        ttl: dns.ttl.to_string(),
        tsig_key_name: dns.tsig_key_name.to_string(),
        algorithm: dns.algorithm.to_string(),
        tsig_secret_version: dns.tsig_secret_version,
        addresses: addresses_to_proto(&dns.addresses),
    }
}

pub(super) fn route53_to_proto(zone: &Route53) -> proto::Route53 {
    proto::Route53 {
        zone_id: zone.zone_id.clone(),
        record: zone.record.to_string(),
        ttl: zone.ttl.to_string(),
        access_key_id: zone.access_key_id.clone(),
        secret_access_key_version: zone.secret_access_key_version,
        region: zone.region.clone().unwrap_or_default(),
        endpoint: zone.endpoint.clone().unwrap_or_default(),
        addresses: addresses_to_proto(&zone.addresses),
    }
}

pub(super) fn hooks_to_proto(hooks: &BTreeMap<HookName, Hook>) -> BTreeMap<String, proto::Hook> {
    let hooks = hooks.iter().map(|(name, hook)| {
        let hook = proto::Hook {
            url: hook.url.clone(),
            secret_version: hook.secret_version,
            events: hook.events.iter().map(ToString::to_string).collect(),
        };
        (name.to_string(), hook)
    });
    hooks.collect()
}

fn addresses_to_proto(addresses: &BTreeMap<ClusterName, IpAddr>) -> BTreeMap<String, String> {
    let each = addresses.iter();
    each.map(|(site, address)| (site.to_string(), address.to_string()))
        .collect()
}

pub(super) fn read_dns(collector: &mut Collector, dns: Option<&proto::Dns>) -> Option<Option<Dns>> {
    let Some(dns) = dns else {
        return Some(None);
    };
    let at = |name| Path::of("dns").attribute(name);
    let server = collector.parse(at("server"), "server", &dns.server);
    let zone = collector.parse(at("zone"), "DNS name", &dns.zone);
    let record = collector.parse(at("record"), "DNS name", &dns.record);
    let ttl = read_ttl(collector, at("ttl"), &dns.ttl);
    let tsig_key_name = collector.parse(at("tsig_key_name"), "DNS name", &dns.tsig_key_name);
    let default = TsigAlgorithm::HmacSha256;
    let algorithm = collector.parse_or(at("algorithm"), "algorithm", &dns.algorithm, default);
    let addresses = read_addresses(collector, &at("addresses"), &dns.addresses);
    Some(Some(Dns {
        server: server?,
        zone: zone?,
        record: record?,
        ttl: ttl?,
        tsig_key_name: tsig_key_name?,
        algorithm: algorithm?,
        tsig_secret_version: dns.tsig_secret_version,
        addresses: addresses?,
    }))
}

pub(super) fn read_route53(
    collector: &mut Collector,
    zone: Option<&proto::Route53>,
) -> Option<Option<Route53>> {
    let Some(zone) = zone else {
        return Some(None);
    };
    let at = |name| Path::of("route53").attribute(name);
    let record = collector.parse(at("record"), "DNS name", &zone.record);
    let ttl = read_ttl(collector, at("ttl"), &zone.ttl);
    let addresses = read_addresses(collector, &at("addresses"), &zone.addresses);
    let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    Some(Some(Route53 {
        zone_id: zone.zone_id.clone(),
        record: record?,
        ttl: ttl?,
        access_key_id: zone.access_key_id.clone(),
        secret_access_key_version: zone.secret_access_key_version,
        region: some(&zone.region),
        endpoint: some(&zone.endpoint),
        addresses: addresses?,
    }))
}

pub(super) fn read_hooks(
    collector: &mut Collector,
    hooks: &BTreeMap<String, proto::Hook>,
) -> Option<BTreeMap<HookName, Hook>> {
    let read: Vec<_> = hooks
        .iter()
        .map(|(name, hook)| {
            let path = Path::of("hooks").key(name);
            let name = collector.parse(path.clone(), "name", name);
            let events = collector.list(&path.attribute("events"), "event", &hook.events);
            let hook = Hook {
                url: hook.url.clone(),
                secret_version: hook.secret_version,
                events: events?.into_iter().collect::<BTreeSet<_>>(),
            };
            Some((name?, hook))
        })
        .collect();
    read.into_iter().collect()
}

fn read_ttl(collector: &mut Collector, path: Path, text: &str) -> Option<Span> {
    let text = if text.is_empty() { TTL_DEFAULT } else { text };
    collector.parse(path, "duration", text)
}

fn read_addresses(
    collector: &mut Collector,
    path: &Path,
    addresses: &BTreeMap<String, String>,
) -> Option<BTreeMap<ClusterName, IpAddr>> {
    let read: Vec<_> = addresses
        .iter()
        .map(|(site, address)| {
            let path = path.clone().key(site);
            let cluster = collector.parse(path.clone(), "name", site);
            let address = collector.parse(path, "address", address);
            Some((cluster?, address?))
        })
        .collect();
    read.into_iter().collect()
}
