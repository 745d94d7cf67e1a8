//! The node's own key and certificate.

use std::path::Path;

use hanse_client::credentials::pem_section;
use hanse_client::{Credentials, CredentialsError, proto};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};

use crate::data::file::{self, MODE_PUBLIC, MODE_SECRET};
use crate::data::{DataError, DataFolder};

/// The largest file that is read here.
const FILE_LENGTH_MAX: u64 = 64 << 10;

/// The largest certificates of authorities that are taken, all together.
const BUNDLE_LENGTH_MAX: usize = 32 << 10;

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

    /// Keeps a certificate (DER, leaf first, then its authority) and whom to trust from now on, and
    /// yields what can be used. A federation that does not say whom to trust means that authority.
    pub fn accept(
        &self,
        chain: &[Vec<u8>],
        trust: Option<&proto::TrustBundle>,
    ) -> Result<Credentials, NodeIdentityError> {
        let (leaf, authority) = chain.split_at_checked(1).unwrap_or((chain, &[]));
        let certificate = sections(leaf);
        let trusted = match trust {
            Some(trust) if !trust.authorities.is_empty() => bundle(trust)?,
            Some(_) | None => sections(authority),
        };
        let name = "the certificate that the federation sent";
        let credentials = self.read(name, &certificate, &trusted)?;
        // Trust first: with it the old certificate is as good as the new one.
        self.write(&self.folder.authorities(), &trusted)?;
        self.write(&self.folder.node_certificates(), &certificate)?;
        Ok(credentials)
    }

    /// Keeps whom to trust from now on, and yields what can be used then.
    pub fn trust(&self, trust: &proto::TrustBundle) -> Result<Credentials, NodeIdentityError> {
        let trusted = bundle(trust)?;
        let certificate = self.text(&self.folder.node_certificates())?;
        let name = "the authorities that the federation sent";
        let credentials = self.read(name, &certificate, &trusted)?;
        self.write(&self.folder.authorities(), &trusted)?;
        Ok(credentials)
    }

    /// The credentials that are kept.
    pub fn credentials(&self) -> Result<Credentials, NodeIdentityError> {
        let path = self.folder.node_certificates();
        let certificate = self.text(&path)?;
        let trusted = self.folder.authorities();
        // An agent that knew one authority kept it with the certificate.
        let trusted = if trusted.exists() {
            self.text(&trusted)?
        } else {
            String::new()
        };
        Ok(self.read(&path.display().to_string(), &certificate, &trusted)?)
    }

    fn read(
        &self,
        name: &str,
        certificate: &str,
        trusted: &str,
    ) -> Result<Credentials, CredentialsError> {
        let bundle = format!("{certificate}{trusted}{}", self.key.serialize_pem());
        Credentials::from_pem(name, bundle.as_bytes())
    }

    fn text(&self, path: &Path) -> Result<String, DataError> {
        let pem = file::read_bounded(path, FILE_LENGTH_MAX).map_err(DataError::io("read", path))?;
        Ok(String::from_utf8_lossy(&pem).into_owned())
    }

    fn write(&self, path: &Path, text: &str) -> Result<(), DataError> {
        file::write_atomically(path, MODE_PUBLIC, text.as_bytes())
            .map_err(DataError::io("write", path))
    }
}

/// The bundle as text, if it is one.
fn bundle(trust: &proto::TrustBundle) -> Result<String, DataError> {
    let certificates = || trust.authorities.iter().chain(&trust.cross_certificates);
    let length: usize = certificates().map(Vec::len).sum();
    if trust.authorities.is_empty() || length > BUNDLE_LENGTH_MAX {
        let problem = "the federation sent no list of authorities that could be trusted";
        return Err(DataError::Problem(problem.to_owned()));
    }
    Ok(sections(certificates()))
}

fn sections<'a>(certificates: impl IntoIterator<Item = &'a Vec<u8>>) -> String {
    let certificates = certificates.into_iter();
    certificates
        .map(|der| pem_section("CERTIFICATE", der))
        .collect()
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
            node.accept(&chain, None)
                .unwrap_err()
                .to_string()
                .contains("does not belong")
        );
        assert!(!folder.node_certificates().exists());
        let chain = authority
            .certify(&identity, false, 0, lives, &node.request().unwrap())
            .unwrap();
        node.accept(&chain, None).unwrap();
        assert_eq!(node.credentials().unwrap().identity(), &identity);
    }

    #[test]
    fn whom_the_node_trusts_is_kept_beside_its_certificate_and_nonsense_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let folder = DataFolder::new(folder.path());
        let node = NodeIdentity::open_or_generate(&folder).unwrap();
        let identity = Identity::from_uri("spiffe://acme/cluster/c/node/n", None).unwrap();
        let generate = |number| Authority::generate("acme".parse().unwrap(), number, 0).unwrap();
        let (old, new) = (generate(1), generate(2));
        let lives = Duration::from_secs(60);
        let chain = old.certify_key(&identity, false, 0, lives, node.key());
        node.accept(&chain.unwrap(), None).unwrap();
        let cross = old.vouch_for(&new, 0).unwrap();
        let trust = proto::TrustBundle {
            authorities: vec![new.certificate().to_vec(), old.certificate().to_vec()],
            cross_certificates: vec![cross.clone()],
            ..Default::default()
        };
        node.trust(&trust).unwrap();
        for nonsense in [
            proto::TrustBundle::default(),
            proto::TrustBundle {
                authorities: vec![b"x".to_vec()],
                ..Default::default()
            },
            proto::TrustBundle {
                authorities: vec![vec![0; BUNDLE_LENGTH_MAX + 1]],
                ..Default::default()
            },
        ] {
            node.trust(&nonsense).unwrap_err();
        }
        let kept = node.credentials().unwrap();
        assert_eq!(
            kept.authorities(),
            [old.certificate().clone(), new.certificate().clone()]
        );
        assert_eq!(kept.chain()[1].to_vec(), cross);
        // The old one is gone for good.
        let trust = proto::TrustBundle {
            authorities: vec![new.certificate().to_vec()],
            ..Default::default()
        };
        node.trust(&trust).unwrap();
        let kept = node.credentials().unwrap();
        assert_eq!(kept.authorities(), [new.certificate().clone()]);
        assert_eq!(kept.chain().len(), 1);
    }
}
