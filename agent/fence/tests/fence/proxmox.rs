//! Proxmox VE: what is a fence, and what is none.

use std::time::Duration;

use hanse_fence::{FenceError, Guest, Proxmox, ProxmoxConfig, fence};
use hanse_redirect::{Http, Secret};

use super::pve::Pve;
use super::web::{Reply, serve_tls};

const PATIENCE: Duration = Duration::from_secs(30);

fn config(urls: &[&str]) -> ProxmoxConfig {
    ProxmoxConfig {
        urls: urls.iter().map(|url| url.parse().unwrap()).collect(),
        node: "pve1".to_owned(),
        vmid: 100,
        guest: Guest::Vm,
        name: Some("db-1".to_owned()),
        token_id: Pve::TOKEN_ID.to_owned(),
        token_secret: Secret::new(Pve::TOKEN),
    }
}

fn bytes(fingerprint: &str) -> [u8; 32] {
    let digit = |place| u8::from_str_radix(&fingerprint[place..place + 2], 16).unwrap();
    std::array::from_fn(|place| digit(place * 2))
}

/// The machine as it is declared, after a change.
fn machine(pve: &Pve, change: impl FnOnce(&mut ProxmoxConfig)) -> Proxmox {
    let mut config = config(&[&pve.url]);
    change(&mut config);
    let http = Http::with_fingerprints(&[bytes(&pve.fingerprint)]).unwrap();
    Proxmox::try_new(config, http).unwrap()
}

/// Why there is no fence.
async fn refused(pve: &Pve, change: impl FnOnce(&mut ProxmoxConfig)) -> FenceError {
    let error = fence(&machine(pve, change), PATIENCE).await.unwrap_err();
    assert!(!error.to_string().contains(Pve::TOKEN), "{error}");
    error
}

#[tokio::test]
async fn a_machine_that_runs_is_stopped_and_one_that_is_stopped_is_left_alone() {
    let mut pve = Pve::start();
    fence(&machine(&pve, |_| ()), PATIENCE).await.unwrap();
    assert_eq!(pve.status(), "\"stopped\"");
    fence(&machine(&pve, |_| ()), PATIENCE).await.unwrap();
    assert_eq!(pve.stops(), "1");
}

#[tokio::test]
async fn a_container_is_stopped_like_a_virtual_machine() {
    let mut pve = Pve::start();
    pve.run("pve.add_ct(101, 'db-2', node='pve1', status='running')");
    let container = |config: &mut ProxmoxConfig| {
        (config.vmid, config.guest) = (101, Guest::Container);
        config.name = Some("db-2".to_owned());
    };
    fence(&machine(&pve, container), PATIENCE).await.unwrap();
    assert_eq!(pve.run("pve.guest(101).status"), "\"stopped\"");
    assert_eq!(pve.status(), "\"running\"");
}

#[tokio::test]
async fn a_task_that_ended_well_is_no_fence_while_the_machine_runs() {
    let mut pve = Pve::start();
    // Under high availability the task only asks, and another manager stops the machine later.
    pve.run("[setattr(pve, 'time_scale', 0.01), setattr(pve.guest(100), 'ha_state', 'started')]");
    pve.run("setattr(pve, 'ha_delay', 1e6)");
    let short = Duration::from_secs(1);
    let error = fence(&machine(&pve, |_| ()), short).await.unwrap_err();
    assert!(matches!(error, FenceError::Late { .. }), "{error}");
    assert!(error.to_string().contains("it is running"), "{error}");
    pve.run("setattr(pve, 'ha_delay', 20)");
    fence(&machine(&pve, |_| ()), PATIENCE).await.unwrap();
    assert_eq!(pve.status(), "\"stopped\"");
}

#[tokio::test]
async fn whoever_asked_and_crashed_goes_on_by_reading() {
    let mut pve = Pve::start();
    pve.run("[setattr(pve, 'time_scale', 0.01), setattr(pve.guest(100), 'stop_secs', 100)]");
    // A second stop waits for the first.
    pve.run("setattr(pve, 'lock_wait', 1000)");
    let short = Duration::from_millis(500);
    let first = fence(&machine(&pve, |_| ()), short).await.unwrap_err();
    assert!(matches!(first, FenceError::Late { .. }), "{first}");
    fence(&machine(&pve, |_| ()), PATIENCE).await.unwrap();
    assert_eq!(pve.status(), "\"stopped\"");
}

