//! What the provider adds inside nested objects and blocks: defaults and computed values.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::bench::{Verdict, feature};

#[test]
fn each_element_of_a_set_gets_its_own_default() -> Result<()> {
    feature(
        "Defaults inside sets of objects and sets of blocks",
        |corner| {
            let configured = |values: &[&str]| {
                let objects: String = values
                    .iter()
                    .map(|value| format!("{{ {value} }},"))
                    .collect();
                let blocks: String = values
                    .iter()
                    .map(|value| format!("set_block {{\n {value}\n }}\n"))
                    .collect();
                format!(
                    "resource \"corner_nested\" \"this\" {{\n name = \"this\"\n set = [{objects}]\n {blocks}\n}}\n"
                )
            };
            let element =
                |value: Value, default: &str| json!({"value": value, "value_or_default": default});
            let all = [
                "value = \"one\"",
                "value = \"two\"\n value_or_default = \"mine\"",
                "value = \"three\"\n value_or_default = \"zero\"",
                "",
            ];
            corner.apply(&configured(&all))?;
            let expected = json!([
                element(json!("one"), "zero"),
                element(json!("three"), "zero"),
                element(json!("two"), "mine"),
                element(Value::Null, "zero"),
            ]);
            let state = corner.state("corner_nested.this")?;
            for name in ["set", "set_block"] {
                ensure!(sorted(&state[name]) == sorted(&expected), "{name}: {state}");
            }
            let said = corner.apply(&configured(&all[1..]))?.stdout;
            ensure!(said.contains("0 added, 1 changed"), "{said}");
            let state = corner.state("corner_nested.this")?;
            for name in ["set", "set_block"] {
                ensure!(sorted(&state[name]).len() == 3, "{name}: {state}");
            }
            // What is not known in a plan is an element of its own, with its own default.
            let open = "resource \"terraform_data\" \"open\" {\n input = \"open\"\n}\n";
            let unknown = "value = terraform_data.open.output";
            corner.apply(&(configured(&[all[0], unknown]) + open))?;
            let expected = json!([
                element(json!("one"), "zero"),
                element(json!("open"), "zero")
            ]);
            let state = corner.state("corner_nested.this")?;
            for name in ["set", "set_block"] {
                ensure!(sorted(&state[name]) == sorted(&expected), "{name}: {state}");
            }
            Ok(Verdict::Works)
        },
    )
}

#[test]
fn the_provider_fills_in_its_part_of_nested_objects_and_keeps_it() -> Result<()> {
    feature(
        "Computed values inside nested objects and blocks",
        |corner| {
            let configured = |inner: &str| {
                format!("resource \"corner_nested\" \"this\" {{\n name = \"this\"\n {inner}\n}}\n")
            };
            let first = "disks = { a = { size = 1 }, b = { size = 2 } }\n slot {\n size = 3\n }";
            corner.apply(&configured(first))?;
            let state = corner.state("corner_nested.this")?;
            ensure!(state["disks"]["a"]["device"] == "/dev/a-1", "{state}");
            ensure!(state["slot"][0]["device"] == "/dev/0-3", "{state}");
            ensure!(
                state["summary"] == json!({"title": "summary", "disks": 3}),
                "{state}"
            );
            ensure!(state["found"] == json!([state["summary"]]), "{state}");

            // A disk that grows keeps its device, and a new one gets its own.
            let second = "disks = { a = { size = 9 }, c = { size = 4 } }\n slot {\n size = 3\n }\n slot {\n size = 5\n }\n summary = { title = \"mine\" }";
            let plan = corner.plan(&configured(second))?;
            ensure!(!plan.contains("\"/dev/a-1\" -> "), "{plan}");
            corner.apply(&configured(second))?;
            let state = corner.state("corner_nested.this")?;
            ensure!(state["disks"]["a"]["device"] == "/dev/a-1", "{state}");
            ensure!(state["disks"]["c"]["device"] == "/dev/c-4", "{state}");
            ensure!(state["disks"]["b"].is_null(), "{state}");
            ensure!(state["slot"][0]["device"] == "/dev/0-3", "{state}");
            ensure!(state["slot"][1]["device"] == "/dev/1-5", "{state}");
            ensure!(
                state["summary"] == json!({"title": "mine", "disks": 4}),
                "{state}"
            );
            corner.apply(&configured(""))?;
            Ok(Verdict::Works)
        },
    )
}

fn sorted(set: &Value) -> Vec<String> {
    let elements = set.as_array().into_iter().flatten();
    let mut elements: Vec<_> = elements.map(Value::to_string).collect();
    elements.sort();
    elements
}
