//! The example provider as a process, and a client that shakes hands with it as Terraform does.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, PKCS_ECDSA_P521_SHA512};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};

const COOKIE: (&str, &str) = (
    "TF_PLUGIN_MAGIC_COOKIE",
    "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
);

/// A running plugin.
pub(crate) struct Plugin {
    pub(crate) process: Child,
    pub(crate) socket: PathBuf,
    pub(crate) certificate: CertificateDer<'static>,
    _folder: tempfile::TempDir,
}

/// A certificate as Terraform makes one: P-521, self-signed, and an authority.
pub(crate) struct Identity {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: Vec<u8>,
    pub(crate) pem: String,
}

impl Identity {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self {
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
            pem: certificate.pem(),
        }
    }
}

impl Plugin {
    pub(crate) async fn start(client: &Identity) -> Self {
        Self::start_of(command(), client).await
    }

    /// Starts this provider.
    pub(crate) async fn start_of(mut command: Command, client: &Identity) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = command
            .env(COOKIE.0, COOKIE.1)
            .env("PLUGIN_CLIENT_CERT", &client.pem)
            .env("PLUGIN_PROTOCOL_VERSIONS", "5,6")
            .env("PLUGIN_UNIX_SOCKET_DIR", folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().unwrap();
        let parts: Vec<&str> = line.split('|').collect();
        let ["1", "6", "unix", socket, "grpc", certificate] = parts[..] else {
            panic!("{line}")
        };
        let certificate = STANDARD_NO_PAD.decode(certificate).unwrap().into();
        Self {
            process,
            socket: socket.into(),
            certificate,
            _folder: folder,
        }
    }

    pub(crate) async fn connect(&self, client: Option<&Identity>) -> Result<Channel, String> {
        let connector = TlsConnector::from(Arc::new(self.tls(client)));
        let socket = self.socket.clone();
        Endpoint::from_static("http://localhost")
            .connect_with_connector(tower::service_fn(move |_: Uri| {
                let (connector, socket) = (connector.clone(), socket.clone());
                async move {
                    let stream = UnixStream::connect(socket).await?;
                    let name = ServerName::try_from("localhost").unwrap();
                    connector.connect(name, stream).await.map(TokioIo::new)
                }
            }))
            .await
            .map_err(|error| error.to_string())
    }

    fn tls(&self, client: Option<&Identity>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match client {
            None => config.with_no_client_auth(),
            Some(Identity {
                certificate, key, ..
            }) => {
                let key = PrivateKeyDer::try_from(key.clone()).unwrap();
                // The certificate and the key needn't belong together here: that is one test.
                let provider = rustls::crypto::aws_lc_rs::default_provider();
                let key = provider.key_provider.load_private_key(key).unwrap();
                let certified = rustls::sign::CertifiedKey::new(vec![certificate.clone()], key);
                config.with_client_cert_resolver(Arc::new(Shown(Arc::new(certified))))
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }
}

#[derive(Debug)]
struct Shown(Arc<rustls::sign::CertifiedKey>);

impl rustls::client::ResolvesClientCert for Shown {
    fn resolve(
        &self,
        _: &[&[u8]],
        _: &[rustls::SignatureScheme],
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The example provider that keeps notes.
pub(crate) fn command() -> Command {
    example("notes")
}

/// An example provider. A plain `cargo test` builds it anew; `--test handshake` alone does not.
pub(crate) fn example(name: &str) -> Command {
    let tests = std::env::current_exe().unwrap();
    let example = tests
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples")
        .join(name);
    assert!(
        example.exists(),
        "build it first: cargo build -p terraform-plugin --examples"
    );
    let mut command = Command::new(example);
    command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
    command
}
