//! What Terraform is shown of a plan.

use super::*;

/// As Terraform asks for it.
fn asked() -> DrStatusModel {
    DrStatusModel {
        federation: Attr::from("baltic"),
        plan: Attr::from("orders"),
        home: Attr::Unknown,
        primary: Attr::Unknown,
        primary_node: Attr::Unknown,
        fence_epoch: Attr::Unknown,
        run: Attr::Unknown,
        past: Attr::Unknown,
        copies: Attr::Unknown,
        paused: Attr::Unknown,
        held: Attr::Unknown,
        waits_for: Attr::Unknown,
        lease_silent_for_ms: Attr::Unknown,
        mark_age_ms: Attr::Unknown,
        set: Attr::Unknown,
        replication: Attr::Unknown,
        service_address: Attr::Unknown,
        redirects: Attr::Unknown,
        hooks: Attr::Unknown,
        automatic_failover: Attr::Unknown,
        accepts_pause_risk: Attr::Unknown,
        quorum_trouble: Attr::Unknown,
        predicted: Attr::Unknown,
        predicted_paths: Attr::Unknown,
        last_drill: Attr::Unknown,
        drill_progress: Attr::Unknown,
        next_drill_unix_s: Attr::Unknown,
    }
}

#[test]
fn a_record_that_cannot_be_led_and_a_hook_that_is_not_told_say_why() {
    let status = proto::PlanStatus {
        redirects: vec![proto::RedirectView {
            way: "dns".into(),
            record: "app.example.org".into(),
            trouble: "its TSIG key hanse has another secret".into(),
            ..Default::default()
        }],
        hooks: vec![proto::HookView {
            name: "pager".into(),
            waiting: 3,
            oldest_unix_s: 940,
            attempts: 7,
            failing_since_unix_s: 1000,
            trouble: "it answered 503".into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let model = asked().with(status);
    let redirect = &model.redirects.as_known().unwrap()["dns"];
    let why = Attr::from("its TSIG key hanse has another secret");
    assert_eq!((&redirect.leads_to, &redirect.trouble), (&Attr::Null, &why));
    let hook = &model.hooks.as_known().unwrap()["pager"];
    assert_eq!(hook.trouble, Attr::from("it answered 503"));
    assert_eq!(
        (&hook.attempts, &hook.failing_since_unix_s),
        (&Attr::Known(7), &Attr::Known(1000))
    );
    assert_eq!(hook.given_up_why, Attr::Null);
}

#[test]
fn what_is_well_outside_has_no_trouble() {
    let status = proto::PlanStatus {
        redirects: vec![proto::RedirectView {
            way: "route53".into(),
            leads_to: "192.0.2.1".into(),
            ..Default::default()
        }],
        hooks: vec![proto::HookView {
            name: "pager".into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let model = asked().with(status);
    let redirect = &model.redirects.as_known().unwrap()["route53"];
    assert_eq!(redirect.leads_to, Attr::from("192.0.2.1"));
    assert_eq!(redirect.trouble, Attr::Null);
    let hook = &model.hooks.as_known().unwrap()["pager"];
    assert_eq!(
        (&hook.trouble, &hook.oldest_unix_s),
        (&Attr::Null, &Attr::Null)
    );
}
