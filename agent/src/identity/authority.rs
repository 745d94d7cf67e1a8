//! The federation's certificate authority.
//!
//! It signs certificates and tokens. What a certificate says is decided here alone: of a request
//! only the public key is taken, never a name or a purpose. Its key lies in the federation's state,
//! sealed to the voters, and in their memory: never in a file.

use std::time::Duration;

use hanse_client::{Fingerprint, Identity};
use hanse_core::authority::AuthorityRequest;
use hanse_core::name::FederationName;
use hanse_core::secret::SealedSecret;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SigningKey,
};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, PrivatePkcs8KeyDer};
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;

/// How long the authority itself lives.
const AUTHORITY_LIFETIME_S: u64 = 10 * 365 * 24 * 3600;
/// Certificates begin a little in the past, since clocks differ: by this, or by half their life.
const BACKDATE_S: u64 = 5 * 60;
/// Comes before the number in an authority's name.
const NUMBERED: &str = ", authority ";
/// The largest certificate request that is read.
const REQUEST_LENGTH_MAX: usize = 16 << 10;
/// An authority may vouch for the one that follows it, and that one for nobody else.
const AUTHORITIES_BELOW: u8 = 1;

/// The federation's certificate authority with its key.
pub struct Authority {
    federation: FederationName,
    number: u32,
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
    /// What the state holds is no authority.
    #[error("the authority {0} in the federation's state is damaged")]
    Damaged(u32),
}

impl Authority {
    /// Makes a new authority.
    pub fn generate(
        federation: FederationName,
        number: u32,
        now_unix_s: u64,
    ) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let params = parameters(&federation, number, AUTHORITIES_BELOW, now_unix_s);
        let certificate = params.self_signed(&key)?.der().clone();
        Ok(Self {
            federation,
            number,
            certificate,
            issuer: Issuer::new(params, key),
        })
    }

    /// The authority of a certificate and a key in PKCS #8.
    pub fn open(
        federation: FederationName,
        number: u32,
        certificate: &[u8],
        key: &[u8],
    ) -> Result<Self, AuthorityError> {
        let damaged = |_| AuthorityError::Damaged(number);
        let key = PrivatePkcs8KeyDer::from(key);
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256);
        let certificate = CertificateDer::from(certificate.to_vec());
        let issuer = Issuer::from_ca_cert_der(&certificate, key.map_err(damaged)?);
        let issuer = issuer.map_err(damaged)?;
        Ok(Self {
            federation,
            number,
            certificate,
            issuer,
        })
    }

    /// The key in PKCS #8, to be sealed and never kept otherwise.
    #[must_use]
    pub fn secret(&self) -> Vec<u8> {
        self.issuer.key().serialize_der()
    }

    /// Certifies the key of the authority that follows, so that whoever trusts this one is led to
    /// that one.
    pub fn vouch_for(&self, next: &Self, now_unix_s: u64) -> Result<Vec<u8>, AuthorityError> {
        let params = parameters(&next.federation, next.number, 0, now_unix_s);
        let certificate = params.signed_by(next.issuer.key(), &self.issuer)?;
        Ok(certificate.der().to_vec())
    }

    /// The request that makes it known to the federation.
    #[must_use]
    pub fn introduction(
        &self,
        cross_certificate: Vec<u8>,
        boxes: Vec<SealedSecret>,
    ) -> AuthorityRequest {
        AuthorityRequest::Introduce {
            number: self.number,
            certificate: self.certificate.to_vec(),
            cross_certificate,
            boxes,
        }
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
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
        now_unix_s: u64,
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
        self.certify_key(identity, serves, now_unix_s, lives, &request.public_key)
    }

    /// Signs for the holder of a key.
    pub fn certify_key(
        &self,
        identity: &Identity,
        serves: bool,
        now_unix_s: u64,
        lives: Duration,
        key: &impl PublicKeyData,
    ) -> Result<Vec<Vec<u8>>, AuthorityError> {
        if key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
            return Err(AuthorityError::Request("its key is not ECDSA P-256"));
        }
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) = lifetime(now_unix_s, lives.as_secs());
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
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authority({}, {})", self.federation, self.fingerprint())
    }
}

fn parameters(
    federation: &FederationName,
    number: u32,
    authorities_below: u8,
    now_unix_s: u64,
) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(authorities_below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name = DistinguishedName::new();
    // Each has a name of its own, by which a chain finds its issuer.
    let name = format!("Hanse federation {federation}{NUMBERED}{number}");
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = lifetime(now_unix_s, AUTHORITY_LIFETIME_S);
    params
}

/// The number in the name of the authority that signed a certificate; none: an older version named
/// its authority without one.
#[must_use]
pub fn issuer_number(certificate: &X509Certificate<'_>) -> Option<u32> {
    let name = certificate.issuer().iter_common_name().next()?;
    let (_, number) = name.as_str().ok()?.rsplit_once(NUMBERED)?;
    number.parse().ok()
}

/// When a certificate was signed that is valid from and until these moments, in seconds since 1970.
#[must_use]
pub fn signed_unix_s(begins_unix_s: u64, ends_unix_s: u64) -> u64 {
    // Dated back by half of what it lives from its signing on is by a third of the whole.
    let whole_s = ends_unix_s.saturating_sub(begins_unix_s);
    begins_unix_s.saturating_add(BACKDATE_S.min(whole_s / 3))
}

fn lifetime(now_unix_s: u64, lives_s: u64) -> (OffsetDateTime, OffsetDateTime) {
    let at = |unix_s: u64| {
        i64::try_from(unix_s)
            .ok()
            .and_then(|unix_s| OffsetDateTime::from_unix_timestamp(unix_s).ok())
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    };
    let backdate_s = BACKDATE_S.min(lives_s / 2);
    (
        at(now_unix_s.saturating_sub(backdate_s)),
        at(now_unix_s.saturating_add(lives_s)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const NOW: u64 = 1_800_000_000;

    fn node() -> Identity {
        Identity::from_uri("spiffe://acme/cluster/home/node/home-1", None).unwrap()
    }

    fn authority() -> Authority {
        Authority::generate("acme".parse().unwrap(), 1, NOW).unwrap()
    }

    fn request(params: CertificateParams) -> Vec<u8> {
        params
            .serialize_request(&KeyPair::generate().unwrap())
            .unwrap()
            .der()
            .to_vec()
    }

    #[test]
    fn an_authority_is_opened_again_from_its_certificate_and_its_key() {
        let authority = authority();
        let certificate = authority.certificate().to_vec();
        let name = authority.federation().clone();
        let open = |key: &[u8]| Authority::open(name.clone(), 1, &certificate, key);
        let read = open(&authority.secret()).unwrap();
        assert_eq!(read.fingerprint(), authority.fingerprint());
        assert_eq!(read.secret(), authority.secret());
        assert!(matches!(open(b"x"), Err(AuthorityError::Damaged(1))));
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
            .certify(&node(), false, NOW, HOUR, &request(params))
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
            .certify(alex.as_ref().unwrap(), false, NOW, HOUR, &request)
            .unwrap();
        assert_eq!(Identity::from_certificate(&chain[0]), alex);
    }

    #[test]
    fn garbage_is_refused_as_a_request() {
        for request in [vec![], vec![0; 10], vec![0x30; 20 << 10]] {
            let error = authority()
                .certify(&node(), false, NOW, HOUR, &request)
                .unwrap_err();
            assert!(matches!(error, AuthorityError::Request(_)), "{error}");
        }
    }
}
