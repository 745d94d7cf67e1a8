//! The protocol as Terraform speaks it, call by call, with a small provider behind it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use support::*;
use terraform_plugin::proto::tfplugin6 as wire;
use terraform_plugin::value::Value;
use wire::provider_server::Provider as _;

#[tokio::test]
async fn a_create_is_planned_and_applied_with_private_data_carried_along() {
    let bench = Bench::configured().await;
    let config = host("a", &[]);
    let plan = bench
        .plan(Value::Null, config.clone(), config.clone())
        .await;
    assert_no_errors(&plan.diagnostics);
    let planned = bench.value(plan.planned_state.as_ref());
    assert_eq!(planned.attribute("id"), &Value::Unknown);
    assert_eq!(planned.attribute("port"), &Value::from(51_820_i64));
    assert_eq!(planned.attribute("token"), &Value::Null);

    let applied = bench
        .apply(Value::Null, planned, config, plan.planned_private)
        .await;
    assert_no_errors(&applied.diagnostics);
    let state = bench.value(applied.new_state.as_ref());
    assert_eq!(state.attribute("id"), &Value::from("host/a"));
    // The hook wrote it while planning, and create gave it back.
    assert_eq!(state.attribute("seen"), &Value::from("planned by plan"));
    assert!(!applied.private.is_empty());
}

#[tokio::test]
async fn write_only_values_reach_create_and_no_state() {
    let bench = Bench::configured().await;
    let config = host("a", &[("token", "s3cret".into())]);
    let plan = bench
        .plan(Value::Null, config.clone(), config.clone())
        .await;
    let planned = bench.value(plan.planned_state.as_ref());
    let applied = bench
        .apply(Value::Null, planned, config, plan.planned_private)
        .await;
    let state = bench.value(applied.new_state.as_ref());
    assert_eq!(state.attribute("token"), &Value::Null);
    assert_eq!(state.attribute("note"), &Value::from("token of 6 letters"));
}

#[tokio::test]
async fn an_unchanged_plan_is_the_prior_state_and_a_new_name_means_another_object() {
    let bench = Bench::configured().await;
    let state = bench.created("a").await;
    let config = host("a", &[]);
    let plan = bench.plan(state.clone(), state.clone(), config).await;
    assert_eq!(bench.value(plan.planned_state.as_ref()), state);

    let renamed = with(state.clone(), "name", "b".into());
    let plan = bench.plan(state, renamed, host("b", &[])).await;
    assert_eq!(path_names(&plan.requires_replace), ["name"]);
}

#[tokio::test]
async fn a_hook_warns_with_a_path_and_may_require_replacement() {
    let bench = Bench::configured().await;
    let state = bench.created("a").await;
    let moved = with(state.clone(), "port", 1_i64.into());
    let plan = bench
        .plan(state, moved, host("a", &[("port", 1_i64.into())]))
        .await;
    let [warning] = plan.diagnostics.as_slice() else {
        panic!("{:?}", plan.diagnostics)
    };
    assert_eq!(warning.severity(), wire::diagnostic::Severity::Warning);
    assert_eq!(path_names(warning.attribute.as_slice()), ["port"]);
    assert_eq!(path_names(&plan.requires_replace), ["port"]);
}

#[tokio::test]
async fn a_destroy_asks_its_own_hook() {
    let bench = Bench::configured().await;
    let state = bench.created("keep").await;
    let plan = bench.plan(state, Value::Null, Value::Null).await;
    assert_eq!(errors(&plan.diagnostics), ["Unable to destroy host"]);
}

#[tokio::test]
async fn a_failed_create_leaves_its_partial_state_behind_without_unknown_values() {
    let bench = Bench::configured().await;
    let applied = bench.create("half").await;
    assert_eq!(errors(&applied.diagnostics), ["Unable to start host"]);
    let state = bench.value(applied.new_state.as_ref());
    assert_eq!(state.attribute("id"), &Value::from("host/half"));
    assert!(state.is_wholly_known());
}

#[tokio::test]
async fn what_is_unknown_after_an_apply_is_an_error_that_names_it() {
    let bench = Bench::configured().await;
    let applied = bench.create("forgetful").await;
    let [error] = applied.diagnostics.as_slice() else {
        panic!("{:?}", applied.diagnostics)
    };
    assert!(
        error.detail.starts_with("note is still unknown"),
        "{}",
        error.detail
    );
    assert!(bench.value(applied.new_state.as_ref()).is_wholly_known());
}

