//! A name is an object's own within its federation: two objects never pass for one another.

use anyhow::Result;
use hanse_acceptance::{Configuration, Federation, Laboratory};

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

fn declared_as(name: &str) -> String {
    format!(
        "resource \"hanse_member_cluster\" \"renamed\" {{\n  federation = hanse_federation.this.name\n  \
         name = \"{name}\"\n  platform = \"other\"\n  networks = [\"10.7.0.0/16\"]\n}}\n"
    )
}
