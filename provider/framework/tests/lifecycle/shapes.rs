//! What a model may hold: blocks of every kind, spellings that mean the same, counted collections,
//! timeouts; and what a caller says it can do.

use terraform_plugin::proto::tfplugin6 as wire;
use terraform_plugin::value::{Type, Value};
use wire::provider_server::Provider as _;

use crate::bench::*;
use crate::volume::VOLUME;
use crate::volumes::*;

#[tokio::test]
async fn every_kind_of_block_is_in_the_schema_with_its_deprecation() {
    use wire::schema::nested_block::NestingMode;
    let bench = Bench::configured().await;
    let request = wire::get_provider_schema::Request::default();
    let answer = bench.service.get_provider_schema(request.into_request());
    let answer = answer.await.unwrap().into_inner();
    assert_no_errors(&answer.diagnostics);
    assert!(answer.provider_meta.is_some());
    let capabilities = answer.server_capabilities.unwrap();
    assert!(capabilities.move_resource_state && capabilities.generate_resource_config);
    let block = answer.resource_schemas[VOLUME].block.as_ref().unwrap();
    assert!(block.deprecated);
    assert_eq!(block.deprecation_message, "Use life_disk.");
    let blocks: Vec<_> = block
        .block_types
        .iter()
        .map(|nested| {
            let block = nested.block.as_ref().unwrap();
            (
                nested.type_name.as_str(),
                nested.nesting(),
                block.computed,
                block.deprecation_message.as_str(),
            )
        })
        .collect();
    assert_eq!(
        blocks,
        [
            ("limits", NestingMode::Map, false, ""),
            ("placement", NestingMode::Group, false, ""),
            ("routes", NestingMode::List, true, ""),
            ("origin", NestingMode::Single, true, ""),
            ("former", NestingMode::Set, false, "Use placement."),
            ("timeouts", NestingMode::Single, false, ""),
        ]
    );
}

#[tokio::test]
async fn blocks_of_every_kind_come_back_as_they_went_in() {
    let volumes = Volumes::new().await;
    let limits = Value::Map([("cpu".to_owned(), part("low".into()))].into());
    let config = volume(&[
        ("limits", limits),
        ("placement", part("near".into())),
        ("routes", Value::List(vec![part("r".into())])),
        ("former", Value::set([part("f".into())])),
    ]);
    let state = volumes.created(&config).await;
    for name in ["limits", "placement", "routes", "former"] {
        assert_eq!(state.attribute(name), config.attribute(name), "{name}");
    }
}

#[tokio::test]
async fn stored_state_without_a_block_that_came_later_gets_the_shape_that_terraform_wants() {
    let volumes = Volumes::new().await;
    let request = wire::upgrade_resource_state::Request {
        type_name: VOLUME.to_owned(),
        version: 0,
        raw_state: Some(wire::RawState {
            json: br#"{"name":"a"}"#.to_vec(),
            ..Default::default()
        }),
    };
    let answer = volumes
        .bench
        .service
        .upgrade_resource_state(request.into_request());
    let answer = answer.await.unwrap().into_inner();
    assert_no_errors(&answer.diagnostics);
    assert_eq!(
        volume_of(answer.upgraded_state.as_ref()),
        volume(&[("told", Value::Null)])
    );
}

#[tokio::test]
async fn another_spelling_is_no_change() {
    let volumes = Volumes::new().await;
    let parts = |mode: &str| Value::List(vec![part(mode.into())]);
    let config = volume(&[
        ("mode", "ro".into()),
        ("parts", parts("rw")),
        ("tags", texts(&["a", "b"])),
    ]);
    let plan = volumes.plan(&Value::Null, &config, b"").await;
    // The hook spells it the service's way, and the configuration wins.
    assert_no_errors(&plan.diagnostics);
    let state = volumes.created(&config).await;
    assert_eq!(state.attribute("mode"), &"ro".into());
    assert_eq!(state.attribute("parts"), &parts("rw"));
    assert_eq!(volumes.read(&state).await.attribute("mode"), &"ro".into());

    let respelled = volume(&[
        ("mode", "RO".into()),
        ("parts", parts("Rw")),
        ("tags", texts(&["b", "a"])),
    ]);
    let plan = volumes.plan(&state, &respelled, b"").await;
    assert_no_errors(&plan.diagnostics);
    assert!(plan.requires_replace.is_empty());
    assert_eq!(volume_of(plan.planned_state.as_ref()), state);

    let changed = volume(&[("mode", "rw".into())]);
    let plan = volumes.plan(&state, &changed, b"").await;
    assert_eq!(plan.requires_replace.len(), 1);
    let planned = volume_of(plan.planned_state.as_ref());
    assert_eq!(planned.attribute("mode"), &"rw".into());
}

