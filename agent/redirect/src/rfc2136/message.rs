//! What is asked of a DNS server, and what its answers say. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::wire::{Builder, Message, Opcode, Record, class, kind};
use crate::decide::{Change, RecordSet, Sight};
use crate::error::DnsProblem;
use crate::name::DnsName;

/// The record, its mark and their zone.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) zone: DnsName,
    pub(super) record: DnsName,
    pub(super) mark: DnsName,
}

/// A question for the records of a name and type.
pub(super) fn query(id: u16, name: &DnsName, kind: u16) -> Vec<u8> {
    let mut builder = Builder::new(id, Opcode::Query);
    builder.question(&name.wire(), kind);
    builder.bytes()
}

/// An update that leads the record elsewhere, as long as the mark is as it was read.
pub(super) fn update(id: u16, names: &Names, change: &Change) -> Vec<u8> {
    let mut builder = prerequisites(id, names, &change.before);
    let (record, mark) = (names.record.wire(), names.mark.wire());
    for kind in [kind::A, kind::AAAA] {
        builder.record(2, &record, (kind, class::ANY, 0), &[]);
    }
    let (kind, data) = address(change.to);
    builder.record(2, &record, (kind, class::IN, change.ttl_s), &data);
    builder.record(2, &mark, (kind::TXT, class::ANY, 0), &[]);
    let head = (kind::TXT, class::IN, change.ttl_s);
    builder.record(2, &mark, head, &text(&change.mark));
    builder.bytes()
}

/// An update that changes nothing, of the same names and types: whether it is permitted tells whether
/// a change would be. What is there is put there again; what isn't is removed.
pub(super) fn probe(id: u16, names: &Names, sight: &Sight) -> Vec<u8> {
    let mut builder = prerequisites(id, names, sight);
    let (record, mark) = (names.record.wire(), names.mark.wire());
    let sets = [
        (&record, kind::A, &sight.v4),
        (&record, kind::AAAA, &sight.v6),
        (&mark, kind::TXT, &sight.mark),
    ];
    for (name, kind, set) in sets {
        // Whoever writes between, writes the mark, and then the prerequisite fails. Whoever writes
        // without a mark may get one address back that he had just removed.
        let values = set.iter().flat_map(|set| &set.values);
        let data: Vec<_> = values.filter_map(|value| data(kind, value)).collect();
        let ttl_s = set.as_ref().map_or(0, |set| set.ttl_s);
        for data in &data {
            builder.record(2, name, (kind, class::IN, ttl_s), data);
        }
        if data.is_empty() {
            builder.record(2, name, (kind, class::ANY, 0), &[]);
        }
    }
    builder.bytes()
}

/// What must be so for a change to take place: the mark is as it was read, and no alias is where
/// addresses would be dropped in silence (RFC 2136, 3.4.2.2).
fn prerequisites(id: u16, names: &Names, before: &Sight) -> Builder {
    let mut builder = Builder::new(id, Opcode::Update);
    builder.question(&names.zone.wire(), kind::SOA);
    let mark = names.mark.wire();
    match &before.mark {
        None => builder.record(1, &mark, (kind::TXT, class::NONE, 0), &[]),
        Some(set) => {
            for value in &set.values {
                builder.record(1, &mark, (kind::TXT, class::IN, 0), &text(value));
            }
        }
    }
    for name in [&names.record, &names.mark] {
        let head = (kind::CNAME, class::NONE, 0);
        builder.record(1, &name.wire(), head, &[]);
    }
    builder
}

/// What came of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Updated {
    Done,
    Raced(&'static str),
}

/// What an answer to an update says.
pub(super) fn updated(names: &Names, message: &Message) -> Result<Updated, DnsProblem> {
    match message.code() {
        0 => Ok(Updated::Done),
        // YXDOMAIN, YXRRSET, NXRRSET; NXDOMAIN is what some say for the latter.
        3 | 6 | 7 | 8 => Ok(Updated::Raced(code_name(message.code()))),
        code => Err(problem(names, code)),
    }
}

/// What is wrong where a message was refused.
fn problem(names: &Names, code: u16) -> DnsProblem {
    let zone = names.zone.to_string();
    match code {
        2 => DnsProblem::ServerFailed,
        4 => DnsProblem::NotImplemented { zone },
        5 => DnsProblem::Refused {
            advice: refused_advice(names),
        },
        9 => DnsProblem::NotAuth { zone },
        10 => DnsProblem::NotZone { zone },
        _ => DnsProblem::Other {
            code: code_name(code),
        },
    }
}

