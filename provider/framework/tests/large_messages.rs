//! What is as large as a message may be is answered, and what is larger is refused with a sentence,
//! by a real process whose memory stays within a few times the size of the message.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod plugin;

use plugin::{Identity, Plugin, example};
use terraform_plugin::proto::tfplugin6 as wire;
use terraform_plugin::value::{Type, Value};
use tonic::Code;
use wire::provider_client::ProviderClient;

const MEBIBYTE: usize = 1 << 20;

#[tokio::test]
async fn two_hundred_mebibytes_are_planned_and_more_than_a_message_holds_is_refused() {
    let identity = Identity::new();
    let plugin = Plugin::start(&identity).await;
    let channel = plugin.connect(Some(&identity)).await.unwrap();
    let mut client = ProviderClient::new(channel)
        .max_encoding_message_size(usize::MAX)
        .max_decoding_message_size(256 * MEBIBYTE);

    // The request holds it once and the answer once.
    let content = "x".repeat(200 * MEBIBYTE);
    let answer = client.plan_resource_change(plan(&content)).await.unwrap();
    let answer = answer.into_inner();
    assert!(answer.diagnostics.is_empty(), "{:?}", answer.diagnostics);
    let planned = answer.planned_state.unwrap().msgpack;
    assert!(planned.len() > content.len());
    let peak = peak_bytes(&plugin);
    assert!(
        peak < 1536 * MEBIBYTE,
        "{} MiB at the peak",
        peak / MEBIBYTE
    );
    drop((content, planned));

    let refused = client
        .plan_resource_change(plan(&"x".repeat(257 * MEBIBYTE)))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
    assert!(refused.message().contains("limit"), "{refused}");
    assert!(peak_bytes(&plugin) < 1536 * MEBIBYTE);

    // The provider is as good as before.
    let answer = client.plan_resource_change(plan("small")).await.unwrap();
    assert!(answer.into_inner().diagnostics.is_empty());
}

#[tokio::test]
async fn a_schema_of_two_hundred_mebibytes_is_told_and_one_that_no_message_holds_is_refused() {
    let identity = Identity::new();
    for (mebibytes, is_told) in [(200_usize, true), (300, false)] {
        let mut vast = example("vast");
        vast.env("VAST_SCHEMA_MEBIBYTES", mebibytes.to_string());
        let plugin = Plugin::start_of(vast, &identity).await;
        let channel = plugin.connect(Some(&identity)).await.unwrap();
        let mut client = ProviderClient::new(channel).max_decoding_message_size(256 * MEBIBYTE);
        let answer = client
            .get_provider_schema(wire::get_provider_schema::Request {})
            .await;
        match answer {
            Ok(answer) if is_told => {
                let block = answer.into_inner().provider.unwrap().block.unwrap();
                assert_eq!(block.attributes.len(), mebibytes);
            }
            Err(refused) if !is_told => {
                assert_eq!(refused.code(), Code::OutOfRange);
                assert!(refused.message().contains("limit"), "{refused}");
            }
            other => panic!("{mebibytes} MiB: {other:?}"),
        }
        let peak = peak_bytes(&plugin);
        assert!(
            peak < 1536 * MEBIBYTE,
            "{mebibytes} MiB: {} MiB at the peak",
            peak / MEBIBYTE
        );
    }
}

/// A plan to create a note of this content.
fn plan(content: &str) -> wire::plan_resource_change::Request {
    let names = [
        ("id", Type::String),
        ("name", Type::String),
        ("content", Type::String),
        ("length", Type::Number),
    ];
    let of = Type::object(names);
    let note = Value::object([
        ("id", Value::Null),
        ("name", "large".into()),
        ("content", content.into()),
        ("length", Value::Null),
    ]);
    let value = |value: &Value| {
        Some(wire::DynamicValue {
            msgpack: value.to_msgpack(&of).unwrap(),
            json: Vec::new(),
        })
    };
    // The configuration is as Terraform would send it but for the content, so that one message
    // holds the content once.
    let config = Value::object([
        ("id", Value::Null),
        ("name", "large".into()),
        ("content", Value::Unknown),
        ("length", Value::Null),
    ]);
    wire::plan_resource_change::Request {
        type_name: "notes_note".to_owned(),
        prior_state: value(&Value::Null),
        proposed_new_state: value(&note),
        config: value(&config),
        ..Default::default()
    }
}

/// The most memory that the provider ever had.
fn peak_bytes(plugin: &Plugin) -> usize {
    let status = format!("/proc/{}/status", plugin.process.id().unwrap());
    let status = std::fs::read_to_string(status).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kibibytes: usize = line
        .and_then(|line| line.split_whitespace().nth(1))
        .and_then(|number| number.parse().ok())
        .unwrap();
    kibibytes << 10
}
