//! Whose certificate counts: the keys that nodes were enrolled with, and what was revoked since.
//!
//! A certificate that the authority signed is necessary and never sufficient: a node's must be for
//! the very key that the node was enrolled with, and a user's must be younger than the last
//! revocation of that name. So whoever is removed, revoked or replaced loses everything with the
//! commit that says so. Signatures and lifetimes are for others to check: this file reads no clock.

use std::fmt;
use std::str::FromStr;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use crate::name::{ClusterName, NodeName};

/// The longest life of a user's certificate, in seconds: so long is a revocation remembered.
pub const USER_LIFETIME_MAX_S: u64 = 365 * 24 * 3600;
/// The most users whose revocation is remembered at a time.
pub const REVOKED_USERS_MAX: usize = 4096;

/// SHA-256 of the public key (SubjectPublicKeyInfo) that a certificate is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdentityKey([u8; 32]);

/// A text that is no such digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the digest of an identity's key has 64 hexadecimal digits")]
pub struct IdentityKeyError;

/// What the federation remembers of keys and revocations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identities {
    /// The key of each enrolled node; none for a node of a version that kept no keys.
    #[serde(default)]
    keys: OrdMap<NodeName, IdentityKey>,
    /// Nodes that were revoked and not removed yet.
    #[serde(default)]
    revoked_nodes: OrdMap<NodeName, RevokedNode>,
    /// Users of whom certificates were revoked.
    #[serde(default)]
    revoked_users: OrdMap<NodeName, RevokedUser>,
    /// Nodes of a federation that was restored from a backup, which have not come back yet, with
    /// the keys that they had.
    #[serde(default, skip_serializing_if = "OrdMap::is_empty")]
    awaited: OrdMap<NodeName, Option<IdentityKey>>,
    /// The revision at which somebody last lost what a certificate gave.
    #[serde(default)]
    withdrawn_revision: u64,
}

/// A node that was revoked: its name stays taken until it is removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedNode {
    /// The member cluster that it belonged to.
    pub cluster: ClusterName,
    /// The key that it had, which is let in nowhere.
    pub key: Option<IdentityKey>,
    /// The revision at which it was revoked.
    pub revision: u64,
}

/// Until when certificates of a user are revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedUser {
    /// What was issued up to then counts no more, in seconds since 1970.
    pub issued_until_unix_s: u64,
    /// When the last such certificate has ended by itself, in seconds since 1970.
    pub ends_unix_s: u64,
}

/// What a node's certificate is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeStanding {
    /// The node is enrolled with this key.
    Enrolled,
    /// The node was revoked.
    Revoked,
    /// No node of that name and member cluster is enrolled.
    Unknown,
    /// The node was enrolled anew since, with another key.
    Replaced,
}

impl Identities {
    /// The key that a node was enrolled with.
    #[must_use]
    pub fn key_of(&self, node: &NodeName) -> Option<IdentityKey> {
        self.keys.get(node).copied()
    }

    /// Whether a node of the federation that was restored has not come back yet: its place is kept
    /// for it, and no certificate counts for it.
    #[must_use]
    pub fn is_awaited(&self, node: &NodeName) -> bool {
        self.awaited.contains_key(node)
    }

    /// The key that a node had that has not come back yet, where it is known.
    pub(crate) fn awaited_key(&self, node: &NodeName) -> Option<IdentityKey> {
        self.awaited.get(node).copied().flatten()
    }

