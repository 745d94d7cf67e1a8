//! Who is at the other end of a connection.

use std::fmt;

use hanse_client::{Identity, Role};
use hanse_core::name::{ClusterName, NodeName};
use x509_parser::parse_x509_certificate;

use crate::identity::unix_now_s;

/// Who is at the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Nobody who showed a certificate.
    Anonymous,
    /// The owner of this voter's data folder, over its socket.
    Local,
    /// Whoever a certificate names.
    Certified {
        /// Whom it names.
        identity: Identity,
        /// When it ends, in seconds since 1970.
        expires_unix_s: u64,
    },
}

/// What a caller may act as at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nobody.
    Anonymous,
    /// A node whose certificate ended.
    ExpiredNode,
    /// A node.
    Node,
    /// A user with a role.
    User(Role),
}

impl Caller {
    /// Reads the holder from a certificate whose chain was verified.
    pub fn from_certificate(der: &[u8]) -> Result<Self, String> {
        let identity = Identity::from_certificate(der).map_err(|error| error.to_string())?;
        let (_, certificate) =
            parse_x509_certificate(der).map_err(|_| "it is no certificate".to_owned())?;
        let expires = certificate.validity().not_after.timestamp();
        Ok(Self::Certified {
            identity,
            expires_unix_s: u64::try_from(expires).unwrap_or(0),
        })
    }

    /// What the caller may act as now: a connection may outlive the certificate that opened it.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match self {
            Self::Anonymous => Standing::Anonymous,
            Self::Local => Standing::User(Role::Admin),
            Self::Certified {
                identity,
                expires_unix_s,
            } => {
                let is_valid = unix_now_s() < *expires_unix_s;
                match identity {
                    Identity::Node { .. } if is_valid => Standing::Node,
                    Identity::Node { .. } => Standing::ExpiredNode,
                    Identity::User { role, .. } if is_valid => Standing::User(*role),
                    Identity::User { .. } => Standing::Anonymous,
                }
            }
        }
    }

    /// The node and its member cluster, if the caller is a node.
    #[must_use]
    pub fn node(&self) -> Option<(&NodeName, &ClusterName)> {
        match self {
            Self::Certified {
                identity: Identity::Node { node, cluster, .. },
                ..
            } => Some((node, cluster)),
            Self::Certified {
                identity: Identity::User { .. },
                ..
            }
            | Self::Anonymous
            | Self::Local => None,
        }
    }

    /// When the caller's certificate ends, in seconds since 1970.
    #[must_use]
    pub fn expires_unix_s(&self) -> Option<u64> {
        match self {
            Self::Certified { expires_unix_s, .. } => Some(*expires_unix_s),
            Self::Anonymous | Self::Local => None,
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::Local => f.write_str("local"),
            Self::Certified { identity, .. } => write!(f, "{identity}"),
        }
    }
}
