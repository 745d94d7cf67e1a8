//! The federation's secrets as this voter opens them: from the state, with its own key, into
//! memory. What was opened is kept until the state holds other boxes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use hanse_core::authority::{Authorities, AuthorityRequest};
use hanse_core::inventory::Inventory;
use hanse_core::name::{FederationName, NodeName};
use hanse_core::secret::{PlanSecret, SealedBox, SealedSecret, SealingKey, SecretName, Secrets};
use hanse_core::state::FederationState;

use super::authority::{Authority, AuthorityError};
use super::sealing::{Label, SealingError, SealingKeyPair};
use super::trust::Trust;
use crate::preshared::PresharedKeys;

/// A voter's way to the federation's secrets.
#[derive(Debug)]
pub struct Keyring {
    federation: FederationName,
    node: NodeName,
    pair: SealingKeyPair,
    opened: Mutex<Option<Opened>>,
    trust: Mutex<Option<(Authorities, Arc<Trust>)>>,
}

/// What a leader works with.
#[derive(Debug)]
pub struct Keys {
    /// The authority that signs.
    pub authority: Authority,
    /// The pre-shared keys of pairs of nodes.
    pub preshared: PresharedKeys,
}

/// Why a secret can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// A box is missing or does not open.
    #[error(transparent)]
    Sealing(#[from] SealingError),
    /// The authority does not fit together.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// No authority signs: the federation is being founded.
    #[error("the federation has no certificate authority yet")]
    NoAuthority,
}

/// What was opened, and from what.
#[derive(Debug)]
struct Opened {
    authorities: Authorities,
    boxes: BTreeMap<SecretName, SealedBox>,
    keys: Arc<Keys>,
}

impl Keyring {
    /// The keyring of a voter.
    #[must_use]
    pub fn new(federation: FederationName, node: NodeName, pair: SealingKeyPair) -> Self {
        Self {
            federation,
            node,
            pair,
            opened: Mutex::default(),
            trust: Mutex::default(),
        }
    }

