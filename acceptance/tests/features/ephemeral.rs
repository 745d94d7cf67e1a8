//! Ephemeral resources: values that are there while a tool runs, and in no plan and no state.

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::bench::{Corner, Verdict, feature};
use crate::kinds;
use crate::values::same;

#[test]
fn every_kind_of_attribute_and_block_comes_back_from_open() -> Result<()> {
    feature(
        "Every kind of attribute and block, in ephemeral resources",
        |corner| {
            for which in [Some(0), Some(1), None] {
                let configured: String = kinds::all()
                    .into_iter()
                    .map(|kind| seen(&kind, which))
                    .collect();
                corner.apply(&configured)?;
                holds_each_kind(corner, which)?;
                corner.apply("")?;
            }
            Ok(Verdict::Works)
        },
    )
}

#[test]
fn a_token_is_opened_renewed_and_closed() -> Result<()> {
    feature("Opened, renewed and closed", |corner| {
        corner.apply(
            "
            ephemeral \"corner_token\" \"this\" {
              name     = \"mine\"
              renew_ms = 1000
            }
            resource \"corner_fragile\" \"patient\" {
              name      = \"patient\"
              waits_for = \"renew mine\"
              times     = 3
            }
            resource \"corner_secret\" \"user\" {
              name       = \"user\"
              seed       = ephemeral.corner_token.this.value
              depends_on = [corner_fragile.patient]
            }",
        )?;
        let log = corner.log()?;
        let count = |line: &str| log.lines().filter(|noted| *noted == line).count();
        ensure!(count("create token of mine") == 1, "{log}");
        ensure!(count("renew mine") >= 3, "{log}");
        ensure!(count("open mine") == count("close mine"), "{log}");
        Ok(Verdict::Works)
    })
}

#[test]
fn a_value_that_is_not_known_yet_is_opened_when_it_is() -> Result<()> {
    feature(
        "Opened when its configuration is known, and good for a provider block",
        |corner| {
            let folder = corner.terraform.folder().join("elsewhere");
            std::fs::create_dir(&folder)?;
            let configured = format!(
                "
                resource \"terraform_data\" \"open\" {{
                  input = \"{}\"
                }}
                ephemeral \"corner_everything\" \"this\" {{
                  name = \"this\"
                  text = terraform_data.open.output
                }}
                provider \"corner\" {{
                  alias  = \"elsewhere\"
                  folder = ephemeral.corner_everything.this.text
                }}
                ephemeral \"corner_token\" \"this\" {{
                  name = terraform_data.open.output
                }}
                ",
                folder.display()
            );
            let object = "resource \"corner_planned\" \"this\" {\n provider = corner.elsewhere\n name = \"this\"\n}\n";
            corner.plan(&(configured.clone() + object))?;
            ensure!(!corner.log()?.contains("open"), "{}", corner.log()?);
            corner.apply(&(configured.clone() + object))?;
            ensure!(folder.join("planned.this.json").exists());
            ensure!(corner.log()?.contains("open"), "{}", corner.log()?);
            corner.apply(&configured)?;
            ensure!(!folder.join("planned.this.json").exists());
            Ok(Verdict::Works)
        },
    )
}

/// An ephemeral resource, and a write-only value in which the provider sees what it opened.
fn seen(kind: &kinds::Kind, which: Option<usize>) -> String {
    let name = kind.name;
    let file = name.replace('_', "-");
    let inner = which.map_or("", |which| kind.configured[which]);
    format!(
        "ephemeral \"corner_everything\" \"{name}\" {{\n name = \"{file}\"\n {inner}\n}}\nresource \"corner_secret\" \"{name}\" {{\n name = \"{file}\"\n seed = jsonencode(ephemeral.corner_everything.{name})\n}}\n"
    )
}

fn holds_each_kind(corner: &Corner<'_>, which: Option<usize>) -> Result<()> {
    for kind in kinds::all() {
        let file = kind.name.replace('_', "-");
        let seed = corner.object("secret", &file)?["seed"].clone();
        let opened: Value = serde_json::from_str(seed.as_str().unwrap_or_default())?;
        ensure!(opened["id"] == format!("everything/{file}"), "{opened}");
        for (name, value) in opened.as_object().into_iter().flatten() {
            let expected = match which {
                Some(which) if name == kind.name => kind.stored[which].clone(),
                _ => kinds::none(name),
            };
            let is_fixed = ["id", "name"].contains(&name.as_str());
            ensure!(
                is_fixed || same(value, &expected),
                "{file}: {name} is {value}, not {expected}"
            );
        }
    }
    Ok(())
}
