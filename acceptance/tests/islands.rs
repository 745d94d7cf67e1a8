//! All voters are gone for a while: meshes go on with the plan that each node has on its disk, and
//! when the voters are back everybody comes back by themselves, in peace.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hanse_acceptance::wait::wait_until_true;
use hanse_acceptance::{Agent, Federation, Laboratory, Pinger};

/// Long enough for a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(120);
const OUT_OF_REACH: &str = "the federation is out of reach";
/// How often a follower may try while the voters are gone: it pauses for longer and longer, and
/// never as long as this takes.
const TRIES_MAX: usize = 60;

#[test]
fn nodes_without_voters_keep_their_mesh_and_come_back_by_themselves() -> Result<()> {
    let laboratory = Laboratory::start(4)?;
    let mut federation = Federation::raise(&laboratory)?;
    federation.add_voter(1)?;
    federation.add_voter(2)?;
    federation.wait_until_voting(3)?;
    let terraform = federation.with_mesh()?;
    let address = federation.addresses("h2")?.remove(0);
    let follower = laboratory.host(4);
    let pinger = Pinger::start(follower, &address)?;

    for voter in &mut federation.agents[..3] {
        voter.kill()?;
    }
    let follower = &mut federation.agents[3];
    wait_until_true("the follower misses the voters", PATIENCE, || {
        Ok(tries(follower)? >= 5)
    })?;
    pinger.wait_for_more(10)?;
    ensure!(pinger.lost()?.is_empty(), "lost: {:?}", pinger.lost()?);

    // It starts without anybody to ask, from its disk.
    follower.stop()?;
    follower.start()?;
    wait_until_true("the follower misses the voters again", PATIENCE, || {
        Ok(tries(follower)? >= 2)
    })?;
    pinger.wait_for_more(10)?;
    ensure!(pinger.lost()?.is_empty(), "lost: {:?}", pinger.lost()?);

    for voter in &mut federation.agents[..3] {
        voter.start()?;
    }
    for agent in &federation.agents {
        agent.wait_until_live(&federation.operator)?;
    }
    federation.wait_until_voting(3)?;
    let tries = tries(&mut federation.agents[3])?;
    ensure!(tries <= TRIES_MAX, "it tried {tries} times");
    ensure!(pinger.lost()?.is_empty(), "lost: {:?}", pinger.lost()?);
    ensure!(!terraform.plan()?.has_changes, "the outage changed nothing");
    Ok(())
}

fn tries(agent: &mut Agent<'_>) -> Result<usize> {
    let log = agent.process().context("it runs")?.log()?;
    Ok(log.matches(OUT_OF_REACH).count())
}
