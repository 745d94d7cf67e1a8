//! Who is to hear of a plan's runs is told of each step, signed; and where nobody takes it, that is known.

use hanse_client::{Client, proto};
use hanse_core::object::dr_redirect::Hook;
use hanse_core::object::{DrPlan, Object};
use hanse_redirect::hook::HookSecret;
use serde_json::Value;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::timeout;

use super::harness::{FEDERATION, Federation, free_address};
use super::plans::{PATIENCE, orders, secret, start, two_sites, until};
use super::web::{Reply, serve};

const SECRET: &str = "a secret that is long enough";

/// A federation whose plan had its first run, of which a hook is told at a URL.
async fn told_at(url: String) -> (Federation, Client, proto::PlanStatus) {
    let (federation, admin) = two_sites().await;
    let (_folder, credentials) = federation.join("home", "db-home").await;
    let primary = federation.client(&credentials).await;
    let hook = Hook {
        url,
        secret_version: 1,
        events: Default::default(),
    };
    let plan = Object::DrPlan(Box::new(DrPlan {
        hooks: [("pager".parse().unwrap(), hook)].into(),
        ..orders()
    }));
    let secret = secret("hook/pager", SECRET);
    admin.apply_with(&plan, secret, 0, "plan").await.unwrap();
    let moved = start(&admin, &primary).await;
    (federation, admin, moved)
}

#[tokio::test]
async fn each_step_of_a_run_is_told_in_order_and_signed() {
    let (sender, mut received) = unbounded_channel();
    let address = serve(move |request| {
        let _ = sender.send(request);
        Reply::status(204)
    });
    let (_federation, admin, _) = told_at(format!("http://{address}/hanse")).await;
    let secret = HookSecret::try_new(SECRET).unwrap();
    let mut kinds: Vec<String> = Vec::new();
    while kinds.last().is_none_or(|kind| kind != "dr-plan.ended") {
        let request = timeout(PATIENCE, received.recv()).await.unwrap().unwrap();
        let signature = request.header("hanse-signature");
        let (sent, _) = signature.split_once(',').unwrap();
        let sent = sent.strip_prefix("t=").unwrap().parse().unwrap();
        assert_eq!(signature, secret.signature(sent, request.body.as_bytes()));
        let body: Value = serde_json::from_str(&request.body).unwrap();
        let id = format!("orders/{}", body["data"]["revision"]);
        assert_eq!(body["id"], id.as_str());
        assert_eq!(request.header("hanse-event-id"), id);
        assert_eq!(body["kind"], request.header("hanse-event"));
        assert_eq!(body["data"]["plan"], "orders");
        assert_eq!(body["data"]["federation"], FEDERATION);
        kinds.push(request.header("hanse-event").to_owned());
    }
    assert_eq!(
        kinds,
        ["dr-plan.begun", "dr-plan.promoted", "dr-plan.ended"]
    );
    let taken = until(&admin, |status| {
        status.hooks.iter().any(|hook| hook.waiting == 0)
    });
    let hook = &taken.await.hooks[0];
    assert_eq!((hook.trouble.as_str(), hook.given_up), ("", 0));
}

#[tokio::test]
async fn a_receiver_that_is_away_holds_up_no_run_and_is_known_with_how_often_since_when_and_why() {
    let url = format!("http://{}/hanse", free_address());
    let (_federation, admin, moved) = told_at(url).await;
    assert_eq!(moved.past.unwrap().outcome, "moved");
    let tried = until(&admin, |status| {
        status.hooks.iter().any(|hook| hook.attempts > 0)
    });
    let hook = &tried.await.hooks[0];
    assert_eq!(hook.name, "pager");
    assert!(hook.trouble.starts_with("unable to reach it"), "{hook:?}");
    assert!(hook.waiting > 0 && hook.oldest_unix_s > 0, "{hook:?}");
    assert!(hook.failing_since_unix_s > 0, "{hook:?}");
}
