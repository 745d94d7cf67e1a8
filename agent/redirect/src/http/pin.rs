//! A server that is known by its certificate alone: one that signed its own has no authority, and its
//! name says nothing.

use std::fmt::Write as _;
use std::sync::Arc;

use aws_lc_rs::digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use crate::error::ConfigError;

/// Knows servers by the SHA-256 of their certificates, and checks that they have the key of it.
#[derive(Debug)]
struct Pins {
    pins: Vec<[u8; 32]>,
    provider: Arc<CryptoProvider>,
}

pub(super) fn config(pins: Vec<[u8; 32]>) -> Result<ClientConfig, ConfigError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Pins {
        pins,
        provider: Arc::clone(&provider),
    };
    let problem = |error| ConfigError::Value {
        what: format!("unable to set up TLS: {error}"),
    };
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(problem)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(tls)
}

impl ServerCertVerifier for Pins {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = digest::digest(&digest::SHA256, end_entity);
        if self.pins.iter().any(|pin| pin == shown.as_ref()) {
            return Ok(ServerCertVerified::assertion());
        }
        let mut written = String::new();
        for (place, byte) in shown.as_ref().iter().enumerate() {
            let colon = if place == 0 { "" } else { ":" };
            // Writing to a string doesn't fail.
            let _ = write!(written, "{colon}{byte:02X}");
        }
        Err(Error::General(format!(
            "its certificate has the fingerprint {written}, which is none of those declared"
        )))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
