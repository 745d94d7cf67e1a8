//! Whatever somebody asks of a DR plan has a line of the audit log and an event of its own, which say what
//! it was, with which override, and who asked.

use hanse_agent::audit::Line;
use hanse_client::proto::events_response::Answer;
use hanse_client::proto::run_plan_request::{Ask, Drill, Failover, Switchover};
use hanse_client::{Client, Role};
use hanse_core::dr::timings::Preset;
use hanse_core::name::PlanName;
use hanse_core::object::{DrPlan, Object};

use super::harness::Federation;
use super::plans::{orders, start, two_sites, until};

const ADMIN: &str = "spiffe://acme/user/admin";
const OPERATOR: &str = "spiffe://acme/user/alex";

/// A plan whose primary never renews its lease, so that a failover may be asked for in a moment.
async fn silent_primary(federation: &Federation, admin: &Client) {
    let (_folder, credentials) = federation.join("home", "db-home").await;
    let primary = federation.client(&credentials).await;
    federation.join("away", "db-away").await;
    let plan = Object::DrPlan(Box::new(DrPlan {
        preset: Some(Preset::Fast),
        ..orders()
    }));
    admin.apply(&plan, 0, "plan").await.unwrap();
    start(admin, &primary).await;
}

/// Every line of the audit log that tells of an ask: who, of what, with what result.
fn noted(federation: &Federation) -> Vec<(String, String, String)> {
    let text = std::fs::read_to_string(federation.folder().audit()).unwrap();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Line>(line).unwrap());
    let asks = lines.filter(|line| line.call == "run-plan");
    asks.map(|line| (line.caller, line.object, line.outcome))
        .collect()
}

/// What is told of plans, in sentences.
async fn told(admin: &Client) -> Vec<String> {
    let mut events = admin.events(0, false).await.unwrap();
    let mut told = Vec::new();
    while let Some(event) = events.message().await.unwrap() {
        match event.answer {
            Some(Answer::Happened(happened)) if happened.kind == "dr-plan" => {
                told.push(happened.sentence);
            }
            Some(Answer::Happened(_) | Answer::Compacted(_)) | None => {}
        }
    }
    told
}

#[tokio::test]
async fn whatever_is_asked_of_a_plan_can_be_told_apart_in_the_audit_log_and_the_events() {
    let (federation, admin) = two_sites().await;
    let operator = federation.user(Role::Operator).await;
    let operator = federation.client(&operator).await;
    let name: PlanName = "orders".parse().unwrap();
    silent_primary(&federation, &admin).await;

    let away = || "away".to_owned();
    let failover = |to: &str, allow_data_loss| {
        Ask::Failover(Failover {
            to: to.to_owned(),
            allow_data_loss,
        })
    };
    for _ in 0..2 {
        let paused = operator.run_plan(&name, Ask::Pause(true), "pause").await;
        paused.unwrap();
    }
    let resumed = admin.run_plan(&name, Ask::Resume(true), "resume").await;
    resumed.unwrap();
    until(&admin, |status| status.waits_for.contains("hanse failover")).await;
    let confirmed = Ask::ConfirmFenced("db-home".to_owned());
    for (id, ask) in [
        ("failover", failover("", false)),
        ("insist", failover("away", true)),
        ("confirm", confirmed),
    ] {
        admin.run_plan(&name, ask, id).await.unwrap();
    }
    for (id, ask) in [
        ("switchover", Ask::Switchover(Switchover { to: away() })),
        ("failback", Ask::Failback(true)),
        ("drill", Ask::Drill(Drill { on: away() })),
    ] {
        admin.run_plan(&name, ask, id).await.unwrap_err();
    }

    let expected = [
        (OPERATOR, "pause", "committed at "),
        (OPERATOR, "pause", "unchanged at "),
        (ADMIN, "resume", "committed at "),
        (ADMIN, "failover", "committed at "),
        (
            ADMIN,
            "failover to `away`, and data may be lost",
            "committed at ",
        ),
        (ADMIN, "confirm-fenced of `db-home`", "committed at "),
        (ADMIN, "switchover to `away`", "refused: "),
        (ADMIN, "failback", "refused: "),
        (ADMIN, "drill in `away`", "refused: "),
    ];
    let noted = noted(&federation);
    assert_eq!(noted.len(), expected.len(), "{noted:?}");
    for ((caller, object, outcome), (by, asked, begin)) in noted.iter().zip(expected) {
        let whole = format!("DR plan `orders`: {asked}");
        assert_eq!((caller.as_str(), object.as_str()), (by, whole.as_str()));
        assert!(outcome.starts_with(begin), "{object}: {outcome}");
    }

    let told = told(&admin).await;
    for step in [
        format!("it is paused: nothing happens by itself (by the word of {OPERATOR})"),
        format!("it is resumed (by the word of {ADMIN})"),
        format!("a failover begins: {ADMIN} asks for it"),
        format!("its run is to go on to `away`, and data may be lost: {ADMIN} asks for it"),
        format!("somebody made sure that `db-home` can't write (by the word of {ADMIN})"),
    ] {
        let sentence = format!("DR plan `orders`: {step}");
        assert!(told.contains(&sentence), "{sentence}: {told:?}");
    }
}
