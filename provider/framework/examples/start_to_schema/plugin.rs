//! One start of a provider, from the spawn to its schema, as Terraform does it.
//!
//! The provider is killed when it is dropped, so that no run leaves a process to the next.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hyper_util::rt::TokioIo;
use prost::bytes::{Buf as _, Bytes};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P521_SHA512,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio_rustls::TlsConnector;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::Result;

const COOKIE: (&str, &str) = (
    "TF_PLUGIN_MAGIC_COOKIE",
    "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
);

/// A provider that is not there by then hangs.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Longer lines are no handshake.
const LINE_BYTES_MAX: u64 = 64 * 1024;

const SCHEMA_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A certificate as Terraform makes one: P-521, self-signed, and an authority.
pub(crate) struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    pem: String,
}

/// What one start has shown.
pub(crate) struct Started {
    /// From the spawn to the handshake line.
    pub(crate) handshake: Duration,
    /// From the spawn to the complete schema.
    pub(crate) answered: Duration,
    pub(crate) resident_kib: f64,
    pub(crate) anonymous_kib: f64,
    pub(crate) schema: Vec<u8>,
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

impl Started {
    pub(crate) async fn new(program: &Path, identity: &Identity) -> Result<Self> {
        tokio::time::timeout(TIME_LIMIT, Self::measured(program, identity))
            .await
            .map_err(|_| format!("no schema within {} s", TIME_LIMIT.as_secs()))?
    }

    async fn measured(program: &Path, identity: &Identity) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut command = command(program, identity, folder.path());
        let spawned = Instant::now();
        let mut process = command.spawn()?;
        let line = handshake_line(&mut process).await?;
        let handshake = spawned.elapsed();
        let offer = Offer::parse(&line)?;
        let channel = offer.connect(identity).await?;
        let schema = ask(channel, offer.call).await?;
        let answered = spawned.elapsed();
        let status = status_of(&process)?;
        process.kill().await?;
        Ok(Self {
            handshake,
            answered,
            resident_kib: kib(&status, "VmRSS:")?,
            anonymous_kib: kib(&status, "RssAnon:")?,
            schema,
        })
    }
}

/// What the handshake line offers.
struct Offer<'l> {
    socket: &'l str,
    certificate: CertificateDer<'static>,
    call: &'static str,
}

impl<'l> Offer<'l> {
    fn parse(line: &'l str) -> Result<Self> {
        let parts: Vec<&str> = line.trim_end().split('|').collect();
        let ["1", version, "unix", socket, "grpc", certificate] = parts[..] else {
            return Err(format!("this is no handshake: {line:?}").into());
        };
        let call = match version {
            "5" => "/tfplugin5.Provider/GetSchema",
            "6" => "/tfplugin6.Provider/GetProviderSchema",
            _ => return Err(format!("protocol {version} is not known here").into()),
        };
        let certificate = STANDARD_NO_PAD.decode(certificate)?.into();
        Ok(Self {
            socket,
            certificate,
            call,
        })
    }

    async fn connect(&self, identity: &Identity) -> Result<Channel> {
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

fn command(program: &Path, identity: &Identity, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env(COOKIE.0, COOKIE.1)
        .env("PLUGIN_CLIENT_CERT", &identity.pem)
        .env("PLUGIN_PROTOCOL_VERSIONS", "5,6")
        .env("PLUGIN_UNIX_SOCKET_DIR", folder)
        .env("TMPDIR", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command
}

async fn handshake_line(process: &mut Child) -> Result<String> {
    // Lent only: a provider may write on, and must not die of a closed pipe.
    let output = process
        .stdout
        .as_mut()
        .ok_or("the provider has no output")?;
    let mut line = String::new();
    BufReader::new(output.take(LINE_BYTES_MAX))
        .read_line(&mut line)
        .await?;
    Ok(line)
}

async fn ask(channel: Channel, call: &'static str) -> Result<Vec<u8>> {
    let mut client = tonic::client::Grpc::new(channel).max_decoding_message_size(SCHEMA_BYTES_MAX);
    client.ready().await?;
    let path = PathAndQuery::from_static(call);
    let answer = client.unary(tonic::Request::new(()), path, Raw).await?;
    Ok(answer.into_inner())
}

fn status_of(process: &Child) -> Result<String> {
    let pid = process.id().ok_or("the provider has ended")?;
    Ok(std::fs::read_to_string(format!("/proc/{pid}/status"))?)
}

fn kib(status: &str, field: &str) -> Result<f64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(field));
    let number = rest.and_then(|rest| rest.split_whitespace().next());
    Ok(number
        .ok_or_else(|| format!("/proc names no {field}"))?
        .parse()?)
}

/// An empty request and an answer as it came: decoding is the client's work, not the provider's.
struct Raw;

impl Codec for Raw {
    type Encode = ();
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = ();
    type Error = Status;

    fn encode(&mut self, (): (), _: &mut EncodeBuf<'_>) -> std::result::Result<(), Status> {
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(
        &mut self,
        source: &mut DecodeBuf<'_>,
    ) -> std::result::Result<Option<Vec<u8>>, Status> {
        let bytes: Bytes = source.copy_to_bytes(source.remaining());
        Ok(Some(bytes.into()))
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
