//! Secrets that the federation keeps in its state: their names, and boxes that only their
//! recipients can open.
//!
//! Nothing here seals or opens anything, and no plaintext ever comes here.

mod plan;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::hexadecimal;
use crate::inventory::Inventory;
use crate::name::{NodeName, PlanName};

pub use plan::{PlanSecret, Purpose};

const AUTHORITY_KEY: &str = "authority-key";
const PRESHARED_KEYS: &str = "preshared-keys";

/// What tells secrets apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum SecretName {
    /// The private key of the certificate authority of that number.
    AuthorityKey(u32),
    /// What the pre-shared keys of all pairs of nodes are derived from.
    PresharedKeys,
    /// What a DR plan leads clients with, signs its events with, or encrypts its backups with.
    Plan(PlanSecret),
}

/// A text that names no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is the name of no secret")]
pub struct SecretNameError(String);

/// The public half of the key pair for which secrets are sealed to a voter. The other half never
/// leaves its host.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SealingKey([u8; 32]);

/// Bytes that are no sealing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sealing key has 32 bytes")]
pub struct SealingKeyError;

/// A secret that only its recipient can open.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedBox {
    /// How it was sealed.
    pub version: u16,
    /// Opaque here.
    #[serde(with = "hexadecimal")]
    pub bytes: Vec<u8>,
}

/// A box with its label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedSecret {
    /// What is inside.
    pub name: SecretName,
    /// Who can open it.
    pub recipient: NodeName,
    /// The box.
    #[serde(rename = "box")]
    pub sealed: SealedBox,
}

/// A box that should be there and is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingBox {
    /// What should be inside.
    pub name: SecretName,
    /// Who should be able to open it.
    pub recipient: NodeName,
    /// The key to seal it for.
    pub key: SealingKey,
}

/// All boxes, by secret and recipient.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secrets(BTreeMap<SecretName, BTreeMap<NodeName, SealedBox>>);

impl Secrets {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names of all secrets.
    pub fn names(&self) -> impl Iterator<Item = &SecretName> + '_ {
        self.0.keys()
    }

    /// Whether there is one of that name, for whomever it is sealed.
    #[must_use]
    pub fn has(&self, name: &SecretName) -> bool {
        self.0.get(name).is_some_and(|boxes| !boxes.is_empty())
    }

    /// The box of a secret for a recipient.
    #[must_use]
    pub fn get(&self, name: &SecretName, recipient: &NodeName) -> Option<&SealedBox> {
        self.0.get(name)?.get(recipient)
    }

    /// All boxes of a recipient.
    #[must_use]
    pub fn of(&self, recipient: &NodeName) -> BTreeMap<SecretName, SealedBox> {
        self.0
            .iter()
            .filter_map(|(name, boxes)| Some((name.clone(), boxes.get(recipient)?.clone())))
            .collect()
    }

    /// Whether a recipient has a box of every secret: only then it can lead.
    #[must_use]
    pub fn are_all_sealed_to(&self, recipient: &NodeName) -> bool {
        self.0.values().all(|boxes| boxes.contains_key(recipient))
    }

    /// The boxes that voters with a sealing key should have and don't.
    #[must_use]
    pub fn missing(&self, inventory: &Inventory) -> Vec<MissingBox> {
        let voters = inventory.nodes.iter().filter(|(_, record)| record.voter);
        let keys = voters.filter_map(|(node, record)| Some((node, record.sealing_key?)));
        let wanted = keys.flat_map(|(node, key)| {
            self.names().map(move |name| MissingBox {
                name: name.clone(),
                recipient: node.clone(),
                key,
            })
        });
        wanted
            .filter(|wanted| self.get(&wanted.name, &wanted.recipient).is_none())
            .collect()
    }

    pub(crate) fn put(&mut self, secrets: &[SealedSecret]) {
        for secret in secrets {
            let boxes = self.0.entry(secret.name.clone()).or_default();
            boxes.insert(secret.recipient.clone(), secret.sealed.clone());
        }
    }

    pub(crate) fn forget(&mut self, name: &SecretName) {
        self.0.remove(name);
    }

    /// Drops the secrets of a plan that it does not need (any more).
    pub(crate) fn keep_of_plan(&mut self, plan: &PlanName, needed: &[PlanSecret]) {
        self.0.retain(|name, _| match name {
            SecretName::Plan(secret) => secret.plan != *plan || needed.contains(secret),
            SecretName::AuthorityKey(_) | SecretName::PresharedKeys => true,
        });
    }

    /// Drops all that is not the name's.
    pub(crate) fn keep_only(&mut self, name: &SecretName) {
        self.0.retain(|own, _| own == name);
    }

    /// Drops the boxes of whoever is no voter any more.
    pub(crate) fn keep_to_voters(&mut self, inventory: &Inventory) {
        let is_voter = |node: &NodeName| inventory.nodes.get(node).is_some_and(|node| node.voter);
        for boxes in self.0.values_mut() {
            boxes.retain(|node, _| is_voter(node));
        }
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AuthorityKey(number) => write!(f, "{AUTHORITY_KEY}/{number}"),
            Self::PresharedKeys => f.write_str(PRESHARED_KEYS),
            Self::Plan(secret) => secret.fmt(f),
        }
    }
}

