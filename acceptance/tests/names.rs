//! A name is an object's own within its federation: two objects never pass for one another.

use anyhow::Result;
use hanse_acceptance::{Agent, Configuration, Federation, Laboratory};

#[test]
fn a_site_that_is_renamed_keeps_its_networks() -> Result<()> {
    let laboratory = Laboratory::start(1)?;
    let federation = Federation::raise(&laboratory)?;
    let mut configuration = Configuration::mesh("test", []);
    configuration.address_pools.clear();
    configuration.tail = declared_as("before");
    let terraform = federation.terraform(&configuration)?;
    terraform.apply()?;
    configuration.tail = declared_as("after");
    terraform.write("main.tf", &configuration.to_string())?;
    terraform.apply()?;
    assert!(!terraform.plan()?.has_changes);
    Ok(())
}

#[test]
fn another_federations_objects_of_the_same_names_are_left_alone() -> Result<()> {
    let laboratory = Laboratory::start(2)?;
    let mut operators = Vec::new();
    let mut agents = Vec::new();
    for (host, name) in laboratory.hosts().iter().zip(["test", "other"]) {
        let (mut voter, operator) = Agent::bootstrap(&laboratory, host, name, "site1")?;
        voter.start()?;
        voter.wait_until_live(&operator)?;
        let mut configuration = Configuration::mesh(name, []);
        configuration.address_pools.clear();
        configuration.site("site1");
        let terraform = operator.terraform_with(&configuration.to_string())?;
        terraform.init()?;
        terraform.apply()?;
        operators.push((operator, terraform));
        agents.push(voter);
    }
    let [(_, mine), (other, theirs)] = <[_; 2]>::try_from(operators).unwrap();
    let mistaken = mine
        .env("HANSE_ENDPOINTS", other.endpoints())
        .env("HANSE_CREDENTIALS", other.credentials());
    for arguments in [
        &["plan", "-refresh-only"][..],
        &["destroy", "-refresh=false", "-auto-approve"][..],
    ] {
        let refused = mistaken.run(arguments.iter().copied().chain(["-no-color"]))?;
        assert!(
            refused.stderr.contains("Another federation"),
            "{arguments:?}: {}{}",
            refused.stdout,
            refused.stderr
        );
    }
    assert!(!theirs.plan()?.has_changes, "nothing was taken away");
    Ok(())
}

fn declared_as(name: &str) -> String {
    format!(
        "resource \"hanse_member_cluster\" \"renamed\" {{\n  federation = hanse_federation.this.name\n  \
         name = \"{name}\"\n  platform = \"other\"\n  networks = [\"10.7.0.0/16\"]\n}}\n"
    )
}
