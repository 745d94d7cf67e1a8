use terraform_plugin::Value;
use terraform_plugin::proto::tfplugin6 as wire;
use tonic::Streaming;
use wire::invoke_action::event::Type;

use crate::bench::{Bench, assert_no_errors, config, deferring, errors, garbage};
use crate::kit::RestartModel;

async fn begin(
    bench: &Bench,
    action_type: &str,
    config: Option<wire::DynamicValue>,
) -> Streaming<wire::invoke_action::Event> {
    let request = wire::invoke_action::Request {
        action_type: action_type.to_owned(),
        config,
        client_capabilities: deferring(),
    };
    bench
        .client
        .clone()
        .invoke_action(request)
        .await
        .unwrap()
        .into_inner()
}

/// What was said while it ran, and what was found in the end.
async fn all(
    mut events: Streaming<wire::invoke_action::Event>,
) -> (Vec<String>, Vec<wire::Diagnostic>) {
    let mut said = Vec::new();
    while let Some(event) = events.message().await.unwrap() {
        match event.r#type.unwrap() {
            Type::Progress(progress) => said.push(progress.message),
            Type::Completed(completed) => {
                assert!(
                    events.message().await.unwrap().is_none(),
                    "nothing follows the end"
                );
                return (said, completed.diagnostics);
            }
        }
    }
    panic!("the end was not told, after {said:?}")
}

async fn invoke(bench: &Bench, name: impl Into<Value>) -> (Vec<String>, Vec<wire::Diagnostic>) {
    let config = config::<RestartModel>(&[("name", name.into())]);
    all(begin(bench, "kit_restart", config).await).await
}

async fn plan(
    bench: &Bench,
    name: impl Into<Value>,
    client_capabilities: Option<wire::ClientCapabilities>,
) -> wire::plan_action::Response {
    let request = wire::plan_action::Request {
        action_type: "kit_restart".to_owned(),
        config: config::<RestartModel>(&[("name", name.into())]),
        client_capabilities,
    };
    bench
        .client
        .clone()
        .plan_action(request)
        .await
        .unwrap()
        .into_inner()
}

#[tokio::test]
async fn progress_comes_in_order_and_then_the_end() {
    let bench = Bench::configured().await;
    let (said, found) = invoke(&bench, "a").await;
    assert_eq!(said, ["it stops", "it starts"]);
    assert_eq!(found, []);
}

#[tokio::test]
async fn a_failure_ends_it_with_its_warnings() {
    let bench = Bench::configured().await;
    let (said, found) = invoke(&bench, "failing").await;
    assert_eq!(said, ["it stops"]);
    assert_eq!(errors(&found), ["Unable to start"]);
    assert_eq!(found[0].summary, "It was slow");
}

#[tokio::test]
async fn a_panic_ends_it_and_names_the_action() {
    let bench = Bench::configured().await;
    let (said, found) = invoke(&bench, "panic").await;
    assert_eq!(said, ["it stops"]);
    assert_eq!(errors(&found), ["The provider failed in kit_restart"]);
    let (_, found) = invoke(&bench, "after").await;
    assert_no_errors(&found);
}

#[tokio::test]
async fn a_plan_may_defer_where_the_caller_allows_it_and_an_invocation_never() {
    let bench = Bench::configured().await;
    let answer = plan(&bench, Value::Unknown, deferring()).await;
    assert_no_errors(&answer.diagnostics);
    assert!(answer.deferred.is_some());
    let answer = plan(&bench, Value::Unknown, None).await;
    assert_eq!(errors(&answer.diagnostics), ["Unable to defer"]);
    let (_, found) = invoke(&bench, "deferred").await;
    assert_eq!(errors(&found), ["Unable to defer"]);
}

#[tokio::test]
async fn a_plan_says_what_could_not_be_done() {
    let bench = Bench::configured().await;
    let answer = plan(&bench, "impossible", None).await;
    assert_eq!(errors(&answer.diagnostics), ["Unable to restart"]);
    assert_no_errors(&plan(&bench, "a", None).await.diagnostics);
}

#[tokio::test]
async fn stopping_ends_an_action_with_what_it_has_to_say() {
    let bench = Bench::configured().await;
    let config = config::<RestartModel>(&[("name", "wait".into())]);
    let events = begin(&bench, "kit_restart", config).await;
    bench.signals.started.notified().await;
    bench.stop().await;
    let (said, found) = all(events).await;
    assert_eq!(said, ["it stops"]);
    assert_eq!(errors(&found), ["Stopped"]);
}

#[tokio::test]
async fn an_action_whose_caller_is_gone_is_told_to_stop() {
    let bench = Bench::configured().await;
    let config = config::<RestartModel>(&[("name", "wait".into())]);
    let events = begin(&bench, "kit_restart", config).await;
    bench.signals.started.notified().await;
    drop(events);
    bench.signals.ended.notified().await;
}

#[tokio::test]
async fn an_action_never_waits_for_a_caller_that_does_not_listen() {
    let bench = Bench::configured().await;
    let config = config::<RestartModel>(&[("name", "chatty".into())]);
    let events = begin(&bench, "kit_restart", config).await;
    bench.signals.ended.notified().await;
    let (said, found) = all(events).await;
    assert_no_errors(&found);
    assert!((1000..2000).contains(&said.len()), "{}", said.len());
}

#[tokio::test]
async fn what_is_unknown_when_it_is_invoked_is_an_error_that_names_it() {
    let bench = Bench::configured().await;
    let (said, found) = invoke(&bench, Value::Unknown).await;
    assert!(said.is_empty());
    assert_eq!(errors(&found), ["Unable to invoke kit_restart"]);
    assert!(found[0].detail.starts_with("name isn't known"));
}

#[tokio::test]
async fn a_configuration_is_checked() {
    let bench = Bench::configured().await;
    let request = wire::validate_action_config::Request {
        type_name: "kit_restart".to_owned(),
        config: config::<RestartModel>(&[("name", "a b".into())]),
    };
    let answer = bench
        .client
        .clone()
        .validate_action_config(request)
        .await
        .unwrap();
    assert_eq!(
        errors(&answer.into_inner().diagnostics),
        ["Invalid value of name"]
    );
}

#[tokio::test]
async fn foreign_bytes_and_unknown_names_end_the_stream_with_a_finding() {
    let bench = Bench::configured().await;
    let (_, found) = all(begin(&bench, "kit_nothing", None).await).await;
    assert_eq!(errors(&found), ["No such action"]);
    let (_, found) = all(begin(&bench, "kit_restart", garbage()).await).await;
    assert_eq!(errors(&found), ["Unable to decode a value from Terraform"]);
    let (_, found) = all(begin(&bench, "kit_restart", None).await).await;
    assert_eq!(errors(&found), ["Invalid value"]);
}