/// What to do about an answer without a signature.
pub(super) fn unsigned_advice(names: &Names, key: &DnsName, code: u16) -> String {
    match code {
        // What PowerDNS says of each signature that it doesn't believe.
        9 => format!(
            "See that the server has the key {key} with this very algorithm and secret, that the \
             clocks agree, and that it is the primary of the zone {}",
            names.zone
        ),
        _ => refused_advice(names),
    }
}

/// What to do about REFUSED.
fn refused_advice(names: &Names) -> String {
    let Names { zone, record, mark } = names;
    format!(
        "Permit the key to query the zone {zone} and to update A, AAAA of {record} and TXT of \
         {mark} (BIND: `update-policy` or `allow-update`; PowerDNS: `dnsupdate=yes`, and the \
         zone's TSIG-ALLOW-DNSUPDATE and ALLOW-DNSUPDATE-FROM)"
    )
}

/// What an answer to a query says: the records, or what is there instead.
pub(super) fn answered(
    name: &DnsName,
    kind: u16,
    message: &Message,
) -> Result<Result<Option<RecordSet>, &'static str>, DnsProblem> {
    let code = message.code();
    let is_known = matches!(code, 0 | 3);
    if !is_known && code == 2 {
        return Err(DnsProblem::ServerFailed);
    }
    if !is_known || !message.is_authoritative() {
        return Err(DnsProblem::Lame {
            name: name.to_string(),
            code: code_name(code),
        });
    }
    let wire = name.wire();
    let [answers, ..] = &message.sections;
    let is_here = |record: &&Record| record.name == wire && record.class == class::IN;
    let mut here = answers.iter().filter(is_here);
    if here.any(|record| record.kind == kind::CNAME) {
        return Ok(Err("a CNAME record"));
    }
    let of_kind = |record: &&Record| is_here(record) && record.kind == kind;
    let records: Vec<_> = answers.iter().filter(of_kind).collect();
    let Some(first) = records.first() else {
        return Ok(Ok(None));
    };
    let mut values: Vec<_> = records.iter().map(|record| value(record)).collect();
    values.sort_unstable();
    let ttl_s = first.ttl_s;
    Ok(Ok(Some(RecordSet { ttl_s, values })))
}

/// A record's value as text.
fn value(record: &Record) -> String {
    let data = record.data.as_slice();
    match record.kind {
        kind::A => <[u8; 4]>::try_from(data).map(|data| Ipv4Addr::from(data).to_string()),
        kind::AAAA => <[u8; 16]>::try_from(data).map(|data| Ipv6Addr::from(data).to_string()),
        kind::TXT => Ok(strings(data)),
        _ => Ok(String::new()),
    }
    .unwrap_or_else(|_| format!("{data:?}"))
}

/// The strings of a TXT record; one string is what it is, and others can't be mistaken for it.
fn strings(data: &[u8]) -> String {
    match data.split_first() {
        Some((length, rest)) if usize::from(*length) == rest.len() => {
            String::from_utf8(rest.to_vec()).unwrap_or_else(|_| format!("{rest:?}"))
        }
        _ => format!("several strings: {:?}", String::from_utf8_lossy(data)),
    }
}

fn data(kind: u16, value: &str) -> Option<Vec<u8>> {
    match kind {
        kind::TXT => Some(text(value)),
        _ => value.parse().ok().map(|to| address(to).1),
    }
}

fn address(to: IpAddr) -> (u16, Vec<u8>) {
    match to {
        IpAddr::V4(to) => (kind::A, to.octets().to_vec()),
        IpAddr::V6(to) => (kind::AAAA, to.octets().to_vec()),
    }
}

/// One string. Only marks are written, and they are short.
fn text(value: &str) -> Vec<u8> {
    let length = u8::try_from(value.len()).unwrap_or(u8::MAX);
    let value = &value.as_bytes()[..usize::from(length)];
    std::iter::once(length)
        .chain(value.iter().copied())
        .collect()
}

/// A response code by its name.
pub(super) fn code_name(code: u16) -> &'static str {
    match code {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        6 => "YXDOMAIN",
        7 => "YXRRSET",
        8 => "NXRRSET",
        9 => "NOTAUTH",
        10 => "NOTZONE",
        _ => "an unknown response code",
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
