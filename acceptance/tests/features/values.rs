//! Values of every kind go to the provider and come back as they were.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::bench::{Corner, Verdict, feature};
use crate::kinds;

#[test]
fn every_kind_of_attribute_and_block_is_created_and_updated_in_place() -> Result<()> {
    feature(
        "Every kind of attribute and block, in resources",
        |corner| {
            let count = kinds::all().len();
            let said = corner.apply(&each_kind("resource", Some(0)))?.stdout;
            ensure!(
                said.contains(&format!("{count} added, 0 changed, 0 destroyed")),
                "{said}"
            );
            holds_each_kind(corner, "", Some(0))?;
            let said = corner.apply(&each_kind("resource", Some(1)))?.stdout;
            ensure!(
                said.contains(&format!("0 added, {count} changed, 0 destroyed")),
                "{said}"
            );
            holds_each_kind(corner, "", Some(1))?;
            let said = corner.apply(&each_kind("resource", None))?.stdout;
            ensure!(
                said.contains(&format!("0 added, {count} changed, 0 destroyed")),
                "{said}"
            );
            holds_each_kind(corner, "", None)?;
            Ok(Verdict::Works)
        },
    )
}

#[test]
fn every_kind_of_attribute_and_block_comes_back_from_a_data_source() -> Result<()> {
    feature(
        "Every kind of attribute and block, in data sources",
        |corner| {
            for which in [Some(0), Some(1), None] {
                corner.apply(&each_kind("data", which))?;
                holds_each_kind(corner, "data.", which)?;
            }
            Ok(Verdict::Works)
        },
    )
}

#[test]
fn numbers_keep_every_digit() -> Result<()> {
    feature("Numbers keep every digit", |corner| {
        let long = "123456789012345678901234567890.123456789";
        let configured = |number: &str, float: &str| {
            format!(
                "resource \"corner_everything\" \"this\" {{\n name = \"this\"\n number = {number}\n float = {float}\n short_float = {float}\n anything = {{ n = {number} }}\n}}\noutput \"number\" {{\n value = corner_everything.this.number\n}}\noutput \"same\" {{\n value = corner_everything.this.number == {number} && corner_everything.this.anything.n == {number} && corner_everything.this.float == {float} && corner_everything.this.short_float == {float}\n}}\n"
            )
        };
        corner.apply(&configured(long, "0.01"))?;
        ensure!(corner.terraform.output("number")?.to_string() == long);
        ensure!(corner.terraform.output("same")? == json!(true));
        ensure!(corner.object("everything", "this")?["number"].to_string() == long);
        // Equal as floats, and other numbers all the same: 512 bits of them.
        for float in ["1 - 0.99", "1 - 0.98", "0.02"] {
            let said = corner.apply(&configured(long, float))?.stdout;
            ensure!(said.contains("0 added, 1 changed"), "{float}: {said}");
            ensure!(corner.terraform.output("same")? == json!(true), "{float}");
        }
        // The largest number of 32 bits, with all its digits and as it is written shortly.
        let large = "340282346638528859811704183484516925440";
        corner.apply(&configured(large, large))?;
        ensure!(corner.terraform.output("number")?.to_string() == large);
        corner.configure(&configured(
            "3.4028234663852885981170418348451692544e38",
            large,
        ))?;
        corner.settled()?;
        Ok(Verdict::Works)
    })
}

#[test]
fn what_is_not_known_in_a_plan_is_right_after_the_apply() -> Result<()> {
    feature(
        "Unknown values, also inside collections and blocks",
        |corner| {
            let configured = |input: &str| {
                format!(
                    "resource \"terraform_data\" \"open\" {{\n input = \"{input}\"\n}}\nlocals {{\n open = terraform_data.open.output\n}}\n{UNKNOWN}"
                )
            };
            let plan = corner.plan(&configured("one"))?;
            ensure!(plan.contains("(known after apply)"), "{plan}");
            for input in ["one", "two"] {
                corner.apply(&configured(input))?;
                let state = corner.state("corner_everything.this")?;
                ensure!(state["text"] == input, "{state}");
                ensure!(state["anything"] == json!({"in": input}), "{state}");
                ensure!(state["list"] == json!(["a", null, input]), "{state}");
                ensure!(state["set"] == json!(["a", input]), "{state}");
                ensure!(state["map"] == json!({"k": input}), "{state}");
                ensure!(state["single"]["text"] == input, "{state}");
                let deep = &state["list_nested"][1]["deeper"]["k"]["list"];
                ensure!(*deep == json!(["x", input]), "{state}");
                ensure!(texts(&state["set_nested"]) == ["a", input], "{state}");
                ensure!(state["single_block"]["anything"] == input, "{state}");
                let texts = texts(&state["set_block"]);
                ensure!(texts == ["fixed", input], "{state}");
                let dynamic: Vec<String> = texts_of(&state["list_block"]);
                ensure!(
                    dynamic == [format!("{input}-1"), format!("{input}-2")],
                    "{state}"
                );
            }
            Ok(Verdict::Works)
        },
    )
}

