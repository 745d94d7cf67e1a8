//! The handshake with a real process: who gets in, who doesn't, and what is left afterwards.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, PKCS_ECDSA_P521_SHA512};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use terraform_plugin::proto::plugin::Empty;
use terraform_plugin::proto::plugin::grpc_controller_client::GrpcControllerClient;
use terraform_plugin::proto::plugin::grpc_stdio_client::GrpcStdioClient;
use terraform_plugin::proto::tfplugin6::get_provider_schema;
use terraform_plugin::proto::tfplugin6::provider_client::ProviderClient;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};

const COOKIE: (&str, &str) = (
    "TF_PLUGIN_MAGIC_COOKIE",
    "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
);

#[tokio::test]
async fn the_pinned_client_is_served_and_a_shutdown_leaves_nothing_behind() {
    let client = Identity::new();
    let mut plugin = Plugin::start(&client).await;
    let channel = plugin.connect(Some(&client)).await.unwrap();
    let mut silent = GrpcStdioClient::new(channel.clone());
    let mut output = silent.stream_stdio(()).await.unwrap().into_inner();
    let mut provider = ProviderClient::new(channel.clone());
    let answer = provider
        .get_provider_schema(get_provider_schema::Request {})
        .await
        .unwrap();
    assert!(
        answer
            .into_inner()
            .resource_schemas
            .contains_key("notes_note")
    );

    GrpcControllerClient::new(channel)
        .shutdown(Empty {})
        .await
        .unwrap();
    assert!(
        output
            .message()
            .await
            .is_ok_and(|message| message.is_none())
    );
    assert!(plugin.process.wait().await.unwrap().success());
    assert!(!plugin.socket.parent().unwrap().exists());
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let plugin = Plugin::start(&Identity::new()).await;
    assert!(plugin.ask(None).await.is_err());
}

#[tokio::test]
async fn a_client_with_another_certificate_is_refused_and_the_pinned_one_still_served() {
    let pinned = Identity::new();
    let plugin = Plugin::start(&pinned).await;
    assert!(plugin.ask(Some(&Identity::new())).await.is_err());
    assert!(plugin.ask(Some(&pinned)).await.is_ok());
}

#[tokio::test]
async fn a_client_with_the_pinned_certificate_but_another_key_is_refused() {
    let pinned = Identity::new();
    let plugin = Plugin::start(&pinned).await;
    let thief = Identity {
        certificate: pinned.certificate.clone(),
        ..Identity::new()
    };
    assert!(plugin.ask(Some(&thief)).await.is_err());
}

#[tokio::test]
async fn a_client_that_speaks_no_tls_is_refused() {
    let plugin = Plugin::start(&Identity::new()).await;
    let socket = plugin.socket.clone();
    let connector = tower::service_fn(move |_: Uri| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://localhost");
    let asked = match endpoint.connect_with_connector(connector).await {
        Ok(channel) => schema(channel).await,
        Err(error) => Err(error.to_string()),
    };
    assert!(asked.is_err());
}

#[tokio::test]
async fn without_the_cookie_one_sentence_says_what_this_is() {
    let Output {
        status,
        stdout,
        stderr,
    } = command().output().await.unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(stdout.is_empty());
    let text = String::from_utf8(stderr).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(
        text.contains("registry.terraform.io/example/notes"),
        "{text}"
    );
}

#[tokio::test]
async fn the_debug_mode_prints_what_another_terraform_needs() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command();
    command
        .arg("--debug")
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let json = loop {
        let line = lines.next_line().await.unwrap().unwrap();
        if let Some(rest) = line.strip_prefix("TF_REATTACH_PROVIDERS='") {
            break rest.trim_end_matches('\'').to_owned();
        }
    };
    let reattach: serde_json::Value = serde_json::from_str(&json).unwrap();
    let entry = &reattach["registry.terraform.io/example/notes"];
    assert_eq!(entry["ProtocolVersion"], 6);
    assert!(Path::new(entry["Addr"]["String"].as_str().unwrap()).exists());
}

/// A running plugin.
struct Plugin {
    process: Child,
    socket: PathBuf,
    certificate: CertificateDer<'static>,
    _folder: tempfile::TempDir,
}

/// A certificate as Terraform makes one: P-521, self-signed, and an authority.
struct Identity {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
    pem: String,
}

impl Identity {
    fn new() -> Self {
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
    async fn start(client: &Identity) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = command()
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

    /// Asks for the schema, all the way.
    async fn ask(&self, client: Option<&Identity>) -> Result<(), String> {
        schema(self.connect(client).await?).await
    }

    async fn connect(&self, client: Option<&Identity>) -> Result<Channel, String> {
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

async fn schema(channel: Channel) -> Result<(), String> {
    ProviderClient::new(channel)
        .get_provider_schema(get_provider_schema::Request {})
        .await
        .map(drop)
        .map_err(|error| error.to_string())
}

/// The example provider. A plain `cargo test` builds it anew; `--test handshake` alone does not.
fn command() -> Command {
    let tests = std::env::current_exe().unwrap();
    let example = tests
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples/notes");
    assert!(
        example.exists(),
        "build it first: cargo build -p terraform-plugin --examples"
    );
    let mut command = Command::new(example);
    command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
    command
}
