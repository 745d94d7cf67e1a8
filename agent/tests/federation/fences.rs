//! A DR plan whose primary's machine Proxmox VE stops: nobody is promoted before it says so, and while a
//! token is wrong the plan says that.

use std::time::Duration;

use hanse_client::{Client, proto};
use hanse_core::dr::timings::Preset;
use hanse_core::object::dr_fencing::{GuestKind, Proxmox};
use hanse_core::object::dr_plan::Fencing;
use hanse_core::object::{DrPlan, Object};
use proto::run_plan_request::{Ask, Failover};
use tokio::sync::watch;

use super::plans::{PATIENCE, copy, orders, secret, two_sites, until};
use super::pve::Pve;

const REPORT_EVERY: Duration = Duration::from_millis(200);
const WRONG: &str = "a-token-of-another-cluster";

fn plan(pve: &Pve, token_secret_version: u64) -> Object {
    let proxmox = Proxmox {
        urls: vec![pve.url.clone()],
        node: "pve1".to_owned(),
        vmid: 100,
        kind: GuestKind::Vm,
        name: Some("db-1".to_owned()),
        token_id: Pve::TOKEN_ID.to_owned(),
        token_secret_version,
        fingerprints: vec![pve.fingerprint.parse().unwrap()],
        ca: None,
        timeout: None,
    };
    Object::DrPlan(Box::new(DrPlan {
        preset: Some(Preset::Fast),
        fencing: [("home".parse().unwrap(), Fencing::Proxmox(proxmox))].into(),
        ..orders()
    }))
}

fn token(value: &str) -> Vec<proto::PlanSecretValue> {
    secret("fence/home", value)
}

/// A standby that tells how it is, again and again, with the barrier that it is given.
async fn tell(standby: Client, barrier: watch::Receiver<u64>) {
    loop {
        let barrier = *barrier.borrow();
        let role = if barrier == 0 {
            "following"
        } else {
            "detached"
        };
        let status = proto::CopyStatus {
            barrier,
            position: Some(proto::Position::default()),
            ..copy(role, 0)
        };
        // Whatever is answered: it tells again.
        let _ = standby.report_copy(status, None, 0).await;
        tokio::time::sleep(REPORT_EVERY).await;
    }
}

#[tokio::test]
async fn nobody_is_promoted_before_proxmox_says_that_the_machine_is_stopped() {
    let mut pve = Pve::start();
    let (federation, admin) = two_sites().await;
    let (_first, credentials) = federation.join("home", "db-home").await;
    let primary = federation.client(&credentials).await;
    let (_second, credentials) = federation.join("away", "db-away").await;
    let standby = federation.client(&credentials).await;

    let (first, second) = (plan(&pve, 1), plan(&pve, 2));
    let without = admin.apply(&first, 0, "without").await;
    let without = without.unwrap_err().to_string();
    assert!(
        without.contains("fencing[\"home\"].proxmox.token_secret_wo"),
        "{without}"
    );
    let two_words = admin.apply_with(&first, token("two words"), 0, "no");
    let two_words = two_words.await.unwrap_err().to_string();
    assert!(two_words.contains("is one word"), "{two_words}");
    let wrong = admin.apply_with(&first, token(WRONG), 0, "wrong");
    let wrong = wrong.await.unwrap();

    // Both copies have their nodes: what was told before is of nobody.
    until(&admin, |status| status.waits_for.contains("no data yet")).await;
    primary
        .report_copy(copy("stopped", 0), None, 0)
        .await
        .unwrap();
    let started = until(&admin, |status| status.fence_epoch > 0).await;
    let leads = copy("primary", started.fence_epoch);
    primary.report_copy(leads, None, 0).await.unwrap();
    let led = until(&admin, |status| status.past.is_some()).await;
    assert!(led.predicted.unwrap().fencing_ms > 60_000);
    let (barrier, told) = watch::channel(0);
    let telling = tokio::spawn(tell(standby, told));

    // It renews its lease no more.
    until(&admin, |status| status.waits_for.contains("hanse failover")).await;
    let ask = Ask::Failover(Failover {
        to: "away".to_owned(),
        allow_data_loss: true,
    });
    let name = "orders".parse().unwrap();
    let began = admin.run_plan(&name, ask, "failover").await.unwrap();
    barrier.send_replace(began);
    let held = until(&admin, |status| status.waits_for.contains("API token")).await;
    assert!(held.waits_for.contains("`db-home`"), "{}", held.waits_for);
    assert!(!held.waits_for.contains(WRONG), "{}", held.waits_for);
    assert_eq!((held.primary.as_str(), pve.stops().as_str()), ("home", "0"));

    // A right token, and a machine that is on until it says that it isn't.
    pve.run("[setattr(pve, 'time_scale', 0.01), setattr(pve.guest(100), 'ha_state', 'started')]");
    pve.run("setattr(pve, 'ha_delay', 1e6)");
    let right = admin.apply_with(&second, token(Pve::TOKEN), wrong.stored.revision, "ok");
    right.await.unwrap();
    let asked = async {
        while pve.stops() == "0" {
            tokio::time::sleep(REPORT_EVERY).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap();
    let on = until(&admin, |status| status.run.is_some()).await;
    assert_eq!(on.primary, "home", "{}", on.waits_for);
    assert!(on.waits_for.contains("from outside"), "{}", on.waits_for);
    pve.run("setattr(pve.guest(100), 'status', 'stopped')");
    let promoted = until(&admin, |status| status.primary == "away").await;
    assert!(promoted.fence_epoch > started.fence_epoch);
    assert_eq!(pve.stops(), "1");
    let state = serde_json::to_string(&*federation.voter.replica.read()).unwrap();
    assert!(!state.contains(WRONG) && !state.contains(Pve::TOKEN));
    telling.abort();
}