#[test]
fn a_value_of_any_type_may_change_its_type() -> Result<()> {
    feature("A value of any type may change its type", |corner| {
        let values = [
            ("true", json!(true)),
            ("200", json!(200)),
            ("\"200\"", json!("200")),
            ("tolist([\"a\"])", json!(["a"])),
            ("{ a = [1, { b = null }] }", json!({"a": [1, {"b": null}]})),
            ("null", json!(null)),
        ];
        for (configured, stored) in values {
            corner.apply(&format!(
                "resource \"corner_everything\" \"this\" {{\n name = \"this\"\n anything = {configured}\n}}\n"
            ))?;
            let state = corner.state("corner_everything.this")?;
            ensure!(state["anything"] == stored, "{configured}: {state}");
        }
        // One that the provider computes is open in a plan, and may come out as another type.
        for (tier, mood) in [("slow", json!(true)), ("quick", json!(200))] {
            let planned = format!(
                "resource \"corner_planned\" \"this\" {{\n name = \"this\"\n tier = \"{tier}\"\n}}\n"
            );
            let plan = corner.plan(&planned)?;
            let line = plan.lines().find(|line| line.contains(" mood "));
            let is_open = line.is_some_and(|line| line.contains("(known after apply)"));
            ensure!(is_open, "{plan}");
            corner.apply(&planned)?;
            let state = corner.state("corner_planned.this")?;
            ensure!(state["mood"] == mood, "{state}");
        }
        Ok(Verdict::Works)
    })
}

const UNKNOWN: &str = r#"
resource "corner_everything" "this" {
  name     = "this"
  text     = local.open
  anything = { in = local.open }
  list     = ["a", null, local.open]
  set      = ["a", local.open]
  map      = { k = local.open }
  single   = { text = local.open }
  list_nested = [
    { text = "a" },
    { number = 12.5, deeper = { k = { list = ["x", local.open] } } },
  ]
  set_nested = [{ text = "a" }, { text = local.open, number = 1 }]
  map_nested = { k = { text = local.open } }
  single_block {
    anything = local.open
  }
  dynamic "list_block" {
    for_each = [for number in [1, 2] : "${local.open}-${number}"]
    content {
      text = list_block.value
    }
  }
  set_block {
    text = "fixed"
  }
  dynamic "set_block" {
    for_each = toset([local.open])
    content {
      text = set_block.value
    }
  }
}
"#;

/// One resource or data source for each kind of attribute, which alone is configured.
fn each_kind(what: &str, which: Option<usize>) -> String {
    let of_kind = |kind: kinds::Kind| {
        let configured = which.map_or("", |which| kind.configured[which]);
        let name = kind.name;
        format!(
            "{what} \"corner_everything\" \"{name}\" {{\n name = \"{}\"\n {configured}\n}}\n",
            name.replace('_', "-")
        )
    };
    kinds::all().into_iter().map(of_kind).collect()
}

fn holds_each_kind(corner: &Corner<'_>, prefix: &str, which: Option<usize>) -> Result<()> {
    for kind in kinds::all() {
        let address = format!("{prefix}corner_everything.{}", kind.name);
        let state = corner.state(&address)?;
        for (name, value) in state.as_object().into_iter().flatten() {
            if ["id", "name"].contains(&name.as_str()) {
                ensure!(value.is_string(), "{address}: {name} is {value}");
                continue;
            }
            let none = kinds::none(name);
            let expected = match which {
                Some(which) if name == kind.name => &kind.stored[which],
                _ => &none,
            };
            ensure!(
                same(value, expected),
                "{address}: {name} is {value} and not {expected}"
            );
        }
    }
    Ok(())
}

/// Whether two values are equal. Numbers are, however they are written.
pub(crate) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            left == right || left.as_f64() == right.as_f64()
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(key, left)| right.get(key).is_some_and(|right| same(left, right)))
        }
        (left, right) => left == right,
    }
}

fn texts_of(blocks: &Value) -> Vec<String> {
    let blocks = blocks.as_array().into_iter().flatten();
    blocks
        .filter_map(|block| block["text"].as_str().map(str::to_owned))
        .collect()
}

fn texts(blocks: &Value) -> Vec<String> {
    let mut texts = texts_of(blocks);
    texts.sort();
    texts
}
