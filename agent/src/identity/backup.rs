//! Backups: the replicated state as one file that the federation's authority signed.
//!
//! A magic with the format's version; the manifest's length, the manifest; the signature's length,
//! the signature; the content. The authority signs all that comes before its signature, and the
//! manifest holds the content's length and checksum: so not one byte can be changed, added or taken
//! away. Whether the authority that signed is the right one only whoever knows its fingerprint can
//! tell. Nothing in here is secret in clear.

use std::fmt;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use hanse_client::Fingerprint;
use hanse_consensus::record::too_new;
use hanse_core::hexadecimal;
use hanse_core::level::{FeatureLevel, PROGRAM_VERSION};
use hanse_core::name::{FederationName, NodeName};
use hanse_core::secret::SecretName;
use hanse_core::state::FederationState;
use serde::{Deserialize, Serialize};
use x509_parser::parse_x509_certificate;

use super::authority::{Authority, AuthorityError};
use super::sealing::{Label, SealingKeyPair};

/// The largest file that is written or read.
pub const LENGTH_MAX: u64 = 256 << 20;

/// Begins every backup.
const MAGIC: &[u8; 6] = b"hanseB";
/// The version of the format, which follows in two bytes.
const VERSION: u16 = 1;
/// What is signed begins so, lest a signature for one purpose serve another.
const CONTEXT: &[u8] = b"hanse backup 1\n";
/// The largest manifest.
const MANIFEST_LENGTH_MAX: usize = 64 << 10;
/// The largest signature.
const SIGNATURE_LENGTH_MAX: usize = 1 << 10;

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The federation.
    pub federation: FederationName,
    /// The revision of the state.
    pub revision: u64,
    /// When it was taken, by the federation's time, in seconds since 1970.
    pub taken_unix_s: u64,
    /// The voter that took it.
    pub taken_by: NodeName,
    /// The version of that voter.
    pub agent_version: String,
    /// The feature level of the state.
    #[serde(default, skip_serializing_if = "FeatureLevel::is_first")]
    pub feature_level: FeatureLevel,
    /// The certificate of the authority that signed, in DER.
    #[serde(with = "hexadecimal")]
    pub certificate: Vec<u8>,
    /// The content's length.
    pub content_length: u64,
    /// SHA-256 of the content.
    #[serde(with = "hexadecimal")]
    pub content_sha256: Vec<u8>,
}

/// A backup that is as it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// What it says of itself.
    pub manifest: Manifest,
    /// The state.
    pub state: FederationState,
}