#[tokio::test]
async fn a_panic_ends_one_call_names_the_resource_and_keeps_the_prior_state() {
    let bench = Bench::configured().await;
    let state = bench.created("a").await;
    let planned = with(state.clone(), "note", "panic".into());
    let config = host("a", &[("note", "panic".into())]);
    let applied = bench
        .apply(state.clone(), planned, config, Vec::new())
        .await;
    assert_eq!(
        errors(&applied.diagnostics),
        ["The provider failed in test_host"]
    );
    assert_eq!(bench.value(applied.new_state.as_ref()), state);
    bench.created("b").await;
}

#[tokio::test]
async fn an_object_that_is_gone_reads_as_null() {
    let bench = Bench::configured().await;
    let state = bench.created("gone").await;
    let request = wire::read_resource::Request {
        type_name: HOST.to_owned(),
        current_state: bench.wire(&state),
        ..Default::default()
    };
    let read = bench
        .service
        .read_resource(request.into_request())
        .await
        .unwrap()
        .into_inner();
    assert!(bench.value(read.new_state.as_ref()).is_null());
}

#[tokio::test]
async fn an_import_gives_a_state_to_read() {
    let bench = Bench::configured().await;
    let request = wire::import_resource_state::Request {
        type_name: HOST.to_owned(),
        id: "host/a".to_owned(),
        ..Default::default()
    };
    let answer = bench
        .service
        .import_resource_state(request.into_request())
        .await
        .unwrap()
        .into_inner();
    let [imported] = answer.imported_resources.as_slice() else {
        panic!("{answer:?}")
    };
    assert_eq!(
        bench.value(imported.state.as_ref()).attribute("id"),
        &Value::from("host/a")
    );
}

