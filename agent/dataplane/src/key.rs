//! The host's private keys: born here, one for each mesh, and never shown to anyone.
//!
//! A key file that can't be read is never replaced: the peers know the old key, and a new one
//! would cut the node off without anybody having decided it.

use std::fmt;
use std::path::{Path, PathBuf};

use aws_lc_rs::agreement::{self, PrivateKey as Agreement, UnparsedPublicKey, X25519};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hanse_core::key::PublicKey;
use hanse_core::name::MeshName;

use crate::config::shown;
use crate::error::Error;
use crate::file;

/// 32 bytes in base64, a line feed, and room to notice what is wrong.
const KEY_FILE_SIZE_MAX: u64 = 256;

/// A Curve25519 private key. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PrivateKey {
    bytes: [u8; 32],
    public: PublicKey,
}

impl PrivateKey {
    /// A new key.
    pub(crate) fn generate() -> Result<Self, Error> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes)
            .map_err(|_| Error::problem("unable to draw random bytes for a private key"))?;
        // RFC 7748, section 5: some bits of every key are fixed.
        bytes[0] &= 248;
        bytes[31] = (bytes[31] & 127) | 64;
        Self::from_bytes(bytes)
    }

    /// The key of these bytes.
    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Result<Self, Error> {
        let public = Agreement::from_private_key(&X25519, &bytes)
            .and_then(|key| Ok(key.compute_public_key()?))
            .map_err(|_| Error::problem("unable to compute the public half of a private key"))?;
        let public = PublicKey::try_from(public.as_ref())
            .map_err(|error| Error::problem(error.to_string()))?;
        Ok(Self { bytes, public })
    }

    pub(crate) fn public(&self) -> PublicKey {
        self.public
    }

    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// What this key and another node's have in common; none: the other key is degenerate.
    pub(crate) fn agree(&self, other: &PublicKey) -> Option<[u8; 32]> {
        let own = Agreement::from_private_key(&X25519, &self.bytes).ok()?;
        let other = UnparsedPublicKey::new(&X25519, other.as_bytes());
        agreement::agree(&own, other, (), |secret| {
            <[u8; 32]>::try_from(secret).map_err(|_| ())
        })
        .ok()
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey(of {})", self.public)
    }
}

/// Where a mesh's key lives.
pub(crate) fn key_file(folder: &Path, mesh: &MeshName) -> PathBuf {
    folder.join(format!("{mesh}.key"))
}

/// The mesh's key, born now if it has none.
pub(crate) fn load_or_create(folder: &Path, mesh: &MeshName) -> Result<PrivateKey, Error> {
    let path = key_file(folder, mesh);
    let content = file::read_bounded(&path, KEY_FILE_SIZE_MAX)
        .map_err(Error::io(format!("read the private key {}", shown(&path))))?;
    if let Some(content) = content {
        return parse(&content).ok_or_else(|| {
            Error::problem(format!(
                "{} holds no WireGuard key of 32 bytes in base64: restore it from a backup, or \
                 delete it to have a new key made, which peers will accept only once the \
                 federation has told them",
                shown(&path)
            ))
        });
    }
    let key = PrivateKey::generate()?;
    let write = || Error::io(format!("write the private key {}", shown(&path)));
    file::make_private_folder(folder).map_err(write())?;
    let text = format!("{}\n", STANDARD.encode(key.expose()));
    file::write_atomically(&path, text.as_bytes()).map_err(write())?;
    Ok(key)
}

fn parse(content: &[u8]) -> Option<PrivateKey> {
    let bytes = STANDARD.decode(content.trim_ascii()).ok()?;
    PrivateKey::from_bytes(bytes.try_into().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mesh() -> MeshName {
        "core".parse().unwrap()
    }

    #[test]
    fn the_public_half_is_the_one_of_rfc_7748() {
        let alice: [u8; 32] = [
            0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d, 0x3c, 0x16, 0xc1, 0x72, 0x51, 0xb2,
            0x66, 0x45, 0xdf, 0x4c, 0x2f, 0x87, 0xeb, 0xc0, 0x99, 0x2a, 0xb1, 0x77, 0xfb, 0xa5,
            0x1d, 0xb9, 0x2c, 0x2a,
        ];
        let key = PrivateKey::from_bytes(alice).unwrap();
        assert_eq!(key.public().to_string(), "8520f0098930a754");
    }

    #[test]
    fn two_keys_agree_and_a_degenerate_key_is_refused() {
        let (one, other) = (
            PrivateKey::generate().unwrap(),
            PrivateKey::generate().unwrap(),
        );
        assert_eq!(one.agree(&other.public()), other.agree(&one.public()));
        assert!(one.agree(&other.public()).is_some());
        assert_eq!(one.agree(&PublicKey::from([0; 32])), None);
    }

    #[test]
    fn a_key_is_born_once_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("wireguard");
        let born = load_or_create(&folder, &mesh()).unwrap();
        assert_eq!(load_or_create(&folder, &mesh()).unwrap(), born);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&key_file(&folder, &mesh())), 0o600);
        assert_eq!(mode(&folder), 0o700);
        let shown = format!("{born:?}");
        assert!(!shown.contains(&STANDARD.encode(born.expose())), "{shown}");
    }

    #[test]
    fn a_damaged_key_is_reported_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        for content in ["", "abc", "AAAA\n", &"x".repeat(10_000)] {
            let path = key_file(folder.path(), &mesh());
            fs::write(&path, content).unwrap();
            let error = load_or_create(folder.path(), &mesh())
                .unwrap_err()
                .sentence();
            assert!(error.contains("core.key"), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
    }
}
