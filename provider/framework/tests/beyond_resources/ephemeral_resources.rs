use terraform_plugin::Value;
use terraform_plugin::proto::tfplugin6 as wire;

use crate::bench::{Bench, assert_no_errors, config, deferring, errors, garbage, value};
use crate::kit::TokenModel;

async fn open(bench: &Bench, name: impl Into<Value>) -> wire::open_ephemeral_resource::Response {
    let request = wire::open_ephemeral_resource::Request {
        type_name: "kit_token".to_owned(),
        config: config::<TokenModel>(&[("name", name.into())]),
        client_capabilities: None,
    };
    let mut client = bench.client.clone();
    client
        .open_ephemeral_resource(request)
        .await
        .unwrap()
        .into_inner()
}

async fn renew(
    bench: &Bench,
    type_name: &str,
    private: Option<Vec<u8>>,
) -> wire::renew_ephemeral_resource::Response {
    let type_name = type_name.to_owned();
    let request = wire::renew_ephemeral_resource::Request { type_name, private };
    let mut client = bench.client.clone();
    client
        .renew_ephemeral_resource(request)
        .await
        .unwrap()
        .into_inner()
}

#[tokio::test]
async fn what_is_opened_is_renewed_and_closed_with_its_private_data() {
    let bench = Bench::configured().await;
    let opened = open(&bench, "a").await;
    assert_no_errors(&opened.diagnostics);
    let result = value::<TokenModel>(opened.result.as_ref());
    assert_eq!(result.attribute("token"), &Value::from("token of a"));
    assert_eq!(opened.renew_at.unwrap().seconds, 1000);

    let renewed = renew(&bench, "kit_token", opened.private).await;
    assert_no_errors(&renewed.diagnostics);
    assert_eq!(renewed.renew_at.unwrap().seconds, 2000);

    let request = wire::close_ephemeral_resource::Request {
        type_name: "kit_token".to_owned(),
        private: renewed.private,
    };
    let mut client = bench.client.clone();
    let closed = client.close_ephemeral_resource(request).await.unwrap();
    assert_no_errors(&closed.into_inner().diagnostics);
    assert_eq!(*bench.signals.closed.lock().unwrap(), ["a again"]);
}

#[tokio::test]
async fn closing_what_needs_no_closing_is_no_error_and_renewing_it_is_one() {
    let bench = Bench::configured().await;
    let answer = renew(&bench, "kit_careless", None).await;
    assert_eq!(
        errors(&answer.diagnostics),
        ["Unable to renew kit_careless"]
    );
    let request = wire::close_ephemeral_resource::Request {
        type_name: "kit_careless".to_owned(),
        private: None,
    };
    let closed = bench
        .client
        .clone()
        .close_ephemeral_resource(request)
        .await
        .unwrap();
    assert_no_errors(&closed.into_inner().diagnostics);
}

#[tokio::test]
async fn opening_is_deferred_where_the_caller_allows_it_and_is_an_error_elsewhere() {
    let bench = Bench::configured().await;
    let request = wire::open_ephemeral_resource::Request {
        type_name: "kit_token".to_owned(),
        config: config::<TokenModel>(&[("name", "deferred".into())]),
        client_capabilities: deferring(),
    };
    let mut client = bench.client.clone();
    let answer = client
        .open_ephemeral_resource(request)
        .await
        .unwrap()
        .into_inner();
    assert_no_errors(&answer.diagnostics);
    let reason = answer.deferred.unwrap().reason();
    assert_eq!(reason, wire::deferred::Reason::AbsentPrereq);
    let result = value::<TokenModel>(answer.result.as_ref());
    assert_eq!(result.attribute("token"), &Value::Unknown);
    assert_eq!(answer.renew_at, None);

    let answer = open(&bench, "deferred").await;
    assert_eq!(errors(&answer.diagnostics), ["Unable to defer"]);
}

#[tokio::test]
async fn a_value_that_is_still_unknown_is_an_error_that_names_it() {
    let bench = Bench::configured().await;
    let answer = open(&bench, "half").await;
    assert_eq!(errors(&answer.diagnostics), ["Incomplete kit_token"]);
    assert!(
        answer.diagnostics[0]
            .detail
            .starts_with("token is still unknown")
    );
}

#[tokio::test]
async fn a_panic_while_opening_names_the_ephemeral_resource() {
    let bench = Bench::configured().await;
    let answer = open(&bench, "panic").await;
    assert_eq!(
        errors(&answer.diagnostics),
        ["The provider failed in kit_token"]
    );
    assert_no_errors(&open(&bench, "after").await.diagnostics);
}

#[tokio::test]
async fn a_configuration_is_checked_and_what_is_unknown_is_skipped() {
    let bench = Bench::configured().await;
    for (name, found) in [
        (Value::from("a b"), vec!["Invalid value of name"]),
        (Value::Unknown, vec![]),
    ] {
        let request = wire::validate_ephemeral_resource_config::Request {
            type_name: "kit_token".to_owned(),
            config: config::<TokenModel>(&[("name", name)]),
        };
        let mut client = bench.client.clone();
        let answer = client
            .validate_ephemeral_resource_config(request)
            .await
            .unwrap();
        assert_eq!(errors(&answer.into_inner().diagnostics), found);
    }
}

#[tokio::test]
async fn foreign_bytes_and_unknown_names_are_findings() {
    let bench = Bench::configured().await;
    let answer = renew(&bench, "kit_token", Some(b"{\"name\":".to_vec())).await;
    assert_eq!(errors(&answer.diagnostics), ["Unable to read private data"]);
    let answer = renew(&bench, "kit_nothing", None).await;
    assert_eq!(errors(&answer.diagnostics), ["No such ephemeral resource"]);
    let request = wire::open_ephemeral_resource::Request {
        type_name: "kit_token".to_owned(),
        config: garbage(),
        client_capabilities: None,
    };
    let mut client = bench.client.clone();
    let answer = client
        .open_ephemeral_resource(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        errors(&answer.diagnostics),
        ["Unable to decode a value from Terraform"]
    );
}
