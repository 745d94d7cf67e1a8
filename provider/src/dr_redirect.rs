//! How clients outside the mesh are led to a DR plan's primary, and who is told: each value with how
//! it maps to the wire. Secrets are write-only: they go beside the plan and are in no state.

use std::collections::BTreeMap;

use hanse_client::proto;
use hanse_core::finding::Path;
use hanse_core::object::dr_redirect::TTL_DEFAULT;
use terraform_plugin::{Attr, Model, Set};

use crate::declared::{known_map, non_empty};
use crate::duration::duration;
use crate::unknowns::Unknowns;

/// What a name that is not known yet stands for in a check.
const NAME_TO_COME: &str = "to-come";
/// What a server that is not known yet stands for.
const SERVER_TO_COME: &str = "to-come:53";
const URL_TO_COME: &str = "https://to-come";
const ZONE_TO_COME: &str = "ZTOCOME";
const ALGORITHM_DEFAULT: &str = "hmac-sha256";

/// A record on a DNS server that takes updates signed with TSIG (RFC 2136). Beside it is the TXT record
/// `_hanse.RECORD`, which the key must be allowed to change too.
#[derive(Clone, Model)]
pub(crate) struct DnsModel {
    /// The zone's primary server, as `host:port`.
    #[attribute(required)]
    pub(crate) server: Attr<String>,
    /// The zone.
    #[attribute(required)]
    pub(crate) zone: Attr<String>,
    /// The record, with its zone: `app.example.org`.
    #[attribute(required)]
    pub(crate) record: Attr<String>,
    /// For how long resolvers may keep it, like `30s`: so much longer takes a failover for clients that
    /// had asked just before.
    #[attribute(optional, computed, default = TTL_DEFAULT.to_owned(), validate = duration)]
    pub(crate) ttl: Attr<String>,
    /// The name of the key, as the server has it.
    #[attribute(required)]
    pub(crate) tsig_key_name: Attr<String>,
    /// `hmac-sha256`, `hmac-sha384` or `hmac-sha512`.
    #[attribute(optional, computed, default = ALGORITHM_DEFAULT.to_owned())]
    pub(crate) algorithm: Attr<String>,
    /// The key's secret in Base64, as `tsig-keygen` shows it. It is in no state; only the voters can
    /// open it.
    #[attribute(optional, write_only, sensitive)]
    pub(crate) tsig_secret_wo: Attr<String>,
    /// Which secret that is: a new one needs a new number.
    #[attribute(required)]
    pub(crate) tsig_secret_wo_version: Attr<u64>,
    /// Where clients are led while a member cluster is primary. By default to its node's address in the
    /// mesh.
    #[attribute(optional)]
    pub(crate) addresses: Attr<BTreeMap<String, Attr<String>>>,
}

/// A record in a hosted zone of Amazon Route 53. Beside it is the TXT record `_hanse.RECORD`.
#[derive(Clone, Model)]
pub(crate) struct Route53Model {
    /// The hosted zone's id.
    #[attribute(required)]
    pub(crate) zone_id: Attr<String>,
    /// The record, with its zone: `app.example.org`.
    #[attribute(required)]
    pub(crate) record: Attr<String>,
    /// For how long resolvers may keep it, like `30s`.
    #[attribute(optional, computed, default = TTL_DEFAULT.to_owned(), validate = duration)]
    pub(crate) ttl: Attr<String>,
    /// The id of an access key that may list and change the zone's records.
    #[attribute(required)]
    pub(crate) access_key_id: Attr<String>,
    /// Its secret. It is in no state; only the voters can open it.
    #[attribute(optional, write_only, sensitive)]
    pub(crate) secret_access_key_wo: Attr<String>,
    /// Which secret that is: a new one needs a new number.
    #[attribute(required)]
    pub(crate) secret_access_key_wo_version: Attr<u64>,
    /// The region that requests are signed for. By default `us-east-1`.
    #[attribute(optional)]
    pub(crate) region: Attr<String>,
    /// Another endpoint than AWS's own. It begins with `https://`: with `http://` it has to be an address of
    /// the loopback, such as `http://127.0.0.1:5000`.
    #[attribute(optional)]
    pub(crate) endpoint: Attr<String>,
    /// Where clients are led while a member cluster is primary. By default to its node's address in the
    /// mesh.
    #[attribute(optional)]
    pub(crate) addresses: Attr<BTreeMap<String, Attr<String>>>,
}

