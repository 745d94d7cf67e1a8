//! Who an object is: told in every answer, never changing, and never needed from the caller.

use terraform_plugin::proto::tfplugin6 as wire;
use terraform_plugin::value::Value;
use wire::provider_server::Provider as _;

use crate::bench::*;
use crate::provider::{DISK, KEY};

#[tokio::test]
async fn identity_schemas_come_from_the_model() {
    let bench = Bench::configured().await;
    let request = wire::get_resource_identity_schemas::Request::default();
    let answer = bench
        .service
        .get_resource_identity_schemas(request.into_request())
        .await
        .unwrap()
        .into_inner();
    let schema = &answer.identity_schemas[DISK];
    assert_eq!(schema.version, 2);
    let [site, slot, label] = schema.identity_attributes.as_slice() else {
        panic!("{schema:?}")
    };
    assert_eq!(
        (site.name.as_str(), site.required_for_import),
        ("site", true)
    );
    assert_eq!(site.description, "The site that holds it.");
    assert_eq!(
        (slot.name.as_str(), slot.r#type.as_slice()),
        ("slot", &b"\"number\""[..])
    );
    assert!(label.optional_for_import && !label.required_for_import);
    assert!(answer.identity_schemas.contains_key(KEY));
}

#[tokio::test]
async fn an_identity_is_planned_once_all_of_it_is_known_and_whole_after_the_create() {
    let bench = Bench::configured().await;
    let config = disk("north", &[]);
    let plan = bench.plan(&Value::Null, None, &config).await;
    // The slot isn't known yet. Terraform could not print a plan with half an identity.
    assert_eq!(plan.planned_identity, None);
    let (_, identity_now) = bench.created(&config).await;
    assert_eq!(identity_now, identity("north", 7, Value::Null));
}

#[tokio::test]
async fn an_update_keeps_the_identity_even_where_its_plan_leaves_a_part_unknown() {
    let bench = Bench::configured().await;
    let (state, before) = bench.created(&disk("north", &[])).await;
    let config = disk("north", &[("size", 5.into())]);
    let plan = bench.plan(&state, Some(&before), &config).await;
    assert_no_errors(&plan.diagnostics);
    // The slot isn't predicted, and Terraform would refuse an identity that becomes unknown.
    assert_eq!(
        disk_of(plan.planned_state.as_ref()).attribute("slot"),
        &Value::Unknown
    );
    assert_eq!(identity_of(plan.planned_identity.as_ref()), before);
    let applied = bench.apply(&state, &config, plan).await;
    assert_no_errors(&applied.diagnostics);
    assert_eq!(identity_of(applied.new_identity.as_ref()), before);
}

#[tokio::test]
async fn a_caller_that_sends_no_identity_can_do_everything() {
    let bench = Bench::configured().await;
    let (state, _) = bench.created(&disk("north", &[])).await;
    let read = bench.read(&state, None).await;
    assert_no_errors(&read.diagnostics);
    let config = disk("north", &[("size", 5.into())]);
    let mut plan = bench.plan(&state, None, &config).await;
    assert_no_errors(&plan.diagnostics);
    assert!(plan.planned_identity.is_none(), "it isn't known: {plan:?}");
    plan.planned_identity = None;
    let applied = bench.apply(&state, &config, plan).await;
    assert_no_errors(&applied.diagnostics);
    let gone = bench.plan(&state, None, &Value::Null).await;
    assert_no_errors(&gone.diagnostics);
    let deleted = bench.apply(&state, &Value::Null, gone).await;
    assert_no_errors(&deleted.diagnostics);
    assert!(deleted.new_identity.is_none());
}

#[tokio::test]
async fn a_plan_that_changes_the_identity_of_a_kept_object_is_an_error_that_names_the_part() {
    let bench = Bench::configured().await;
    let (state, before) = bench.created(&disk("north", &[])).await;
    let renamed = disk("NORTH", &[]);
    let plan = bench.plan(&state, Some(&before), &renamed).await;
    let (summary, name) = only_error(&plan.diagnostics);
    assert_eq!(
        (summary, name),
        ("Changed identity of life_disk", Some("site"))
    );
}

#[tokio::test]
async fn another_object_has_another_identity() {
    let bench = Bench::configured().await;
    let (state, before) = bench.created(&disk("north", &[])).await;
    let config = disk("south", &[]);
    let plan = bench.plan(&state, Some(&before), &config).await;
    assert_no_errors(&plan.diagnostics);
    assert_eq!(plan.requires_replace.len(), 1);
    // Terraform then plans a create, and gives it the identity that was just planned.
    let planned = identity_of(plan.planned_identity.as_ref());
    let plan = bench.plan(&Value::Null, Some(&planned), &config).await;
    assert_no_errors(&plan.diagnostics);
    assert_eq!(plan.planned_identity, None);
}

#[tokio::test]
async fn an_update_or_a_read_that_changes_the_identity_is_an_error() {
    let bench = Bench::configured().await;
    let (state, before) = bench.created(&disk("north", &[])).await;
    let config = disk("north", &[("size", 2.into())]);
    let plan = bench.plan(&state, Some(&before), &config).await;
    let applied = bench.apply(&state, &config, plan).await;
    let (summary, name) = only_error(&applied.diagnostics);
    assert_eq!(
        (summary, name),
        ("Changed identity of life_disk", Some("slot"))
    );
    assert_eq!(
        disk_of(applied.new_state.as_ref()).attribute("size"),
        &2.into()
    );

    let moved = with(&state, "size", 13.into());
    let read = bench.read(&moved, Some(identity_data(&before))).await;
    let (summary, name) = only_error(&read.diagnostics);
    assert_eq!(
        (summary, name),
        ("Changed identity of life_disk", Some("slot"))
    );
}

#[tokio::test]
async fn an_object_without_a_required_part_is_an_error_and_its_state_is_kept() {
    let bench = Bench::configured().await;
    let config = disk("north", &[("label", "forgotten slot".into())]);
    let plan = bench.plan(&Value::Null, None, &config).await;
    let applied = bench.apply(&Value::Null, &config, plan).await;
    let (summary, name) = only_error(&applied.diagnostics);
    assert_eq!(
        (summary, name),
        ("Incomplete identity of life_disk", Some("slot"))
    );
    assert_eq!(
        disk_of(applied.new_state.as_ref()).attribute("id"),
        &"made".into()
    );
}

#[tokio::test]
async fn a_read_fills_in_what_the_known_identity_lacks() {
    let bench = Bench::configured().await;
    let (state, _) = bench.created(&disk("north", &[])).await;
    let known = Value::object([
        ("site", "north".into()),
        ("slot", Value::Null),
        ("label", Value::Null),
    ]);
    let read = bench.read(&state, Some(identity_data(&known))).await;
    assert_no_errors(&read.diagnostics);
    let now = identity_of(read.new_identity.as_ref());
    assert_eq!(now, identity("north", 7, Value::Null));
    let gone = bench.read(&with(&state, "size", 404.into()), None).await;
    assert!(gone.new_identity.is_none());
}

#[tokio::test]
async fn a_panic_keeps_the_identity_of_what_was_there() {
    let bench = Bench::configured().await;
    let (state, before) = bench.created(&disk("north", &[])).await;
    let config = disk("north", &[("size", 1.into())]);
    let plan = bench.plan(&state, Some(&before), &config).await;
    let applied = bench.apply(&state, &config, plan).await;
    assert_eq!(
        errors(&applied.diagnostics),
        ["The provider failed in life_disk"]
    );
    assert_eq!(identity_of(applied.new_identity.as_ref()), before);
}

#[tokio::test]
async fn a_destroy_keeps_the_identity_until_it_is_done() {
    let bench = Bench::configured().await;
    let (state, before) = bench.created(&disk("north", &[])).await;
    let plan = bench.plan(&state, Some(&before), &Value::Null).await;
    assert_no_errors(&plan.diagnostics);
    assert_eq!(identity_of(plan.planned_identity.as_ref()), before);
}

#[tokio::test]
async fn a_hostile_identity_is_a_finding() {
    let bench = Bench::configured().await;
    let (state, _) = bench.created(&disk("north", &[])).await;
    for msgpack in [
        vec![0xdd; 64],
        b"\x93\x01\x02\x03".to_vec(),
        vec![0xc1],
        vec![0xa1],
    ] {
        let identity_data = Some(wire::DynamicValue {
            msgpack,
            json: Vec::new(),
        });
        let identity = wire::ResourceIdentityData { identity_data };
        let read = bench.read(&state, Some(identity)).await;
        assert_eq!(
            errors(&read.diagnostics),
            ["Unable to decode a value from Terraform"]
        );
    }
}

#[tokio::test]
async fn an_identity_of_another_version_is_upgraded_or_refused() {
    let bench = Bench::configured().await;
    let upgrade = async |version, json: &[u8]| {
        let request = wire::upgrade_resource_identity::Request {
            type_name: DISK.to_owned(),
            version,
            raw_identity: Some(wire::RawState {
                json: json.to_vec(),
                ..Default::default()
            }),
        };
        bench
            .service
            .upgrade_resource_identity(request.into_request())
            .await
            .unwrap()
            .into_inner()
    };
    let answer = upgrade(2, br#"{"site":"north","slot":3,"since_removed":true}"#).await;
    assert_no_errors(&answer.diagnostics);
    let now = identity_of(answer.upgraded_identity.as_ref());
    assert_eq!(now, identity("north", 3, Value::Null));

    let answer = upgrade(1, br#"{"place":"south"}"#).await;
    let now = identity_of(answer.upgraded_identity.as_ref());
    assert_eq!(now, identity("south", 1, Value::Null));

    for (version, json) in [
        (3, br#"{}"#.as_slice()),
        (2, br#"{"site":["#),
        (2, br#"{"site":{},"slot":"x"}"#),
        (1, b"["),
        (2, b""),
    ] {
        let answer = upgrade(version, json).await;
        assert_eq!(
            errors(&answer.diagnostics),
            ["Unable to read the stored identity of life_disk"],
            "{version}"
        );
    }
}