#[tokio::test]
async fn stored_state_is_read_at_its_version_upgraded_from_an_older_and_refused_from_a_newer() {
    let bench = Bench::configured().await;
    let same = br#"{"id":"host/a","name":"a","port":9007199254740993,"removed_long_ago":[1]}"#;
    let answer = bench.upgrade(1, same).await;
    assert_no_errors(&answer.diagnostics);
    let state = bench.value(answer.upgraded_state.as_ref());
    assert_eq!(
        state.attribute("port"),
        &Value::from(9_007_199_254_740_993_i64)
    );

    let answer = bench.upgrade(0, br#"{"title":"old"}"#).await;
    let state = bench.value(answer.upgraded_state.as_ref());
    assert_eq!(state.attribute("name"), &Value::from("old"));

    let answer = bench.upgrade(2, same).await;
    assert_eq!(
        errors(&answer.diagnostics),
        ["Unable to read the stored state of test_host"]
    );
}

#[tokio::test]
async fn a_validator_names_the_attribute_and_what_is_unknown_is_skipped() {
    let bench = Bench::configured().await;
    let answer = bench.validate(host("Bad Name", &[])).await;
    let [error] = answer.diagnostics.as_slice() else {
        panic!("{answer:?}")
    };
    assert_eq!(error.summary, "Invalid value of name");
    assert_eq!(path_names(error.attribute.as_slice()), ["name"]);
    let answer = bench
        .validate(with(host("a", &[]), "name", Value::Unknown))
        .await;
    assert_no_errors(&answer.diagnostics);
}

#[tokio::test]
async fn a_hook_that_contradicts_the_configuration_is_an_error_that_names_it() {
    let bench = Bench::configured().await;
    let config = host("meddled", &[]);
    let plan = bench.plan(Value::Null, config.clone(), config).await;
    let [error] = plan.diagnostics.as_slice() else {
        panic!("{:?}", plan.diagnostics)
    };
    assert_eq!(error.summary, "Invalid plan of test_host");
    assert_eq!(path_names(error.attribute.as_slice()), ["name"]);
}

#[tokio::test]
async fn a_caller_that_would_store_write_only_values_is_refused() {
    let bench = Bench::configured().await;
    let answer = bench
        .validate(host("a", &[("token", "s3cret".into())]))
        .await;
    let [error] = answer.diagnostics.as_slice() else {
        panic!("{answer:?}")
    };
    assert_eq!(path_names(error.attribute.as_slice()), ["token"]);
    assert!(!format!("{answer:?}").contains("s3cret"));
    // One that sets none may use the resource.
    let answer = bench.validate(host("a", &[])).await;
    assert_no_errors(&answer.diagnostics);
}

#[tokio::test]
async fn without_a_configured_provider_the_client_is_an_error_and_no_panic() {
    let bench = Bench::new();
    let applied = bench.create("a").await;
    assert_eq!(errors(&applied.diagnostics), ["Provider not configured"]);
}

#[tokio::test]
async fn a_read_defers_where_the_caller_allows_it_and_is_an_error_elsewhere() {
    let bench = Bench::configured().await;
    for allowed in [true, false] {
        let config = Value::object([("name", Value::Unknown), ("address", Value::Null)]);
        let request = wire::read_data_source::Request {
            type_name: "test_lookup".to_owned(),
            config: wire_of(&config, &lookup_type()),
            client_capabilities: Some(wire::ClientCapabilities {
                deferral_allowed: allowed,
                ..Default::default()
            }),
            ..Default::default()
        };
        let answer = bench
            .service
            .read_data_source(request.into_request())
            .await
            .unwrap()
            .into_inner();
        assert_eq!(answer.deferred.is_some(), allowed);
        assert_eq!(errors(&answer.diagnostics).is_empty(), allowed);
    }
}

#[tokio::test]
async fn stopping_cancels_what_runs_and_not_what_comes_after() {
    let bench = Bench::configured().await;
    let waiting = bench.create("wait");
    let stop = async {
        bench.started.notified().await;
        let request = wire::stop_provider::Request::default();
        bench
            .service
            .stop_provider(request.into_request())
            .await
            .unwrap();
    };
    let (applied, ()) = tokio::join!(waiting, stop);
    assert_eq!(errors(&applied.diagnostics), ["Stopped"]);
    bench.created("after").await;
}

#[tokio::test]
async fn a_function_is_called_and_an_unknown_one_is_a_function_error() {
    let bench = Bench::new();
    let text = |text: &str| wire_of(&text.into(), &terraform_plugin::value::Type::String).unwrap();
    let call = async |name: &str, arguments: Vec<wire::DynamicValue>| {
        let request = wire::call_function::Request {
            name: name.to_owned(),
            arguments,
        };
        bench
            .service
            .call_function(request.into_request())
            .await
            .unwrap()
            .into_inner()
    };
    let answer = call("shout", vec![text("ahoy")]).await;
    let result = answer.result.unwrap();
    let result =
        Value::from_msgpack(&result.msgpack, &terraform_plugin::value::Type::String).unwrap();
    assert_eq!(result, "AHOY".into());
    let answer = call("shout", vec![text("")]).await;
    assert_eq!(answer.error.unwrap().function_argument, Some(0));
    assert!(call("whisper", Vec::new()).await.error.is_some());
    assert!(call("shout", Vec::new()).await.error.is_some());
}

#[tokio::test]
async fn unknown_names_and_hostile_bytes_are_findings() {
    let bench = Bench::configured().await;
    let request = wire::read_resource::Request {
        type_name: "test_nothing".to_owned(),
        ..Default::default()
    };
    let answer = bench
        .service
        .read_resource(request.into_request())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(errors(&answer.diagnostics), ["No such resource"]);
    let request = wire::read_resource::Request {
        type_name: HOST.to_owned(),
        current_state: Some(wire::DynamicValue {
            msgpack: vec![0xdd; 64],
            json: Vec::new(),
        }),
        ..Default::default()
    };
    let answer = bench
        .service
        .read_resource(request.into_request())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        errors(&answer.diagnostics),
        ["Unable to decode a value from Terraform"]
    );
}

#[tokio::test]
async fn the_schema_carries_descriptions_nesting_and_no_mistake() {
    let bench = Bench::new();
    let request = wire::get_provider_schema::Request::default();
    let answer = bench
        .service
        .get_provider_schema(request.into_request())
        .await
        .unwrap()
        .into_inner();
    assert_no_errors(&answer.diagnostics);
    let block = answer.resource_schemas[HOST].block.clone().unwrap();
    let name = block
        .attributes
        .iter()
        .find(|attribute| attribute.name == "name")
        .unwrap();
    assert_eq!(name.description, "What the host is called.");
    let disks = block
        .attributes
        .iter()
        .find(|attribute| attribute.name == "disks")
        .unwrap();
    assert!(disks.r#type.is_empty() && disks.nested_type.is_some());
    assert_eq!(block.block_types[0].type_name, "timeouts");
    assert_eq!(answer.resource_schemas[HOST].version, 1);
}