/// Who is told of a plan's runs, by a signed POST, at least once and in order.
#[derive(Clone, Model)]
pub(crate) struct HookModel {
    /// Where events are posted.
    #[attribute(required)]
    pub(crate) url: Attr<String>,
    /// What they are signed with, 16 bytes or more. It is in no state; only the voters can open it.
    #[attribute(optional, write_only, sensitive)]
    pub(crate) secret_wo: Attr<String>,
    /// Which secret that is: a new one needs a new number.
    #[attribute(required)]
    pub(crate) secret_wo_version: Attr<u64>,
    /// Any of `begun`, `promoted`, `ended` and `refused`. By default all.
    #[attribute(optional)]
    pub(crate) events: Attr<Set<Attr<String>>>,
}

/// How a record leads clients.
#[derive(Clone, Model)]
pub(crate) struct RedirectStatusModel {
    /// The record.
    #[attribute(computed)]
    pub(crate) record: Attr<String>,
    /// Where clients are led; null: that is not known, or they can't be led.
    #[attribute(computed)]
    pub(crate) leads_to: Attr<String>,
    /// Why clients can't be led, in one sentence; null: they can.
    #[attribute(computed)]
    pub(crate) trouble: Attr<String>,
}

/// How a hook is told.
#[derive(Clone, Model)]
pub(crate) struct HookStatusModel {
    /// How many events wait.
    #[attribute(computed)]
    pub(crate) waiting: Attr<u64>,
    /// Since when the oldest waits, in seconds since 1970; null: none does.
    #[attribute(computed)]
    pub(crate) oldest_unix_s: Attr<u64>,
    /// How many attempts came to nothing, one after the other.
    #[attribute(computed)]
    pub(crate) attempts: Attr<u64>,
    /// When the first of them did, in seconds since 1970; null: none did.
    #[attribute(computed)]
    pub(crate) failing_since_unix_s: Attr<u64>,
    /// Why nothing is sent or taken, in one sentence; null: it is.
    #[attribute(computed)]
    pub(crate) trouble: Attr<String>,
    /// How many events were given up since the voter began that leads.
    #[attribute(computed)]
    pub(crate) given_up: Attr<u64>,
    /// Why the latest event was given up; null: it was taken, or none was sent yet.
    #[attribute(computed)]
    pub(crate) given_up_why: Attr<String>,
}

impl DnsModel {
    pub(crate) fn to_wire(&self, unknowns: &mut Unknowns) -> proto::Dns {
        let at = |name| Path::of("dns").attribute(name);
        let to_come = || NAME_TO_COME.to_owned();
        let (server, algorithm) = (SERVER_TO_COME.to_owned(), ALGORITHM_DEFAULT.to_owned());
        let wire = proto::Dns {
            server: unknowns.value_or(at("server"), &self.server, server),
            zone: unknowns.value_or(at("zone"), &self.zone, to_come()),
            record: unknowns.value_or(at("record"), &self.record, to_come()),
            ttl: unknowns.with_default(at("ttl"), &self.ttl, TTL_DEFAULT.to_owned()),
            tsig_key_name: unknowns.value_or(at("tsig_key_name"), &self.tsig_key_name, to_come()),
            algorithm: unknowns.with_default(at("algorithm"), &self.algorithm, algorithm),
            tsig_secret_version: unknowns.value_or(
                at("tsig_secret_wo_version"),
                &self.tsig_secret_wo_version,
                1,
            ),
            addresses: unknowns.map(at("addresses"), &self.addresses),
        };
        unknowns.rests_on(at("record"), &at("zone"));
        wire
    }
}

impl From<proto::Dns> for DnsModel {
    fn from(wire: proto::Dns) -> Self {
        Self {
            server: Attr::Known(wire.server),
            zone: Attr::Known(wire.zone),
            record: Attr::Known(wire.record),
            ttl: Attr::Known(wire.ttl),
            tsig_key_name: Attr::Known(wire.tsig_key_name),
            algorithm: Attr::Known(wire.algorithm),
            tsig_secret_wo: Attr::Null,
            tsig_secret_wo_version: Attr::Known(wire.tsig_secret_version),
            addresses: some_map(wire.addresses),
        }
    }
}

