//! What exists already comes under management: by id, by identity, from another resource type or
//! provider, and from the state of an older release.

use std::fs;

use anyhow::{Result, ensure};
use hanse_acceptance::Tool;
use serde_json::{Value, json};

use crate::bench::{Corner, Verdict, feature};

fn stored(inner: &str) -> String {
    format!("resource \"corner_stored\" \"this\" {{\n name = \"this\"\n {inner}\n}}\n")
}

/// Makes an object and forgets it.
fn left_behind(corner: &Corner<'_>) -> Result<()> {
    corner.apply(&stored("note = \"kept\""))?;
    corner.terraform.forget("corner_stored.this")?;
    Ok(())
}

#[test]
fn an_object_is_imported_by_its_id() -> Result<()> {
    feature("Import by id", |corner| {
        left_behind(corner)?;
        corner.terraform.import("corner_stored.this", "this")?;
        corner.settled()?;
        ensure!(corner.state("corner_stored.this")?["note"] == "kept");
        corner.terraform.forget("corner_stored.this")?;
        let block = "import {\n to = corner_stored.this\n id = \"this\"\n}\n";
        let said = corner.apply(&(stored("note = \"kept\"") + block))?.stdout;
        ensure!(
            said.contains("1 imported, 0 added, 0 changed, 0 destroyed"),
            "{said}"
        );
        corner.terraform.forget("corner_stored.this")?;
        let said = corner.refused(&(stored("") + &block.replace("\"this\"", "\"nobody\"")))?;
        ensure!(
            said.contains("Cannot import non-existent remote object"),
            "{said}"
        );
        corner.configure(&stored(""))?;
        corner.terraform.import("corner_stored.this", "this")?;
        Ok(Verdict::Works)
    })
}

#[test]
fn an_object_is_imported_by_its_identity() -> Result<()> {
    feature("Import by identity", |corner| {
        left_behind(corner)?;
        let block = |identity: &str| {
            stored("note = \"kept\"")
                + &format!(
                    "import {{\n to = corner_stored.this\n identity = {{\n {identity}\n }}\n}}\n"
                )
        };
        let said = corner.refused(&block("zone = \"east\""))?;
        ensure!(said.contains("attribute \"name\" is required"), "{said}");
        let said = corner.refused(&block("name = \"this\"\n zone = \"west\""))?;
        ensure!(said.contains("zone"), "{said}");
        let said = corner.apply(&block("name = \"this\""))?.stdout;
        ensure!(
            said.contains("1 imported, 0 added, 0 changed, 0 destroyed"),
            "{said}"
        );
        ensure!(identity(corner)? == json!({"name": "this", "zone": "east"}));
        Ok(Verdict::Works)
    })
}

#[test]
fn an_object_whose_identity_only_the_apply_tells_is_planned() -> Result<()> {
    feature("An identity that is unknown while planning", |corner| {
        let later = "resource \"terraform_data\" \"name\" {\n input = \"this\"\n}\nresource \"corner_stored\" \"this\" {\n name = terraform_data.name.output\n}\n";
        corner.configure(later)?;
        let said = corner
            .terraform
            .run(["plan", "-no-color"])?
            .success()?
            .stdout;
        ensure!(said.contains("Plan: 2 to add"), "{said}");
        corner.apply(later)?;
        ensure!(corner.state("corner_stored.this")?["name"] == "this");
        let other = later.replace("\"this\"\n}\nresource", "\"other\"\n}\nresource");
        corner.configure(&other)?;
        let said = corner
            .terraform
            .run(["plan", "-no-color"])?
            .success()?
            .stdout;
        ensure!(
            said.contains("1 to add, 1 to change, 1 to destroy"),
            "{said}"
        );
        corner.apply(&other)?;
        ensure!(corner.state("corner_stored.this")?["name"] == "other");
        Ok(Verdict::Works)
    })
}

#[test]
fn an_object_that_turns_into_another_one_is_refused() -> Result<()> {
    feature("A changed identity is refused", |corner| {
        corner.apply(&stored(""))?;
        corner.meddle("stored", "this", "zone", json!("west"))?;
        let said = corner.refused(&stored(""))?;
        ensure!(said.contains("zone"), "{said}");
        corner.meddle("stored", "this", "zone", json!("east"))?;
        corner.settled()?;
        Ok(Verdict::Works)
    })
}

#[test]
fn a_moved_block_takes_over_an_object_of_another_type() -> Result<()> {
    feature("A moved block takes over another resource type", |corner| {
        left_behind(corner)?;
        corner.apply("resource \"corner_everything\" \"old\" {\n name = \"this\"\n}\n")?;
        let moved = stored("note = \"kept\"")
            + "moved {\n from = corner_everything.old\n to = corner_stored.this\n}\n";
        let said = corner.apply(&moved)?.stdout;
        ensure!(said.contains("0 added, 0 changed, 0 destroyed"), "{said}");
        ensure!(corner.state("corner_stored.this")?["id"] == "stored/this");
        ensure!(identity(corner)? == json!({"name": "this", "zone": "east"}));
        fs::remove_file(corner.file("everything", "this"))?;
        let impossible = "resource \"corner_planned\" \"new\" {\n name = \"this\"\n}\nmoved {\n from = corner_stored.this\n to = corner_planned.new\n}\n";
        let said = corner.refused(impossible)?;
        ensure!(said.contains("Unable to move to corner_planned"), "{said}");
        Ok(Verdict::Works)
    })
}

