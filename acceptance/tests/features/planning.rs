//! Plans say what will be, decide what they can, and warn or refuse at the right place.

use std::fs;

use anyhow::{Result, ensure};
use hanse_acceptance::Tool;
use serde_json::json;

use crate::bench::{Verdict, feature, flat};

fn planned(attributes: &str) -> String {
    format!("resource \"corner_planned\" \"this\" {{\n name = \"this\"\n {attributes}\n}}\n")
}

#[test]
fn a_default_is_planned_where_nothing_is_configured() -> Result<()> {
    feature("Defaults", |corner| {
        let plan = corner.plan(&planned(""))?;
        ensure!(plan.contains("+ tier     = \"slow\""), "{plan}");
        corner.apply(&planned(""))?;
        corner.apply(&planned("tier = \"quick\""))?;
        ensure!(corner.state("corner_planned.this")?["tier"] == "quick");
        // What is not known yet is configured, and not left to the default.
        let open = "resource \"terraform_data\" \"open\" {\n input = \"open\"\n}\n";
        let configured = planned("tier = terraform_data.open.output") + open;
        let plan = corner.plan(&configured)?;
        ensure!(!plan.contains("-> \"slow\""), "{plan}");
        corner.apply(&configured)?;
        ensure!(corner.state("corner_planned.this")?["tier"] == "open");
        corner.apply(&planned(""))?;
        ensure!(corner.state("corner_planned.this")?["tier"] == "slow");
        Ok(Verdict::Works)
    })
}

#[test]
fn a_computed_value_stays_through_an_update_where_it_says_so() -> Result<()> {
    feature("Computed values that stay through an update", |corner| {
        corner.apply(&planned(""))?;
        let plan = corner.plan(&planned("tier = \"quick\""))?;
        ensure!(
            plan.contains("revision = 1 -> (known after apply)"),
            "{plan}"
        );
        for kept in ["id", "label"] {
            ensure!(!plan.contains(&format!("~ {kept}")), "{kept}: {plan}");
        }
        corner.apply(&planned("tier = \"quick\""))?;
        let state = corner.state("corner_planned.this")?;
        ensure!(state["revision"] == json!(2), "{state}");
        ensure!(state["id"] == "planned/this", "{state}");
        corner.apply(&planned("label = \"mine\""))?;
        corner.apply(&planned(""))?;
        ensure!(corner.state("corner_planned.this")?["label"] == "mine");
        Ok(Verdict::Works)
    })
}

#[test]
fn a_change_replaces_where_it_has_to() -> Result<()> {
    feature(
        "Replacement by a changed attribute, and by a condition",
        |corner| {
            corner.apply(&planned("size = 5"))?;
            let said = corner.apply(&planned("size = 7"))?.stdout;
            ensure!(said.contains("0 added, 1 changed, 0 destroyed"), "{said}");
            let plan = corner.plan(&planned("size = 6"))?;
            ensure!(plan.contains("# forces replacement"), "{plan}");
            let said = corner.apply(&planned("size = 6"))?.stdout;
            ensure!(said.contains("1 added, 0 changed, 1 destroyed"), "{said}");
            ensure!(corner.state("corner_planned.this")?["revision"] == json!(1));
            let said = corner
                .apply(&planned("size = 6\n region = \"east\""))?
                .stdout;
            ensure!(said.contains("1 added, 0 changed, 1 destroyed"), "{said}");
            let said = corner
                .apply(&planned("size = 6\n region = \"east\"\n lifecycle {\n create_before_destroy = true\n }").replace("\"this\"\n", "\"other\"\n"))?
                .stdout;
            ensure!(said.contains("1 added, 0 changed, 1 destroyed"), "{said}");
            Ok(Verdict::Works)
        },
    )
}

