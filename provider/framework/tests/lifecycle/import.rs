//! How an object comes in that Terraform didn't make: by one text, or by its identity.

use terraform_plugin::Model as _;
use terraform_plugin::proto::tfplugin6 as wire;
use terraform_plugin::value::{Type, Value};
use wire::provider_server::Provider as _;

use crate::bench::*;
use crate::provider::{DISK, KEY, KeyModel};

async fn import(
    type_name: &str,
    id: &str,
    identity: Option<wire::ResourceIdentityData>,
) -> wire::import_resource_state::Response {
    let bench = Bench::configured().await;
    let request = wire::import_resource_state::Request {
        type_name: type_name.to_owned(),
        id: id.to_owned(),
        identity,
        client_capabilities: None,
    };
    bench
        .service
        .import_resource_state(request.into_request())
        .await
        .unwrap()
        .into_inner()
}

fn key(fingerprint: Value) -> wire::ResourceIdentityData {
    let of = Type::object([("fingerprint", Type::String)]);
    wire::ResourceIdentityData {
        identity_data: wire_of(&Value::object([("fingerprint", fingerprint)]), &of),
    }
}

#[tokio::test]
async fn an_id_is_the_only_text_of_the_identity() {
    let answer = import(KEY, "ab:cd", None).await;
    assert_no_errors(&answer.diagnostics);
    let [imported] = answer.imported_resources.as_slice() else {
        panic!("{answer:?}")
    };
    let state = imported.state.as_ref().unwrap();
    let state = Value::from_msgpack(&state.msgpack, &KeyModel::block().value_type()).unwrap();
    assert_eq!(state.attribute("fingerprint"), &"ab:cd".into());
    assert_eq!(imported.identity, Some(key("ab:cd".into())));
}

#[tokio::test]
async fn an_id_that_says_too_little_names_what_is_needed() {
    let answer = import(DISK, "north", None).await;
    let [error] = answer.diagnostics.as_slice() else {
        panic!("{answer:?}")
    };
    assert_eq!(error.summary, "Unable to import life_disk");
    assert!(
        error.detail.contains("site, slot, label"),
        "{}",
        error.detail
    );
}

#[tokio::test]
async fn an_identity_is_the_state_to_read_unless_the_author_says_otherwise() {
    let wanted = identity("north", 3, Value::Null);
    let answer = import(DISK, "", Some(identity_data(&wanted))).await;
    assert_no_errors(&answer.diagnostics);
    let imported = &answer.imported_resources[0];
    let state = disk_of(imported.state.as_ref());
    assert_eq!(state.attribute("slot"), &3.into());
    assert_eq!(identity_of(imported.identity.as_ref()), wanted);
}

#[tokio::test]
async fn an_import_that_finds_another_object_is_an_error() {
    let answer = import(KEY, "", Some(key("mistaken".into()))).await;
    assert_eq!(
        only_error(&answer.diagnostics),
        ("Changed identity of life_key", Some("fingerprint"))
    );
}

#[tokio::test]
async fn an_import_without_what_it_needs_is_an_error() {
    for (id, identity) in [
        ("", None),
        ("", Some(wire::ResourceIdentityData::default())),
        ("", Some(key(Value::Null))),
        ("", Some(key(Value::Unknown))),
    ] {
        let answer = import(KEY, id, identity).await;
        assert_eq!(errors(&answer.diagnostics), ["Unable to import life_key"]);
        assert!(answer.imported_resources.is_empty());
    }
}

#[tokio::test]
async fn a_hostile_identity_is_a_finding() {
    let of = Type::object([("fingerprint", Type::Number)]);
    let wrong = wire_of(&Value::object([("fingerprint", 7.into())]), &of);
    let garbage = Some(wire::DynamicValue {
        msgpack: vec![0xdf, 0xff, 0xff, 0xff, 0xff],
        json: Vec::new(),
    });
    for identity_data in [wrong, garbage] {
        let identity = Some(wire::ResourceIdentityData { identity_data });
        let answer = import(KEY, "", identity).await;
        assert_eq!(
            errors(&answer.diagnostics),
            ["Unable to decode a value from Terraform"]
        );
    }
}