    /// The nodes that have not come back since the federation was restored.
    pub fn awaited(&self) -> impl Iterator<Item = &NodeName> + '_ {
        self.awaited.keys()
    }

    /// The node that has a key: enrolled, awaited or revoked.
    #[must_use]
    pub fn holder_of(&self, key: IdentityKey) -> Option<&NodeName> {
        let enrolled = self.keys.iter().find(|(_, own)| **own == key);
        let awaited = || {
            let mut awaited = self.awaited.iter();
            awaited
                .find(|(_, own)| **own == Some(key))
                .map(|(name, _)| name)
        };
        let revoked = || {
            let mut revoked = self.revoked_nodes.iter();
            revoked
                .find(|(_, node)| node.key == Some(key))
                .map(|(name, _)| name)
        };
        let enrolled = enrolled.map(|(name, _)| name);
        enrolled.or_else(awaited).or_else(revoked)
    }

    /// The nodes that were revoked and not removed yet.
    #[must_use]
    pub fn revoked_nodes(&self) -> &OrdMap<NodeName, RevokedNode> {
        &self.revoked_nodes
    }

    /// The users of whom certificates were revoked.
    #[must_use]
    pub fn revoked_users(&self) -> &OrdMap<NodeName, RevokedUser> {
        &self.revoked_users
    }

    /// Whether a user's certificate that was issued then is revoked.
    #[must_use]
    pub fn is_user_revoked(&self, name: &NodeName, issued_unix_s: u64) -> bool {
        let revoked = self.revoked_users.get(name);
        revoked.is_some_and(|revoked| issued_unix_s <= revoked.issued_until_unix_s)
    }

    /// The revision at which somebody last lost what a certificate gave: as long as it is the
    /// same, whoever had a standing has it still.
    #[must_use]
    pub fn withdrawn_revision(&self) -> u64 {
        self.withdrawn_revision
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is remembered of a federation that is restored: nobody's certificate counts, every node
    /// is awaited, and what was revoked stays so. Users' revocations end with the authority that
    /// signed for them.
    pub(crate) fn awaiting<'a>(
        self,
        nodes: impl Iterator<Item = &'a NodeName>,
        revision: u64,
    ) -> Self {
        let Self {
            keys,
            revoked_nodes,
            revoked_users: _,
            awaited,
            withdrawn_revision: _,
        } = self;
        let key_of = |node: &NodeName| {
            let key = keys.get(node).copied();
            key.or_else(|| awaited.get(node).copied().flatten())
        };
        Self {
            awaited: nodes.map(|node| (node.clone(), key_of(node))).collect(),
            keys: OrdMap::new(),
            revoked_nodes,
            revoked_users: OrdMap::new(),
            withdrawn_revision: revision,
        }
    }

    pub(crate) fn bind(&mut self, node: NodeName, key: Option<IdentityKey>, revision: u64) {
        self.awaited.remove(&node);
        if let Some(key) = key {
            self.keys.insert(node, key);
            self.withdrawn_revision = revision;
        }
    }

    pub(crate) fn revoke_node(&mut self, node: NodeName, cluster: ClusterName, revision: u64) {
        let awaited = self.awaited.remove(&node).flatten();
        let key = self.keys.remove(&node).or(awaited);
        let revoked = RevokedNode {
            cluster,
            key,
            revision,
        };
        self.revoked_nodes.insert(node, revoked);
        self.withdrawn_revision = revision;
    }

    pub(crate) fn forget_node(&mut self, node: &NodeName, revision: u64) {
        self.keys.remove(node);
        self.awaited.remove(node);
        self.revoked_nodes.remove(node);
        self.withdrawn_revision = revision;
    }

    pub(crate) fn revoke_user(
        &mut self,
        name: NodeName,
        revoked: RevokedUser,
        forget: &[NodeName],
        revision: u64,
    ) {
        for name in forget {
            self.revoked_users.remove(name);
        }
        self.revoked_users.insert(name, revoked);
        self.withdrawn_revision = revision;
    }
}

impl IdentityKey {
    /// The digest.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for IdentityKey {
    fn from(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl FromStr for IdentityKey {
    type Err = IdentityKeyError;

    fn from_str(text: &str) -> Result<Self, IdentityKeyError> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(IdentityKeyError);
        }
        let nibble = |digit: u8| match digit {
            b'0'..=b'9' => Ok(digit - b'0'),
            b'a'..=b'f' => Ok(digit - b'a' + 10),
            _ => Err(IdentityKeyError),
        };
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Ok(Self(digest))
    }
}

impl TryFrom<String> for IdentityKey {
    type Error = IdentityKeyError;

    fn try_from(text: String) -> Result<Self, IdentityKeyError> {
        text.parse()
    }
}

impl From<IdentityKey> for String {
    fn from(key: IdentityKey) -> Self {
        key.to_string()
    }
}

impl fmt::Display for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentityKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_that_is_printed_is_read_back_and_others_are_refused() {
        let key = IdentityKey::from([0xa7; 32]);
        assert_eq!(key.to_string().parse(), Ok(key));
        for text in [
            "",
            "a7",
            &"A7".repeat(32),
            &"a7".repeat(33),
            &"ä".repeat(32),
        ] {
            assert!(text.parse::<IdentityKey>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_was_issued_up_to_a_revocation_is_revoked_and_what_came_after_is_not() {
        let mut identities = Identities::default();
        let alex: NodeName = "alex".parse().unwrap();
        let revoked = RevokedUser {
            issued_until_unix_s: 100,
            ends_unix_s: 200,
        };
        identities.revoke_user(alex.clone(), revoked, &[], 1);
        assert!(identities.is_user_revoked(&alex, 99));
        assert!(identities.is_user_revoked(&alex, 100));
        assert!(!identities.is_user_revoked(&alex, 101));
        assert!(!identities.is_user_revoked(&"kim".parse().unwrap(), 1));
    }
}