impl Route53Model {
    pub(crate) fn to_wire(&self, unknowns: &mut Unknowns) -> proto::Route53 {
        let at = |name| Path::of("route53").attribute(name);
        let to_come = || NAME_TO_COME.to_owned();
        proto::Route53 {
            zone_id: unknowns.value_or(at("zone_id"), &self.zone_id, ZONE_TO_COME.to_owned()),
            record: unknowns.value_or(at("record"), &self.record, to_come()),
            ttl: unknowns.with_default(at("ttl"), &self.ttl, TTL_DEFAULT.to_owned()),
            access_key_id: unknowns.value_or(at("access_key_id"), &self.access_key_id, to_come()),
            secret_access_key_version: unknowns.value_or(
                at("secret_access_key_wo_version"),
                &self.secret_access_key_wo_version,
                1,
            ),
            region: unknowns.value(at("region"), &self.region),
            endpoint: unknowns.value(at("endpoint"), &self.endpoint),
            addresses: unknowns.map(at("addresses"), &self.addresses),
        }
    }
}

impl From<proto::Route53> for Route53Model {
    fn from(wire: proto::Route53) -> Self {
        Self {
            zone_id: Attr::Known(wire.zone_id),
            record: Attr::Known(wire.record),
            ttl: Attr::Known(wire.ttl),
            access_key_id: Attr::Known(wire.access_key_id),
            secret_access_key_wo: Attr::Null,
            secret_access_key_wo_version: Attr::Known(wire.secret_access_key_version),
            region: non_empty(wire.region),
            endpoint: non_empty(wire.endpoint),
            addresses: some_map(wire.addresses),
        }
    }
}

impl HookModel {
    pub(crate) fn to_wire(&self, name: &str, unknowns: &mut Unknowns) -> proto::Hook {
        let at = |attribute| Path::of("hooks").key(name).attribute(attribute);
        let version = &self.secret_wo_version;
        proto::Hook {
            url: unknowns.value_or(at("url"), &self.url, URL_TO_COME.to_owned()),
            secret_version: unknowns.value_or(at("secret_wo_version"), version, 1),
            events: unknowns.set(at("events"), &self.events),
        }
    }
}

impl From<proto::Hook> for HookModel {
    fn from(wire: proto::Hook) -> Self {
        let events: Set<_> = wire.events.into_iter().map(Attr::Known).collect();
        Self {
            url: Attr::Known(wire.url),
            secret_wo: Attr::Null,
            secret_wo_version: Attr::Known(wire.secret_version),
            events: match events.is_empty() {
                true => Attr::Null,
                false => Attr::Known(events),
            },
        }
    }
}

impl From<proto::RedirectView> for RedirectStatusModel {
    fn from(view: proto::RedirectView) -> Self {
        Self {
            record: Attr::Known(view.record),
            leads_to: non_empty(view.leads_to),
            trouble: non_empty(view.trouble),
        }
    }
}

impl From<proto::HookView> for HookStatusModel {
    fn from(view: proto::HookView) -> Self {
        let moment =
            |unix_s: u64| -> Attr<u64> { Attr::from(Some(unix_s).filter(|unix_s| *unix_s > 0)) };
        Self {
            waiting: Attr::Known(view.waiting),
            oldest_unix_s: moment(view.oldest_unix_s),
            attempts: Attr::Known(view.attempts),
            failing_since_unix_s: moment(view.failing_since_unix_s),
            trouble: non_empty(view.trouble),
            given_up: Attr::Known(view.given_up),
            given_up_why: non_empty(view.given_up_why),
        }
    }
}

/// The secrets that a configuration gives.
pub(crate) fn secrets(
    dns: &Attr<DnsModel>,
    route53: &Attr<Route53Model>,
    hooks: &Attr<BTreeMap<String, HookModel>>,
) -> Vec<proto::PlanSecretValue> {
    let given = |purpose: String, secret: &Attr<String>| {
        let value = secret.as_known()?.clone().into_bytes();
        Some(proto::PlanSecretValue { purpose, value })
    };
    let dns = dns.as_known().into_iter();
    let dns = dns.filter_map(|it| given("tsig".to_owned(), &it.tsig_secret_wo));
    let zone = route53.as_known().into_iter();
    let zone = zone.filter_map(|it| given("route53".to_owned(), &it.secret_access_key_wo));
    let hooks = hooks.as_known().into_iter().flatten();
    let hooks = hooks.filter_map(|(name, it)| given(format!("hook/{name}"), &it.secret_wo));
    dns.chain(zone).chain(hooks).collect()
}

fn some_map(map: BTreeMap<String, String>) -> Attr<BTreeMap<String, Attr<String>>> {
    match map.is_empty() {
        true => Attr::Null,
        false => known_map(map),
    }
}
