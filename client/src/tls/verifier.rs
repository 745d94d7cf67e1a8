//! Who counts as a server: a node whose certificate the federation's authority signed for serving.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hanse_core::name::FederationName;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, PeerIncompatible, RootCertStore,
    SignatureScheme,
};
use x509_parser::parse_x509_certificate;

use crate::clock::{Clock, Reading};
use crate::fingerprint::Fingerprint;
use crate::spiffe::Identity;

/// Trusts authorities to name the nodes of one federation.
#[derive(Debug)]
pub struct FederationVerifier {
    authorities: Authorities,
    federation: FederationName,
    clock: Arc<dyn Clock>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// How the authorities are known.
#[derive(Debug)]
enum Authorities {
    /// By their certificates.
    Certificates(RootCertStore),
    /// One, by its fingerprint; the server sends the certificate along.
    Fingerprint(Fingerprint),
}

/// A server whose certificate is in order but who is not whom the caller seeks.
#[derive(Debug)]
struct Stranger(String);

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Stranger {}

impl FederationVerifier {
    /// Trusts `authorities` to name nodes of `federation`.
    pub fn new(
        authorities: &[CertificateDer<'static>],
        federation: FederationName,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        Ok(Self {
            authorities: Authorities::Certificates(roots(authorities)?),
            federation,
            clock,
            algorithms: algorithms(),
        })
    }

    /// Trusts the authority of that fingerprint to name nodes of `federation`.
    #[must_use]
    pub fn pinned(
        authority: Fingerprint,
        federation: FederationName,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            authorities: Authorities::Fingerprint(authority),
            federation,
            clock,
            algorithms: algorithms(),
        }
    }
}

impl ServerCertVerifier for FederationVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown;
        let roots = match &self.authorities {
            Authorities::Certificates(roots) => roots,
            Authorities::Fingerprint(fingerprint) => {
                shown = roots_shown(*fingerprint, intermediates)?;
                &shown
            }
        };
        verify(
            end_entity,
            intermediates,
            roots,
            &self.federation,
            self.clock.reading(),
            &self.algorithms,
        )
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn roots(authorities: &[CertificateDer<'static>]) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.clone())?;
    }
    Ok(roots)
}

/// The authority of that fingerprint, if the server shows it.
fn roots_shown(
    fingerprint: Fingerprint,
    intermediates: &[CertificateDer<'_>],
) -> Result<RootCertStore, Error> {
    let shown = intermediates
        .iter()
        .find(|certificate| Fingerprint::of(certificate) == fingerprint);
    match shown {
        Some(authority) => roots(&[authority.clone().into_owned()]),
        None => Err(stranger(format!(
            "the server does not show the certificate authority that the token names \
             (fingerprint {fingerprint}); is this the server of another federation?"
        ))),
    }
}

/// Checks the chain, the purpose and the name.
fn verify(
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    roots: &RootCertStore,
    federation: &FederationName,
    reading: Reading,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<ServerCertVerified, Error> {
    let parsed = ParsedCertificate::try_from(end_entity)?;
    at_some_time(reading, end_entity, intermediates, |time| {
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            roots,
            intermediates,
            time,
            algorithms.all,
        )
    })?;
    match Identity::from_certificate(end_entity) {
        Ok(Identity::Node {
            federation: named, ..
        }) if named == *federation => Ok(ServerCertVerified::assertion()),
        Ok(other) => Err(stranger(format!(
            "the server is {other}, and not a node of the federation `{federation}`"
        ))),
        Err(error) => Err(stranger(format!(
            "the server's certificate names nobody: {error}"
        ))),
    }
}

/// Asks whether a chain is good now; or, where only the earliest moment that it can be is known,
/// whether it is good at any moment from then on. So an end that has passed is always noticed, and
/// a beginning is held against nobody by a clock that may be behind.
pub fn at_some_time<T>(
    reading: Reading,
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    is_good: impl Fn(UnixTime) -> Result<T, Error>,
) -> Result<T, Error> {
    let at = |unix_s| UnixTime::since_unix_epoch(Duration::from_secs(unix_s));
    let earliest_s = reading.earliest_ms() / 1000;
    let verdict = is_good(at(earliest_s));
    match (reading, &verdict) {
        (Reading::AtLeast(_), Err(Error::InvalidCertificate(error))) if is_early(error) => {
            let chain = std::iter::once(end_entity).chain(intermediates);
            let beginnings = chain.filter_map(|der| begins_unix_s(der));
            let mut later = beginnings.filter(|begins_s| *begins_s > earliest_s);
            let found = later.find_map(|begins_s| is_good(at(begins_s)).ok());
            found.map_or(verdict, Ok)
        }
        (Reading::AtLeast(_) | Reading::Now(_), _) => verdict,
    }
}

fn is_early(error: &CertificateError) -> bool {
    matches!(
        error,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }
    )
}

fn begins_unix_s(der: &CertificateDer<'_>) -> Option<u64> {
    let (_, certificate) = parse_x509_certificate(der).ok()?;
    u64::try_from(certificate.validity().not_before.timestamp()).ok()
}

fn stranger(reason: String) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(Stranger(
        reason,
    )))))
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    let provider: CryptoProvider = aws_lc_rs::default_provider();
    provider.signature_verification_algorithms
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::WallClock;
    use crate::credentials::Credentials;
    use crate::tls::tests::{Authority, node_uri, user_uri};

    fn check(verifier: &FederationVerifier, server: &Credentials) -> Result<(), String> {
        let name = ServerName::try_from("any.example").unwrap();
        let intermediates = [server.authorities()[0].clone()];
        verifier
            .verify_server_cert(
                &server.chain()[0],
                &intermediates,
                &name,
                &[],
                UnixTime::now(),
            )
            .map(|_| ())
            .map_err(|error| error.to_string())
    }

    /// Both ways to know an authority.
    fn both(authority: &Authority) -> [FederationVerifier; 2] {
        let federation: FederationName = "acme".parse().unwrap();
        let certificate = authority.certificate();
        let pin = Fingerprint::of(&certificate);
        [
            FederationVerifier::pinned(pin, federation.clone(), Arc::new(WallClock)),
            FederationVerifier::new(&[certificate], federation, Arc::new(WallClock)).unwrap(),
        ]
    }

    #[derive(Debug)]
    struct Fixed(Reading);

    impl Clock for Fixed {
        fn reading(&self) -> Reading {
            self.0
        }

        fn learn(&self, _: u64, _: Duration) {}
    }

    #[test]
    fn an_end_that_has_passed_counts_even_where_only_a_bound_is_known_and_a_beginning_does_not() {
        let acme = Authority::new("acme");
        let server = acme.issue_between(&node_uri("acme"), 2_000, 3_000);
        let is_good = |reading| {
            let clock = Arc::new(Fixed(reading));
            let roots = [acme.certificate()];
            let verifier = FederationVerifier::new(&roots, "acme".parse().unwrap(), clock);
            check(&verifier.unwrap(), &server).is_ok()
        };
        let cases = [
            (Reading::AtLeast(1_000_000), true),
            (Reading::AtLeast(2_500_000), true),
            (Reading::AtLeast(3_001_000), false),
            (Reading::Now(1_000_000), false),
            (Reading::Now(2_500_000), true),
            (Reading::Now(3_001_000), false),
        ];
        for (reading, expected) in cases {
            assert_eq!(is_good(reading), expected, "{reading:?}");
        }
    }

    #[test]
    fn whoever_trusts_the_old_authority_alone_is_led_to_the_new_one_by_its_word() {
        let (old, new) = (Authority::new("old"), Authority::new("new"));
        let server = new.issue(&node_uri("acme"), None, true);
        let name = ServerName::try_from("any.example").unwrap();
        let chain = [old.vouch_for(&new), new.certificate(), old.certificate()];
        for verifier in both(&old) {
            let check = |chain: &[CertificateDer<'_>]| {
                verifier
                    .verify_server_cert(&server.chain()[0], chain, &name, &[], UnixTime::now())
                    .is_ok()
            };
            assert!(check(&chain));
            assert!(!check(&chain[1..]));
        }
    }

    #[test]
    fn a_voter_of_the_federation_is_trusted_under_any_address() {
        let acme = Authority::new("acme");
        for verifier in both(&acme) {
            check(&verifier, &acme.issue(&node_uri("acme"), None, true)).unwrap();
        }
    }

    #[test]
    fn a_server_of_another_authority_is_refused() {
        let stranger = Authority::new("acme").issue(&node_uri("acme"), None, true);
        for verifier in both(&Authority::new("acme")) {
            check(&verifier, &stranger).unwrap_err();
        }
    }

    #[test]
    fn a_node_that_may_not_serve_is_no_server() {
        let acme = Authority::new("acme");
        for verifier in both(&acme) {
            check(&verifier, &acme.issue(&node_uri("acme"), None, false)).unwrap_err();
        }
    }

    #[test]
    fn a_user_and_a_node_of_another_federation_are_no_servers() {
        let acme = Authority::new("acme");
        for verifier in both(&acme) {
            let user = acme.issue(&user_uri("acme"), Some("admin"), true);
            assert!(check(&verifier, &user).unwrap_err().contains("not a node"));
            let other = acme.issue(&node_uri("other"), None, true);
            assert!(check(&verifier, &other).unwrap_err().contains("not a node"));
        }
    }
}
