//! The handshake with a real process: who gets in, who doesn't, and what is left afterwards.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod plugin;

use std::path::Path;
use std::process::{Output, Stdio};

use hyper_util::rt::TokioIo;
use plugin::{Identity, Plugin, command};
use terraform_plugin::proto::plugin::Empty;
use terraform_plugin::proto::plugin::grpc_controller_client::GrpcControllerClient;
use terraform_plugin::proto::plugin::grpc_stdio_client::GrpcStdioClient;
use terraform_plugin::proto::tfplugin6::get_provider_schema;
use terraform_plugin::proto::tfplugin6::provider_client::ProviderClient;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};

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
    assert!(ask(&plugin, None).await.is_err());
}

#[tokio::test]
async fn a_client_with_another_certificate_is_refused_and_the_pinned_one_still_served() {
    let pinned = Identity::new();
    let plugin = Plugin::start(&pinned).await;
    assert!(ask(&plugin, Some(&Identity::new())).await.is_err());
    assert!(ask(&plugin, Some(&pinned)).await.is_ok());
}

#[tokio::test]
async fn a_client_with_the_pinned_certificate_but_another_key_is_refused() {
    let pinned = Identity::new();
    let plugin = Plugin::start(&pinned).await;
    let thief = Identity {
        certificate: pinned.certificate.clone(),
        ..Identity::new()
    };
    assert!(ask(&plugin, Some(&thief)).await.is_err());
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

/// Asks for the schema, all the way.
async fn ask(plugin: &Plugin, client: Option<&Identity>) -> Result<(), String> {
    schema(plugin.connect(client).await?).await
}

async fn schema(channel: Channel) -> Result<(), String> {
    ProviderClient::new(channel)
        .get_provider_schema(get_provider_schema::Request {})
        .await
        .map(drop)
        .map_err(|error| error.to_string())
}