    /// Whom the federation trusts.
    #[must_use]
    pub fn trust(&self, inventory: &Inventory) -> Arc<Trust> {
        let mut kept = self.trust.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((authorities, trust)) if *authorities == inventory.authorities => trust.clone(),
            Some(_) | None => {
                let trust = Arc::new(Trust::of(&self.federation, &inventory.authorities));
                *kept = Some((inventory.authorities.clone(), trust.clone()));
                trust
            }
        }
    }

    /// The keys that the state holds for this voter.
    pub fn keys(&self, state: &FederationState) -> Result<Arc<Keys>, KeyringError> {
        let authorities = &state.inventory().authorities;
        let boxes = state.secrets().of(&self.node);
        let mut kept = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = &*kept
            && opened.authorities == *authorities
            && opened.boxes == boxes
        {
            return Ok(opened.keys.clone());
        }
        let keys = Arc::new(self.open_all(authorities, state.secrets())?);
        *kept = Some(Opened {
            authorities: authorities.clone(),
            boxes,
            keys: keys.clone(),
        });
        Ok(keys)
    }

    /// All secrets of the state, sealed to a new voter: what the request that lets it in carries.
    pub fn seal_all_for(
        &self,
        state: &FederationState,
        recipient: &NodeName,
        key: &SealingKey,
    ) -> Result<Vec<SealedSecret>, KeyringError> {
        let secrets = state.secrets();
        secrets
            .names()
            .map(|name| self.seal_again(secrets, name, recipient, key))
            .collect()
    }

    /// The boxes that voters should have and don't.
    pub fn seal_missing(&self, state: &FederationState) -> Result<Vec<SealedSecret>, KeyringError> {
        let missing = state.secrets().missing(state.inventory());
        missing
            .iter()
            .map(|one| self.seal_again(state.secrets(), &one.name, &one.recipient, &one.key))
            .collect()
    }

    /// A new secret, sealed to every voter that has a sealing key.
    pub fn seal_new(
        &self,
        inventory: &Inventory,
        name: &SecretName,
        secret: &[u8],
    ) -> Result<Vec<SealedSecret>, KeyringError> {
        let voters = inventory.nodes.iter().filter(|(_, record)| record.voter);
        let keys = voters.filter_map(|(node, record)| Some((node, record.sealing_key?)));
        keys.map(|(node, key)| Ok(self.label(name, node).seal(&key, secret)?))
            .collect()
    }

    /// What a plan's secret is. It must not be printed or kept.
    pub fn open_plan_secret(
        &self,
        state: &FederationState,
        secret: PlanSecret,
    ) -> Result<Vec<u8>, SealingError> {
        self.open_one(state.secrets(), &SecretName::Plan(secret))
    }

    /// The request that makes a new authority known, which the one that signs vouches for.
    pub fn introduce_authority(
        &self,
        state: &FederationState,
        now_unix_s: u64,
    ) -> Result<AuthorityRequest, KeyringError> {
        let number = state.inventory().authorities.next_number();
        let next = Authority::generate(self.federation.clone(), number, now_unix_s)?;
        let cross = self.keys(state)?.authority.vouch_for(&next, now_unix_s)?;
        let name = SecretName::AuthorityKey(number);
        let boxes = self.seal_new(state.inventory(), &name, &next.secret())?;
        Ok(next.introduction(cross, boxes))
    }

    /// A new secret, sealed to this voter alone: the first one's.
    pub fn seal_to_self(
        &self,
        name: &SecretName,
        secret: &[u8],
    ) -> Result<SealedSecret, SealingError> {
        self.label(name, &self.node)
            .seal(&self.pair.public(), secret)
    }

    /// The public half of this voter's own key.
    #[must_use]
    pub fn public(&self) -> SealingKey {
        self.pair.public()
    }

    fn open_all(&self, authorities: &Authorities, secrets: &Secrets) -> Result<Keys, KeyringError> {
        let (number, record) = authorities.signing().ok_or(KeyringError::NoAuthority)?;
        let key = self.open_one(secrets, &SecretName::AuthorityKey(number))?;
        let federation = self.federation.clone();
        let authority = Authority::open(federation, number, &record.certificate, &key)?;
        let name = SecretName::PresharedKeys;
        let preshared =
            PresharedKeys::open(&self.open_one(secrets, &name)?).ok_or(SealingError::Open(name))?;
        Ok(Keys {
            authority,
            preshared,
        })
    }

    fn open_one(&self, secrets: &Secrets, name: &SecretName) -> Result<Vec<u8>, SealingError> {
        let sealed = secrets.get(name, &self.node);
        let sealed = sealed.ok_or_else(|| SealingError::Missing(name.clone()))?;
        self.pair.open_box(self.label(name, &self.node), sealed)
    }

    fn seal_again(
        &self,
        secrets: &Secrets,
        name: &SecretName,
        recipient: &NodeName,
        key: &SealingKey,
    ) -> Result<SealedSecret, KeyringError> {
        let secret = self.open_one(secrets, name)?;
        Ok(self.label(name, recipient).seal(key, &secret)?)
    }

    fn label<'a>(&'a self, name: &'a SecretName, recipient: &'a NodeName) -> Label<'a> {
        Label {
            federation: &self.federation,
            name,
            recipient,
        }
    }
}

#[cfg(test)]
mod tests {
    use hanse_core::admission::{Admission, admit};
    use hanse_core::command::Request;

    use super::*;
    use crate::data::DataFolder;

    fn keyring(node: &str) -> (tempfile::TempDir, Keyring) {
        let parent = tempfile::tempdir().unwrap();
        let pair = SealingKeyPair::open_or_generate(&DataFolder::new(parent.path())).unwrap();
        let keyring = Keyring::new("acme".parse().unwrap(), node.parse().unwrap(), pair);
        (parent, keyring)
    }

    fn ask(state: &mut FederationState, request: Request) {
        let id = format!("request-{}", state.revision());
        match admit(state, &id, 0, request).unwrap() {
            Admission::Commit { entry, .. } => state.apply(&entry),
            Admission::Already { .. } => Vec::new(),
        };
    }

