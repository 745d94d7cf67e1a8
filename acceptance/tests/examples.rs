//! Every example is one that the real Terraform accepts.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use hanse_acceptance::{Laboratory, Terraform, binaries};

const VERSIONS: &str =
    "terraform {\n  required_providers {\n    hanse = { source = \"hanse/hanse\" }\n  }\n}\n";

#[test]
fn every_example_is_formatted_as_terraform_does() -> Result<()> {
    let output = Command::new(binaries::terraform()?)
        .args(["fmt", "-check", "-diff", "-recursive"])
        .arg(examples())
        .env("TF_CLI_CONFIG_FILE", "/dev/null")
        .output()?;
    assert!(
        output.status.success(),
        "run scripts/fix:\n{}",
        String::from_utf8_lossy(&output.stdout)
    );
    Ok(())
}

#[test]
fn every_example_is_valid_by_the_provider_s_own_schema() -> Result<()> {
    let laboratory = Laboratory::start(0)?;
    for example in [
        "quickstart",
        "provider",
        "resources/hanse_federation",
        "resources/hanse_member_cluster",
        "resources/hanse_vpn_mesh",
        "data-sources/hanse_mesh_peers",
    ] {
        let terraform = Terraform::of_folder(&laboratory, &examples().join(example))?;
        // Examples for the documentation leave out what every configuration begins with.
        if example.contains('/') {
            terraform.write("versions.tf", VERSIONS)?;
        }
        terraform.init()?;
        terraform.run(["validate", "-no-color"])?.success()?;
    }
    Ok(())
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/terraform")
}