#[tokio::test]
async fn a_machine_whose_memory_lives_on_is_no_fence() {
    let mut pve = Pve::start();
    for lock in ["suspended", "migrate"] {
        pve.run("setattr(pve.guest(100), 'status', 'stopped')");
        pve.run(&format!("pve.snapshot_lock(100, '{lock}')"));
        let error = refused(&pve, |_| ()).await;
        assert!(matches!(error, FenceError::Kept { .. }), "{error}");
    }
    // What holds the lock may start it again: a backup does, and a rollback brings old memory back.
    for lock in ["backup", "rollback"] {
        pve.run(&format!("pve.snapshot_lock(100, '{lock}')"));
        refused(&pve, |_| ()).await;
    }
    pve.run("pve.unlock(100)");
    fence(&machine(&pve, |_| ()), PATIENCE).await.unwrap();
}

#[tokio::test]
async fn another_machine_is_never_stopped() {
    let mut pve = Pve::start();
    let other = refused(&pve, |config| config.name = Some("db-2".to_owned())).await;
    assert!(matches!(other, FenceError::OtherMachine { .. }), "{other}");
    for wrong in [
        (|config| config.vmid = 999) as fn(&mut ProxmoxConfig),
        |config| config.node = "pve2".to_owned(),
        |config| config.guest = Guest::Container,
    ] {
        let error = refused(&pve, wrong).await;
        assert!(matches!(error, FenceError::NoMachine { .. }), "{error}");
    }
    assert_eq!(pve.status(), "\"running\"");
    assert_eq!(pve.stops(), "0");
}

