//! One certificate authority follows another while everything goes on.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use hanse_acceptance::wait::wait_until_true;
use hanse_acceptance::{Agent, Federation, Laboratory, Operator};
use serde_json::Value;

/// Nodes spread their renewals over a minute.
const PATIENCE: Duration = Duration::from_secs(180);

/// The roles of the authorities, oldest first, and all that is waited for.
fn stand(operator: &Operator) -> Result<(Vec<String>, String)> {
    let authorities = operator.hanse_json(["authority", "status"])?;
    let authorities = authorities.as_array().context("a list")?.clone();
    let role = |one: &Value| one["role"].as_str().unwrap_or_default().to_owned();
    let waits = authorities.iter().map(|one| one["waits_for"].to_string());
    Ok((authorities.iter().map(role).collect(), waits.collect()))
}

fn until_roles(operator: &Operator, wanted: &[&str]) -> Result<()> {
    wait_until_true(&format!("the authorities are {wanted:?}"), PATIENCE, || {
        let (roles, waits) = stand(operator)?;
        ensure!(roles == wanted, "they are {roles:?} and wait for {waits}");
        Ok(true)
    })
}

#[test]
fn an_authority_is_replaced_and_nobody_is_shut_out_before_their_time() -> Result<()> {
    let laboratory = Laboratory::start(4)?;
    let mut federation = Federation::raise_on(&laboratory, 3)?;
    let terraform = federation.with_mesh()?;
    let operator = federation.operator.clone();
    let address = federation.addresses("h2")?.remove(0);
    let token = operator.token("site4")?;
    // It is off while the new authority is introduced.
    federation.agents[2].stop()?;

    operator.hanse(["authority", "rotate"])?.success()?;
    until_roles(&operator, &["retiring", "signing"])?;
    federation.agents[2].start()?;
    federation.agents[2].wait_until_live(&operator)?;

    // The bundle and the token are of the old authority.
    let mut latecomer = Agent::join(laboratory.host(4), &token)?;
    latecomer.start()?;
    latecomer.wait_until_live(&operator)?;
    wait_until_true("every node has renewed", PATIENCE, || {
        let (_, waits) = stand(&operator)?;
        ensure!(!waits.contains("nodes that"), "{waits}");
        Ok(waits.contains("credentials and tokens"))
    })?;
    ensure!(
        !terraform.plan()?.has_changes,
        "a new authority is no change of what is declared"
    );
    pings(&federation, &address)?;

    // A restart on the files that the rotation left.
    for agent in &mut federation.agents {
        agent.stop()?;
        agent.start()?;
    }
    for agent in &federation.agents {
        agent.wait_until_live(&operator)?;
    }

    let path = laboratory.folder().join("new.pem");
    let out = path.to_str().context("a path")?;
    operator
        .hanse([
            "credentials",
            "issue",
            "--name",
            "alex",
            "--role",
            "admin",
            "--out",
            out,
        ])?
        .success()?;
    let renewed = Operator::new(&laboratory, operator.endpoints(), &path);
    renewed
        .hanse(["authority", "rotate", "--force"])?
        .success()?;
    until_roles(&renewed, &["signing"])?;
    let refused = operator.hanse(["status"])?;
    ensure!(
        !refused.succeeded(),
        "the old bundle is worth nothing any more"
    );
    for agent in federation.agents.iter().chain([&latecomer]) {
        agent.wait_until_live(&renewed)?;
    }
    pings(&federation, &address)
}

#[test]
fn a_voter_that_was_off_while_the_authority_was_replaced_votes_again() -> Result<()> {
    let laboratory = Laboratory::start(3)?;
    let mut federation = Federation::raise_voters(&laboratory)?;
    let operator = federation.operator.clone();
    let leader = federation.leader()?;
    let off = (leader + 1) % 3;
    federation.agents[off].kill()?;
    operator.hanse(["authority", "rotate"])?.success()?;
    until_roles(&operator, &["retiring", "signing"])?;
    // The others have new certificates by now, of an authority that it never heard of.
    let others = "every other voter has renewed";
    wait_until_true(others, PATIENCE, || {
        let nodes = operator.hanse_json(["authority", "status"])?;
        let waits = nodes.to_string();
        let host = federation.agents[off].node();
        let still = federation.agents.iter().map(Agent::node);
        let named = still.filter(|node| waits.contains(*node) && *node != host);
        Ok(named.count() == 0)
    })?;
    federation.agents[off].start()?;
    federation.wait_until_voting(3)?;
    federation.agents[leader].kill()?;
    operator.wait_until_answered()?;
    federation.agents[off].wait_until_live(&operator)?;
    Ok(())
}

fn pings(federation: &Federation, address: &str) -> Result<()> {
    wait_until_true("the mesh works", PATIENCE, || {
        let host = federation.agents[0].host();
        let ping = host.exec(["ping", "-c", "1", "-W", "1", address])?;
        Ok(ping.succeeded())
    })
}
