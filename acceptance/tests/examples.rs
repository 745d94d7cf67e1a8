//! Every example is one that the real Terraform accepts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
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
    let mut seen = 0;
    for example in configurations(&examples())? {
        let terraform = Terraform::of_folder(&laboratory, &example)?;
        // Examples for the documentation leave out what every configuration begins with.
        if !names_its_provider(&example)? {
            terraform.write("versions.tf", VERSIONS)?;
        }
        terraform.init()?;
        // Queries are no part of what is applied, and are asked for by themselves.
        for validate in [
            ["validate", "-no-color"].as_slice(),
            &["validate", "-no-color", "-query"],
        ] {
            terraform
                .run(validate.iter().copied())?
                .success()
                .with_context(|| format!("the example {}", example.display()))?;
        }
        seen += 1;
    }
    assert!(seen > 9, "only {seen} examples were found");
    Ok(())
}

/// The folders that hold a configuration.
fn configurations(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if !files(folder)?.is_empty() {
        found.push(folder.to_owned());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(configurations(&path)?);
        }
    }
    Ok(found)
}

fn names_its_provider(folder: &Path) -> Result<bool> {
    for file in files(folder)? {
        if fs::read_to_string(file)?.contains("required_providers") {
            return Ok(true);
        }
    }
    Ok(false)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.to_string_lossy().into_owned();
        if name.ends_with(".tf") || name.ends_with(".tfquery.hcl") {
            files.push(path);
        }
    }
    Ok(files)
}

fn examples() -> PathBuf {
    hanse_acceptance::checkout::root().join("examples/terraform")
}

#[test]
fn the_reference_is_what_the_provider_would_write() -> Result<()> {
    let output = Command::new(binaries::provider()?)
        .args(["docs", "--check"])
        .current_dir(hanse_acceptance::checkout::root())
        .output()?;
    assert!(
        output.status.success(),
        "run `cargo run -p terraform-provider-hanse -- docs`:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