#[tokio::test]
async fn a_token_that_is_wrong_or_may_not_is_no_fence() {
    let mut pve = Pve::start();
    let wrong = refused(&pve, |config| config.token_secret = Secret::new("wrong")).await;
    assert!(matches!(wrong, FenceError::Credentials { .. }), "{wrong}");
    let page = include_str!("../../../../docs/dr-errors.md");
    let said = wrong.to_string();
    let (_, said) = said.split_once(&pve.url).unwrap();
    assert!(page.contains(&format!("|{said} |")), "{said}");
    pve.run("pve.grant('hanse@pve!fence', '/vms/100', 'VM.Audit')");
    let denied = refused(&pve, |_| ()).await;
    assert!(matches!(denied, FenceError::Denied { .. }), "{denied}");
    assert!(denied.to_string().contains("VM.PowerMgmt"), "{denied}");
    pve.run("pve.grant('hanse@pve!fence', '/vms/100', 'VM.PowerMgmt')");
    fence(&machine(&pve, |_| ()), PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_server_with_another_certificate_hears_no_token() {
    let mut pve = Pve::start();
    let with = |http: Http| Proxmox::try_new(config(&[&pve.url]), http).unwrap();
    let pinned = with(Http::with_fingerprints(&[[7; 32]]).unwrap());
    let error = fence(&pinned, PATIENCE).await.unwrap_err();
    let shown = pve.fingerprint.to_uppercase();
    assert!(matches!(error, FenceError::Certificate { .. }), "{error}");
    let said = error.to_string().replace(':', "");
    assert!(said.contains(&shown), "{error}");
    let strange = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let strange = Http::with_authorities(strange.cert.pem().as_bytes()).unwrap();
    let error = fence(&with(strange), PATIENCE).await.unwrap_err();
    assert!(matches!(error, FenceError::Certificate { .. }), "{error}");
    let known = with(Http::with_authorities(pve.pem.as_bytes()).unwrap());
    assert_eq!(pve.run("len(pve.requests)"), "0");
    fence(&known, PATIENCE).await.unwrap();
}

#[tokio::test]
async fn another_node_of_the_cluster_answers_for_one_that_is_down_or_fails() {
    let mut pve = Pve::start();
    let own = pve.url.clone();
    let (broken, pem) = serve_tls(|_| Reply::status(595));
    let urls = ["https://127.0.0.1:1", &format!("https://{broken}"), &own];
    let both = format!("{pem}{}", pve.pem);
    let http = Http::with_authorities(both.as_bytes()).unwrap();
    let all = Proxmox::try_new(config(&urls), http.clone()).unwrap();
    fence(&all, PATIENCE).await.unwrap();
    assert_eq!(pve.status(), "\"stopped\"");
    let none = Proxmox::try_new(config(&urls[..1]), http.clone()).unwrap();
    let error = fence(&none, PATIENCE).await.unwrap_err();
    assert!(matches!(error, FenceError::Unreachable { .. }), "{error}");
    let failing = Proxmox::try_new(config(&urls[1..2]), http).unwrap();
    let error = fence(&failing, PATIENCE).await.unwrap_err();
    assert!(error.to_string().contains("HTTP 595"), "{error}");
}

#[tokio::test]
async fn failures_and_slowness_are_no_fence_and_say_so() {
    let mut pve = Pve::start();
    pve.run("pve.lose_quorum()");
    let error = refused(&pve, |_| ()).await;
    assert!(error.to_string().contains("quorum"), "{error}");
    pve.run("pve.regain_quorum()");
    pve.run("pve.snapshot_lock(100, 'backup')");
    let error = refused(&pve, |_| ()).await;
    assert!(error.to_string().contains("locked (backup)"), "{error}");
    pve.run("pve.unlock(100)");
    pve.run("[setattr(pve, 'time_scale', 1.0), pve.slow_network(3600)]");
    let short = Duration::from_millis(300);
    let error = fence(&machine(&pve, |_| ()), short).await.unwrap_err();
    assert!(error.to_string().contains("nothing was heard"), "{error}");
    pve.run("[setattr(pve, 'time_scale', 0.0), pve.slow_network(0)]");
    assert_eq!(pve.status(), "\"running\"");
}

/// A server that says of the machine, of the stop and of its task what a test wants.
fn telling(current: &str, stop: &str, task: &str) -> Proxmox {
    let [current, stop, task] = [current, stop, task].map(str::to_owned);
    let (server, pem) = serve_tls(move |request| {
        let body = match request.target.as_str() {
            target if target.ends_with("/status/current") => &current,
            target if target.ends_with("/status/stop") => &stop,
            _ => &task,
        };
        Reply::Whole(200, "", body.clone())
    });
    let config = config(&[&format!("https://{server}")]);
    let http = Http::with_authorities(pem.as_bytes()).unwrap();
    Proxmox::try_new(config, http).unwrap()
}

#[tokio::test]
async fn what_makes_no_sense_is_no_fence() {
    let running = r#"{"data":{"status":"running","name":"db-1","vmid":100}}"#;
    let task = r#"{"data":"UPID:pve1:0:0:0:qmstop:100:hanse@pve!fence:"}"#;
    let failed = r#"{"data":{"status":"stopped","exitstatus":"unable to kill"}}"#;
    let error = fence(&telling(running, task, failed), PATIENCE).await;
    assert!(matches!(error, Err(FenceError::Task { .. })), "{error:?}");
    for (current, stop) in [
        ("<html>", task),
        (r#"{"data":{}}"#, task),
        (
            r#"{"data":{"status":"stopped","name":"db-1","vmid":101}}"#,
            task,
        ),
        (running, r#"{"data":"../../../access/users"}"#),
        (running, r#"{"data":null}"#),
    ] {
        let error = fence(&telling(current, stop, failed), PATIENCE).await;
        let is_malformed = matches!(error, Err(FenceError::Malformed { .. }));
        assert!(is_malformed, "{current} {stop}: {error:?}");
    }
    let unnamed = r#"{"data":{"status":"stopped"}}"#;
    let error = fence(&telling(unnamed, task, failed), PATIENCE).await;
    assert!(
        matches!(error, Err(FenceError::OtherMachine { .. })),
        "{error:?}"
    );
}
