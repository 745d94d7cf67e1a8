//! Who counts as a server: a node whose certificate the federation's authority signed for serving.

use std::fmt;
use std::sync::Arc;

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

use crate::fingerprint::Fingerprint;
use crate::spiffe::Identity;

/// Trusts one authority, known by its certificate.
#[derive(Debug)]
pub struct FederationVerifier {
    roots: RootCertStore,
    federation: FederationName,
    algorithms: WebPkiSupportedAlgorithms,
}

/// Trusts one authority, known by its fingerprint; the server sends the certificate along.
#[derive(Debug)]
pub struct PinnedVerifier {
    authority: Fingerprint,
    federation: FederationName,
    algorithms: WebPkiSupportedAlgorithms,
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
    /// Trusts `authority` to name nodes of `federation`.
    pub fn new(
        authority: CertificateDer<'static>,
        federation: FederationName,
    ) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        roots.add(authority)?;
        Ok(Self {
            roots,
            federation,
            algorithms: algorithms(),
        })
    }
}

impl PinnedVerifier {
    /// Trusts the authority of that fingerprint to name nodes of `federation`.
    #[must_use]
    pub fn new(authority: Fingerprint, federation: FederationName) -> Self {
        Self {
            authority,
            federation,
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
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        verify(
            end_entity,
            intermediates,
            &self.roots,
            &self.federation,
            now,
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

impl ServerCertVerifier for PinnedVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let authority = intermediates
            .iter()
            .find(|certificate| Fingerprint::of(certificate) == self.authority)
            .ok_or_else(|| {
                stranger(format!(
                    "the server does not show the certificate authority that the token names \
                     (fingerprint {}); is this the server of another federation?",
                    self.authority
                ))
            })?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        verify(
            end_entity,
            intermediates,
            &roots,
            &self.federation,
            now,
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

/// Checks the chain, the purpose and the name.
fn verify(
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    roots: &RootCertStore,
    federation: &FederationName,
    now: UnixTime,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<ServerCertVerified, Error> {
    let parsed = ParsedCertificate::try_from(end_entity)?;
    verify_server_cert_signed_by_trust_anchor(&parsed, roots, intermediates, now, algorithms.all)?;
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
    use crate::credentials::Credentials;
    use crate::tls::tests::{Authority, node_uri, user_uri};

    fn check(verifier: &dyn ServerCertVerifier, server: &Credentials) -> Result<(), String> {
        let name = ServerName::try_from("any.example").unwrap();
        let intermediates = [server.authority().clone()];
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

    fn both(authority: &Authority) -> [Box<dyn ServerCertVerifier>; 2] {
        let federation: FederationName = "acme".parse().unwrap();
        let certificate = authority.certificate();
        [
            Box::new(PinnedVerifier::new(
                Fingerprint::of(&certificate),
                federation.clone(),
            )),
            Box::new(FederationVerifier::new(certificate, federation).unwrap()),
        ]
    }

    #[test]
    fn a_voter_of_the_federation_is_trusted_under_any_address() {
        let acme = Authority::new("acme");
        for verifier in both(&acme) {
            check(&*verifier, &acme.issue(&node_uri("acme"), None, true)).unwrap();
        }
    }

    #[test]
    fn a_server_of_another_authority_is_refused() {
        let stranger = Authority::new("acme").issue(&node_uri("acme"), None, true);
        for verifier in both(&Authority::new("acme")) {
            check(&*verifier, &stranger).unwrap_err();
        }
    }

    #[test]
    fn a_node_that_may_not_serve_is_no_server() {
        let acme = Authority::new("acme");
        for verifier in both(&acme) {
            check(&*verifier, &acme.issue(&node_uri("acme"), None, false)).unwrap_err();
        }
    }

    #[test]
    fn a_user_and_a_node_of_another_federation_are_no_servers() {
        let acme = Authority::new("acme");
        for verifier in both(&acme) {
            let user = acme.issue(&user_uri("acme"), Some("admin"), true);
            assert!(check(&*verifier, &user).unwrap_err().contains("not a node"));
            let other = acme.issue(&node_uri("other"), None, true);
            assert!(
                check(&*verifier, &other)
                    .unwrap_err()
                    .contains("not a node")
            );
        }
    }
}