    fn enroll(keyring: &Keyring, boxes: Vec<SealedSecret>) -> Request {
        Request::Enroll {
            node: keyring.node.clone(),
            cluster: "home".parse().unwrap(),
            voter: true,
            advertise: None,
            identity_key: None,
            token: None,
            sealing_key: Some(keyring.public()),
            boxes,
        }
    }

    /// A federation of one voter with its secrets.
    fn founded(keyring: &Keyring) -> FederationState {
        let mut state = FederationState::new("acme".parse().unwrap());
        ask(&mut state, enroll(keyring, Vec::new()));
        let authority = Authority::generate("acme".parse().unwrap(), 1, 0).unwrap();
        let name = SecretName::AuthorityKey(1);
        let sealed = keyring.seal_new(state.inventory(), &name, &authority.secret());
        let introduction = authority.introduction(Vec::new(), sealed.unwrap());
        ask(&mut state, Request::Authority(introduction));
        let secret = PresharedKeys::generate().unwrap();
        let name = SecretName::PresharedKeys;
        let boxes = keyring.seal_new(state.inventory(), &name, &secret).unwrap();
        ask(&mut state, Request::Seal { boxes });
        state
    }

    fn pair_key(keys: &Keys) -> [u8; 32] {
        let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
        *keys.preshared.of(&"m".parse().unwrap(), &a, &b).as_bytes()
    }

    #[test]
    fn a_new_voter_opens_the_same_secrets_from_the_boxes_that_it_came_in_with() {
        let ((_a, first), (_b, second)) = (keyring("v1"), keyring("v2"));
        let mut state = founded(&first);
        let boxes = first.seal_all_for(&state, &second.node, &second.public());
        ask(&mut state, enroll(&second, boxes.unwrap()));
        let (own, other) = (first.keys(&state).unwrap(), second.keys(&state).unwrap());
        assert_eq!(own.authority.fingerprint(), other.authority.fingerprint());
        assert_eq!(own.authority.secret(), other.authority.secret());
        assert_eq!(pair_key(&own), pair_key(&other));
    }

    #[test]
    fn a_voter_that_came_in_without_boxes_gets_them_later() {
        let ((_a, first), (_b, second)) = (keyring("v1"), keyring("v2"));
        let mut state = founded(&first);
        ask(&mut state, enroll(&second, Vec::new()));
        let missing = second.keys(&state).unwrap_err();
        assert!(missing.to_string().contains("not sealed to this voter"));
        let boxes = first.seal_missing(&state).unwrap();
        ask(&mut state, Request::Seal { boxes });
        second.keys(&state).unwrap();
        assert!(first.seal_missing(&state).unwrap().is_empty());
    }

    #[test]
    fn the_authority_that_signs_is_the_one_that_is_opened() {
        use hanse_core::authority::AuthorityRequest::{Retire, Sign};
        let (_parent, keyring) = keyring("v1");
        let mut state = founded(&keyring);
        let old = keyring.keys(&state).unwrap();
        let next = Authority::generate("acme".parse().unwrap(), 2, 0).unwrap();
        let cross = old.authority.vouch_for(&next, 0).unwrap();
        let name = SecretName::AuthorityKey(2);
        let sealed = keyring.seal_new(state.inventory(), &name, &next.secret());
        let introduction = next.introduction(cross, sealed.unwrap());
        ask(&mut state, Request::Authority(introduction));
        assert_eq!(keyring.keys(&state).unwrap().authority.number(), 1);
        assert_eq!(keyring.trust(state.inventory()).iter().count(), 2);
        ask(&mut state, Request::Authority(Sign { number: 2 }));
        assert_eq!(keyring.keys(&state).unwrap().authority.number(), 2);
        ask(&mut state, Request::Authority(Retire { number: 1 }));
        let trust = keyring.trust(state.inventory());
        assert_eq!(trust.find(old.authority.fingerprint()), None);
        assert_eq!(trust.signing().unwrap().fingerprint, next.fingerprint());
    }
}
