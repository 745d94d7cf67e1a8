//! The federation's certificate authorities: the one that signs, and during a rotation the one
//! that comes or the one that goes.
//!
//! A rotation has three steps, each a commit. The new authority is introduced and everybody
//! comes to trust it; it signs, and nodes renew; the old one is forgotten once nobody needs it.
//! What is known here is public: keys are in [`crate::secret`].

pub mod rotation;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::hexadecimal;
use crate::name::NodeName;
use crate::object::words;
use crate::secret::SealedSecret;

words! {
    /// What an authority is for.
    AuthorityRole {
        /// Trusted by more and more, and not signing yet.
        Introduced = "introduced",
        /// The one that signs.
        Signing = "signing",
        /// Trusted for what it signed, and signing no more.
        Retiring = "retiring",
    }
}

/// One certificate authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityRecord {
    /// Its own certificate in DER.
    #[serde(with = "hexadecimal")]
    pub certificate: Vec<u8>,
    /// Its key, certified by the authority before it, in DER: who trusts only that one is led to
    /// this one. Empty for the first.
    #[serde(with = "hexadecimal")]
    pub cross_certificate: Vec<u8>,
    /// What it is for.
    pub role: AuthorityRole,
    /// Since when, in seconds since 1970.
    pub since_unix_s: u64,
    /// When the last certificate of a user and the last token that it signed end, in seconds
    /// since 1970.
    pub issued_until_unix_s: u64,
    /// When the last certificate of a node that it signed is good for nothing any more, not even
    /// for renewal; 0 while it signs.
    pub nodes_until_unix_s: u64,
}

/// All certificate authorities that are trusted, by number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Authorities(BTreeMap<u32, AuthorityRecord>);

/// What somebody wants of the authorities. The caller made keys and certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthorityRequest {
    /// A new one is to be trusted; the first one signs at once.
    Introduce {
        /// Its number, which its sealed key bears too.
        number: u32,
        /// Its own certificate in DER.
        certificate: Vec<u8>,
        /// Its key, certified by the one that signs now; empty for the first.
        cross_certificate: Vec<u8>,
        /// Its key, sealed to the voters.
        boxes: Vec<SealedSecret>,
    },
    /// The introduced one is to sign from now on.
    Sign {
        /// Its number.
        number: u32,
    },
    /// The retiring one is to be trusted no more.
    Retire {
        /// Its number.
        number: u32,
    },
    /// It signs something for somebody that ends then.
    Bind {
        /// The number of the one that signs.
        number: u32,
        /// When it ends, in seconds since 1970.
        until_unix_s: u64,
    },
    /// These nodes hold certificates of these authorities now.
    Certified {
        /// The number of the authority by node.
        nodes: BTreeMap<NodeName, u32>,
    },
}

/// What was decided of the authorities, with all its effects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthorityChange {
    /// One is trusted from now on.
    Introduced {
        /// Its number.
        number: u32,
        /// The whole of it.
        authority: AuthorityRecord,
        /// Its key, sealed to the voters.
        boxes: Vec<SealedSecret>,
    },
    /// One signs from now on, and the key of the one before is destroyed.
    Signs {
        /// Its number.
        number: u32,
        /// The number of the one before.
        before: u32,
        /// Until when nodes may renew what the one before signed, in seconds since 1970.
        nodes_until_unix_s: u64,
    },
    /// One is trusted no more.
    Retired {
        /// Its number.
        number: u32,
    },
    /// One signed something that ends then.
    Bound {
        /// Its number.
        number: u32,
        /// When it ends, in seconds since 1970.
        until_unix_s: u64,
    },
    /// These nodes hold certificates of these authorities now.
    Certified {
        /// The number of the authority by node.
        nodes: BTreeMap<NodeName, u32>,
    },
}

/// What nodes and voters need of an authority to know friends by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedAuthority {
    /// Its own certificate in DER.
    pub certificate: Vec<u8>,
    /// Its key, certified by the authority before it; empty for the first.
    pub cross_certificate: Vec<u8>,
    /// Whether it is the one that signs.
    pub is_signing: bool,
}

impl Authorities {
    /// Whether there is none: the federation is being founded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &AuthorityRecord)> + '_ {
        self.0.iter().map(|(number, record)| (*number, record))
    }

    /// The one of that number.
    #[must_use]
    pub fn get(&self, number: u32) -> Option<&AuthorityRecord> {
        self.0.get(&number)
    }

    /// The one that signs.
    #[must_use]
    pub fn signing(&self) -> Option<(u32, &AuthorityRecord)> {
        self.with_role(AuthorityRole::Signing)
    }

    /// The one of that role; there is never more than one.
    #[must_use]
    pub fn with_role(&self, role: AuthorityRole) -> Option<(u32, &AuthorityRecord)> {
        self.iter().find(|(_, record)| record.role == role)
    }

    /// Whether one comes or goes.
    #[must_use]
    pub fn is_rotating(&self) -> bool {
        self.0.len() > 1
    }

    /// The number of the next one.
    #[must_use]
    pub fn next_number(&self) -> u32 {
        self.0.keys().next_back().map_or(1, |last| last + 1)
    }

    /// What everybody may know, and nodes need.
    #[must_use]
    pub fn trusted(&self) -> Vec<TrustedAuthority> {
        let trusted = |record: &AuthorityRecord| TrustedAuthority {
            certificate: record.certificate.clone(),
            cross_certificate: record.cross_certificate.clone(),
            is_signing: record.role == AuthorityRole::Signing,
        };
        self.0.values().map(trusted).collect()
    }

    /// Applies a change; yields the number of the authority whose key is of no use any more.
    pub(crate) fn apply(&mut self, change: &AuthorityChange, at_unix_s: u64) -> Option<u32> {
        match change {
            AuthorityChange::Introduced {
                number, authority, ..
            } => {
                self.0.insert(*number, authority.clone());
                None
            }
            AuthorityChange::Signs {
                number,
                before,
                nodes_until_unix_s,
            } => {
                if let Some(record) = self.0.get_mut(before) {
                    record.role = AuthorityRole::Retiring;
                    record.since_unix_s = at_unix_s;
                    record.nodes_until_unix_s = *nodes_until_unix_s;
                }
                if let Some(record) = self.0.get_mut(number) {
                    record.role = AuthorityRole::Signing;
                    record.since_unix_s = at_unix_s;
                }
                Some(*before)
            }
            AuthorityChange::Retired { number } => {
                self.0.remove(number);
                Some(*number)
            }
            AuthorityChange::Bound {
                number,
                until_unix_s,
            } => {
                if let Some(record) = self.0.get_mut(number) {
                    record.issued_until_unix_s = record.issued_until_unix_s.max(*until_unix_s);
                }
                None
            }
            AuthorityChange::Certified { .. } => None,
        }
    }
}
