//! Names of DNS records, well-formed from the start.

use std::fmt;
use std::str::FromStr;

use crate::error::ConfigError;

/// What a label may be at most, in bytes.
const LABEL_BYTES_MAX: usize = 63;
/// What a name may be at most, written with dots.
const NAME_BYTES_MAX: usize = 253;
/// The label under which a record's mark is.
const MARK_LABEL: &str = "_hanse";

/// An absolute name in lower case, without its last dot.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DnsName(String);

impl DnsName {
    /// Whether this name is `zone` or below it.
    #[must_use]
    pub fn is_within(&self, zone: &Self) -> bool {
        let Some(rest) = self.0.strip_suffix(&zone.0) else {
            return false;
        };
        rest.is_empty() || rest.ends_with('.')
    }

    /// Where the mark of the record of this name is.
    ///
    /// # Errors
    ///
    /// The name leaves no room for it.
    pub fn mark(&self) -> Result<Self, ConfigError> {
        format!("{MARK_LABEL}.{}", self.0).parse()
    }

    /// As it is in a message: lengths and labels.
    pub(crate) fn wire(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() + 2);
        for label in self.0.split('.') {
            bytes.push(u8::try_from(label.len()).unwrap_or(0));
            bytes.extend_from_slice(label.as_bytes());
        }
        bytes.push(0);
        bytes
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for DnsName {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let problem = |what: &str| ConfigError::Name {
            name: text.to_owned(),
            what: what.to_owned(),
        };
        if name.len() > NAME_BYTES_MAX {
            return Err(problem("it is longer than 253 characters"));
        }
        for label in name.split('.') {
            if label.is_empty() {
                return Err(problem("it has an empty part"));
            }
            if label.len() > LABEL_BYTES_MAX {
                return Err(problem("a part of it is longer than 63 characters"));
            }
            let is_good =
                |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_';
            if !label.bytes().all(is_good) {
                return Err(problem(
                    "a part of it has something else than letters, digits, '-' and '_'",
                ));
            }
        }
        Ok(Self(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_or_its_mistake_is_told() {
        let long_label = format!("{}.org", "a".repeat(64));
        let long_name = vec!["abcdefgh"; 29].join(".");
        let table = [
            ("App.Example.org.", Ok("app.example.org")),
            ("_hanse.app", Ok("_hanse.app")),
            ("", Err("empty part")),
            ("a..b", Err("empty part")),
            ("*.example.org", Err("something else than letters")),
            ("käse.example", Err("something else than letters")),
            (&long_label, Err("longer than 63")),
            (&long_name, Err("longer than 253")),
        ];
        for (text, expected) in table {
            match (text.parse::<DnsName>(), expected) {
                (Ok(name), Ok(expected)) => assert_eq!(name.to_string(), expected),
                (Err(error), Err(part)) => {
                    assert!(error.to_string().contains(part), "{text}: {error}");
                }
                (result, _) => panic!("{text}: {result:?}"),
            }
        }
    }

    #[test]
    fn only_whole_labels_make_a_name_part_of_a_zone() {
        let within = |name: &str, zone: &str| {
            let (name, zone) = (name.parse::<DnsName>(), zone.parse());
            name.unwrap().is_within(&zone.unwrap())
        };
        assert!(within("app.example.org", "example.org"));
        assert!(within("example.org", "example.org"));
        assert!(!within("badexample.org", "example.org"));
        assert!(!within("org", "example.org"));
    }
}
