//! What exists is taken over: by identity, by query, from the state that an older provider wrote,
//! and under another address.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use hanse_acceptance::{Federation, Laboratory, Terraform, Tool};

/// What stands in front of queries.
const SETUP: &str = "terraform {\n  required_providers {\n    hanse = { source = \"hanse/hanse\" }\n  }\n}\nprovider \"hanse\" {}\n";

#[test]
fn each_resource_is_imported_by_its_identity() -> Result<()> {
    let laboratory = Laboratory::start(2)?;
    let federation = Federation::raise(&laboratory)?;
    for tool in Tool::ALL {
        let terraform = federation
            .terraform(&federation.configuration())?
            .with(tool);
        terraform.init()?;
        terraform.apply()?;
        imported_by_identity(&terraform)?;
        terraform.destroy()?;
    }
    Ok(())
}

fn imported_by_identity(terraform: &Terraform<'_>) -> Result<()> {
    for (address, identity) in [
        ("hanse_federation.this", "name = \"test\""),
        (
            "hanse_member_cluster.site2",
            "federation = \"test\"\n name = \"site2\"",
        ),
        (
            "hanse_vpn_mesh.this",
            "federation = \"test\"\n name = \"backbone\"",
        ),
    ] {
        terraform.forget(address)?;
        let block = format!("import {{\n  to = {address}\n  identity = {{\n {identity}\n }}\n}}\n");
        terraform.write("import.tf", &block)?;
        let said = terraform.apply()?.stdout;
        assert!(
            said.contains("1 imported, 0 added, 0 changed, 0 destroyed"),
            "{address}: {said}"
        );
        fs::remove_file(terraform.folder().join("import.tf"))?;
        assert!(!terraform.plan()?.has_changes, "{address}");
    }
    let block = "import {\n  to = hanse_vpn_mesh.this\n  identity = {\n federation = \"test\"\n name = \"nowhere\"\n }\n}\n";
    terraform.forget("hanse_vpn_mesh.this")?;
    terraform.write("import.tf", block)?;
    let said = terraform.plan_refused()?;
    assert!(said.contains("is not declared"), "{said}");
    fs::remove_file(terraform.folder().join("import.tf"))?;
    terraform.import("hanse_vpn_mesh.this", "test/backbone")?;
    Ok(())
}

#[test]
fn a_query_finds_what_exists_and_writes_its_configuration() -> Result<()> {
    let laboratory = Laboratory::start(2)?;
    let federation = Federation::raise(&laboratory)?;
    federation.with_mesh()?;
    let terraform = federation.operator.terraform_with(SETUP)?;
    terraform.init()?;
    let lists: String = ["federation", "member_cluster", "vpn_mesh"]
        .iter()
        .map(|kind| format!("list \"hanse_{kind}\" \"all\" {{\n  provider = hanse\n}}\n"))
        .collect();
    terraform.write("all.tfquery.hcl", &lists)?;
    let found = terraform.run(["query", "-no-color"])?.success()?.stdout;
    for name in ["test/site1", "test/site2", "test/backbone"] {
        assert!(found.contains(name), "{name}: {found}");
    }

    terraform
        .run(["query", "-no-color", "-generate-config-out=found.tf"])?
        .success()?;
    fs::remove_file(terraform.folder().join("all.tfquery.hcl"))?;
    let said = terraform.apply()?.stdout;
    assert!(
        said.contains("4 imported, 0 added, 0 changed, 0 destroyed"),
        "{said}"
    );
    assert!(!terraform.plan()?.has_changes);
    Ok(())
}

#[test]
fn state_of_the_first_version_is_read_on_and_an_address_may_move() -> Result<()> {
    let laboratory = Laboratory::start(2)?;
    let federation = Federation::raise(&laboratory)?;
    for tool in Tool::ALL {
        let first = federation.with_mesh()?;
        let terraform = federation
            .terraform(&federation.configuration())?
            .with(tool);
        terraform.init()?;
        let old = fixtures().join("state-0.1.0.json");
        let old = fs::read_to_string(&old).with_context(|| old.display().to_string())?;
        terraform.write("terraform.tfstate", &old)?;
        let plan = terraform.plan()?;
        assert!(!plan.has_changes, "{}", plan.output.stdout);

        let moved = federation
            .configuration()
            .to_string()
            .replace("hanse_vpn_mesh\" \"this\"", "hanse_vpn_mesh\" \"moved\"")
            + "moved {\n  from = hanse_vpn_mesh.this\n  to = hanse_vpn_mesh.moved\n}\n";
        terraform.write("main.tf", &moved)?;
        let said = terraform.apply()?.stdout;
        assert!(said.contains("0 added, 0 changed, 0 destroyed"), "{said}");
        assert!(!terraform.plan()?.has_changes);
        first.destroy()?;
    }
    Ok(())
}

fn fixtures() -> PathBuf {
    hanse_acceptance::checkout::root().join("acceptance/fixtures")
}
