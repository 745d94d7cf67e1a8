//! Three voters on three hosts: any of them may die, and the federation goes on.

use anyhow::Result;
use hanse_acceptance::{Configuration, Federation, Laboratory};

#[test]
fn a_federation_of_three_voters_goes_on_when_its_leader_is_killed() -> Result<()> {
    let laboratory = Laboratory::start(3)?;
    let mut federation = Federation::raise_voters(&laboratory)?;
    let mut configuration = Configuration::mesh("test", []);
    configuration.address_pools.clear();
    let terraform = federation.terraform(&configuration)?;
    terraform.apply()?;

    let leader = federation.leader()?;
    federation.agents[leader].kill()?;
    configuration
        .federation_lines
        .push("labels = { after = \"the leader died\" }".to_owned());
    terraform.write("main.tf", &configuration.to_string())?;
    terraform.apply()?;
    assert_ne!(federation.leader()?, leader);

    federation.agents[leader].start()?;
    federation.agents[leader].wait_until_live(&federation.operator)?;
    federation.wait_until_voting(3)?;
    let before = federation.revision()?;

    // All at once, and the state is whole again without anybody's help.
    for agent in &mut federation.agents {
        agent.kill()?;
    }
    for agent in &mut federation.agents {
        agent.start()?;
    }
    federation.operator.wait_until_answered()?;
    assert!(federation.revision()? >= before);
    Ok(())
}
