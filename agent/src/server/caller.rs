//! Who is at the other end of a connection, and what they may act as at this moment.

use std::fmt;

use hanse_client::{Identity, Role};
use hanse_core::identities::{IdentityKey, NodeStanding};
use hanse_core::name::{ClusterName, NodeName};
use hanse_core::state::FederationState;
use x509_parser::parse_x509_certificate;

use crate::identity::authority::{issuer_number, signed_unix_s};
use crate::identity::identity_key;

/// So much the clocks of whoever signed and whoever decided may differ.
const LAG_MARGIN_S: u64 = 300;

/// Who is at the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Nobody who showed a certificate.
    Anonymous,
    /// The owner of this voter's data folder, over its socket.
    Local,
    /// Whoever a certificate names.
    Certified(Certificate),
}

/// What a certificate says that the authority signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Whom it names.
    pub identity: Identity,
    /// The key that it is for.
    pub key: IdentityKey,
    /// The number of the authority that signed it; none: the first one of an older version, whose
    /// name has no number.
    pub authority: Option<u32>,
    /// Whether its holder may serve: it was a voter when this was issued.
    pub serves: bool,
    /// When it was issued, in seconds since 1970.
    pub issued_unix_s: u64,
    /// When it ends, in seconds since 1970.
    pub expires_unix_s: u64,
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
    /// A node that keeps the replicated state.
    Voter,
    /// A user with a role.
    User(Role),
    /// Somebody whose certificate is worth nothing any more.
    Refused(Fault),
}

/// Why a certificate that the authority signed is worth nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The node was revoked.
    #[error(
        "this node was revoked; to let the machine in again, run `hanse node remove` with an \
         admin's credentials, then `hanse leave --force` and `hanse join` with a new token here"
    )]
    NodeRevoked,
    /// The node is not enrolled.
    #[error(
        "this node is not enrolled here (any more); to let the machine in again, run `hanse leave \
         --force` and `hanse join` with a new token"
    )]
    NodeUnknown,
    /// The node was enrolled anew with another key.
    #[error(
        "this node was enrolled anew since, with another key; to let this machine in, run `hanse \
         leave --force` and `hanse join` with a new token and another name"
    )]
    NodeReplaced,
    /// The user's certificates were revoked.
    #[error(
        "these credentials were revoked; an admin can make new ones with `hanse credentials issue`"
    )]
    UserRevoked,
    /// The authority that signed it was replaced.
    #[error(
        "the certificate authority that signed this has been replaced and is trusted no more; for \
         a node run `hanse leave --force` and `hanse join` with a new token, for a user `hanse \
         credentials issue` where there are valid credentials, or on a voter with --data-dir"
    )]
    AuthorityRetired,
    /// The user's certificate ended.
    #[error(
        "these credentials have ended; make new ones with `hanse credentials issue` where there \
         are valid ones, or on a voter with --data-dir"
    )]
    UserExpired,
}

impl Fault {
    /// Every fault, for tests and tables.
    pub const ALL: [Self; 6] = [
        Self::NodeRevoked,
        Self::NodeUnknown,
        Self::NodeReplaced,
        Self::UserRevoked,
        Self::AuthorityRetired,
        Self::UserExpired,
    ];
}

impl Certificate {
    /// Reads a certificate whose chain was verified.
    pub fn read(der: &[u8]) -> Result<Self, String> {
        let identity = Identity::from_certificate(der).map_err(|error| error.to_string())?;
        let (_, certificate) =
            parse_x509_certificate(der).map_err(|_| "it is no certificate".to_owned())?;
        let validity = certificate.validity();
        let seconds = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp());
        let begins_unix_s = seconds(validity.not_before).unwrap_or(0);
        let expires_unix_s = seconds(validity.not_after).unwrap_or(0);
        let usage = certificate.extended_key_usage().ok().flatten();
        Ok(Self {
            identity,
            key: identity_key(certificate.public_key().raw),
            authority: issuer_number(&certificate),
            serves: usage.is_some_and(|usage| usage.value.server_auth),
            issued_unix_s: signed_unix_s(begins_unix_s, expires_unix_s),
            expires_unix_s,
        })
    }

    fn standing(&self, state: &FederationState, now_unix_s: u64) -> Standing {
        let is_valid = now_unix_s < self.expires_unix_s;
        // A voter that lags behind may not have heard of the one that signed. TLS saw that one which
        // it knows vouches for it, and an authority that was retired is never newer than the others.
        let authorities = &state.inventory().authorities;
        let is_trusted =
            |number| authorities.get(number).is_some() || number >= authorities.next_number();
        if self.authority.is_some_and(|number| !is_trusted(number)) {
            return Standing::Refused(Fault::AuthorityRetired);
        }
        match &self.identity {
            Identity::Node { node, cluster, .. } => {
                let known = state.node_standing(node, cluster, self.key);
                match known {
                    NodeStanding::Enrolled | NodeStanding::Unknown
                        if is_valid && self.is_voter(state, node) =>
                    {
                        Standing::Voter
                    }
                    NodeStanding::Enrolled if is_valid => Standing::Node,
                    NodeStanding::Enrolled => Standing::ExpiredNode,
                    NodeStanding::Revoked => Standing::Refused(Fault::NodeRevoked),
                    NodeStanding::Unknown => Standing::Refused(Fault::NodeUnknown),
                    NodeStanding::Replaced => Standing::Refused(Fault::NodeReplaced),
                }
            }
            Identity::User { name, role, .. } => {
                if state.identities().is_user_revoked(name, self.issued_unix_s) {
                    Standing::Refused(Fault::UserRevoked)
                } else if is_valid {
                    Standing::User(*role)
                } else {
                    Standing::Refused(Fault::UserExpired)
                }
            }
        }
    }
}

impl Certificate {
    /// Whether its holder is a voter; or may have become one since, when this voter lags behind:
    /// refusing what it says would leave this one behind for ever.
    fn is_voter(&self, state: &FederationState, node: &NodeName) -> bool {
        let record = state.inventory().nodes.get(node);
        let is_known = record.is_some_and(|record| record.voter);
        let is_newer = self.issued_unix_s.saturating_add(LAG_MARGIN_S) >= state.decided_unix_s();
        self.serves && (is_known || is_newer)
    }
}

impl Caller {
    /// What the caller may act as by that state at that moment: a connection may outlive the
    /// certificate that opened it.
    #[must_use]
    pub fn standing(&self, state: &FederationState, now_unix_s: u64) -> Standing {
        match self {
            Self::Anonymous => Standing::Anonymous,
            Self::Local => Standing::User(Role::Admin),
            Self::Certified(certificate) => certificate.standing(state, now_unix_s),
        }
    }

    /// The node and its member cluster, if the caller is a node.
    #[must_use]
    pub fn node(&self) -> Option<(&NodeName, &ClusterName)> {
        match self {
            Self::Certified(Certificate {
                identity: Identity::Node { node, cluster, .. },
                ..
            }) => Some((node, cluster)),
            Self::Certified(Certificate {
                identity: Identity::User { .. },
                ..
            })
            | Self::Anonymous
            | Self::Local => None,
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::Local => f.write_str("local"),
            Self::Certified(certificate) => write!(f, "{}", certificate.identity),
        }
    }
}
