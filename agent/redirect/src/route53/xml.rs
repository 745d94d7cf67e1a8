//! What Route 53 is told and what it says, in XML. Pure.

use std::fmt::Write as _;

use roxmltree::{Document, Node, ParsingOptions};

use crate::decide::{Change, RecordSet, Sight, shortened};
use crate::name::DnsName;

/// What a document may have at most.
const NODES_MAX: u32 = 50_000;
const NAMESPACE: &str = "https://route53.amazonaws.com/doc/2013-04-01/";

/// One batch, which takes place whole or not at all: each set goes exactly as it was read, and the
/// new ones come only where there is none.
pub(super) fn batch(record: &DnsName, mark: &DnsName, change: &Change) -> String {
    let Sight {
        mark: old_mark,
        v4,
        v6,
    } = &change.before;
    let quoted = old_mark.as_ref().map(|set| RecordSet {
        ttl_s: set.ttl_s,
        values: set.values.iter().map(|value| quoted(value)).collect(),
    });
    let mut changes = String::new();
    let old = [
        (mark, "TXT", &quoted),
        (record, "A", v4),
        (record, "AAAA", v6),
    ];
    for (name, kind, set) in old {
        if let Some(set) = set {
            changes += &one("DELETE", name, kind, set);
        }
    }
    let set = |value| RecordSet {
        ttl_s: change.ttl_s,
        values: vec![value],
    };
    changes += &one("CREATE", mark, "TXT", &set(quoted_mark(change)));
    let kind = if change.to.is_ipv4() { "A" } else { "AAAA" };
    changes += &one("CREATE", record, kind, &set(change.to.to_string()));
    request(&changes)
}

/// A batch that can't take place, since nothing holds what it would delete: what is said of it tells
/// whether others are permitted.
pub(super) fn probe(mark: &DnsName) -> String {
    let set = RecordSet {
        ttl_s: 1,
        values: vec![quoted("hanse asks whether it may")],
    };
    request(&one("DELETE", mark, "TXT", &set))
}

fn request(changes: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ChangeResourceRecordSetsRequest \
         xmlns=\"{NAMESPACE}\"><ChangeBatch><Changes>{changes}</Changes></ChangeBatch>\
         </ChangeResourceRecordSetsRequest>"
    )
}

fn one(action: &str, name: &DnsName, kind: &str, set: &RecordSet) -> String {
    let mut records = String::new();
    for value in &set.values {
        // Writing to a string doesn't fail.
        let _ = write!(
            records,
            "<ResourceRecord><Value>{}</Value></ResourceRecord>",
            escaped(value)
        );
    }
    format!(
        "<Change><Action>{action}</Action><ResourceRecordSet><Name>{name}.</Name>\
         <Type>{kind}</Type><TTL>{}</TTL><ResourceRecords>{records}</ResourceRecords>\
         </ResourceRecordSet></Change>",
        set.ttl_s
    )
}

fn quoted_mark(change: &Change) -> String {
    quoted(&change.mark)
}

fn quoted(value: &str) -> String {
    format!("\"{value}\"")
}

fn escaped(value: &str) -> String {
    let value = value.replace('&', "&amp;").replace('<', "&lt;");
    value.replace('>', "&gt;").replace('"', "&quot;")
}

/// The sets of a name in a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Listed {
    pub(super) a: Option<RecordSet>,
    pub(super) aaaa: Option<RecordSet>,
    pub(super) txt: Option<RecordSet>,
    /// What is there that addresses can't be beside, or that isn't simply records.
    pub(super) occupied: Option<&'static str>,
}

