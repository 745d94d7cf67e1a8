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

#[test]
fn a_leader_that_is_stopped_hands_over_before_it_ends() -> Result<()> {
    let laboratory = Laboratory::start(3)?;
    let mut federation = Federation::raise_voters(&laboratory)?;
    // One after the other, as an upgrade does.
    for _ in 0..3 {
        let leader = federation.leader()?;
        let (status, log) = federation.agents[leader].stop_and_tell()?;
        assert!(status.success(), "{log}");
        assert!(!log.contains("no other voter could take over"), "{log}");
        assert_ne!(federation.leader()?, leader);
        federation.agents[leader].start()?;
        federation.wait_until_voting(3)?;
    }
    Ok(())
}

#[test]
fn nodes_become_voters_and_end_being_ones_while_the_federation_runs() -> Result<()> {
    let laboratory = Laboratory::start(3)?;
    let mut federation = Federation::raise(&laboratory)?;
    let _mesh = federation.with_mesh()?;
    let addresses = federation.addresses(federation.agents[1].node())?;
    for place in [1, 2] {
        federation.add_voter(place)?;
    }
    federation.ask_all_voters();
    federation.wait_until_voting(3)?;

    // One that is off is removed, and finds out when it comes back.
    federation.agents[1].kill()?;
    federation.remove_voter(1)?;
    federation.agents[1].start()?;
    federation.agents[1].wait_until_live(&federation.operator)?;
    federation.agents[1].wait_until_follower()?;

    // Of two none may go while the other can't be heard.
    federation.add_voter(1)?;
    federation.agents[1].kill()?;
    federation.agents[2].kill()?;
    federation.agents[2].start()?;
    federation.wait_until_voting(2)?;
    let leader = federation.leader()?;
    let other = if leader == 0 { 2 } else { 0 };
    let node = federation.agents[other].node();
    let refused = federation.operator.hanse(["voter", "remove", node])?;
    assert!(refused.stderr.contains("no majority"), "{}", refused.stderr);
    federation.agents[1].start()?;
    federation.wait_until_voting(3)?;

    // The leader goes last, and hands over.
    federation.remove_voter(leader)?;
    federation.wait_until_voting(2)?;
    assert_ne!(federation.leader()?, leader);
    federation.agents[leader].wait_until_follower()?;
    federation.agents[leader].wait_until_live(&federation.operator)?;
    assert_eq!(
        federation.addresses(federation.agents[1].node())?,
        addresses
    );
    Ok(())
}
