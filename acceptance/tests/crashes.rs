//! `kill -9` at any moment leaves a state that the next start can use, and loses nothing that was
//! acknowledged.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hanse_acceptance::wait::{pause_before_fault, wait_until_true};
use hanse_acceptance::{Configuration, Federation, Laboratory, Terraform};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// How often somebody is killed.
const KILLS: u32 = 50;

/// The longest that is waited before a kill: an apply takes about as long.
const MOMENT_MAX_MS: u64 = 2500;

/// Long enough for a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn an_agent_killed_during_applies_comes_back_to_the_right_state() -> Result<()> {
    let seed = seed();
    kill_during_applies(seed, 1).with_context(|| format!("HANSE_SEED={seed}"))
}

#[test]
fn a_voter_killed_during_applies_loses_no_acknowledged_revision() -> Result<()> {
    let seed = seed();
    kill_during_applies(seed, 0).with_context(|| format!("HANSE_SEED={seed}"))
}

/// Applies one change after another and kills the agent of that index in the midst of each.
fn kill_during_applies(seed: u64, victim: usize) -> Result<()> {
    let mut random = StdRng::seed_from_u64(seed);
    let laboratory = Laboratory::start(2)?;
    let mut federation = Federation::raise(&laboratory)?;
    let terraform = federation.with_mesh()?;
    let mut acknowledged = federation.revision()?;
    for round in 1..=KILLS {
        let change = changed(&federation, round);
        terraform.write("main.tf", &change.to_string())?;
        let mut apply = laboratory.spawn(
            "apply",
            terraform.invocation(["apply", "-no-color", "-auto-approve"])?,
        )?;
        pause_before_fault(Duration::from_millis(random.random_range(0..MOMENT_MAX_MS)));
        federation.agents[victim].kill()?;
        federation.agents[victim].start()?;
        let ended = apply.wait(PATIENCE)?;
        let said = apply.log()?;
        ensure!(
            ended.success() || said.contains("Error: "),
            "round {round}: no clear end:\n{said}"
        );

        federation.agents[victim].wait_until_live(&federation.operator)?;
        let revision = federation.revision()?;
        ensure!(
            revision >= acknowledged,
            "round {round}: {acknowledged} was acknowledged, {revision} is left"
        );
        if ended.success() {
            ensure!(
                !terraform.plan()?.has_changes,
                "round {round}: an acknowledged change is gone"
            );
        } else {
            settle(&terraform, round)?;
        }
        acknowledged = federation.revision()?;
        pings(&federation)?;
    }
    Ok(())
}

/// What an apply that was hit left undone is done by the next.
fn settle(terraform: &Terraform, round: u32) -> Result<()> {
    terraform
        .apply()
        .with_context(|| format!("round {round}: the apply after the crash"))?;
    ensure!(
        !terraform.plan()?.has_changes,
        "round {round}: the plan after the crash has changes"
    );
    Ok(())
}

fn changed(federation: &Federation, round: u32) -> Configuration {
    let mut configuration = federation.configuration();
    configuration.site("site2").routes = vec![format!("192.168.{round}.0/24")];
    configuration
}

fn pings(federation: &Federation) -> Result<()> {
    let address = federation.addresses("h2")?.remove(0);
    wait_until_true("the mesh works", PATIENCE, || {
        let ping = federation.agents[0]
            .host()
            .exec(["ping", "-c", "1", "-W", "1", &address])?;
        Ok(ping.succeeded())
    })
}

/// The seed that is asked for, or one of its own; it is told when the test fails.
fn seed() -> u64 {
    let asked = std::env::var("HANSE_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    asked.unwrap_or_else(|| rand::rng().random())
}
