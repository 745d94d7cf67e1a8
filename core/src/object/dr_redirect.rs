//! How clients outside the mesh are led to a DR plan's primary, and who is told of its runs.
//!
//! No secret is here: a version says which one is meant, and the state has that one sealed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::dr_plan::DrPlan;
use super::words;
use crate::dns_name::DnsName;
use crate::duration::Span;
use crate::endpoint::Endpoint;
use crate::finding::Path;
use crate::name::ClusterName;
use crate::secret::{PlanSecret, Purpose};

/// For how long resolvers may keep a record, unless declared otherwise.
pub const TTL_DEFAULT: &str = "30s";

words! {
    /// How messages to a DNS server are signed.
    TsigAlgorithm {
        /// HMAC with SHA-256.
        HmacSha256 = "hmac-sha256",
        /// HMAC with SHA-384.
        HmacSha384 = "hmac-sha384",
        /// HMAC with SHA-512.
        HmacSha512 = "hmac-sha512",
    }
}

words! {
    /// What a hook is told.
    HookEvent {
        /// A run began.
        Begun = "begun",
        /// A site was promoted.
        Promoted = "promoted",
        /// A run ended.
        Ended = "ended",
        /// Something was to happen and is refused, or held until somebody acts.
        Refused = "refused",
    }
}

words! {
    /// A way to lead clients outside the mesh.
    Way {
        /// By a DNS server.
        Dns = "dns",
        /// By Amazon Route 53.
        Route53 = "route53",
    }
}

/// A record on a DNS server, which takes signed updates (RFC 2136).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dns {
    /// The zone's primary server.
    pub server: Endpoint,
    /// The zone.
    pub zone: DnsName,
    /// The record.
    pub record: DnsName,
    /// For how long resolvers may keep it.
    pub ttl: Span,
    /// The name of the key that updates are signed with.
    pub tsig_key_name: DnsName,
    /// How they are signed.
    pub algorithm: TsigAlgorithm,
    /// Which secret the key has.
    pub tsig_secret_version: u64,
    /// Where clients are led when a site is primary; by default to its node's address in the mesh.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub addresses: BTreeMap<ClusterName, IpAddr>,
}

/// A record in a hosted zone of Amazon Route 53.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route53 {
    /// The hosted zone's id.
    pub zone_id: String,
    /// The record.
    pub record: DnsName,
    /// For how long resolvers may keep it.
    pub ttl: Span,
    /// The id of the access key.
    pub access_key_id: String,
    /// Which secret the access key has.
    pub secret_access_key_version: u64,
    /// The region that requests are signed for; unset: us-east-1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Another endpoint than AWS's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Where clients are led when a site is primary; by default to its node's address in the mesh.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub addresses: BTreeMap<ClusterName, IpAddr>,
}

/// Who is told of a plan's runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// Where events are posted.
    pub url: String,
    /// Which secret they are signed with.
    pub secret_version: u64,
    /// What is told; none: everything.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub events: BTreeSet<HookEvent>,
}

impl Hook {
    /// Whether it is told such an event.
    #[must_use]
    pub fn hears(&self, event: HookEvent) -> bool {
        self.events.is_empty() || self.events.contains(&event)
    }
}

impl DrPlan {
    /// Every secret that the plan needs, each with where it is given.
    #[must_use]
    pub fn secrets(&self) -> Vec<(PlanSecret, Path)> {
        let secret = |purpose, version| PlanSecret {
            plan: self.name.clone(),
            purpose,
            version,
        };
        let dns = self.dns.iter().map(|dns| {
            let path = Path::of("dns").attribute("tsig_secret_wo");
            (secret(Purpose::Tsig, dns.tsig_secret_version), path)
        });
        let route53 = self.route53.iter().map(|zone| {
            let path = Path::of("route53").attribute("secret_access_key_wo");
            (
                secret(Purpose::Route53, zone.secret_access_key_version),
                path,
            )
        });
        let hooks = self.hooks.iter().map(|(name, hook)| {
            let path = Path::of("hooks").key(name).attribute("secret_wo");
            (
                secret(Purpose::Hook(name.clone()), hook.secret_version),
                path,
            )
        });
        let backup = self.backup.iter().map(|backup| {
            let path = Path::of("backup").attribute("password_wo");
            (secret(Purpose::Backup, backup.password_version), path)
        });
        let redirects = dns.chain(route53).chain(hooks).chain(backup);
        redirects.chain(self.fencing_secrets()).collect()
    }

    /// Where one way leads clients when a site is primary, as declared; none: to its node's address in
    /// the mesh.
    #[must_use]
    pub fn address_of(&self, way: Way, site: &ClusterName) -> Option<IpAddr> {
        let addresses = match way {
            Way::Dns => &self.dns.as_ref()?.addresses,
            Way::Route53 => &self.route53.as_ref()?.addresses,
        };
        addresses.get(site).copied()
    }

    /// The ways in which clients outside the mesh are led, each with its record.
    #[must_use]
    pub fn ways(&self) -> Vec<(Way, &DnsName, &Span)> {
        let dns = self.dns.iter();
        let dns = dns.map(|dns| (Way::Dns, &dns.record, &dns.ttl));
        let route53 = self.route53.iter();
        dns.chain(route53.map(|zone| (Way::Route53, &zone.record, &zone.ttl)))
            .collect()
    }

    /// How long clients outside the mesh remember an address; none: nobody asks for one.
    #[must_use]
    pub fn dns_ttl(&self) -> Option<Duration> {
        let ttls = self.ways().into_iter().map(|(_, _, ttl)| ttl.value());
        ttls.max()
    }
}
