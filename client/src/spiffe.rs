//! Who a certificate says its holder is.
//!
//! A certificate carries exactly one URI, the SPIFFE id, as the X.509-SVID standard demands. A
//! user's role is no part of the id: it stands in the subject's organizational unit, covered by
//! the same signature. So a name stays the same person when the role changes.

use std::fmt;
use std::str::FromStr;

use hanse_core::name::{ClusterName, FederationName, NodeName};
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

/// The longest SPIFFE id that is read at all (SPIFFE-ID, section 2.3).
const ID_LENGTH_MAX: usize = 2048;

/// What a user may do; each role includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Runs disaster recovery and bursts.
    Operator,
    /// Declares, enrols, issues.
    Admin,
}

/// The holder of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Identity {
    /// A node of a federation.
    Node {
        /// The federation whose authority signed.
        federation: FederationName,
        /// The node's member cluster.
        cluster: ClusterName,
        /// The node.
        node: NodeName,
    },
    /// A person or program.
    User {
        /// The federation whose authority signed.
        federation: FederationName,
        /// The user's name, by the same rules as a node's.
        name: NodeName,
        /// What the user may do.
        role: Role,
    },
}

/// Why a certificate names nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// It is no X.509 certificate.
    #[error("it is no X.509 certificate")]
    NotACertificate,
    /// There is no URI, or more than one.
    #[error("it carries {0} URIs where a SPIFFE certificate carries exactly one")]
    UriCount(usize),
    /// The URI is no id of ours.
    #[error(
        "`{0}` is no identity of a federation: spiffe://FEDERATION/cluster/C/node/N or spiffe://FEDERATION/user/NAME"
    )]
    NotOurs(String),
    /// A user without a role.
    #[error(
        "a user's certificate names its role (viewer, operator or admin) as organizational unit"
    )]
    NoRole,
}

/// A word that is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no role: write viewer, operator or admin")]
pub struct RoleError(String);

impl Role {
    /// The word that users write.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = RoleError;
    fn from_str(text: &str) -> Result<Self, RoleError> {
        match text {
            "viewer" => Ok(Self::Viewer),
            "operator" => Ok(Self::Operator),
            "admin" => Ok(Self::Admin),
            other => Err(RoleError(other.chars().take(64).collect())),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Identity {
    /// Reads the holder from a certificate in DER. Checks no signature: that is TLS's part.
    pub fn from_certificate(der: &[u8]) -> Result<Self, IdentityError> {
        let (_, certificate) =
            parse_x509_certificate(der).map_err(|_| IdentityError::NotACertificate)?;
        let names = certificate
            .subject_alternative_name()
            .map_err(|_| IdentityError::UriCount(0))?;
        let uris: Vec<&str> = names
            .iter()
            .flat_map(|names| &names.value.general_names)
            .filter_map(|name| {
                if let GeneralName::URI(uri) = name {
                    Some(*uri)
                } else {
                    None
                }
            })
            .collect();
        let [uri] = uris[..] else {
            return Err(IdentityError::UriCount(uris.len()));
        };
        let role = certificate
            .subject()
            .iter_organizational_unit()
            .find_map(|unit| unit.as_str().ok()?.parse::<Role>().ok());
        Self::from_uri(uri, role)
    }

    /// Reads an id; a user's role comes from beside it.
    pub fn from_uri(uri: &str, role: Option<Role>) -> Result<Self, IdentityError> {
        let not_ours = || IdentityError::NotOurs(uri.chars().take(256).collect());
        if uri.len() > ID_LENGTH_MAX {
            return Err(not_ours());
        }
        let rest = uri.strip_prefix("spiffe://").ok_or_else(not_ours)?;
        let parts: Vec<&str> = rest.split('/').collect();
        match parts[..] {
            [federation, "cluster", cluster, "node", node] => Ok(Self::Node {
                federation: federation.parse().map_err(|_| not_ours())?,
                cluster: cluster.parse().map_err(|_| not_ours())?,
                node: node.parse().map_err(|_| not_ours())?,
            }),
            [federation, "user", name] => Ok(Self::User {
                federation: federation.parse().map_err(|_| not_ours())?,
                name: name.parse().map_err(|_| not_ours())?,
                role: role.ok_or(IdentityError::NoRole)?,
            }),
            _ => Err(not_ours()),
        }
    }

    /// The federation whose authority signed.
    #[must_use]
    pub fn federation(&self) -> &FederationName {
        match self {
            Self::Node { federation, .. } | Self::User { federation, .. } => federation,
        }
    }
}

impl fmt::Display for Identity {
    /// The SPIFFE id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node {
                federation,
                cluster,
                node,
            } => {
                write!(f, "spiffe://{federation}/cluster/{cluster}/node/{node}")
            }
            Self::User {
                federation,
                name,
                role: _,
            } => {
                write!(f, "spiffe://{federation}/user/{name}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_is_printed_is_read_back() {
        for uri in [
            "spiffe://acme/cluster/home/node/home-1",
            "spiffe://acme/user/alex",
        ] {
            let identity = Identity::from_uri(uri, Some(Role::Operator)).unwrap();
            assert_eq!(identity.to_string(), uri);
            assert_eq!(identity.federation().as_str(), "acme");
        }
    }

    #[test]
    fn ids_of_others_are_refused() {
        for uri in [
            "",
            "https://acme/user/alex",
            "spiffe://acme",
            "spiffe://acme/user/",
            "spiffe://acme/user/alex/",
            "spiffe://acme/user/../admin",
            "spiffe://acme/cluster/home/node/A",
            "spiffe:///user/alex",
            &format!("spiffe://acme/user/{}", "x".repeat(3000)),
        ] {
            let refused = Identity::from_uri(uri, Some(Role::Admin));
            assert!(
                matches!(refused, Err(IdentityError::NotOurs(_))),
                "{uri}: {refused:?}"
            );
        }
    }

    #[test]
    fn a_user_without_a_role_is_nobody() {
        assert_eq!(
            Identity::from_uri("spiffe://acme/user/alex", None),
            Err(IdentityError::NoRole)
        );
    }
}
