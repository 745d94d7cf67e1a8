//! Seals secrets so that one recipient can open them, and opens those sealed to this host.
//!
//! HPKE (RFC 9180) in base mode with X25519, HKDF-SHA256 and AES-256-GCM. A box is bound to the
//! federation, the secret's name and the recipient: under another label it does not open. The
//! private key is born in the data folder and never leaves it.

use aws_lc_rs::agreement;
use hanse_core::hexadecimal;
use hanse_core::name::{FederationName, NodeName};
use hanse_core::secret::{SealedBox, SealedSecret, SealingKey, SecretName};
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey, HpkePublicKey};

use crate::data::file::{self, MODE_SECRET};
use crate::data::{DataError, DataFolder};

/// How boxes are sealed.
const SUITE: &dyn Hpke = DH_KEM_X25519_HKDF_SHA256_AES_256;
/// The version of boxes that are sealed so.
const VERSION: u16 = 1;
/// Begins what a box is bound to.
const CONTEXT: &[u8] = b"hanse sealed secret 1\n";
/// The length of an encapsulated key, which begins a box.
const ENCAPSULATED_LENGTH: usize = 32;
/// The largest file that is read here.
const FILE_LENGTH_MAX: u64 = 1 << 10;

/// The key pair of a voter.
pub struct SealingKeyPair {
    public: SealingKey,
    private: HpkePrivateKey,
}

/// Why a secret was not sealed or not opened.
#[derive(Debug, thiserror::Error)]
pub enum SealingError {
    /// The file can't be read or written.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The machinery failed.
    #[error("unable to seal the secret `{0}`")]
    Seal(SecretName),
    /// The box is for somebody else, has another label, or is damaged.
    #[error("the sealed secret `{0}` can't be opened with this host's sealing.key")]
    Open(SecretName),
    /// There is no box.
    #[error("the secret `{0}` is not sealed to this voter yet")]
    Missing(SecretName),
}

/// Whose box it is, and of what.
#[derive(Debug, Clone, Copy)]
pub struct Label<'a> {
    /// The federation.
    pub federation: &'a FederationName,
    /// The secret.
    pub name: &'a SecretName,
    /// The recipient.
    pub recipient: &'a NodeName,
}

impl SealingKeyPair {
    /// The folder's key pair; a new one where there is none yet.
    pub fn open_or_generate(folder: &DataFolder) -> Result<Self, DataError> {
        if folder.sealing_key().exists() {
            return Self::open(folder);
        }
        let failed = |_| DataError::Problem("unable to make a sealing key".to_owned());
        let (_, private) = SUITE.generate_key_pair().map_err(failed)?;
        let path = folder.sealing_key();
        let text = format!("{}\n", hexadecimal::encode(private.secret_bytes()));
        file::write_atomically(&path, MODE_SECRET, text.as_bytes())
            .map_err(DataError::io("write", &path))?;
        Self::open(folder)
    }

    /// The folder's key pair.
    pub fn open(folder: &DataFolder) -> Result<Self, DataError> {
        let path = folder.sealing_key();
        let content =
            file::read_bounded(&path, FILE_LENGTH_MAX).map_err(DataError::io("read", &path))?;
        let text = String::from_utf8_lossy(&content);
        let pair = hexadecimal::decode(text.trim()).and_then(Self::of);
        pair.ok_or_else(|| {
            DataError::Problem(format!(
                "{} holds no sealing key any more: restore it from a backup of this folder, or \
                 enrol this voter anew",
                path.display()
            ))
        })
    }

    /// For whom others seal.
    #[must_use]
    pub fn public(&self) -> SealingKey {
        self.public
    }

    /// Opens a box with that label. What is inside must not be printed or kept.
    pub fn open_box(&self, label: Label<'_>, sealed: &SealedBox) -> Result<Vec<u8>, SealingError> {
        let refused = || SealingError::Open(label.name.clone());
        if sealed.version != VERSION {
            return Err(refused());
        }
        let (encapsulated, content) = sealed
            .bytes
            .split_at_checked(ENCAPSULATED_LENGTH)
            .ok_or_else(refused)?;
        let encapsulated = EncapsulatedSecret(encapsulated.to_vec());
        SUITE
            .open(&encapsulated, &label.bound(), &[], content, &self.private)
            .map_err(|_| refused())
    }

    fn of(private: Vec<u8>) -> Option<Self> {
        let key = agreement::PrivateKey::from_private_key(&agreement::X25519, &private).ok()?;
        let public = key.compute_public_key().ok()?;
        Some(Self {
            public: public.as_ref().try_into().ok()?,
            private: private.into(),
        })
    }
}

