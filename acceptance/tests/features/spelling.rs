//! Values that mean the same, and values that have to have a form.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::bench::{Verdict, feature};

fn same(inner: &str) -> String {
    format!("resource \"corner_same\" \"this\" {{\n name = \"this\"\n {inner}\n}}\n")
}

const SHORT: &str = "
  ipv6   = \"ff06::c3\"
  json   = \"{ \\\"a\\\" : [ 1, 2 ] }\"
  list   = [{ ipv6 = \"ff06::c3\" }, { ipv6 = \"::1\" }]
  set    = [\"ff06::c3\", \"::1\"]
  places = [{ ipv6 = \"ff06::c3\" }, { ipv6 = \"::1\" }]
  place {
    ipv6 = \"ff06::c3\"
  }
  place {
    ipv6 = \"::1\"
  }
";

#[test]
fn another_spelling_in_the_store_is_no_change() -> Result<()> {
    feature(
        "Another spelling of the same value is no change",
        |corner| {
            corner.apply(&same(SHORT))?;
            let kept = corner.object("same", "this")?;
            let long = "ff06:0000:0000:0000:0000:0000:0000:00c3";
            ensure!(kept["ipv6"] == long, "{kept}");
            ensure!(kept["json"] == "{\"a\":[1,2]}", "{kept}");
            ensure!(kept["place"][1]["ipv6"] == long, "{kept}");
            let state = corner.state("corner_same.this")?;
            ensure!(state["ipv6"] == "ff06::c3", "{state}");
            ensure!(state["list"][1]["ipv6"] == "::1", "{state}");
            ensure!(state["set"] == json!(["::1", "ff06::c3"]), "{state}");

            // The order of a set says nothing.
            let reordered = SHORT.replace("[\"ff06::c3\", \"::1\"]", "[\"::1\", \"ff06::c3\"]");
            corner.configure(&same(&reordered))?;
            corner.settled()?;
            // What is written otherwise in the configuration is taken over as it is written.
            corner.apply(&same(&SHORT.replace("::1", "0::1")))?;
            corner.apply(&same(&SHORT.replace("::1", "::2")))?;
            let state = corner.state("corner_same.this")?;
            ensure!(state["set"] == json!(["::2", "ff06::c3"]), "{state}");
            // And drift that means something else is drift.
            corner.meddle("same", "this", "ipv6", json!("ff06::c4"))?;
            let plan = corner.plan(&same(&SHORT.replace("::1", "::2")))?;
            ensure!(plan.contains("\"ff06::c4\" -> \"ff06::c3\""), "{plan}");
            Ok(Verdict::Works)
        },
    )
}

#[test]
fn a_value_of_a_form_is_checked_and_stored_as_it_was_written() -> Result<()> {
    feature("Values of a certain form, as they were written", |corner| {
        let forms = [
            ("json", "{ \\\"a\\\" :   null }", "test value"),
            ("ipv4", "192.0.2.146", "192.0.2.1460"),
            ("ipv6", "2001:0db8::0001", "2001::db8::1"),
            ("ipv4_cidr", "192.0.2.146/24", "192.0.2.146"),
            (
                "ipv6_cidr",
                "2001:0db8:85a3:0000::0370:7334/64",
                "2001:db8::1/999",
            ),
            ("time", "1985-04-12T23:20:50.52Z", "1985-04-12 23:20"),
            ("time", "2000-01-02T03:04:05+01:00", "2000-13-02T03:04:05Z"),
        ];
        for (name, good, bad) in forms {
            corner.configure(&same(&format!("{name} = \"{bad}\"")))?;
            let said = corner.refused(&same(&format!("{name} = \"{bad}\"")))?;
            ensure!(said.contains(&format!("Invalid value of {name}")), "{said}");
            corner.apply(&same(&format!("{name} = \"{good}\"")))?;
            let state = corner.state("corner_same.this")?;
            ensure!(state[name] == good.replace("\\\"", "\""), "{state}");
        }
        corner.apply(&same(""))?;
        let state = corner.state("corner_same.this")?;
        ensure!(state["time"].is_null(), "{state}");
        Ok(Verdict::Works)
    })
}
