//! Mutual TLS where each side knows the one certificate of the other.
//!
//! The caller's certificate is self-signed, says that it is an authority, and has a P-521 key. A
//! chain is never built for it: it is accepted when it is, byte for byte, the one that the
//! environment named, and when the signature of the handshake proves its key.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::handshake;

/// How many handshakes may go on at once.
pub(super) const HANDSHAKES_MAX: usize = 16;

/// How long one handshake may take.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// A door for the pinned certificate alone, and this server's own certificate as the handshake line
/// carries it.
pub(super) fn pinned(pinned: CertificateDer<'static>) -> io::Result<(Door, String)> {
    let (certificate, key) = own_certificate().map_err(io::Error::other)?;
    let text = handshake::certificate_text(&certificate);
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(Pinned {
        certificate: pinned,
        provider: Arc::clone(&provider),
    });
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate], key)
        .map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok((Door::Pinned(TlsAcceptor::from(Arc::new(config))), text))
}

/// Who is let in.
#[derive(Clone)]
pub(super) enum Door {
    /// Whoever reaches the socket: the caller named no certificate.
    Open,
    /// The pinned certificate alone.
    Pinned(TlsAcceptor),
}

/// A connection that was let in. One type for both, because everything above it, HTTP/2 first of
/// all, is compiled once for each type, and what is compiled takes memory.
pub(super) enum Connection {
    Open(UnixStream),
    Pinned(Box<TlsStream<UnixStream>>),
}

impl Door {
    /// Lets one caller in, or not.
    pub(super) async fn accept(&self, stream: UnixStream) -> io::Result<Connection> {
        match self {
            Self::Open => Ok(Connection::Open(stream)),
            Self::Pinned(acceptor) => shake_hands(acceptor, stream).await,
        }
    }
}

/// Notes a caller that wasn't let in.
pub(super) fn refused(error: &io::Error) {
    tracing::warn!(%error, "a connection was refused");
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Open(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Pinned(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Open(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Pinned(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Open(stream) => Pin::new(stream).poll_flush(cx),
            Self::Pinned(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Open(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Pinned(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

async fn shake_hands(acceptor: &TlsAcceptor, stream: UnixStream) -> io::Result<Connection> {
    tokio::time::timeout(HANDSHAKE_TIME_MAX, acceptor.accept(stream))
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake stalled"))?
        .map(|stream| Connection::Pinned(Box::new(stream)))
}

fn own_certificate() -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.self_signed(&key)?;
    let key = PrivateKeyDer::try_from(key.serialize_der())
        .map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
    Ok((certificate.der().clone(), key))
}

#[derive(Debug)]
struct Pinned {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if *end_entity == self.certificate {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            ))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
