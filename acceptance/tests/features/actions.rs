//! Actions, and what no release offers yet: state stores.

use anyhow::{Result, ensure};
use hanse_acceptance::Tool;

use crate::bench::{Verdict, feature};

/// What a tool without actions says.
const NO_ACTION: &str = "Blocks of type \"action\" are not expected here.";

fn action(inner: &str) -> String {
    format!("action \"corner_shout\" \"this\" {{\n config {{\n {inner}\n }}\n}}\n")
}

fn triggered(input: &str) -> String {
    format!(
        "resource \"terraform_data\" \"this\" {{\n input = \"{input}\"\n lifecycle {{\n action_trigger {{\n events = [before_create, after_update]\n actions = [action.corner_shout.this]\n }}\n }}\n}}\n"
    )
}

#[test]
fn an_action_is_triggered_by_a_resource_and_tells_its_progress() -> Result<()> {
    feature(
        "An action triggered by a resource, with its progress",
        |corner| {
            let shout = action("words = \"hello\"\n times = 2");
            if corner.tool == Tool::OpenTofu {
                corner.configure(&shout)?;
                return corner.lacks(["plan", "-no-color"], NO_ACTION);
            }
            let said = corner.apply(&(shout.clone() + &triggered("a")))?.stdout;
            for step in ["shout 1 of 2", "shout 2 of 2", "Actions: 1 invoked"] {
                ensure!(said.contains(step), "{step}: {said}");
            }
            ensure!(corner.log()? == "hello\nhello\n", "{}", corner.log()?);
            // Nothing changed, so that nothing is triggered.
            corner.terraform.apply()?;
            ensure!(corner.log()?.lines().count() == 2, "{}", corner.log()?);
            corner.apply(&(shout + &triggered("b")))?;
            ensure!(corner.log()?.lines().count() == 4, "{}", corner.log()?);
            Ok(Verdict::Works)
        },
    )
}

#[test]
fn an_action_is_invoked_by_hand() -> Result<()> {
    feature("An action invoked by hand", |corner| {
        let invoke = [
            "apply",
            "-no-color",
            "-auto-approve",
            "-invoke=action.corner_shout.this",
        ];
        if corner.tool == Tool::OpenTofu {
            return corner.lacks(invoke, "flag provided but not defined: -invoke");
        }
        corner.configure(&action("words = \"hello\""))?;
        let said = corner.said(invoke)?;
        ensure!(said.contains("shout 1 of 1"), "{said}");
        ensure!(corner.log()? == "hello\n", "{}", corner.log()?);
        Ok(Verdict::Works)
    })
}

#[test]
fn an_action_may_refuse_its_plan_or_fail() -> Result<()> {
    feature(
        "An action that refuses its plan, and one that fails",
        |corner| {
            let silent = action("words = \"\"") + &triggered("a");
            if corner.tool == Tool::OpenTofu {
                corner.configure(&silent)?;
                return corner.lacks(["plan", "-no-color"], NO_ACTION);
            }
            let said = corner.refused(&silent)?;
            ensure!(said.contains("Nothing to shout"), "{said}");
            ensure!(said.contains("Say at least one word."), "{said}");
            let hoarse = action("words = \"hello\"\n times = 3\n fails_after = 1");
            let said = corner.fails(&(hoarse + &triggered("a")))?;
            ensure!(said.contains("The voice is gone."), "{said}");
            ensure!(corner.log()? == "hello\n", "{}", corner.log()?);
            Ok(Verdict::Works)
        },
    )
}

#[test]
fn state_stores_are_in_no_release_yet() -> Result<()> {
    feature("State stores", |corner| {
        // The calls themselves are proved without a tool.
        corner.configure(
            "terraform {\n  state_store \"corner_store\" {\n    provider \"corner\" {}\n  }\n}\n",
        )?;
        corner.lacks(
            ["init", "-no-color"],
            "Blocks of type \"state_store\" are not expected here.",
        )
    })
}
