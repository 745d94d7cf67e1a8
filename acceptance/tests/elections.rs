//! Nobody leads for a while: whoever asks is told what they wait for, and in the end which voters
//! were asked, what each said and what to do.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hanse_acceptance::wait::wait_until_true;
use hanse_acceptance::{Configuration, Federation, Laboratory};

const PATIENCE: Duration = Duration::from_secs(90);

#[test]
fn who_waits_for_a_leader_is_told_so_and_in_the_end_what_to_do() -> Result<()> {
    let laboratory = Laboratory::start(3)?;
    let mut federation = Federation::raise_voters(&laboratory)?;
    let mut configuration = Configuration::mesh("test", []);
    configuration.address_pools.clear();
    let terraform = federation.terraform(&configuration)?;
    terraform.apply()?;

    // One voter runs, and one is no majority of three.
    federation.agents[0].kill()?;
    federation.agents[1].kill()?;
    let refused = federation.operator.hanse(["status"])?;
    let said = &refused.stderr;
    ensure!(refused.code() == Some(1), "{said}");
    let (waiting, error) = said.split_once("Error: ").context("an error")?;
    ensure!(waiting.contains("waiting for"), "{said}");
    for host in laboratory.hosts() {
        ensure!(error.contains(&host.ipv4()), "{said}");
    }
    ensure!(error.contains("try again"), "{said}");

    // What was begun while nobody led is done as soon as somebody does.
    let mut process = federation.operator.spawn("waits", ["status"])?;
    wait_until_true("it waits", PATIENCE, || {
        Ok(process.log()?.contains("waiting for"))
    })?;
    federation.agents[1].start()?;
    ensure!(process.wait(PATIENCE)?.success(), "{}", process.log()?);
    ensure!(!terraform.plan()?.has_changes, "nothing was lost");
    Ok(())
}

#[test]
fn a_voter_that_the_others_cannot_reach_keeps_nobody_waiting() -> Result<()> {
    let laboratory = Laboratory::start(3)?;
    let federation = Federation::raise_voters(&laboratory)?;
    // The operator's first voter answers, but knows nobody who leads.
    let [first, second, third] = laboratory.hosts() else {
        anyhow::bail!("three hosts");
    };
    laboratory.cut_between(first, second)?;
    laboratory.cut_between(first, third)?;
    for _ in 0..3 {
        federation.operator.hanse(["status"])?.success()?;
    }
    laboratory.heal_all()?;
    federation.wait_until_voting(3)
}
