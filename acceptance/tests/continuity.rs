//! The data path does not depend on the control plane, and one change touches one thing.

use std::time::Duration;

use anyhow::{Context, Result};
use hanse_acceptance::laboratory::Invocation;
use hanse_acceptance::wait::{wait_until, wait_until_true};
use hanse_acceptance::{Federation, Host, Laboratory, Pinger, wireguard};

/// Long enough for a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(90);

#[test]
fn stopping_killing_and_upgrading_agents_interrupts_no_traffic() -> Result<()> {
    let laboratory = Laboratory::start(3)?;
    let mut federation = Federation::raise(&laboratory)?;
    let terraform = federation.with_mesh()?;
    let second = federation.addresses("h2")?;
    let pingers = [
        Pinger::start(laboratory.host(1), &second[0])?,
        Pinger::start(laboratory.host(3), &second[1])?,
    ];
    for agent in &mut federation.agents {
        agent.kill()?;
    }
    pingers
        .iter()
        .try_for_each(|pinger| pinger.wait_for_more(20))?;
    for agent in &mut federation.agents {
        agent.start()?;
    }
    for agent in &federation.agents {
        agent.wait_until_live(&federation.operator)?;
    }
    pingers
        .iter()
        .try_for_each(|pinger| pinger.wait_for_more(20))?;
    for agent in &mut federation.agents {
        assert!(
            agent.stop()?.success(),
            "an agent that is asked to end does so in peace"
        );
        agent.start()?;
        agent.wait_until_live(&federation.operator)?;
    }
    pingers
        .iter()
        .try_for_each(|pinger| pinger.wait_for_more(20))?;
    for pinger in &pingers {
        assert_eq!(pinger.lost()?, Vec::<u32>::new());
    }
    assert!(!terraform.plan()?.has_changes);
    Ok(())
}

#[test]
fn changing_one_sites_route_is_one_update_and_costs_no_ping_and_no_handshake() -> Result<()> {
    let laboratory = Laboratory::start(3)?;
    let federation = Federation::raise(&laboratory)?;
    let terraform = federation.with_mesh()?;
    let lan = laboratory.host(2).add_lan("192.168.7.0/24")?;
    lan.add_default_route()?;
    let third = federation.addresses("h3")?;
    let second = federation.addresses("h2")?;
    let pingers = [
        Pinger::start(laboratory.host(1), &third[0])?,
        Pinger::start(laboratory.host(1), &second[1])?,
    ];
    let before = sessions(laboratory.host(1))?;

    let mut configuration = federation.configuration();
    configuration.site("site2").routes = vec!["192.168.7.0/24".to_owned()];
    terraform.write("main.tf", &configuration.to_string())?;
    let applied = terraform.apply()?;
    assert!(
        applied.stdout.contains("0 added, 1 changed, 0 destroyed"),
        "{}",
        applied.stdout
    );

    let after = sessions(laboratory.host(1))?;
    assert_eq!(before, after, "no session was made anew");
    let behind = lan.address().to_string();
    wait_until_true("the host behind the gateway is reached", PATIENCE, || {
        Ok(laboratory
            .host(1)
            .exec(["ping", "-c", "1", "-W", "1", &behind])?
            .succeeded())
    })?;
    for pinger in &pingers {
        pinger.wait_for_more(5)?;
        assert_eq!(pinger.lost()?, Vec::<u32>::new());
    }
    assert!(!terraform.plan()?.has_changes);
    Ok(())
}

