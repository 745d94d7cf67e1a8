//! The federation's certificate authority.
//!
//! It signs certificates and tokens. What a certificate says is decided here alone: of a request
//! only the public key is taken, never a name or a purpose.

use std::time::Duration;

use hanse_client::credentials::pem_section;
use hanse_client::{Fingerprint, Identity};
use hanse_core::name::FederationName;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SigningKey,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer};
use time::OffsetDateTime;

use super::unix_now_s;
use crate::data::file::{self, MODE_PUBLIC, MODE_SECRET};
use crate::data::{DataError, DataFolder};

/// How long the authority itself lives.
const AUTHORITY_LIFETIME_S: u64 = 10 * 365 * 24 * 3600;
/// Certificates begin a little in the past, since clocks differ.
pub const BACKDATE_S: u64 = 5 * 60;
/// The largest certificate request that is read.
const REQUEST_LENGTH_MAX: usize = 16 << 10;
/// The largest file that is read here.
const FILE_LENGTH_MAX: u64 = 64 << 10;

/// The federation's certificate authority with its key.
pub struct Authority {
    federation: FederationName,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// Why the authority didn't sign.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The request is at fault.
    #[error("the certificate request can't be used: {0}")]
    Request(&'static str),
    /// The machinery is.
    #[error("unable to sign a certificate: {0}")]
    Signing(#[from] rcgen::Error),
    /// A file can't be read or written.
    #[error(transparent)]
    Data(#[from] DataError),
}

impl Authority {
    /// Makes a new authority.
    pub fn generate(federation: FederationName) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, format!("Hanse federation {federation}"));
        (params.not_before, params.not_after) = lifetime(AUTHORITY_LIFETIME_S);
        let certificate = params.self_signed(&key)?.der().clone();
        let issuer = Issuer::new(params, key);
        Ok(Self {
            federation,
            certificate,
            issuer,
        })
    }

    /// Writes key and certificate.
    pub fn write(&self, folder: &DataFolder) -> Result<(), DataError> {
        let path = folder.authority_key();
        file::write_atomically(
            &path,
            MODE_SECRET,
            self.issuer.key().serialize_pem().as_bytes(),
        )
        .map_err(DataError::io("write", &path))?;
        let path = folder.authority_certificate();
        let pem = pem_section("CERTIFICATE", &self.certificate);
        file::write_atomically(&path, MODE_PUBLIC, pem.as_bytes())
            .map_err(DataError::io("write", &path))
    }

    /// Reads key and certificate.
    pub fn read(folder: &DataFolder, federation: FederationName) -> Result<Self, AuthorityError> {
        let malformed = |path: &std::path::Path| {
            DataError::Problem(format!(
                "{} is damaged; restore it from a backup of this folder",
                path.display()
            ))
        };
        let path = folder.authority_key();
        let pem =
            file::read_bounded(&path, FILE_LENGTH_MAX).map_err(DataError::io("read", &path))?;
        let key = std::str::from_utf8(&pem)
            .ok()
            .and_then(|pem| KeyPair::from_pem(pem).ok())
            .ok_or_else(|| malformed(&path))?;
        let path = folder.authority_certificate();
        let pem =
            file::read_bounded(&path, FILE_LENGTH_MAX).map_err(DataError::io("read", &path))?;
        let certificate = CertificateDer::from_pem_slice(&pem).map_err(|_| malformed(&path))?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|_| malformed(&path))?;
        Ok(Self {
            federation,
            certificate,
            issuer,
        })
    }

    /// The federation.
    #[must_use]
    pub fn federation(&self) -> &FederationName {
        &self.federation
    }