impl FromStr for SecretName {
    type Err = SecretNameError;

    fn from_str(text: &str) -> Result<Self, SecretNameError> {
        let numbered = text.split_once('/').and_then(|(kind, number)| {
            (kind == AUTHORITY_KEY).then(|| number.parse().ok().map(Self::AuthorityKey))?
        });
        let named = (text == PRESHARED_KEYS).then_some(Self::PresharedKeys);
        let of_plan = || text.parse().ok().map(Self::Plan);
        numbered
            .or(named)
            .or_else(of_plan)
            .ok_or_else(|| SecretNameError(text.to_owned()))
    }
}

impl From<SecretName> for String {
    fn from(name: SecretName) -> Self {
        name.to_string()
    }
}

impl TryFrom<String> for SecretName {
    type Error = SecretNameError;
    fn try_from(text: String) -> Result<Self, SecretNameError> {
        text.parse()
    }
}

impl SealingKey {
    /// The key's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for SealingKey {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl TryFrom<&[u8]> for SealingKey {
    type Error = SealingKeyError;
    fn try_from(bytes: &[u8]) -> Result<Self, SealingKeyError> {
        bytes.try_into().map(Self).map_err(|_| SealingKeyError)
    }
}

impl From<SealingKey> for String {
    fn from(key: SealingKey) -> Self {
        hexadecimal::encode(&key.0)
    }
}

impl TryFrom<String> for SealingKey {
    type Error = SealingKeyError;
    fn try_from(text: String) -> Result<Self, SealingKeyError> {
        let bytes = hexadecimal::decode(&text).ok_or(SealingKeyError)?;
        bytes.as_slice().try_into()
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({})", hexadecimal::encode(&self.0[..8]))
    }
}

impl fmt::Debug for SealedBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedBox({} bytes)", self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::command::Request;
    use crate::testing::Builder;

    fn sealed(name: SecretName, recipient: &str) -> SealedSecret {
        SealedSecret {
            name,
            recipient: recipient.parse().unwrap(),
            sealed: SealedBox {
                version: 1,
                bytes: vec![7; 4],
            },
        }
    }

    /// Two voters with keys, one without, one follower; two secrets, sealed to the first voter.
    fn federation() -> Builder {
        let mut builder = Builder::new();
        let nodes = [
            ("v1", true, Some(1)),
            ("v2", true, Some(2)),
            ("v3", true, None),
            ("f1", false, None),
        ];
        for (node, voter, key) in nodes {
            let request = Request::Enroll {
                node: node.parse().unwrap(),
                cluster: "home".parse().unwrap(),
                voter,
                advertise: None,
                identity_key: None,
                token: None,
                sealing_key: key.map(|byte: u8| SealingKey::from([byte; 32])),
                boxes: Vec::new(),
            };
            builder.ask(request).unwrap();
        }
        let boxes = [SecretName::AuthorityKey(1), SecretName::PresharedKeys];
        let boxes = boxes.map(|name| sealed(name, "v1")).to_vec();
        builder.ask(Request::Seal { boxes }).unwrap();
        builder
    }

    #[test]
    fn a_voter_with_a_key_and_without_a_box_is_missed_and_nobody_else() {
        let builder = federation();
        let state = &builder.state;
        let missing = state.secrets().missing(state.inventory());
        let found: Vec<_> = missing
            .iter()
            .map(|missing| (missing.name.to_string(), missing.recipient.as_str()))
            .collect();
        let expected = [("authority-key/1", "v2"), ("preshared-keys", "v2")];
        assert_eq!(found, expected.map(|(name, node)| (name.to_owned(), node)));
        assert!(state.secrets().are_all_sealed_to(&"v1".parse().unwrap()));
        assert!(!state.secrets().are_all_sealed_to(&"v2".parse().unwrap()));
    }

    #[test]
    fn a_box_for_a_follower_or_for_nobody_is_refused() {
        for recipient in ["f1", "nobody"] {
            let boxes = vec![sealed(SecretName::PresharedKeys, recipient)];
            federation().ask(Request::Seal { boxes }).unwrap_err();
        }
    }

    #[test]
    fn secrets_survive_the_stored_form_and_an_older_state_has_none() {
        let state = federation().state;
        let stored = serde_json::to_string(&state).unwrap();
        assert_eq!(
            serde_json::from_str::<crate::state::FederationState>(&stored).unwrap(),
            state
        );
        let older = serde_json::to_string(&Builder::new().state).unwrap();
        assert!(!older.contains("secrets") && !older.contains("authorities"));
    }

    #[test]
    fn a_box_does_not_show_its_content() {
        let shown = format!("{:?}", sealed(SecretName::PresharedKeys, "v1"));
        assert!(shown.contains("4 bytes") && !shown.contains('7'), "{shown}");
    }

    proptest! {
        #[test]
        fn any_text_names_a_secret_or_none(text in "(authority-key/|plan/[a-z]/(tsig|hook/[a-z])/)?[a-z0-9/-]{0,20}") {
            if let Ok(name) = text.parse::<SecretName>() {
                prop_assert_eq!(name.to_string().parse(), Ok(name));
            }
        }
    }
}
