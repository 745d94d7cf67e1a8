//! The node's own key and certificate.

use hanse_client::credentials::pem_section;
use hanse_client::{Credentials, CredentialsError};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};

use crate::data::file::{self, MODE_PUBLIC, MODE_SECRET};
use crate::data::{DataError, DataFolder};

/// The largest file that is read here.
const FILE_LENGTH_MAX: u64 = 64 << 10;

/// The node's key, before or after there is a certificate.
pub struct NodeIdentity {
    folder: DataFolder,
    key: KeyPair,
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum NodeIdentityError {
    /// A file can't be read or written.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Key and certificate don't fit together, or are damaged.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The machinery failed.
    #[error("unable to make a key or a certificate request: {0}")]
    Key(#[from] rcgen::Error),
}

impl NodeIdentity {
    /// The folder's key; a new one where there is none yet. An interrupted join finds its own again
    /// and with it what the federation remembers.
    pub fn open_or_generate(folder: &DataFolder) -> Result<Self, NodeIdentityError> {
        if folder.node_key().exists() {
            return Self::open(folder);
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let path = folder.node_key();
        file::write_atomically(&path, MODE_SECRET, key.serialize_pem().as_bytes())
            .map_err(DataError::io("write", &path))?;
        Ok(Self {
            folder: folder.clone(),
            key,
        })
    }

    /// The folder's key.
    pub fn open(folder: &DataFolder) -> Result<Self, NodeIdentityError> {
        let path = folder.node_key();
        let pem =
            file::read_bounded(&path, FILE_LENGTH_MAX).map_err(DataError::io("read", &path))?;
        let key = std::str::from_utf8(&pem)
            .ok()
            .and_then(|pem| KeyPair::from_pem(pem).ok())
            .ok_or_else(|| {
                DataError::Problem(format!("{} holds no private key any more", path.display()))
            })?;
        Ok(Self {
            folder: folder.clone(),
            key,
        })
    }

    /// A request for a certificate, PKCS #10 in DER.
    pub fn request(&self) -> Result<Vec<u8>, NodeIdentityError> {
        let request = CertificateParams::default().serialize_request(&self.key)?;
        Ok(request.der().to_vec())
    }

    /// The key pair, for an authority in the same folder.
    #[must_use]
    pub fn key(&self) -> &KeyPair {
        &self.key
    }

    /// Keeps a certificate chain (DER, leaf first, authority last) and yields what can be used.
    pub fn accept(&self, chain: &[Vec<u8>]) -> Result<Credentials, NodeIdentityError> {
        let pem: String = chain
            .iter()
            .map(|der| pem_section("CERTIFICATE", der))
            .collect();
        let credentials = self.bundle("the certificate that the federation sent", &pem)?;
        let path = self.folder.node_certificates();
        file::write_atomically(&path, MODE_PUBLIC, pem.as_bytes())
            .map_err(DataError::io("write", &path))?;
        Ok(credentials)
    }

    /// The credentials that are kept.
    pub fn credentials(&self) -> Result<Credentials, NodeIdentityError> {
        let path = self.folder.node_certificates();
        let pem =
            file::read_bounded(&path, FILE_LENGTH_MAX).map_err(DataError::io("read", &path))?;
        Ok(self.bundle(&path.display().to_string(), &String::from_utf8_lossy(&pem))?)
    }

    fn bundle(&self, name: &str, certificates: &str) -> Result<Credentials, CredentialsError> {
        let bundle = format!("{certificates}{}", self.key.serialize_pem());
        Credentials::from_pem(name, bundle.as_bytes())
    }
}

impl std::fmt::Debug for NodeIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NodeIdentity({})", self.folder.path().display())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    use hanse_client::Identity;

    use super::*;
    use crate::identity::Authority;

    #[test]
    fn the_key_is_born_in_the_folder_and_stays_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let folder = DataFolder::new(folder.path());
        let first = NodeIdentity::open_or_generate(&folder).unwrap();
        let second = NodeIdentity::open_or_generate(&folder).unwrap();
        assert_eq!(first.key.public_key_raw(), second.key.public_key_raw());
        let mode = std::fs::metadata(folder.node_key())
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_certificate_for_another_key_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let folder = DataFolder::new(folder.path());
        let node = NodeIdentity::open_or_generate(&folder).unwrap();
        let identity = Identity::from_uri("spiffe://acme/cluster/c/node/n", None).unwrap();
        let authority = Authority::generate("acme".parse().unwrap(), 1, 0).unwrap();
        let lives = Duration::from_secs(60);
        let other = KeyPair::generate().unwrap();
        let chain = authority
            .certify_key(&identity, false, 0, lives, &other)
            .unwrap();
        assert!(
            node.accept(&chain)
                .unwrap_err()
                .to_string()
                .contains("does not belong")
        );
        assert!(!folder.node_certificates().exists());
        let chain = authority
            .certify(&identity, false, 0, lives, &node.request().unwrap())
            .unwrap();
        node.accept(&chain).unwrap();
        assert_eq!(node.credentials().unwrap().identity(), &identity);
    }
}
