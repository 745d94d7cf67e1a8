//! Functions take and give every type, and say which argument is wrong.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::bench::{Corner, Verdict, feature};

/// Each function that gives back what it takes, with a value of its type.
fn echoes() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("string", "\"test-value\"", json!("test-value")),
        ("bool", "true", json!(true)),
        (
            "number",
            "9223372036854775809",
            json!(9223372036854775809_u64),
        ),
        ("float32", "1.23", json!(1.23)),
        ("float64", "1.23", json!(1.23)),
        ("int64", "123", json!(123)),
        ("int32", "123", json!(123)),
        ("list", "tolist([\"b\", \"a\"])", json!(["b", "a"])),
        ("set", "toset([\"b\", \"a\"])", json!(["a", "b"])),
        ("map", "tomap({ k = \"v\" })", json!({"k": "v"})),
        (
            "object",
            "{ what = \"milk\", amount = null }",
            json!({"what": "milk", "amount": null}),
        ),
        ("dynamic", "\"text\"", json!("text")),
        ("dynamic", "tolist([true])", json!([true])),
        (
            "dynamic",
            "{ a = \"x\", b = 1234.5, c = false }",
            json!({"a": "x", "b": 1234.5, "c": false}),
        ),
        (
            "object_with_dynamic",
            "{ left = tolist([1]), right = tomap({ k = \"v\" }) }",
            json!({"left": [1], "right": {"k": "v"}}),
        ),
        (
            "object_with_dynamic",
            "{ left = [1, \"x\"], right = null }",
            json!({"left": [1, "x"], "right": null}),
        ),
    ]
}

#[test]
fn each_type_comes_back_whether_it_was_known_or_not() -> Result<()> {
    feature("Functions of every type", |corner| {
        let call = |function: &str, value: &str| format!("provider::corner::{function}({value})");
        let mut configured = String::new();
        for (index, (function, value, _)) in echoes().iter().enumerate() {
            let known = call(function, value);
            let open = call(function, &format!("terraform_data.in{index}.output"));
            configured += &format!(
                "output \"known{index}\" {{\n value = {known}\n}}\noutput \"same{index}\" {{\n value = {known} == {value} && {open} == {value}\n}}\nresource \"terraform_data\" \"in{index}\" {{\n input = {value}\n}}\noutput \"open{index}\" {{\n value = {open}\n}}\n"
            );
        }
        let plan = corner.plan(&configured)?;
        corner.apply(&configured)?;
        for (index, (function, value, expected)) in echoes().into_iter().enumerate() {
            let unknown = format!("+ open{index} ");
            let line = plan.lines().find(|line| line.contains(&unknown));
            ensure!(
                line.is_some_and(|line| line.contains("(known after apply)")),
                "{function}({value}): {line:?}"
            );
            for output in ["known", "open"] {
                let found = corner.terraform.output(&format!("{output}{index}"))?;
                ensure!(found == expected, "{function}({value}): {found}");
            }
        }
        let said = corner.refused(
            "output \"x\" {\n value = provider::corner::object({ what = \"milk\" })\n}\n",
        )?;
        ensure!(said.contains("attribute \"amount\" is required"), "{said}");
        let said =
            corner.refused("output \"x\" {\n value = provider::corner::int32(2147483648)\n}\n")?;
        ensure!(
            said.contains("A whole number from -2147483648 to 2147483647 is needed."),
            "{said}"
        );
        for number in ["3.4e39", "-3.4e39", "1.4e-46", "-1.4e-46"] {
            let call =
                format!("output \"x\" {{\n value = provider::corner::float32({number})\n}}\n");
            let said = corner.refused(&call)?;
            ensure!(said.contains("A number of a size from about"), "{said}");
        }
        Ok(Verdict::Works)
    })
}

