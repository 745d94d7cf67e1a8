//! Credentials: one PEM bundle with the authority's certificate, the holder's and the holder's key.
//!
//! Errors name the bundle and what is missing. Nothing here prints key material.

use std::fmt;
use std::path::Path;

use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::parse_x509_certificate;

use crate::spiffe::{Identity, IdentityError};
use crate::tls;

/// The largest bundle that is read.
const BUNDLE_LENGTH_MAX: usize = 256 << 10;
/// The most authorities of one federation: while one follows another there are two.
const AUTHORITIES_MAX: usize = 8;

/// Who a program is, and whom it trusts.
pub struct Credentials {
    /// The one that signed first.
    authorities: Vec<CertificateDer<'static>>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivatePkcs8KeyDer<'static>,
    identity: Identity,
}

/// Why a bundle can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the credentials in {source_name} can't be used: {problem}")]
pub struct CredentialsError {
    source_name: String,
    problem: Problem,
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("the file can't be read ({0})")]
    Unreadable(std::io::Error),
    #[error("it is larger than {BUNDLE_LENGTH_MAX} bytes")]
    TooLarge,
    #[error("it is no PEM text; a bundle is what `hanse credentials issue` writes")]
    NotPem,
    #[error("the private key is not in PKCS #8 (`BEGIN PRIVATE KEY`)")]
    NotPkcs8,
    #[error("it has no private key (`BEGIN PRIVATE KEY`)")]
    NoKey,
    #[error("it has more than one private key")]
    ManyKeys,
    #[error("it has no certificate of a certificate authority")]
    NoAuthority,
    #[error("it has more than {AUTHORITIES_MAX} certificate authorities")]
    ManyAuthorities,
    #[error("it has a certificate authority but no certificate of the holder")]
    NoCertificate,
    #[error("a certificate in it is malformed")]
    MalformedCertificate,
    #[error("the holder's certificate names nobody: {0}")]
    Identity(IdentityError),
    #[error("the private key does not belong to the certificate")]
    OtherKey,
}

impl Credentials {
    /// Reads the bundle of a file. Small and local: it blocks.
    pub fn read(path: &Path) -> Result<Self, CredentialsError> {
        let source_name = path.display().to_string();
        let fail = |problem| CredentialsError {
            source_name: source_name.clone(),
            problem,
        };
        let length = std::fs::metadata(path)
            .map_err(|error| fail(Problem::Unreadable(error)))?
            .len();
        if length > BUNDLE_LENGTH_MAX as u64 {
            return Err(fail(Problem::TooLarge));
        }
        let pem = std::fs::read(path).map_err(|error| fail(Problem::Unreadable(error)))?;
        Self::from_pem(&source_name, &pem)
    }

    /// Reads a bundle; errors name `source_name`.
    pub fn from_pem(source_name: &str, pem: &[u8]) -> Result<Self, CredentialsError> {
        Self::parse(pem).map_err(|problem| CredentialsError {
            source_name: source_name.to_owned(),
            problem,
        })
    }

    fn parse(pem: &[u8]) -> Result<Self, Problem> {
        if pem.len() > BUNDLE_LENGTH_MAX {
            return Err(Problem::TooLarge);
        }
        let (mut authorities, mut chain, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        let mut between = Vec::new();
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
            let (kind, der) = section.map_err(|_| Problem::NotPem)?;
            match kind {
                SectionKind::Certificate => {
                    let sort = match sort(&der)? {
                        Sort::Authority => &mut authorities,
                        Sort::Between => &mut between,
                        Sort::Holder => &mut chain,
                    };
                    let der = CertificateDer::from(der);
                    if !sort.contains(&der) {
                        sort.push(der);
                    }
                }
                SectionKind::PrivateKey => keys.push(PrivatePkcs8KeyDer::from(der)),
                SectionKind::EcPrivateKey | SectionKind::RsaPrivateKey => {
                    return Err(Problem::NotPkcs8);
                }
                _ => {}
            }
        }
        if authorities.is_empty() && chain.is_empty() && keys.is_empty() {
            return Err(Problem::NotPem);
        }
        if keys.len() > 1 {
            return Err(Problem::ManyKeys);
        }
        if authorities.len() > AUTHORITIES_MAX || between.len() > AUTHORITIES_MAX {
            return Err(Problem::ManyAuthorities);
        }
        let key = keys.pop().ok_or(Problem::NoKey)?;
        if authorities.is_empty() {
            return Err(Problem::NoAuthority);
        }
        let leaf = chain.first().ok_or(Problem::NoCertificate)?;
        let identity = Identity::from_certificate(leaf).map_err(Problem::Identity)?;
        let issuer = name_of(leaf, |leaf| leaf.issuer().as_raw().to_vec());
        authorities
            .sort_by_key(|der| name_of(der, |one| one.subject().as_raw().to_vec()) != issuer);
        chain.extend(between);
        CertifiedKey::from_der(
            chain.clone(),
            PrivateKeyDer::from(key.clone_key()),
            &tls::provider(),
        )
        .map_err(|_| Problem::OtherKey)?;
        Ok(Self {
            authorities,
            chain,
            key,
            identity,
        })
    }

