//! Names of DNS records and zones, well-formed from the start.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a label may be at most, in bytes.
const LABEL_LENGTH_MAX: usize = 63;
/// What a name may be at most, with dots: beside a record must be room for `_hanse.`.
const NAME_LENGTH_MAX: usize = 246;

/// An absolute name in lower case, without its last dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DnsName(String);

/// A text that is no DNS name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no DNS name: {what}; write one such as app.example.org")]
pub struct DnsNameError {
    text: String,
    what: &'static str,
}

impl DnsName {
    /// Whether this name is `zone` or below it.
    #[must_use]
    pub fn is_within(&self, zone: &Self) -> bool {
        let rest = self.0.strip_suffix(&zone.0);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

impl FromStr for DnsName {
    type Err = DnsNameError;

    fn from_str(text: &str) -> Result<Self, DnsNameError> {
        let refused = |what| DnsNameError {
            text: text.chars().take(64).collect(),
            what,
        };
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if name.len() > NAME_LENGTH_MAX {
            return Err(refused("it is too long"));
        }
        for label in name.split('.') {
            if label.is_empty() || label.len() > LABEL_LENGTH_MAX {
                return Err(refused("between two dots are 1 to 63 characters"));
            }
            let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            if !label.bytes().all(is_inner) || label.starts_with('-') || label.ends_with('-') {
                return Err(refused(
                    "it has letters, digits, hyphens inside and underscores",
                ));
            }
        }
        Ok(Self(name))
    }
}

impl TryFrom<String> for DnsName {
    type Error = DnsNameError;
    fn try_from(text: String) -> Result<Self, DnsNameError> {
        text.parse()
    }
}

impl From<DnsName> for String {
    fn from(name: DnsName) -> Self {
        name.0
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Result<DnsName, DnsNameError> {
        text.parse()
    }

    #[test]
    fn a_name_is_kept_in_lower_case_without_its_last_dot() {
        assert_eq!(
            name("App.Example.org.").unwrap().to_string(),
            "app.example.org"
        );
        for text in ["", ".", "a..b", "-a.b", "a b", "*.b", &"x".repeat(64)] {
            name(text).unwrap_err();
        }
        name(&vec!["x".repeat(60); 5].join(".")).unwrap_err();
    }

    #[test]
    fn only_what_is_below_a_zone_is_within_it() {
        let zone = name("example.org").unwrap();
        for inside in ["example.org", "app.example.org", "a.b.example.org"] {
            assert!(name(inside).unwrap().is_within(&zone), "{inside}");
        }
        for outside in ["badexample.org", "org", "example.org.net"] {
            assert!(!name(outside).unwrap().is_within(&zone), "{outside}");
        }
    }
}