#[tokio::test]
async fn unknown_and_absent_values_are_equivalent_to_nothing() {
    let volumes = Volumes::new().await;
    let state = volumes.created(&volume(&[("mode", "ro".into())])).await;
    for mode in [Value::Unknown, Value::Null] {
        let plan = volumes
            .plan(&state, &volume(&[("mode", mode.clone())]), b"")
            .await;
        let planned = volume_of(plan.planned_state.as_ref());
        assert_eq!(planned.attribute("mode"), &mode);
    }
    let zones = |zone: Value| volume(&[("zones", Value::List(vec![zone]))]);
    let state = volumes.created(&zones("a".into())).await;
    let plan = volumes.plan(&state, &zones(Value::Unknown), b"").await;
    let planned = volume_of(plan.planned_state.as_ref());
    assert_eq!(
        planned.attribute("zones"),
        &Value::List(vec![Value::Unknown])
    );
}

#[tokio::test]
async fn a_hook_that_spells_a_computed_value_otherwise_changes_nothing() {
    let volumes = Volumes::new().await;
    let state = volumes.created(&volume(&[])).await;
    assert_eq!(state.attribute("digest"), &"ab".into());
    let plan = volumes.plan(&state, &volume(&[]), b"").await;
    assert_eq!(volume_of(plan.planned_state.as_ref()), state);
    // Elsewhere something changes, so that the digest was open when the hook predicted it.
    let renamed = volume(&[("name", "b".into())]);
    let plan = volumes.plan(&state, &renamed, b"").await;
    let planned = volume_of(plan.planned_state.as_ref());
    assert_eq!(planned.attribute("digest"), &"ab".into());
}

#[tokio::test]
async fn collections_are_counted_and_what_is_unknown_is_not() {
    let volumes = Volumes::new().await;
    for (tags, is_right) in [
        (texts(&["a"]), true),
        (texts(&["a", "b", "c"]), true),
        (texts(&[]), false),
        (texts(&["a", "b", "c", "d"]), false),
        (Value::Unknown, true),
        (Value::Null, true),
    ] {
        let found = volumes.validate(&volume(&[("tags", tags)])).await;
        if is_right {
            assert_no_errors(&found);
        } else {
            assert_eq!(only_error(&found), ("Invalid value of tags", Some("tags")));
        }
    }
}

#[tokio::test]
async fn a_null_among_bare_elements_is_an_error_at_its_place() {
    let volumes = Volumes::new().await;
    let labels = Value::Map([("site".to_owned(), Value::Null)].into());
    for (name, value, place) in [
        (
            "tags",
            Value::List(vec!["a".into(), Value::Null]),
            "ElementKeyInt(1)",
        ),
        ("labels", labels, "ElementKeyString(\"site\")"),
    ] {
        let config = volume(&[(name, value)]);
        let found = volumes.validate(&config).await;
        let (_, attribute) = only_error(&found);
        assert_eq!(attribute, Some(name));
        assert!(format!("{:?}", found[0].attribute).contains(place));
        // A caller that doesn't validate gets the same, and no panic.
        let plan = volumes.plan(&Value::Null, &config, b"").await;
        assert_eq!(only_error(&plan.diagnostics).1, Some(name));
    }
}

#[tokio::test]
async fn a_timeout_is_checked_and_told_to_its_operation() {
    let volumes = Volumes::new().await;
    let found = volumes
        .validate(&volume(&[("timeouts", timeouts("update", "soon"))]))
        .await;
    let [error] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(error.summary, "Invalid value of timeouts.update");
    assert_eq!(
        error.attribute.as_ref().map(|path| path.steps.len()),
        Some(2)
    );

    let told = async |operation: &str| {
        let config = volume(&[("timeouts", timeouts(operation, "1h30m"))]);
        let created = volumes.created(&config).await;
        let read = volumes.read(&created).await;
        let changed = with(&config, "name", "b".into());
        let plan = volumes.plan(&created, &changed, b"").await;
        let updated = volumes.apply(&created, &changed, plan).await;
        let updated = volume_of(updated.new_state.as_ref());
        let plan = volumes.plan(&updated, &Value::Null, b"").await;
        let deleted = volumes.apply(&updated, &Value::Null, plan).await;
        let told = |state: &Value| match state.attribute("told") {
            Value::String(text) => text.clone(),
            other => panic!("{other:?}"),
        };
        let deleted = deleted.diagnostics[0].detail.clone();
        [told(&created), told(&read), told(&updated), deleted]
    };
    for (position, operation) in ["create", "read", "update", "delete"]
        .into_iter()
        .enumerate()
    {
        let mut expected = ["60s "; 4];
        expected[position] = "5400s ";
        assert_eq!(told(operation).await, expected, "{operation}");
    }
}