/// A file that its authority signed, of whose content nothing was read yet: whoever expects another
/// authority looks no further.
#[derive(Debug)]
pub struct SignedBackup<'a> {
    /// What it says of itself.
    pub manifest: Manifest,
    content: &'a [u8],
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// It was never one.
    #[error("it is no backup of a federation: `hanse backup` writes one")]
    NotOne,
    /// It is of a format that is not known here.
    #[error(
        "it has the format version {0} and this program reads version {VERSION}: restore it with \
         the program of the federation that it is of, or a newer one"
    )]
    Version(u16),
    /// It is of a level that is not known here.
    #[error("it holds a federation at {}", too_new(*.0, Some(.1)))]
    Newer(FeatureLevel, String),
    /// Bytes are missing.
    #[error("it was cut short: {missing} bytes are missing at the least; fetch it again")]
    CutShort {
        /// How many at least.
        missing: u64,
    },
    /// Something follows.
    #[error("{0} bytes follow its end: it is not as it was written")]
    Longer(u64),
    /// It is not what was signed.
    #[error("it is not as it was signed ({0}): it was changed or damaged; use another copy")]
    Altered(&'static str),
    /// It is signed, and makes no sense.
    #[error("it can't be understood: {0}")]
    Malformed(String),
    /// It would be too large.
    #[error("it has {0} bytes and may have {LENGTH_MAX}")]
    TooLarge(u64),
    /// The authority did not sign.
    #[error(transparent)]
    Signing(#[from] AuthorityError),
}

impl Backup {
    /// The file of a state, signed.
    pub fn sign(
        state: &FederationState,
        authority: &Authority,
        taken_by: &NodeName,
        taken_unix_s: u64,
    ) -> Result<Vec<u8>, BackupError> {
        let malformed = |error: serde_json::Error| BackupError::Malformed(error.to_string());
        let state = state.for_backup();
        let content = serde_json::to_vec(&state).map_err(malformed)?;
        let manifest = Manifest {
            federation: state.inventory().name().clone(),
            revision: state.revision(),
            taken_unix_s,
            taken_by: taken_by.clone(),
            agent_version: PROGRAM_VERSION.to_owned(),
            feature_level: state.feature_level(),
            certificate: authority.certificate().to_vec(),
            content_length: content.len() as u64,
            content_sha256: sha256(&content),
        };
        let manifest = serde_json::to_vec(&manifest).map_err(malformed)?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(length_of(&manifest)?);
        bytes.extend(manifest);
        let signature = authority.sign(&signed_text(&bytes))?;
        bytes.extend(length_of(&signature)?);
        bytes.extend(signature);
        bytes.extend(content);
        match bytes.len() as u64 {
            length if length > LENGTH_MAX => Err(BackupError::TooLarge(length)),
            _ => Ok(bytes),
        }
    }

    /// Reads a file; any bytes give a backup as it was signed, or an error.
    pub fn read(bytes: &[u8]) -> Result<Self, BackupError> {
        SignedBackup::check(bytes)?.open()
    }

    /// What pre-shared keys are derived from, if the key pair is that of a voter that knew it.
    #[must_use]
    pub fn preshared_secret(&self, pair: &SealingKeyPair) -> Option<Vec<u8>> {
        let name = SecretName::PresharedKeys;
        let secrets = self.state.secrets();
        let mut recipients = self.state.inventory().nodes.keys();
        recipients.find_map(|recipient| {
            let label = Label {
                federation: &self.manifest.federation,
                name: &name,
                recipient,
            };
            pair.open_box(label, secrets.get(&name, recipient)?).ok()
        })
    }

    /// The authority that signed it.
    #[must_use]
    pub fn authority(&self) -> Fingerprint {
        Fingerprint::of(&self.manifest.certificate)
    }
}

impl<'a> SignedBackup<'a> {
    /// Looks whether the authority that the file names signed it.
    pub fn check(bytes: &'a [u8]) -> Result<Self, BackupError> {
        let length = bytes.len() as u64;
        if length > LENGTH_MAX {
            return Err(BackupError::TooLarge(length));
        }
        let mut rest = bytes;
        if take(&mut rest, MAGIC.len()).is_none_or(|magic| magic != MAGIC) {
            return Err(BackupError::NotOne);
        }
        let version = take(&mut rest, 2).ok_or(BackupError::CutShort { missing: 1 })?;
        let version = u16::from_le_bytes([version[0], version[1]]);
        if version != VERSION {
            return Err(BackupError::Version(version));
        }
        let manifest = take_counted(&mut rest, MANIFEST_LENGTH_MAX)?;
        let signed = &bytes[..bytes.len() - rest.len()];
        let signature = take_counted(&mut rest, SIGNATURE_LENGTH_MAX)?;
        let manifest: Manifest = serde_json::from_slice(manifest)
            .map_err(|_| BackupError::Altered("its manifest can't be read"))?;
        let public_key = public_key(&manifest.certificate)?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public_key)
            .verify(&signed_text(signed), signature)
            .map_err(|_| BackupError::Altered("its signature does not match"))?;
        Ok(Self {
            manifest,
            content: rest,
        })
    }

    /// The authority that signed it.
    #[must_use]
    pub fn authority(&self) -> Fingerprint {
        Fingerprint::of(&self.manifest.certificate)
    }

    /// The content, if it is what the manifest speaks of.
    pub fn open(self) -> Result<Backup, BackupError> {
        let Self { manifest, content } = self;
        let length = content.len() as u64;
        if let Some(missing @ 1..) = manifest.content_length.checked_sub(length) {
            return Err(BackupError::CutShort { missing });
        }
        if length > manifest.content_length {
            return Err(BackupError::Longer(length - manifest.content_length));
        }
        if sha256(content) != manifest.content_sha256 {
            return Err(BackupError::Altered("its checksum does not match"));
        }
        if !manifest.feature_level.is_supported() {
            let program = manifest.agent_version;
            return Err(BackupError::Newer(manifest.feature_level, program));
        }
        let state: FederationState = serde_json::from_slice(content)
            .map_err(|error| BackupError::Malformed(error.to_string()))?;
        if *state.inventory().name() != manifest.federation || state.revision() != manifest.revision
        {
            let reason = "its manifest speaks of another state than it holds";
            return Err(BackupError::Malformed(reason.to_owned()));
        }
        Ok(Backup { manifest, state })
    }
}