    /// The authority's certificate in DER.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The authority's fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate)
    }

    /// Signs for the holder of the request's key; the answer is leaf first, then the authority.
    pub fn certify(
        &self,
        identity: &Identity,
        serves: bool,
        lives: Duration,
        request: &[u8],
    ) -> Result<Vec<Vec<u8>>, AuthorityError> {
        if request.len() > REQUEST_LENGTH_MAX {
            return Err(AuthorityError::Request("it is too large"));
        }
        let request =
            CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(request))
                .map_err(|_| {
                    AuthorityError::Request("it is no PKCS #10 request that proves its key")
                })?;
        self.certify_key(identity, serves, lives, &request.public_key)
    }

    /// Signs for the holder of a key.
    pub fn certify_key(
        &self,
        identity: &Identity,
        serves: bool,
        lives: Duration,
        key: &impl PublicKeyData,
    ) -> Result<Vec<Vec<u8>>, AuthorityError> {
        if key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
            return Err(AuthorityError::Request("its key is not ECDSA P-256"));
        }
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) = lifetime(lives.as_secs());
        params.distinguished_name = DistinguishedName::new();
        match identity {
            Identity::Node { node, .. } => {
                params
                    .distinguished_name
                    .push(DnType::CommonName, node.as_str());
            }
            Identity::User { name, role, .. } => {
                params
                    .distinguished_name
                    .push(DnType::CommonName, name.as_str());
                params
                    .distinguished_name
                    .push(DnType::OrganizationalUnitName, role.as_str());
            }
        }
        params.subject_alt_names = vec![SanType::URI(identity.to_string().try_into()?)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if serves {
            params
                .extended_key_usages
                .push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(key, &self.issuer)?;
        Ok(vec![leaf.der().to_vec(), self.certificate.to_vec()])
    }

    /// Signs any text with the authority's key.
    pub(super) fn sign(&self, text: &[u8]) -> Result<Vec<u8>, AuthorityError> {
        Ok(self.issuer.key().sign(text)?)
    }

    /// The authority's public key, as an uncompressed point.
    pub(super) fn public_key(&self) -> &[u8] {
        self.issuer.key().public_key_raw()
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authority({}, {})", self.federation, self.fingerprint())
    }
}

fn lifetime(lives_s: u64) -> (OffsetDateTime, OffsetDateTime) {
    let now = unix_now_s();
    let at = |unix_s: u64| {
        i64::try_from(unix_s)
            .ok()
            .and_then(|unix_s| OffsetDateTime::from_unix_timestamp(unix_s).ok())
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    };
    (
        at(now.saturating_sub(BACKDATE_S)),
        at(now.saturating_add(lives_s)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn node() -> Identity {
        Identity::from_uri("spiffe://acme/cluster/home/node/home-1", None).unwrap()
    }

    fn authority() -> Authority {
        Authority::generate("acme".parse().unwrap()).unwrap()
    }

    fn request(params: CertificateParams) -> Vec<u8> {
        params
            .serialize_request(&KeyPair::generate().unwrap())
            .unwrap()
            .der()
            .to_vec()
    }

    #[test]
    fn an_authority_that_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let folder = DataFolder::new(folder.path());
        let authority = authority();
        authority.write(&folder).unwrap();
        let read = Authority::read(&folder, "acme".parse().unwrap()).unwrap();
        assert_eq!(read.fingerprint(), authority.fingerprint());
        assert_eq!(read.public_key(), authority.public_key());
    }

    #[test]
    fn a_request_cannot_choose_its_own_name_or_purpose() {
        let mut params = CertificateParams::default();
        params.subject_alt_names =
            vec![SanType::URI("spiffe://acme/user/root".try_into().unwrap())];
        params
            .distinguished_name
            .push(DnType::OrganizationalUnitName, "admin");
        let chain = authority()
            .certify(&node(), false, HOUR, &request(params))
            .unwrap();
        assert_eq!(Identity::from_certificate(&chain[0]).unwrap(), node());
    }

    #[test]
    fn a_role_travels_in_the_certificate() {
        let alex = Identity::from_uri(
            "spiffe://acme/user/alex",
            Some(hanse_client::Role::Operator),
        );
        let request = request(CertificateParams::default());
        let chain = authority()
            .certify(alex.as_ref().unwrap(), false, HOUR, &request)
            .unwrap();
        assert_eq!(Identity::from_certificate(&chain[0]), alex);
    }

    #[test]
    fn garbage_is_refused_as_a_request() {
        for request in [vec![], vec![0; 10], vec![0x30; 20 << 10]] {
            let error = authority()
                .certify(&node(), false, HOUR, &request)
                .unwrap_err();
            assert!(matches!(error, AuthorityError::Request(_)), "{error}");
        }
    }

    #[test]
    fn a_damaged_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let folder = DataFolder::new(folder.path());
        authority().write(&folder).unwrap();
        std::fs::write(folder.authority_key(), "x").unwrap();
        let error = Authority::read(&folder, "acme".parse().unwrap())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("authority.key") && error.contains("restore"),
            "{error}"
        );
    }
}