#[test]
fn a_promise_about_an_unknown_value_decides_what_a_plan_does() -> Result<()> {
    feature(
        "A promise about an unknown value decides a plan",
        |corner| {
            let decided = "
            resource \"terraform_data\" \"decided\" {
              count = (
                corner_planned.this.address != null
                && startswith(corner_planned.this.address, \"corner/\")
                && corner_planned.this.port > 0
                && corner_planned.this.port < 70000
              ) ? 2 : 1
            }";
            let plan = corner.plan(&(planned("") + decided))?;
            ensure!(plan.contains("Plan: 3 to add"), "{plan}");
            corner.apply(&(planned("") + decided))?;
            let undecided = planned("")
                + "resource \"terraform_data\" \"undecided\" {\n count = corner_planned.other.revision == null ? 2 : 1\n}\n"
                + &planned("").replace("this", "other");
            let said = corner.refused(&undecided)?;
            ensure!(said.contains("Invalid count argument"), "{said}");
            Ok(Verdict::Works)
        },
    )
}

#[test]
fn warnings_and_errors_are_shown_at_their_attribute() -> Result<()> {
    feature("Warnings and errors at an attribute", |corner| {
        let said = corner.refused(&planned("size = 1001"))?;
        ensure!(said.contains("Error: Too large"), "{said}");
        ensure!(
            said.contains("size = 1001 1001 is more than 1000."),
            "{said}"
        );
        let said = corner.refused(&planned("").replace("\"this\"\n", "\"no name\"\n"))?;
        ensure!(said.contains("\"no name\" is no name"), "{said}");
        let said = flat(&corner.plan(&planned("size = 100"))?);
        ensure!(said.contains("Warning: Rather large"), "{said}");
        ensure!(said.contains("size = 100 100 takes its time."), "{said}");
        Ok(Verdict::Works)
    })
}

#[test]
fn a_destroy_may_be_refused() -> Result<()> {
    feature("A destroy that is refused", |corner| {
        corner.apply(&planned("guarded = true"))?;
        let said = corner.refused("")?;
        ensure!(said.contains("Take the guard away first."), "{said}");
        corner.apply(&planned(""))?;
        Ok(Verdict::Works)
    })
}

#[test]
fn a_deprecated_attribute_says_what_to_use_instead() -> Result<()> {
    feature(
        "A deprecated attribute says what to use instead",
        |corner| {
            corner.configure(&planned("colour = \"red\""))?;
            let said = corner.said(["validate", "-no-color"])?;
            let warning = "Warning: colour is deprecated";
            ensure!(said.contains(warning), "{said}");
            let message = "colour = \"red\" Use label, which says more than a colour.";
            ensure!(said.contains(message), "{said}");
            let read = "output \"read\" {\n value = corner_planned.this.colour\n}\n";
            corner.configure(&(planned("") + read))?;
            let said = corner.said(["validate", "-no-color"])?;
            ensure!(!said.contains(warning), "{said}");
            ensure!(
                said.contains("Use label, which says more than a colour."),
                "{said}"
            );
            Ok(Verdict::Works)
        },
    )
}

#[test]
fn what_was_changed_by_hand_is_found_and_mended() -> Result<()> {
    feature("Drift is found and mended", |corner| {
        corner.apply(&planned(""))?;
        corner.meddle("planned", "this", "tier", json!("quick"))?;
        let plan = corner.plan(&planned(""))?;
        ensure!(plan.contains("\"quick\" -> \"slow\""), "{plan}");
        corner.apply(&planned(""))?;
        ensure!(corner.object("planned", "this")?["tier"] == "slow");
        fs::remove_file(corner.file("planned", "this"))?;
        let said = corner.apply(&planned(""))?.stdout;
        ensure!(said.contains("1 added, 0 changed, 0 destroyed"), "{said}");
        Ok(Verdict::Works)
    })
}

#[test]
fn a_plan_is_deferred_where_that_is_allowed_and_goes_on_where_it_is_not() -> Result<()> {
    feature("Deferral to a later plan", |corner| {
        let open = "resource \"terraform_data\" \"open\" {\n input = \"open\"\n}\n";
        corner.apply(&(planned("prerequisite = terraform_data.open.output") + open))?;
        let said = corner
            .terraform
            .run(["plan", "-no-color", "-allow-deferral"])?;
        ensure!(!said.succeeded(), "{}", said.stdout);
        let said = flat(&said.stderr);
        let missing = match corner.tool {
            Tool::Terraform => {
                "The -allow-deferral flag is only valid in experimental builds of Terraform."
            }
            Tool::OpenTofu => "flag provided but not defined: -allow-deferral",
        };
        ensure!(said.contains(missing), "{said}");
        Ok(Verdict::Missing(missing))
    })
}