impl fmt::Display for Backup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Manifest {
            federation,
            revision,
            taken_by,
            ..
        } = &self.manifest;
        let inventory = self.state.inventory();
        write!(
            f,
            "the federation `{federation}` at revision {revision}, with {} member clusters, {} VPN \
             meshes and {} nodes, taken by the voter `{taken_by}`",
            inventory.clusters.len(),
            inventory.meshes.len(),
            inventory.nodes.len(),
        )
    }
}

fn signed_text(bytes: &[u8]) -> Vec<u8> {
    [CONTEXT, bytes].concat()
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

fn length_of(part: &[u8]) -> Result<[u8; 4], BackupError> {
    let length = u32::try_from(part.len());
    let length = length.map_err(|_| BackupError::TooLarge(part.len() as u64))?;
    Ok(length.to_le_bytes())
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn take_counted<'a>(rest: &mut &'a [u8], length_max: usize) -> Result<&'a [u8], BackupError> {
    let missing = |wanted: usize, rest: &[u8]| BackupError::CutShort {
        missing: wanted.saturating_sub(rest.len()) as u64,
    };
    let length = take(rest, 4).ok_or_else(|| missing(4, rest))?;
    let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
    if length > length_max {
        return Err(BackupError::Altered("a part of it is too large"));
    }
    take(rest, length).ok_or_else(|| missing(length, rest))
}

fn public_key(certificate: &[u8]) -> Result<Vec<u8>, BackupError> {
    let (_, certificate) = parse_x509_certificate(certificate)
        .map_err(|_| BackupError::Altered("the authority's certificate can't be read"))?;
    Ok(certificate.public_key().subject_public_key.data.to_vec())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn authority() -> Authority {
        Authority::generate("acme".parse().unwrap(), 1, 0).unwrap()
    }

    fn file(authority: &Authority) -> Vec<u8> {
        let state = FederationState::new("acme".parse().unwrap());
        Backup::sign(&state, authority, &"home-1".parse().unwrap(), 7).unwrap()
    }

    #[test]
    fn what_was_signed_is_read_back_and_says_who_signed_it() {
        let authority = authority();
        let backup = Backup::read(&file(&authority)).unwrap();
        assert_eq!(backup.authority(), authority.fingerprint());
        assert_eq!(backup.state, FederationState::new("acme".parse().unwrap()));
        assert_eq!(backup.manifest.taken_unix_s, 7);
    }

    #[test]
    fn not_one_byte_can_be_changed_taken_away_or_added() {
        let whole = file(&authority());
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            let error = Backup::read(&changed).unwrap_err().to_string();
            assert!(!error.is_empty(), "{place}");
            Backup::read(&whole[..place]).unwrap_err();
        }
        let error = Backup::read(&[&whole[..], b"x"].concat()).unwrap_err();
        assert!(matches!(error, BackupError::Longer(1)), "{error}");
    }

    #[test]
    fn each_refusal_says_what_is_wrong() {
        let whole = file(&authority());
        let said = |bytes: &[u8]| Backup::read(bytes).unwrap_err().to_string();
        assert!(said(b"").contains("no backup"));
        assert!(said(b"{\"version\": 4}").contains("no backup"));
        let mut newer = whole.clone();
        newer[6] = 2;
        assert!(said(&newer).contains("format version 2"));
        let cut = said(&whole[..whole.len() - 3]);
        assert!(cut.contains("cut short: 3 bytes"), "{cut}");
        let mut changed = whole.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert!(said(&changed).contains("checksum"));
    }

    #[test]
    fn nobody_else_signs_for_the_authority() {
        let own = authority();
        let whole = file(&own);
        let own = own.certificate().to_vec();
        // Certificates of one length: the forger's in place of the authority's.
        let mut others = std::iter::repeat_with(|| authority().certificate().to_vec());
        let other = others.find(|other| other.len() == own.len()).unwrap();
        let text = hexadecimal::encode(&own);
        let place = whole
            .windows(text.len())
            .position(|part| part == text.as_bytes());
        let (place, put) = (place.unwrap(), hexadecimal::encode(&other));
        let mut forged = whole;
        forged[place..place + put.len()].copy_from_slice(put.as_bytes());
        let error = Backup::read(&forged).unwrap_err().to_string();
        assert!(error.contains("signature"), "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_backup_or_an_error(bytes in any::<Vec<u8>>()) {
            let _ = Backup::read(&bytes);
            let _ = Backup::read(&[&b"hanseB\x01\x00"[..], &bytes].concat());
        }
    }
}