/// Reads a list.
///
/// # Errors
///
/// What of it makes no sense.
pub(super) fn listed(xml: &[u8], name: &DnsName) -> Result<Listed, String> {
    let text = std::str::from_utf8(xml).map_err(|_| "its list is no text".to_owned())?;
    let document = parse(text)?;
    let root = document.root_element();
    if root.tag_name().name() != "ListResourceRecordSetsResponse" {
        return Err(format!(
            "a {} is no list",
            shortened(root.tag_name().name())
        ));
    }
    let mut listed = Listed::default();
    let is_set = |node: &Node<'_, '_>| node.tag_name().name() == "ResourceRecordSet";
    for node in root.descendants().filter(is_set) {
        let here = child(node, "Name").and_then(|name| name.parse::<DnsName>().ok());
        if here.as_ref() != Some(name) {
            continue;
        }
        let set = match child(node, "Type") {
            Some("A") => &mut listed.a,
            Some("AAAA") => &mut listed.aaaa,
            Some("TXT") => &mut listed.txt,
            Some("CNAME") => {
                listed.occupied = Some("a CNAME record");
                continue;
            }
            _ => continue,
        };
        let has = |what: &str| node.children().any(|child| child.tag_name().name() == what);
        if has("AliasTarget") {
            listed.occupied = Some("an alias record");
        } else if has("SetIdentifier") {
            listed.occupied = Some("a routing policy (several sets of one type)");
        }
        let ttl_s = child(node, "TTL").and_then(|ttl| ttl.parse().ok());
        let values = node
            .descendants()
            .filter(|node| node.tag_name().name() == "Value");
        *set = Some(RecordSet {
            ttl_s: ttl_s.unwrap_or(0),
            values: values
                .map(|value| value.text().unwrap_or("").to_owned())
                .collect(),
        });
    }
    let texts = listed.txt.iter_mut().flat_map(|set| &mut set.values);
    texts.for_each(|value| *value = unquoted(value));
    Ok(listed)
}

/// One string without what would have to be escaped is what it is; all else can't be mistaken for it.
fn unquoted(value: &str) -> String {
    let inner = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match inner {
        Some(inner) if !inner.contains(['"', '\\']) => inner.to_owned(),
        _ => format!("not one string: {value}"),
    }
}

/// The id of a change, and whether all of Route 53's servers have it.
///
/// # Errors
///
/// What of it makes no sense.
pub(super) fn changed(xml: &[u8]) -> Result<(String, bool), String> {
    let text = std::str::from_utf8(xml).map_err(|_| "its answer is no text".to_owned())?;
    let document = parse(text)?;
    let is_info = |node: &Node<'_, '_>| node.tag_name().name() == "ChangeInfo";
    let info = document.descendants().find(is_info);
    let info = info.ok_or("it tells of no change")?;
    let id = child(info, "Id").ok_or("it gives the change no id")?;
    let id = id.rsplit('/').next().unwrap_or(id);
    let is_good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if id.is_empty() || !id.chars().all(is_good) {
        return Err("the change's id is none".to_owned());
    }
    Ok((id.to_owned(), child(info, "Status") == Some("INSYNC")))
}

/// An error's code and message; where there is none, what the server said instead.
pub(super) fn refusal(xml: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(xml);
    let unknown = || ("an answer without a code".to_owned(), shortened(&text));
    let Ok(document) = parse(&text) else {
        return unknown();
    };
    let named = |what: &str| {
        let node = document
            .descendants()
            .find(|node| node.tag_name().name() == what);
        node.and_then(|node| node.text()).map(shortened)
    };
    let root = document.root_element().tag_name().name();
    // A batch's refusal may come without a code, as an element of its own.
    let code = match named("Code") {
        None if root == "InvalidChangeBatch" => Some(root.to_owned()),
        code => code,
    };
    code.map_or_else(unknown, |code| (code, named("Message").unwrap_or_default()))
}

fn parse(text: &str) -> Result<Document<'_>, String> {
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: NODES_MAX,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(text, options).map_err(|error| format!("it is no XML: {error}"))
}

fn child<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    let mut children = node.children();
    let found = children.find(|child| child.tag_name().name() == name)?;
    found.text()
}
