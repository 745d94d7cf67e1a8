//! The tests that the examples bring along are green, under each tool.

use std::path::PathBuf;

use anyhow::Result;
use hanse_acceptance::{Federation, Laboratory, Terraform, Tool};

const VERSIONS: &str =
    "terraform {\n  required_providers {\n    hanse = { source = \"hanse/hanse\" }\n  }\n}\n";

#[test]
fn functions_are_tested_without_any_federation() -> Result<()> {
    let laboratory = Laboratory::start(0)?;
    for tool in Tool::ALL {
        for function in ["cidrs_overlap", "mesh_address"] {
            let folder = examples().join("functions").join(function);
            let terraform = Terraform::of_folder(&laboratory, &folder)?.with(tool);
            terraform.write("versions.tf", VERSIONS)?;
            passes(&terraform)?;
        }
    }
    Ok(())
}

#[test]
fn the_quickstart_is_tested_against_a_real_federation() -> Result<()> {
    let laboratory = Laboratory::start(3)?;
    let federation = Federation::raise_as(&laboratory, ["lubeck", "hamburg", "visby"])?;
    for tool in Tool::ALL {
        let terraform = federation
            .operator
            .terraform(&examples().join("quickstart"))?
            .with(tool)
            .env("TF_VAR_federation", "test");
        passes(&terraform)?;
    }
    Ok(())
}

/// Runs the tests of a folder.
fn passes(terraform: &Terraform<'_>) -> Result<()> {
    terraform.init()?;
    let said = terraform.run(["test", "-no-color"])?.success()?.stdout;
    assert!(said.contains("0 failed"), "{said}");
    assert!(!said.contains("0 passed"), "{said}");
    Ok(())
}

fn examples() -> PathBuf {
    hanse_acceptance::checkout::root().join("examples/terraform")
}