#[test]
fn a_function_takes_any_number_of_arguments() -> Result<()> {
    feature("Variadic functions", |corner| {
        let calls = [
            ("variadic()", "[]"),
            ("variadic(\"one\")", "[string]"),
            ("variadic(\"one\", \"two\")", "[string string]"),
        ];
        let configured: String = calls
            .iter()
            .enumerate()
            .map(|(index, (call, _))| {
                format!("output \"v{index}\" {{\n value = provider::corner::{call}\n}}\n")
            })
            .collect();
        let dynamic = "
            output \"none\" { 
              value = provider::corner::dynamic_variadic()
            }
            output \"one\" {
              value = provider::corner::dynamic_variadic(\"one\")
            }
            output \"same\" {
              value = provider::corner::dynamic_variadic({ a = 1, b = true }, { a = 2, b = false })
            }
            output \"mixed\" {
              value = provider::corner::dynamic_variadic(true, \"x\", 1234.5)
            }
            resource \"terraform_data\" \"in\" {
              input = [\"a\", 1]
            }
            output \"open\" {
              value = provider::corner::dynamic_variadic(terraform_data.in.output...)
            }
            output \"texts\" {
              value = provider::corner::variadic(terraform_data.in.output[0], \"b\")
            }";
        corner.apply(&(configured + dynamic))?;
        for (output, expected) in [
            ("v0", json!([])),
            ("v1", json!(["one"])),
            ("v2", json!(["one", "two"])),
            ("none", json!([])),
            ("one", json!(["one"])),
            ("same", json!([{"a": 1, "b": true}, {"a": 2, "b": false}])),
            ("mixed", json!([true, "x", 1234.5])),
            ("open", json!(["a", 1])),
            ("texts", json!(["a", "b"])),
        ] {
            let found = corner.terraform.output(output)?;
            ensure!(found == expected, "{output}: {found}");
        }
        Ok(Verdict::Works)
    })
}

#[test]
fn null_and_unknown_arguments_come_where_they_are_wanted_and_nowhere_else() -> Result<()> {
    feature("Functions of null and unknown arguments", |corner| {
        for (function, _, _) in echoes() {
            refuses_null(corner, &format!("{function}(null)"))?;
        }
        for call in [
            "dynamic(tostring(null))",
            "variadic(\"a\", null)",
            "dynamic_variadic(null)",
            "dynamic_variadic(\"a\", tobool(null))",
        ] {
            refuses_null(corner, call)?;
        }
        let configured = "
            resource \"terraform_data\" \"open\" {
              input = \"open\"
            }
            output \"null\" {
              value = provider::corner::describe(null, null)
            }
            output \"open\" {
              value = provider::corner::describe(\"text\", terraform_data.open.id == \"\" ? \"\" : \"known\")
            }
            output \"first\" {
              value = provider::corner::describe(terraform_data.open.output, \"text\")
            }";
        let plan = corner.plan(configured)?;
        ensure!(plan.contains("+ null  = \"null null\""), "{plan}");
        ensure!(
            plan.contains("+ open  = \"known unknown\"")
                || plan.contains("+ open  = (known after apply)"),
            "{plan}"
        );
        ensure!(plan.contains("+ first = (known after apply)"), "{plan}");
        Ok(Verdict::Works)
    })
}

#[test]
fn an_error_names_the_argument_that_is_wrong() -> Result<()> {
    feature("Errors at an argument of a function", |corner| {
        let call = |arguments: &str| {
            format!("output \"x\" {{\n value = provider::corner::refuse({arguments})\n}}\n")
        };
        let said = corner.refused(&call("2, \"a\", \"b\""))?;
        ensure!(said.contains("Argument 2 was to be refused."), "{said}");
        ensure!(
            said.contains("Invalid value for \"texts\" parameter"),
            "{said}"
        );
        let said = corner.refused(&call("0"))?;
        ensure!(
            said.contains("Invalid value for \"number\" parameter"),
            "{said}"
        );
        Ok(Verdict::Works)
    })
}

#[test]
fn an_error_of_the_whole_call_names_no_argument() -> Result<()> {
    feature("Errors of a function as a whole", |corner| {
        let call = "output \"x\" {\n value = provider::corner::refuse(-1)\n}\n";
        let said = corner.refused(call)?;
        ensure!(said.contains("The call was to be refused."), "{said}");
        let blames_an_argument = "Invalid value for \"number\" parameter";
        if said.contains(blames_an_argument) {
            return Ok(Verdict::Missing(blames_an_argument));
        }
        Ok(Verdict::Works)
    })
}

#[test]
fn a_deprecated_function_says_what_to_use_instead() -> Result<()> {
    feature("A deprecated function says what to use instead", |corner| {
        corner.configure("output \"x\" {\n value = provider::corner::old(\"a\")\n}\n")?;
        let said = corner.said(["plan", "-no-color"])?;
        if said.contains("Use provider::corner::string instead.") {
            return Ok(Verdict::Works);
        }
        Ok(Verdict::Silent)
    })
}

fn refuses_null(corner: &Corner<'_>, call: &str) -> Result<()> {
    let said = corner.refused(&format!(
        "output \"x\" {{\n value = provider::corner::{call}\n}}\n"
    ))?;
    ensure!(said.contains("Invalid function argument"), "{call}: {said}");
    Ok(())
}
