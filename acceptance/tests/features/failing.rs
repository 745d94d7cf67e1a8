//! What goes wrong half way is known afterwards, and operations know their time.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::bench::{Verdict, feature};

fn fragile(inner: &str) -> String {
    format!("resource \"corner_fragile\" \"this\" {{\n name = \"this\"\n {inner}\n}}\n")
}

#[test]
fn a_create_that_fails_half_way_leaves_a_tainted_object() -> Result<()> {
    feature(
        "A create that fails half way leaves a tainted object",
        |corner| {
            let said = corner.fails(&fragile("fails = \"create\""))?;
            ensure!(said.contains("The create was to fail"), "{said}");
            let state = corner.state("corner_fragile.this")?;
            ensure!(state["finished"] == json!(false), "{state}");
            let plan = corner.plan(&fragile(""))?;
            ensure!(plan.contains("is tainted, so "), "{plan}");
            let said = corner.apply(&fragile(""))?.stdout;
            ensure!(said.contains("1 added, 0 changed, 1 destroyed"), "{said}");
            Ok(Verdict::Works)
        },
    )
}

#[test]
fn an_update_that_fails_half_way_keeps_what_it_came_to() -> Result<()> {
    feature(
        "An update that fails half way keeps what it came to",
        |corner| {
            corner.apply(&fragile(""))?;
            let said = corner.fails(&fragile("fails = \"update\""))?;
            ensure!(said.contains("The update was to fail"), "{said}");
            let state = corner.state("corner_fragile.this")?;
            ensure!(state["finished"] == json!(false), "{state}");
            ensure!(state["fails"] == "update", "{state}");
            let said = corner.apply(&fragile(""))?.stdout;
            ensure!(said.contains("0 added, 1 changed, 0 destroyed"), "{said}");
            ensure!(corner.state("corner_fragile.this")?["finished"] == json!(true));
            Ok(Verdict::Works)
        },
    )
}

#[test]
fn a_delete_that_fails_keeps_the_object() -> Result<()> {
    feature("A delete that fails keeps the object", |corner| {
        corner.apply(&fragile("fails = \"delete\""))?;
        let said = corner.fails("")?;
        ensure!(said.contains("The delete was to fail"), "{said}");
        corner.state("corner_fragile.this")?;
        corner.apply(&fragile(""))?;
        Ok(Verdict::Works)
    })
}

#[test]
fn each_operation_knows_its_own_time() -> Result<()> {
    feature("Timeouts", |corner| {
        let timeouts = |inner: &str| fragile(&format!("timeouts {{\n {inner}\n }}"));
        let said = corner.refused(&timeouts("create = \"soon\""))?;
        ensure!(said.contains("Invalid value of timeouts.create"), "{said}");
        ensure!(said.contains("Write it like 30s, 10m or 1h30m."), "{said}");

        corner.apply(&fragile(""))?;
        let state = corner.state("corner_fragile.this")?;
        ensure!(state["allowed_ms"] == json!(300_000), "{state}");
        ensure!(state["timeouts"].is_null(), "{state}");
        let configured = "create = \"120s\"\n update = \"1h2m3s\"";
        corner.apply(&timeouts(configured))?;
        let state = corner.state("corner_fragile.this")?;
        ensure!(state["allowed_ms"] == json!(3_723_000), "{state}");
        ensure!(state["timeouts"]["create"] == "120s", "{state}");
        corner.apply("")?;
        corner.apply(&timeouts(configured))?;
        let state = corner.state("corner_fragile.this")?;
        ensure!(state["allowed_ms"] == json!(120_000), "{state}");
        ensure!(state["timeouts"]["update"] == "1h2m3s", "{state}");
        corner.apply("")?;

        let said = corner.fails(&fragile(
            "waits_for = \"what never comes\"\n timeouts {\n create = \"10ms\"\n }",
        ))?;
        ensure!(said.contains("Out of time"), "{said}");
        Ok(Verdict::Works)
    })
}
