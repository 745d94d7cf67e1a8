//! The connection to a provider, as Terraform makes it: mutual TLS over a unix socket, each side
//! pinned to the one certificate of the other. Knows nothing of what is asked over it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hyper_util::rt::TokioIo;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P521_SHA512,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::UnixStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::Result;
use crate::wire::Protocol;

/// A certificate as Terraform makes one: P-521, self-signed, and an authority.
pub(crate) struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    pub(crate) pem: String,
}

/// What the handshake line offers.
pub(crate) struct Offer<'l> {
    socket: &'l str,
    certificate: CertificateDer<'static>,
    pub(crate) protocol: Protocol,
}

impl Identity {
    pub(crate) fn new() -> Result<Self> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512)?;
        let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
            KeyUsagePurpose::KeyAgreement,
            KeyUsagePurpose::KeyCertSign,
        ];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            certificate: certificate.der().clone(),
            key: PrivateKeyDer::try_from(key.serialize_der())?,
            pem: certificate.pem(),
        })
    }
}

impl<'l> Offer<'l> {
    pub(crate) fn parse(line: &'l str) -> Result<Self> {
        let parts: Vec<&str> = line.trim_end().split('|').collect();
        let ["1", version, "unix", socket, "grpc", certificate] = parts[..] else {
            return Err(format!("this is no handshake: {line:?}").into());
        };
        let protocol = match version {
            "5" => Protocol::Five,
            "6" => Protocol::Six,
            _ => return Err(format!("protocol {version} is not known here").into()),
        };
        let certificate = STANDARD_NO_PAD.decode(certificate)?.into();
        Ok(Self {
            socket,
            certificate,
            protocol,
        })
    }

    pub(crate) async fn connect(&self, identity: &Identity) -> Result<Channel> {
        let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let pinned = Pinned {
            certificate: self.certificate.clone(),
            crypto: Arc::clone(&crypto),
        };
        let mut config = ClientConfig::builder_with_provider(crypto)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(pinned))
            .with_client_auth_cert(vec![identity.certificate.clone()], identity.key.clone_key())?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        let connector = TlsConnector::from(Arc::new(config));
        let socket = self.socket.to_owned();
        let name = ServerName::try_from("localhost")?;
        let connector = tower::service_fn(move |_: Uri| {
            let (connector, socket, name) = (connector.clone(), socket.clone(), name.clone());
            async move {
                let stream = UnixStream::connect(socket).await?;
                connector.connect(name, stream).await.map(TokioIo::new)
            }
        });
        Ok(Endpoint::from_static("http://localhost")
            .connect_with_connector(connector)
            .await?)
    }
}

/// Trusts the one certificate of the handshake line, whatever it says of itself.
#[derive(Debug)]
struct Pinned {
    certificate: CertificateDer<'static>,
    crypto: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        if *shown == self.certificate {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.crypto.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.crypto.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.crypto
            .signature_verification_algorithms
            .supported_schemes()
    }
}