    /// The bundle as text. It holds the private key: write it where only its owner reads.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let mut text = String::new();
        for certificate in self.authorities.iter().chain(&self.chain) {
            text.push_str(&pem_section("CERTIFICATE", certificate));
        }
        text.push_str(&pem_section("PRIVATE KEY", self.key.secret_pkcs8_der()));
        text
    }

    /// Who the holder is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The authorities that are trusted, in DER; never empty, and the one that signed comes first
    /// if it is among them.
    #[must_use]
    pub fn authorities(&self) -> &[CertificateDer<'static>] {
        &self.authorities
    }

    /// Whether an authority signed the holder's certificate, going by its name.
    #[must_use]
    pub fn is_signed_by(&self, authority: &[u8]) -> bool {
        let issuer = self.chain.first();
        let issuer = issuer.and_then(|leaf| name_of(leaf, |leaf| leaf.issuer().as_raw().to_vec()));
        issuer.is_some() && issuer == name_of(authority, |one| one.subject().as_raw().to_vec())
    }

    /// When the holder's certificate begins and ends, in seconds since 1970.
    #[must_use]
    pub fn validity_unix_s(&self) -> Option<(u64, u64)> {
        let (_, leaf) = parse_x509_certificate(self.chain.first()?).ok()?;
        let validity = leaf.validity();
        let begins = u64::try_from(validity.not_before.timestamp()).ok()?;
        let ends = u64::try_from(validity.not_after.timestamp()).ok()?;
        Some((begins, ends))
    }

    /// The holder's certificate, then what leads from an older authority to the one that signed it,
    /// in DER.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// A copy of the key, for TLS.
    #[must_use]
    pub fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from(self.key.clone_key())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.identity)
    }
}

/// One section of PEM (RFC 7468).
#[must_use]
pub fn pem_section(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in body.as_bytes().chunks(64) {
        text.extend(line.iter().map(|byte| char::from(*byte)));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

/// What a certificate in a bundle is for.
enum Sort {
    /// It signed itself: an authority to trust.
    Authority,
    /// An authority that another one vouches for.
    Between,
    /// The holder's.
    Holder,
}

fn sort(der: &[u8]) -> Result<Sort, Problem> {
    let (_, certificate) =
        parse_x509_certificate(der).map_err(|_| Problem::MalformedCertificate)?;
    let signs_itself = certificate.issuer().as_raw() == certificate.subject().as_raw();
    Ok(match certificate.is_ca() {
        false => Sort::Holder,
        true if signs_itself => Sort::Authority,
        true => Sort::Between,
    })
}

fn name_of(der: &[u8], name: impl Fn(&X509Certificate<'_>) -> Vec<u8>) -> Option<Vec<u8>> {
    let (_, certificate) = parse_x509_certificate(der).ok()?;
    Some(name(&certificate))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::tests::{Authority, user_uri};

    fn problem_of(pem: &str) -> String {
        Credentials::from_pem("admin.pem", pem.as_bytes())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_bundle_that_is_written_is_read_back() {
        let bundle = Authority::new("acme").issue(&user_uri("acme"), Some("admin"), false);
        let read = Credentials::from_pem("x", bundle.to_pem().as_bytes()).unwrap();
        assert_eq!(read.to_pem(), bundle.to_pem());
        assert_eq!(read.identity().to_string(), "spiffe://acme/user/alex");
    }

    #[test]
    fn a_bundle_may_hold_the_authority_that_follows_and_what_vouches_for_it() {
        let (old, new) = (Authority::new("old"), Authority::new("new"));
        let bundle = new.issue(&user_uri("acme"), Some("admin"), false);
        let cross = old.vouch_for(&new);
        let pem = format!(
            "{}{}{}",
            pem_section("CERTIFICATE", &old.certificate()),
            pem_section("CERTIFICATE", &cross),
            bundle.to_pem()
        );
        let read = Credentials::from_pem("x", pem.as_bytes()).unwrap();
        assert_eq!(read.authorities(), [new.certificate(), old.certificate()]);
        assert_eq!(read.chain(), [bundle.chain()[0].clone(), cross]);
        assert!(read.is_signed_by(&new.certificate()));
        assert!(!read.is_signed_by(&old.certificate()) && !read.is_signed_by(b"x"));
        let written = read.to_pem();
        let again = Credentials::from_pem("x", written.as_bytes()).unwrap();
        assert_eq!(again.to_pem(), written);
    }

    #[test]
    fn an_error_names_the_bundle_and_what_is_missing() {
        let acme = Authority::new("acme");
        let bundle = acme.issue(&user_uri("acme"), Some("admin"), false);
        let authority = pem_section("CERTIFICATE", &bundle.authorities()[0]);
        let leaf = pem_section("CERTIFICATE", &bundle.chain()[0]);
        let key = pem_section("PRIVATE KEY", bundle.key.secret_pkcs8_der());
        let other = acme.issue(&user_uri("acme"), Some("admin"), false);
        let other_key = pem_section("PRIVATE KEY", other.key.secret_pkcs8_der());
        for (pem, expected) in [
            (String::new(), "no PEM text"),
            ("garbage".to_owned(), "no PEM text"),
            (format!("{authority}{leaf}"), "no private key"),
            (
                format!("{leaf}{key}"),
                "no certificate of a certificate authority",
            ),
            (format!("{authority}{key}"), "no certificate of the holder"),
            (format!("{authority}{leaf}{other_key}"), "does not belong"),
            (
                format!("{authority}{leaf}{key}{other_key}"),
                "more than one private key",
            ),
            (pem_section("EC PRIVATE KEY", b"x"), "PKCS #8"),
            (pem_section("CERTIFICATE", b"x"), "malformed"),
            ("x".repeat(BUNDLE_LENGTH_MAX + 1), "larger than"),
        ] {
            let problem = problem_of(&pem);
            assert!(
                problem.contains("admin.pem") && problem.contains(expected),
                "{problem}"
            );
        }
    }

    #[test]
    fn no_key_material_is_printed() {
        let bundle = Authority::new("acme").issue(&user_uri("acme"), Some("admin"), false);
        assert_eq!(
            format!("{bundle:?}"),
            "Credentials(spiffe://acme/user/alex)"
        );
    }
}
