//! What a provider writes to its standard error while it works: one JSON object a line, each with
//! the call that it belongs to, and never a secret.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::env;
use std::path::Path;
use std::process::Stdio;

use hyper_util::rt::TokioIo;
use serde_json::Value as Json;
use terraform_plugin::Value;
use terraform_plugin::proto::tfplugin6 as wire;
use terraform_plugin::value::Type;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tonic::transport::{Channel, Endpoint, Uri};
use wire::provider_client::ProviderClient;

const SECRETS: [&str; 4] = [
    "s3cret-passphrase",
    "s3cret-hint",
    "s3cret-state",
    "t0ken-of",
];

#[tokio::test]
async fn each_line_is_json_that_names_its_call_and_no_line_holds_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let (mut process, mut client) = start(folder.path(), "TRACE").await;
    work(&mut client, folder.path()).await;
    let lines = end(&mut process).await;

    for secret in SECRETS {
        let found = lines.iter().find(|line| line.contains(secret));
        assert_eq!(found, None, "{secret} is in the logs");
    }
    let lines: Vec<Json> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect();
    for line in &lines {
        for key in ["@level", "@message", "@module", "@timestamp"] {
            assert!(line[key].is_string(), "{key} is missing: {line}");
        }
    }
    let of_call = |rpc: &str| {
        lines
            .iter()
            .filter(|line| line["tf_rpc"] == rpc)
            .collect::<Vec<_>>()
    };
    let author = of_call("ApplyResourceChange");
    let made = author
        .iter()
        .find(|line| line["@message"] == "a key is made");
    let made = made.unwrap_or_else(|| panic!("what the author logs is missing: {lines:#?}"));
    assert_eq!(made["tf_subject"], "keyring_key");
    assert!(made["plan"].as_str().unwrap().contains("alice"), "{made}");
    let ids: BTreeSet<&str> = author
        .iter()
        .map(|line| line["tf_req_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 1, "one call has one id: {author:#?}");
    let progress = of_call("InvokeAction");
    assert!(
        progress
            .iter()
            .any(|line| line["@message"] == "round 2 of 2"),
        "{progress:#?}"
    );
    let errors = of_call("ReadResource");
    assert!(
        errors
            .iter()
            .any(|line| line["diagnostic_summary"] == "No such resource")
    );
}

#[tokio::test]
async fn what_is_below_the_level_is_not_logged() {
    let folder = tempfile::tempdir().unwrap();
    let (mut process, mut client) = start(folder.path(), "error").await;
    work(&mut client, folder.path()).await;
    let lines = end(&mut process).await;
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].contains("No such resource"));
}

/// One of each call that gets or gives a secret, and one that fails.
async fn work(client: &mut ProviderClient<Channel>, folder: &Path) {
    let names = ["id", "name", "passphrase", "hint"];
    let key = |passphrase: Value| {
        let values = [
            Value::Unknown,
            "alice".into(),
            passphrase,
            "s3cret-hint".into(),
        ];
        let value = Value::object(names.into_iter().zip(values));
        dynamic(
            &value,
            &Type::object(names.map(|name| (name, Type::String))),
        )
    };
    let in_folder = Value::object([("folder", folder.display().to_string().into())]);
    let in_folder = dynamic(&in_folder, &Type::object([("folder", Type::String)]));
    let request = wire::configure_provider::Request {
        config: in_folder.clone(),
        ..Default::default()
    };
    client.configure_provider(request).await.unwrap();
    let request = wire::apply_resource_change::Request {
        type_name: "keyring_key".to_owned(),
        planned_state: key(Value::Null),
        config: key("s3cret-passphrase".into()),
        ..Default::default()
    };
    let applied = client
        .apply_resource_change(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(applied.diagnostics, []);
    let token = Value::object([("name", "alice".into()), ("token", Value::Null)]);
    let of = Type::object([("name", Type::String), ("token", Type::String)]);
    let request = wire::open_ephemeral_resource::Request {
        type_name: "keyring_token".to_owned(),
        config: dynamic(&token, &of),
        client_capabilities: None,
    };
    let opened = client
        .open_ephemeral_resource(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(opened.diagnostics, []);
    let rounds = Value::object([("rounds", 2_i64.into())]);
    let request = wire::invoke_action::Request {
        action_type: "keyring_rotate".to_owned(),
        config: dynamic(&rounds, &Type::object([("rounds", Type::Number)])),
        client_capabilities: None,
    };
    let mut events = client.invoke_action(request).await.unwrap().into_inner();
    while events.message().await.unwrap().is_some() {}
    let request = wire::configure_state_store::Request {
        type_name: "keyring_shelf".to_owned(),
        config: in_folder,
        capabilities: None,
    };
    client.configure_state_store(request).await.unwrap();
    let chunk = wire::write_state_bytes::RequestChunk {
        meta: Some(wire::RequestChunkMeta {
            type_name: "keyring_shelf".to_owned(),
            state_id: "default".to_owned(),
        }),
        bytes: b"s3cret-state".to_vec(),
        total_length: 12,
        range: Some(wire::StateRange { start: 0, end: 11 }),
    };
    let written = client
        .write_state_bytes(tokio_stream::iter([chunk]))
        .await
        .unwrap();
    assert_eq!(written.into_inner().diagnostics, []);
    let request = wire::read_resource::Request {
        type_name: "keyring_nothing".to_owned(),
        ..Default::default()
    };
    client.read_resource(request).await.unwrap();
}

fn dynamic(value: &Value, of: &Type) -> Option<wire::DynamicValue> {
    Some(wire::DynamicValue {
        msgpack: value.to_msgpack(of).unwrap(),
        json: Vec::new(),
    })
}

/// The example provider in debug mode, which needs no certificate.
async fn start(folder: &Path, level: &str) -> (Child, ProviderClient<Channel>) {
    let tests = env::current_exe().unwrap();
    let example = tests
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples/keyring");
    assert!(
        example.exists(),
        "build it first: cargo build -p terraform-plugin --examples"
    );
    let mut process = Command::new(example)
        .arg("--debug")
        .env_clear()
        .env("TMPDIR", folder)
        .env("TF_LOG", level)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let reattach: Json = loop {
        let line = lines.next_line().await.unwrap().unwrap();
        if let Some(json) = line.strip_prefix("TF_REATTACH_PROVIDERS='") {
            break serde_json::from_str(json.trim_end_matches('\'')).unwrap();
        }
    };
    let entry = &reattach["registry.terraform.io/example/keyring"];
    let socket = entry["Addr"]["String"].as_str().unwrap().to_owned();
    let connector = tower::service_fn(move |_: Uri| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://localhost");
    let channel = endpoint.connect_with_connector(connector).await.unwrap();
    (process, ProviderClient::new(channel))
}

/// Ends the provider and gives what it logged.
async fn end(process: &mut Child) -> Vec<String> {
    process.start_kill().unwrap();
    let mut text = String::new();
    process
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .await
        .unwrap();
    text.lines().map(str::to_owned).collect()
}