impl Label<'_> {
    /// Everything that the box is bound to, each part with its length.
    fn bound(&self) -> Vec<u8> {
        let name = self.name.to_string();
        let mut bound = CONTEXT.to_vec();
        for part in [self.federation.as_str(), &name, self.recipient.as_str()] {
            bound.extend((part.len() as u64).to_le_bytes());
            bound.extend(part.as_bytes());
        }
        bound
    }

    /// Seals a secret for the holder of a key.
    pub fn seal(self, key: &SealingKey, secret: &[u8]) -> Result<SealedSecret, SealingError> {
        let recipient = HpkePublicKey(key.as_bytes().to_vec());
        let (EncapsulatedSecret(mut bytes), content) = SUITE
            .seal(&self.bound(), &[], secret, &recipient)
            .map_err(|_| SealingError::Seal(self.name.clone()))?;
        bytes.extend(content);
        Ok(SealedSecret {
            name: self.name.clone(),
            recipient: self.recipient.clone(),
            sealed: SealedBox {
                version: VERSION,
                bytes,
            },
        })
    }
}

impl std::fmt::Debug for SealingKeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealingKeyPair({:?})", self.public)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use proptest::prelude::*;

    use super::*;

    fn pair() -> (tempfile::TempDir, SealingKeyPair) {
        let parent = tempfile::tempdir().unwrap();
        let pair = SealingKeyPair::open_or_generate(&DataFolder::new(parent.path())).unwrap();
        (parent, pair)
    }

    fn names() -> (FederationName, NodeName) {
        ("acme".parse().unwrap(), "home-1".parse().unwrap())
    }

    #[test]
    fn the_key_is_born_in_the_folder_and_stays_the_same_for_its_owner_alone() {
        let (parent, pair) = pair();
        let folder = DataFolder::new(parent.path());
        let again = SealingKeyPair::open_or_generate(&folder).unwrap();
        assert_eq!(pair.public(), again.public());
        let mode = std::fs::metadata(folder.sealing_key()).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);
        std::fs::write(folder.sealing_key(), "00").unwrap();
        let error = SealingKeyPair::open(&folder).unwrap_err().to_string();
        assert!(error.contains("sealing.key") && error.contains("restore"));
    }

    #[test]
    fn only_the_recipient_opens_a_box_and_only_under_its_label() {
        let ((_a, own), (_b, other)) = (pair(), pair());
        let (federation, recipient) = names();
        let label = Label {
            federation: &federation,
            name: &SecretName::AuthorityKey(1),
            recipient: &recipient,
        };
        let sealed = label.seal(&own.public(), b"secret").unwrap().sealed;
        assert_eq!(own.open_box(label, &sealed).unwrap(), b"secret");
        other.open_box(label, &sealed).unwrap_err();

        let (elsewhere, somebody) = ("other".parse().unwrap(), "home-2".parse().unwrap());
        let labels = [
            Label {
                federation: &elsewhere,
                ..label
            },
            Label {
                name: &SecretName::AuthorityKey(2),
                ..label
            },
            Label {
                recipient: &somebody,
                ..label
            },
        ];
        for label in labels {
            own.open_box(label, &sealed).unwrap_err();
        }
        let newer = SealedBox {
            version: VERSION + 1,
            ..sealed
        };
        own.open_box(label, &newer).unwrap_err();
    }

    #[test]
    fn neither_a_secret_nor_a_key_is_in_any_debug_output() {
        let (parent, pair) = pair();
        let content = std::fs::read_to_string(DataFolder::new(parent.path()).sealing_key());
        assert!(!format!("{pair:?}").contains(content.unwrap().trim()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn damaged_and_arbitrary_boxes_are_refused(
            bytes in any::<Vec<u8>>(), place in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>(),
        ) {
            let (_parent, own) = pair();
            let (federation, recipient) = names();
            let label = Label { federation: &federation, name: &SecretName::PresharedKeys, recipient: &recipient };
            let arbitrary = SealedBox { version: VERSION, bytes };
            prop_assert!(own.open_box(label, &arbitrary).is_err());
            let sealed = label.seal(&own.public(), b"secret").unwrap().sealed;
            let mut flipped = sealed.clone();
            let place = place.index(flipped.bytes.len());
            // The highest bit of the encapsulated key's last byte is ignored by X25519.
            flipped.bytes[place] ^= 1;
            prop_assert!(own.open_box(label, &flipped).is_err());
            let mut short = sealed;
            short.bytes.truncate(cut.index(short.bytes.len()));
            prop_assert!(own.open_box(label, &short).is_err());
        }
    }
}
