//! Write-only values reach the provider and are stored nowhere; sensitive ones are not shown.

use std::fs;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::bench::{Corner, Verdict, feature};

fn secret(inner: &str) -> String {
    format!("resource \"corner_secret\" \"this\" {{\n name = \"this\"\n {inner}\n}}\n")
}

const EVERYWHERE: &str = "
  password         = \"hidden-1\"
  password_version = 1
  codes            = [\"hidden-2\"]
  whole            = { key = \"hidden-3\" }
  by_name          = { k = { shown = \"a\", hidden = \"hidden-4\" } }
  parts {
    shown  = \"b\"
    hidden = \"hidden-5\"
    inner {
      hidden = \"hidden-6\"
    }
  }
  parts {
    shown = \"c\"
  }
";

#[test]
fn write_only_values_come_and_are_stored_nowhere() -> Result<()> {
    feature(
        "Write-only values at every level, stored nowhere",
        |corner| {
            corner.apply(&secret(EVERYWHERE))?;
            let all = "hidden-1 hidden-3 hidden-4 hidden-5 hidden-6 hidden-2";
            ensure!(corner.log()?.ends_with(&format!("create {all}\n")));
            nothing_is_hidden_in(corner)?;

            // To change one of them alone changes nothing, and to reorder blocks does.
            corner.configure(&secret(&EVERYWHERE.replace("hidden-4", "hidden-7")))?;
            corner.settled()?;
            let reordered = EVERYWHERE
                .replace("\"c\"", "\"d\"")
                .replace("\"b\"", "\"c\"");
            let said = corner.apply(&secret(&reordered))?.stdout;
            ensure!(said.contains("0 added, 1 changed, 0 destroyed"), "{said}");
            ensure!(corner.log()?.ends_with(&format!("update {all}\n")));
            nothing_is_hidden_in(corner)?;

            corner.apply(&secret(""))?;
            Ok(Verdict::Works)
        },
    )
}

#[test]
fn a_write_only_value_changes_by_its_version() -> Result<()> {
    feature("A write-only value beside its version", |corner| {
        let versioned = |password: &str, version: u8| {
            secret(&format!(
                "password = \"{password}\"\n password_version = {version}"
            ))
        };
        let both = secret("password = \"a\"\n password_version = 1\n old_password = \"b\"");
        let said = corner.refused(&both)?;
        ensure!(said.contains("Give password or old_password."), "{said}");
        let said = corner.refused(&secret("password = \"a\""))?;
        ensure!(
            said.contains("Give password together with password_version."),
            "{said}"
        );

        corner.apply(&versioned("a", 1))?;
        corner.configure(&versioned("b", 1))?;
        corner.settled()?;
        let said = corner.apply(&versioned("b", 2))?.stdout;
        ensure!(said.contains("1 added, 0 changed, 1 destroyed"), "{said}");
        ensure!(corner.log()? == "create a\ncreate b\n");
        corner.apply(&secret("old_password = \"c\""))?;
        // One that isn't known while planning comes all the same.
        let open = "resource \"terraform_data\" \"open\" {\n input = \"late\"\n}\n";
        let late = secret("password = terraform_data.open.output\n password_version = 3");
        corner.apply(&(late + open))?;
        ensure!(corner.log()?.ends_with("create late\n"));
        Ok(Verdict::Works)
    })
}

#[test]
fn a_write_only_value_is_needed_where_an_object_is_made() -> Result<()> {
    feature("A write-only value that is needed once", |corner| {
        let seeded = |inner: &str| secret(&format!("seeded = true\n {inner}"));
        let said = corner.refused(&seeded(""))?;
        ensure!(said.contains("A seed is needed to make it."), "{said}");
        corner.apply(&seeded("seed = \"s\""))?;
        for unchanged in ["", "seed = \"other\""] {
            corner.configure(&seeded(unchanged))?;
            corner.settled()?;
        }
        let another = |inner: &str| seeded(inner).replace("\"this\"\n", "\"another\"\n");
        let said = corner.refused(&another(""))?;
        ensure!(said.contains("A seed is needed to make it."), "{said}");
        let said = corner.apply(&another("seed = \"t\""))?.stdout;
        ensure!(said.contains("1 added, 0 changed, 1 destroyed"), "{said}");
        ensure!(corner.state("corner_secret.this")?["seed"].is_null());
        Ok(Verdict::Works)
    })
}

#[test]
fn what_import_move_and_upgrade_say_of_write_only_values_is_left_out() -> Result<()> {
    feature("Write-only values in import, move and upgrade", |corner| {
        corner.apply(&secret(""))?;
        let made = corner.state("corner_secret.this")?;
        corner.terraform.forget("corner_secret.this")?;
        corner.terraform.import("corner_secret.this", "this")?;
        ensure!(corner.state("corner_secret.this")? == made);
        corner.settled()?;

        let path = corner.terraform.folder().join("terraform.tfstate");
        let mut state: Value = serde_json::from_slice(&fs::read(path)?)?;
        let instance = &mut state["resources"][0]["instances"][0];
        instance["schema_version"] = json!(0);
        instance["attributes"] = json!({"name": "this"});
        corner.replace_state(&state)?;
        corner.settled()?;
        corner
            .terraform
            .run(["apply", "-refresh-only", "-auto-approve"])?
            .success()?;
        ensure!(corner.state("corner_secret.this")? == made);

        corner.terraform.forget("corner_secret.this")?;
        corner.apply("resource \"terraform_data\" \"old\" {\n input = \"this\"\n}\n")?;
        let moved =
            secret("") + "moved {\n from = terraform_data.old\n to = corner_secret.this\n}\n";
        let said = corner.apply(&moved)?.stdout;
        ensure!(said.contains("0 added, 0 changed, 0 destroyed"), "{said}");
        ensure!(corner.state("corner_secret.this")? == made);
        Ok(Verdict::Works)
    })
}

#[test]
fn sensitive_values_are_not_shown() -> Result<()> {
    feature("Sensitive values are not shown", |corner| {
        let configured = secret("old_password = \"hidden-1\"");
        let plan = corner.plan(&configured)?;
        ensure!(plan.contains("old_password = (sensitive value)"), "{plan}");
        corner.apply(&configured)?;
        let shown = corner.said(["state", "show", "-no-color", "corner_secret.this"])?;
        ensure!(shown.contains("token = (sensitive value)"), "{shown}");
        ensure!(!shown.contains("hidden"), "{shown}");
        let read = "output \"token\" {\n value = corner_secret.this.token\n}\n";
        let said = corner.refused(&(configured + read))?;
        ensure!(said.contains("Output refers to sensitive values"), "{said}");
        Ok(Verdict::Works)
    })
}

fn nothing_is_hidden_in(corner: &Corner<'_>) -> Result<()> {
    let state = fs::read_to_string(corner.terraform.folder().join("terraform.tfstate"))?;
    ensure!(!state.contains("hidden-"), "{state}");
    // The store has them, and reads them back.
    ensure!(
        corner
            .object("secret", "this")?
            .to_string()
            .contains("hidden-4")
    );
    corner.terraform.run(["plan", "-out=plan"])?.success()?;
    let plan = corner.terraform.run(["show", "-json", "plan"])?.success()?;
    let plan = plan.json()?["planned_values"].to_string();
    ensure!(
        plan.contains("password_version") && !plan.contains("hidden-"),
        "{plan}"
    );
    Ok(())
}
