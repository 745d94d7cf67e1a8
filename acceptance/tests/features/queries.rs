//! A query finds what exists, whoever made it.

use std::fs;

use anyhow::{Result, ensure};
use hanse_acceptance::Tool;

use crate::bench::{Corner, Verdict, feature};

/// What a tool without queries says.
const NO_QUERY: &str = "has no command named \"query\"";

/// Three objects that nothing manages.
fn three_left_behind(corner: &Corner<'_>) -> Result<()> {
    let objects: String = ["apple", "avocado", "banana"]
        .iter()
        .map(|name| format!("resource \"corner_stored\" \"{name}\" {{\n name = \"{name}\"\n note = \"ripe\"\n}}\n"))
        .collect();
    corner.apply(&objects)?;
    fs::remove_file(corner.terraform.folder().join("terraform.tfstate"))?;
    corner.configure("")
}

fn query(corner: &Corner<'_>, inner: &str) -> Result<()> {
    let text = format!("list \"corner_stored\" \"all\" {{\n provider = corner\n {inner}\n}}\n");
    corner.terraform.write("all.tfquery.hcl", &text)
}

fn clear(corner: &Corner<'_>) -> Result<()> {
    for name in ["apple", "avocado", "banana"] {
        fs::remove_file(corner.file("stored", name))?;
    }
    Ok(())
}

#[test]
fn a_query_finds_what_exists_by_its_identity_and_as_a_whole() -> Result<()> {
    feature("A query finds what exists", |corner| {
        three_left_behind(corner)?;
        query(corner, "")?;
        if corner.tool == Tool::OpenTofu {
            clear(corner)?;
            return corner.lacks(["query", "-no-color"], NO_QUERY);
        }
        let said = corner.said(["query", "-no-color"])?;
        for name in ["apple", "avocado", "banana"] {
            ensure!(
                said.contains(&format!("name={name},zone=east the one named {name}")),
                "{said}"
            );
        }
        query(corner, "config {\n prefix = \"a\"\n }")?;
        let said = corner.said(["query", "-no-color"])?;
        ensure!(
            said.contains("avocado") && !said.contains("banana"),
            "{said}"
        );
        query(corner, "limit = 2")?;
        let said = corner.said(["query", "-no-color"])?;
        ensure!(
            said.contains("avocado") && !said.contains("banana"),
            "{said}"
        );
        query(corner, "include_resource = true")?;
        let said = corner.said(["query", "-json"])?;
        ensure!(said.contains("\"note\":\"ripe\""), "{said}");
        clear(corner)?;
        Ok(Verdict::Works)
    })
}

#[test]
fn a_query_writes_the_configuration_of_what_it_finds() -> Result<()> {
    feature(
        "A query writes the configuration of what it finds",
        |corner| {
            three_left_behind(corner)?;
            query(corner, "include_resource = true")?;
            let arguments = ["query", "-no-color", "-generate-config-out=generated.tf"];
            if corner.tool == Tool::OpenTofu {
                clear(corner)?;
                return corner.lacks(arguments, NO_QUERY);
            }
            corner.terraform.run(arguments)?.success()?;
            fs::remove_file(corner.terraform.folder().join("all.tfquery.hcl"))?;
            let said = corner.terraform.apply()?.stdout;
            ensure!(
                said.contains("3 imported, 0 added, 0 changed, 0 destroyed"),
                "{said}"
            );
            corner.settled()?;
            fs::remove_file(corner.terraform.folder().join("generated.tf"))?;
            Ok(Verdict::Works)
        },
    )
}