#[tokio::test]
async fn what_a_module_says_about_itself_reaches_the_author() {
    let mut volumes = Volumes::new().await;
    let of = Type::object([("module", Type::String)]);
    volumes.meta = wire_of(&Value::object([("module", "fleet".into())]), &of);
    let state = volumes.created(&volume(&[])).await;
    assert_eq!(state.attribute("told"), &"60s fleet".into());
    volumes.meta = wire_of(&7.into(), &Type::Number);
    let plan = volumes.plan(&Value::Null, &volume(&[]), b"").await;
    assert_eq!(
        errors(&plan.diagnostics),
        ["Unable to decode a value from Terraform"]
    );
}

#[tokio::test]
async fn private_data_of_a_plan_comes_back_where_the_caller_keeps_it() {
    let mut volumes = Volumes::new().await;
    volumes.capabilities = Some(EVERYTHING);
    let config = volume(&[]);
    let first = volumes.plan(&Value::Null, &config, b"").await;
    assert_eq!(first.diagnostics[0].detail, "0 times before.");
    let second = volumes
        .plan(&Value::Null, &config, &first.planned_private)
        .await;
    assert_eq!(second.diagnostics[0].detail, "1 times before.");
    let hostile = volumes.plan(&Value::Null, &config, b"{").await;
    assert_eq!(
        errors(&hostile.diagnostics),
        ["Unable to read private data"]
    );
}

#[tokio::test]
async fn blocks_that_nobody_wrote_are_computed_where_the_caller_takes_that() {
    let mut volumes = Volumes::new().await;
    let unwritten = volume(&[("routes", Value::Null)]);
    let routed = with(&unwritten, "name", "routed".into());
    volumes.capabilities = Some(EVERYTHING);
    let plan = volumes.plan(&Value::Null, &unwritten, b"").await;
    let planned = volume_of(plan.planned_state.as_ref());
    assert_eq!(planned.attribute("routes"), &Value::Unknown);
    assert_eq!(planned.attribute("origin"), &Value::Unknown);
    let plan = volumes.plan(&Value::Null, &routed, b"").await;
    assert_no_errors(&plan.diagnostics);
    let planned = volume_of(plan.planned_state.as_ref());
    assert_eq!(
        planned.attribute("routes"),
        &Value::List(vec![part("planned".into())])
    );
    let state = volumes.created(&unwritten).await;
    let made = Value::List(vec![part("made".into())]);
    assert_eq!(state.attribute("routes"), &made);
    assert_eq!(state.attribute("origin"), &part("made".into()));
    // Nothing changes, so nothing becomes unknown.
    let kept = with(&unwritten, "routes", made.clone());
    let kept = with(&kept, "origin", part("made".into()));
    let plan = volumes.plan(&state, &kept, b"").await;
    assert_eq!(
        volume_of(plan.planned_state.as_ref()).attribute("routes"),
        &made
    );

    let written = volume(&[("routes", Value::List(vec![part("w".into())]))]);
    assert_eq!(
        volumes.created(&written).await.attribute("routes"),
        written.attribute("routes")
    );
    volumes.capabilities = None;
    let plan = volumes.plan(&Value::Null, &volume(&[]), b"").await;
    let planned = volume_of(plan.planned_state.as_ref());
    assert_eq!(planned.attribute("routes"), &Value::List(Vec::new()));
    assert_eq!(planned.attribute("origin"), &Value::Null);
}

fn texts(texts: &[&str]) -> Value {
    Value::List(texts.iter().map(|text| Value::from(*text)).collect())
}

fn timeouts(operation: &str, text: &str) -> Value {
    let null = ["create", "read", "update", "delete"].map(|name| (name, Value::Null));
    with(&Value::object(null), operation, text.into())
}
