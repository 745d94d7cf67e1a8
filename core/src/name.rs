//! Names of things, each a type of its own, so that a node can't stand where a mesh belongs.
//!
//! Every name is an RFC 1123 label: it must fit into a DNS record, a SPIFFE id, a file name and a
//! Terraform address without quoting.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name, in bytes (RFC 1123, section 2.1).
pub const NAME_LENGTH_MAX: usize = 63;

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was written.
    #[error("a name must not be empty")]
    Empty,
    /// More than [`NAME_LENGTH_MAX`] bytes.
    #[error("a name has at most {NAME_LENGTH_MAX} characters; this one has {0}")]
    TooLong(usize),
    /// Something other than lower-case letters, digits and inner hyphens.
    #[error(
        "`{0}` is no name: use lower-case letters, digits and hyphens, and begin and end with a \
         letter or digit"
    )]
    Malformed(String),
}

/// Checks the rules that all names share.
fn check(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > NAME_LENGTH_MAX {
        return Err(NameError::TooLong(text.len()));
    }
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !text.bytes().all(inner) || text.starts_with('-') || text.ends_with('-') {
        return Err(NameError::Malformed(text.to_owned()));
    }
    Ok(())
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as it was written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                check(text).map(|()| Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                check(&text).map(|()| Self(text))
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    )*};
}

names! {
    /// A lease: what somebody holds alone.
    LeaseName;
    /// The name of a federation.
    FederationName;
    /// The name of a member cluster.
    ClusterName;
    /// The name of a node: unique in the federation.
    NodeName;
    /// The name of a VPN mesh.
    MeshName;
    /// The name of a DR plan.
    PlanName;
    /// The name of a hook of a DR plan.
    HookName;
}

impl From<&PlanName> for LeaseName {
    /// The lease of a plan's primary.
    fn from(plan: &PlanName) -> Self {
        Self(plan.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dns_label_is_a_name() {
        for text in ["a", "web-1", "0", &"x".repeat(63)] {
            assert_eq!(NodeName::from_str(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "-a",
            "a-",
            "A",
            "a.b",
            "a_b",
            "ä",
            "a b",
            "a/b",
            &"x".repeat(64),
        ] {
            assert!(NodeName::from_str(text).is_err(), "{text:?}");
        }
    }
}
