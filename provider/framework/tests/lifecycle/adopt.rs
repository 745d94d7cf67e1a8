//! Objects that were another resource's, and the configuration of objects that exist.

use terraform_plugin::Model as _;
use terraform_plugin::proto::tfplugin6 as wire;
use terraform_plugin::value::{Number, Value};
use wire::provider_server::Provider as _;

use crate::bench::*;
use crate::provider::{DISK, KEY, KeyModel};

async fn move_to_key(
    source: wire::move_resource_state::Request,
) -> wire::move_resource_state::Response {
    let bench = Bench::configured().await;
    let request = wire::move_resource_state::Request {
        target_type_name: KEY.to_owned(),
        ..source
    };
    bench
        .service
        .move_resource_state(request.into_request())
        .await
        .unwrap()
        .into_inner()
}

fn raw(json: &str) -> Option<wire::RawState> {
    Some(wire::RawState {
        json: json.as_bytes().to_vec(),
        ..Default::default()
    })
}

fn other(state: &str) -> wire::move_resource_state::Request {
    wire::move_resource_state::Request {
        source_provider_address: "registry.terraform.io/example/other".to_owned(),
        source_type_name: "other_key".to_owned(),
        source_state: raw(state),
        ..Default::default()
    }
}

fn key_of(value: Option<&wire::DynamicValue>) -> Value {
    let of = KeyModel::block().value_type();
    Value::from_msgpack(&value.unwrap().msgpack, &of).unwrap()
}

async fn generate(state: &Value) -> wire::generate_resource_config::Response {
    let bench = Bench::configured().await;
    let request = wire::generate_resource_config::Request {
        type_name: DISK.to_owned(),
        state: wire_of(state, &disk_type()),
    };
    let answer = bench
        .service
        .generate_resource_config(request.into_request());
    answer.await.unwrap().into_inner()
}

#[tokio::test]
async fn a_move_carries_state_identity_and_private_data_over() {
    let source = wire::move_resource_state::Request {
        source_identity: raw(r#"{"owner":"ann"}"#),
        source_private: br#"{"seen":"eWVz"}"#.to_vec(),
        ..other(r#"{"print":"ab:cd"}"#)
    };
    let moved = move_to_key(source).await;
    assert_no_errors(&moved.diagnostics);
    let state = key_of(moved.target_state.as_ref());
    assert_eq!(state.attribute("fingerprint"), &"ab:cd".into());
    assert_eq!(state.attribute("comment"), &"ann".into());
    assert_eq!(moved.target_private, br#"{"carried":"eWVz"}"#);
    assert!(moved.target_identity.is_some());
}

#[tokio::test]
async fn a_source_of_ones_own_is_read_as_its_model() {
    let source = wire::move_resource_state::Request {
        source_type_name: DISK.to_owned(),
        ..other(r#"{"size":9007199254740993,"since_removed":[]}"#)
    };
    let moved = move_to_key(source).await;
    let state = key_of(moved.target_state.as_ref());
    assert_eq!(
        state.attribute("fingerprint"),
        &"of 9007199254740993".into()
    );
}

#[tokio::test]
async fn a_move_that_is_not_supported_says_from_where() {
    let source = wire::move_resource_state::Request {
        source_provider_address: "registry.terraform.io/example/stranger".to_owned(),
        ..other("{}")
    };
    let moved = move_to_key(source).await;
    let [error] = moved.diagnostics.as_slice() else {
        panic!("{moved:?}")
    };
    assert_eq!(error.summary, "Unable to move to life_key");
    let place = "a other_key of registry.terraform.io/example/stranger";
    assert!(error.detail.contains(place), "{}", error.detail);
}

#[tokio::test]
async fn a_hostile_source_is_a_finding() {
    let deep = "[".repeat(100_000);
    for state in ["", "{", "\u{0}", &deep] {
        let moved = move_to_key(other(state)).await;
        assert_eq!(
            errors(&moved.diagnostics),
            ["Unable to read the stored state of other_key"]
        );
    }
    let source = wire::move_resource_state::Request {
        source_identity: raw("}"),
        source_private: vec![0xff; 64],
        ..other("{}")
    };
    let moved = move_to_key(source).await;
    assert_eq!(
        errors(&moved.diagnostics),
        ["Unable to read the stored identity of other_key"]
    );
    let source = wire::move_resource_state::Request {
        source_type_name: DISK.to_owned(),
        ..other(r#"{"size":"large"}"#)
    };
    let moved = move_to_key(source).await;
    assert_eq!(
        errors(&moved.diagnostics),
        ["Unable to read the state of life_disk"]
    );
}

#[tokio::test]
async fn generated_configuration_is_what_somebody_would_write() {
    let mount = |path: Value| Value::object([("path", path), ("device", "sda".into())]);
    let state = disk(
        "north",
        &[
            ("id", "made".into()),
            ("slot", 7.into()),
            ("size", 5.into()),
            ("tier", "slow".into()),
            ("color", "red".into()),
            ("mount", mount(Value::Null)),
            ("shares", Value::List(vec![mount("/a".into())])),
        ],
    );
    let generated = generate(&state).await;
    assert_no_errors(&generated.diagnostics);
    let share = Value::object([("path", "/a".into()), ("device", Value::Null)]);
    let expected = disk(
        "north",
        &[("size", 5.into()), ("shares", Value::List(vec![share]))],
    );
    assert_eq!(disk_of(generated.config.as_ref()), expected);

    let fast = with(&state, "tier", "fast".into());
    let config = disk_of(generate(&fast).await.config.as_ref());
    assert_eq!(config.attribute("tier"), &"fast".into());
}

#[tokio::test]
async fn the_author_has_the_last_word_on_generated_configuration_but_for_what_nobody_may_write() {
    let state = disk(
        "north",
        &[
            ("label", "mirrored".into()),
            ("size", 5.into()),
            ("id", "made".into()),
        ],
    );
    let config = disk_of(generate(&state).await.config.as_ref());
    assert_eq!(config, disk("north", &[("label", "mirrored".into())]));
}

#[tokio::test]
async fn every_digit_of_a_number_gets_into_the_configuration() {
    let bench = Bench::configured().await;
    let many: Number = "123456789012345678901234567890".parse().unwrap();
    let request = wire::generate_resource_config::Request {
        type_name: KEY.to_owned(),
        state: wire_of(
            &Value::object([
                ("fingerprint", "ab".into()),
                ("comment", Value::Null),
                ("strength", Value::Number(many.clone())),
            ]),
            &KeyModel::block().value_type(),
        ),
    };
    let answer = bench
        .service
        .generate_resource_config(request.into_request());
    let config = answer.await.unwrap().into_inner().config;
    assert_eq!(
        key_of(config.as_ref()).attribute("strength"),
        &Value::Number(many)
    );
}

#[tokio::test]
async fn a_hostile_state_is_a_finding() {
    assert_eq!(
        errors(&generate(&Value::Null).await.diagnostics),
        ["Invalid value"]
    );
    let unknown = disk("north", &[("size", Value::Unknown)]);
    assert_eq!(
        errors(&generate(&unknown).await.diagnostics),
        ["Incomplete state of life_disk"]
    );
}