#[test]
fn a_moved_block_takes_over_an_object_of_another_provider() -> Result<()> {
    feature(
        "A moved block takes over another provider's object",
        |corner| {
            left_behind(corner)?;
            corner.apply("resource \"terraform_data\" \"old\" {\n input = \"this\"\n}\n")?;
            let moved = stored("note = \"kept\"")
                + "moved {\n from = terraform_data.old\n to = corner_stored.this\n}\n";
            let said = corner.apply(&moved)?.stdout;
            ensure!(said.contains("0 added, 0 changed, 0 destroyed"), "{said}");
            ensure!(corner.state("corner_stored.this")?["name"] == "this");
            Ok(Verdict::Works)
        },
    )
}

#[test]
fn the_state_of_an_older_release_is_read_on() -> Result<()> {
    feature("State of an older version", |corner| {
        for (version, note) in [(0, Value::Null), (1, json!("as it was"))] {
            let configured = note
                .as_str()
                .map_or_else(String::new, |note| format!("note = \"{note}\""));
            corner.apply(&stored(&configured))?;
            let old = match version {
                0 => include_str!("states/version-0.json"),
                _ => include_str!("states/version-1.json"),
            };
            corner.terraform.write("terraform.tfstate", old)?;
            corner.settled()?;
            let said = corner
                .apply(&stored(&(configured + "\n count_of = 9")))?
                .stdout;
            ensure!(said.contains("0 added, 1 changed, 0 destroyed"), "{said}");
            let state = corner.state("corner_stored.this")?;
            ensure!(state["note"] == note, "{state}");
            ensure!(state["past"] == "updated; ", "{state}");
            corner.apply("")?;
        }
        let newer = include_str!("states/version-1.json")
            .replace("\"schema_version\": 1", "\"schema_version\": 3");
        corner.terraform.write("terraform.tfstate", &newer)?;
        let said = corner.refused(&stored(""))?;
        ensure!(said.contains("version"), "{said}");
        fs::remove_file(corner.terraform.folder().join("terraform.tfstate"))?;
        Ok(Verdict::Works)
    })
}

#[test]
fn private_data_goes_along_with_an_object() -> Result<()> {
    feature("Private data", |corner| {
        corner.apply(&stored(""))?;
        corner.apply(&stored("note = \"a\""))?;
        corner.apply(&stored("note = \"b\""))?;
        let past = |corner: &Corner<'_>| {
            Ok::<_, anyhow::Error>(corner.state("corner_stored.this")?["past"].clone())
        };
        ensure!(past(corner)? == "created; updated; updated; ");
        corner.terraform.forget("corner_stored.this")?;
        corner.terraform.import("corner_stored.this", "this")?;
        corner.apply(&stored("note = \"c\""))?;
        ensure!(past(corner)? == "imported by id; updated; ");
        let elsewhere = stored("note = \"d\"")
            .replace("\"corner_stored\" \"this\"", "\"corner_stored\" \"that\"")
            + "moved {\n from = corner_stored.this\n to = corner_stored.that\n}\n";
        corner.apply(&elsewhere)?;
        let found = corner.state("corner_stored.that")?["past"].clone();
        ensure!(found == "imported by id; updated; updated; ", "{found}");
        corner.terraform.forget("corner_stored.that")?;

        corner.apply("resource \"corner_everything\" \"old\" {\n name = \"this\"\n}\n")?;
        let moved = stored("note = \"e\"")
            + "moved {\n from = corner_everything.old\n to = corner_stored.this\n}\n";
        corner.apply(&moved)?;
        ensure!(past(corner)? == "moved; updated; ", "{}", past(corner)?);
        fs::remove_file(corner.file("everything", "this"))?;
        Ok(Verdict::Works)
    })
}

#[test]
fn the_configuration_of_an_imported_object_is_written() -> Result<()> {
    feature("Configuration written for an imported object", |corner| {
        left_behind(corner)?;
        corner.configure("import {\n to = corner_stored.this\n id = \"this\"\n}\n")?;
        let generate = ["plan", "-no-color", "-generate-config-out=generated.tf"];
        corner.terraform.run(generate)?.success()?;
        let path = corner.terraform.folder().join("generated.tf");
        let written = fs::read_to_string(&path)?;
        ensure!(written.contains("\"kept\""), "{written}");
        let said = corner.terraform.apply()?.stdout;
        ensure!(
            said.contains("1 imported, 0 added, 0 changed, 0 destroyed"),
            "{said}"
        );
        corner.settled()?;
        // What nobody has to write, since it is so by default or only the provider can say it.
        let spared = ["id", "past", "zone", "count_of"];
        let repeated: Vec<_> = spared
            .iter()
            .filter(|name| written.contains(&format!("  {name} ")))
            .collect();
        fs::remove_file(path)?;
        if corner.tool == Tool::OpenTofu {
            // It writes the whole state but for what only the provider can say.
            ensure!(repeated == [&"zone", &"count_of"], "{written}");
            return Ok(Verdict::Works);
        }
        ensure!(repeated.is_empty(), "{written}");
        Ok(Verdict::Works)
    })
}

/// The identity in the state.
fn identity(corner: &Corner<'_>) -> Result<Value> {
    let state = fs::read(corner.terraform.folder().join("terraform.tfstate"))?;
    let state: Value = serde_json::from_slice(&state)?;
    Ok(state["resources"][0]["instances"][0]["identity"].clone())
}
