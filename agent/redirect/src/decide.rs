//! What to change, given what was read. Pure: the servers are read and written elsewhere.
//!
//! Beside the record is its mark, a TXT record that holds `epoch=<number>`. Each change has the mark as
//! it was read for its prerequisite and replaces it, so that of two writers who read the same mark one
//! loses, reads again, and finds the other's epoch. An epoch in a mark never falls.

use std::net::IpAddr;

use crate::error::RedirectError;
use crate::name::DnsName;

/// All records of one name and type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordSet {
    /// For how long resolvers keep them, in seconds.
    pub ttl_s: u32,
    /// The values as they were read, in order: addresses, or texts without quotes.
    pub values: Vec<String>,
}

/// What a server has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sight {
    /// The mark.
    pub mark: Option<RecordSet>,
    /// The A records.
    pub v4: Option<RecordSet>,
    /// The AAAA records.
    pub v6: Option<RecordSet>,
}

/// A change that is to take place whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What was read. The change may take place only as long as the mark is the same.
    pub before: Sight,
    /// What the mark is to hold.
    pub mark: String,
    /// The one address that the record is to have.
    pub to: IpAddr,
    /// For how long resolvers may keep both, in seconds.
    pub ttl_s: u32,
}

/// What comes of a sight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// This very writer has led the clients already.
    Already,
    /// This is to be changed.
    Write(Change),
}

impl Sight {
    /// Where the record leads.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        let sets = self.v4.iter().chain(&self.v6);
        sets.flat_map(|set| &set.values).map(String::as_str)
    }

    /// Whether clients get to this address and to no other.
    #[must_use]
    pub fn leads_to(&self, to: IpAddr) -> bool {
        let mut addresses = self.addresses().map(str::parse::<IpAddr>);
        addresses.next() == Some(Ok(to)) && addresses.next().is_none()
    }

    /// The epoch of the mark; none: there is no mark.
    ///
    /// # Errors
    ///
    /// Something else is where the mark should be.
    pub fn epoch(&self, record: &DnsName) -> Result<Option<u64>, RedirectError> {
        let Some(mark) = &self.mark else {
            return Ok(None);
        };
        let epoch = match mark.values.as_slice() {
            [value] => parse_mark(value),
            _ => None,
        };
        let unreadable = || RedirectError::Mark {
            mark: format!("_hanse.{record}"),
            value: shortened(&format!("{:?}", mark.values)),
        };
        epoch.map(Some).ok_or_else(unreadable)
    }
}

/// What to change so that `record` leads to an address under an epoch.
///
/// # Errors
///
/// The mark has this epoch or a later one, or is none.
pub fn decide(
    record: &DnsName,
    sight: &Sight,
    to: IpAddr,
    epoch: u64,
    ttl_s: u32,
) -> Result<Decision, RedirectError> {
    let by = sight.epoch(record)?;
    match by {
        Some(by) if by == epoch && sight.leads_to(to) => Ok(Decision::Already),
        Some(by) if by >= epoch => Err(RedirectError::Superseded {
            record: record.to_string(),
            epoch,
            by,
            leads_to: shown(sight),
        }),
        Some(_) | None => Ok(Decision::Write(Change {
            before: sight.clone(),
            mark: format!("epoch={epoch}"),
            to,
            ttl_s,
        })),
    }
}

fn shown(sight: &Sight) -> String {
    let addresses: Vec<_> = sight.addresses().collect();
    if addresses.is_empty() {
        "no address".to_owned()
    } else {
        shortened(&addresses.join(", "))
    }
}

/// What others wrote may be long; an error isn't.
pub(crate) fn shortened(text: &str) -> String {
    const CHARACTERS_MAX: usize = 300;
    if text.chars().count() <= CHARACTERS_MAX {
        return text.to_owned();
    }
    text.chars().take(CHARACTERS_MAX).chain(['…']).collect()
}

/// Only what this crate would write itself is a mark, so that what was read can be told from its epoch.
fn parse_mark(value: &str) -> Option<u64> {
    let epoch: u64 = value.strip_prefix("epoch=")?.parse().ok()?;
    (value == format!("epoch={epoch}")).then_some(epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(values: &[&str]) -> Option<RecordSet> {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Some(RecordSet { ttl_s: 30, values })
    }

    fn outcome(mark: Option<RecordSet>, v4: Option<RecordSet>, v6: Option<RecordSet>) -> String {
        let record = "app.example.org".parse().unwrap();
        let to = "192.0.2.9".parse().unwrap();
        match decide(&record, &Sight { mark, v4, v6 }, to, 9, 20) {
            Ok(Decision::Already) => "already".to_owned(),
            Ok(Decision::Write(change)) => format!("{} {}", change.mark, change.to),
            Err(RedirectError::Superseded { by, leads_to, .. }) => format!("{by} {leads_to}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn each_sight_has_its_decision() {
        let here = || set(&["192.0.2.9"]);
        let there = || set(&["192.0.2.7"]);
        let table = [
            (None, None, None, "epoch=9 192.0.2.9"),
            (None, here(), None, "epoch=9 192.0.2.9"),
            (set(&["epoch=7"]), there(), None, "epoch=9 192.0.2.9"),
            (set(&["epoch=7"]), here(), None, "epoch=9 192.0.2.9"),
            (set(&["epoch=9"]), here(), None, "already"),
            (set(&["epoch=9"]), there(), None, "9 192.0.2.7"),
            (set(&["epoch=9"]), None, None, "9 no address"),
            (
                set(&["epoch=9"]),
                here(),
                set(&["2001:db8::1"]),
                "9 192.0.2.9, 2001:db8::1",
            ),
            (set(&["epoch=10"]), here(), None, "10 192.0.2.9"),
            (
                set(&["epoch=18446744073709551615"]),
                None,
                None,
                "18446744073709551615 no address",
            ),
        ];
        for (mark, v4, v6, expected) in table {
            assert_eq!(outcome(mark.clone(), v4, v6), expected, "{mark:?}");
        }
    }

    #[test]
    fn what_is_no_mark_is_never_written_over() {
        let bad = [
            "epoch=",
            "epoch=07",
            "epoch=+7",
            "epoch= 7",
            "epoch=7 ",
            "Epoch=7",
            "v=spf1 -all",
            "",
            "epoch=18446744073709551616",
            "epoch=-1",
        ];
        for value in bad {
            let said = outcome(set(&[value]), None, None);
            assert!(said.contains("nothing was changed"), "{value}: {said}");
        }
        for values in [&["epoch=7", "epoch=8"][..], &[]] {
            assert!(outcome(set(values), None, None).contains("_hanse.app.example.org"));
        }
    }
}