#[test]
fn a_peer_deleted_by_hand_is_mended() -> Result<()> {
    let laboratory = Laboratory::start(2)?;
    let federation = Federation::raise(&laboratory)?;
    federation.with_mesh()?;
    let host = laboratory.host(2);
    let peer = wireguard::observe(host)?.pop().context("there is a peer")?;
    host.exec(Invocation::script(&format!(
        "pid=$(pgrep -x wireguard-go | head -n 1); \
         nsenter ${{pid:+--target $pid --mount}} wg set {} peer {} remove",
        peer.interface, peer.public_key
    )))?
    .success()?;
    assert!(wireguard::observe(host)?.is_empty());
    wait_until("the peer is back", PATIENCE, || {
        Ok(wireguard::observe(host)?.pop())
    })?;
    let first = federation.addresses("h1")?;
    wait_until_true("the path works again", PATIENCE, || {
        Ok(host
            .exec(["ping", "-c", "1", "-W", "1", &first[0]])?
            .succeeded())
    })
}

#[test]
fn an_attribute_set_by_somebody_else_is_drift_and_apply_mends_it() -> Result<()> {
    let laboratory = Laboratory::start(2)?;
    let federation = Federation::raise(&laboratory)?;
    let ours = federation.with_mesh()?;

    let mut configuration = federation.configuration();
    configuration
        .mesh_lines
        .push("persistent_keepalive = \"9s\"".to_owned());
    let theirs = federation.terraform(&configuration)?;
    theirs.import("hanse_vpn_mesh.this", "test/backbone")?;
    theirs.run([
        "apply",
        "-auto-approve",
        "-target=hanse_vpn_mesh.this",
        "-no-color",
    ])?;
    theirs.import("hanse_federation.this", "test")?;
    theirs.import("hanse_member_cluster.site1", "test/site1")?;
    theirs.import("hanse_member_cluster.site2", "test/site2")?;
    theirs.apply()?;

    let plan = ours.plan()?;
    assert!(
        plan.has_changes && plan.output.stdout.contains("persistent_keepalive"),
        "{}",
        plan.output.stdout
    );
    let applied = ours.apply()?;
    assert!(
        applied.stdout.contains("0 added, 1 changed, 0 destroyed"),
        "{}",
        applied.stdout
    );
    assert!(!ours.plan()?.has_changes);
    Ok(())
}

#[test]
fn a_change_planned_against_an_older_revision_is_refused() -> Result<()> {
    let laboratory = Laboratory::start(1)?;
    let federation = Federation::raise(&laboratory)?;
    let ours = federation.with_mesh()?;
    let change = |keepalive: &str| {
        let mut configuration = federation.configuration();
        configuration
            .mesh_lines
            .push(format!("persistent_keepalive = \"{keepalive}\""));
        configuration.to_string()
    };
    ours.write("main.tf", &change("7s"))?;
    ours.run(["plan", "-out", "stale.bin"])?.success()?;
    // The state is put aside, so that Terraform itself does not see that it is stale.
    ours.run(["state", "pull"])?.success()?;
    let theirs = federation.terraform(&federation.configuration())?;
    for (address, id) in [
        ("hanse_vpn_mesh.this", "test/backbone"),
        ("hanse_federation.this", "test"),
        ("hanse_member_cluster.site1", "test/site1"),
    ] {
        theirs.import(address, id)?;
    }
    theirs.write("main.tf", &change("8s"))?;
    theirs.apply()?;
    let refused = ours.run(["apply", "-no-color", "stale.bin"])?;
    assert!(!refused.succeeded());
    assert!(
        refused.stderr.contains("Changed by somebody else"),
        "{}",
        refused.stderr
    );
    let plan = theirs.plan()?;
    assert!(
        !plan.has_changes,
        "nothing was changed: {}",
        plan.output.stdout
    );
    Ok(())
}

/// What tells one session from the next: each peer's latest handshake, as far as it may not change
/// within two minutes by WireGuard's own rekeying. Only peers and endpoints are compared beyond.
fn sessions(host: &Host) -> Result<Vec<(String, String, u64)>> {
    let peers = wireguard::observe(host)?;
    let sessions = peers
        .into_iter()
        .map(|p| (p.public_key, p.endpoint, p.latest_handshake_unix_s));
    Ok(sessions.collect())
}
