//! `test`: the example's own tests, and what they may say.

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use hanse_acceptance::Tool;

use crate::bench::{Corner, Verdict, feature};

const CRASH: &str = "OPENTOFU CRASH";

#[test]
fn the_tests_of_the_example_pass() -> Result<()> {
    feature(
        "Tests of a configuration, also with a mocked provider",
        |corner| {
            let from = example();
            corner.terraform.write("setup.tf", "")?;
            corner.configure(&fs::read_to_string(from.join("main.tf"))?)?;
            fs::create_dir(corner.terraform.folder().join("tests"))?;
            let mut count = 0;
            for entry in fs::read_dir(from.join("tests"))? {
                let path = entry?.path();
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let text = fs::read_to_string(&path)?;
                count += text.lines().filter(|line| line.starts_with("run ")).count();
                corner.terraform.write(&format!("tests/{name}"), &text)?;
            }
            corner.said(["fmt", "-check", "-recursive"])?;
            let said = corner.said(["test", "-no-color"])?;
            let all = format!("Success! {count} passed, 0 failed.");
            ensure!(count > 5 && said.contains(&all), "{all} {said}");
            Ok(Verdict::Works)
        },
    )
}

#[test]
fn an_assertion_may_call_a_function_of_the_provider() -> Result<()> {
    feature(
        "A provider's function in an assertion of a test",
        |corner| {
            corner.configure("variable \"text\" {\n default = \"a\"\n}\n")?;
            let test = "run \"echo\" {\n command = plan\n assert {\n condition = provider::corner::string(var.text) == \"a\"\n error_message = \"Not the same.\"\n }\n}\n";
            corner.terraform.write("echo.tftest.hcl", test)?;
            if corner.tool == Tool::OpenTofu && crashes(corner)? {
                return Ok(Verdict::Missing(CRASH));
            }
            let said = corner.said(["test", "-no-color"])?;
            ensure!(said.contains("1 passed, 0 failed"), "{said}");
            Ok(Verdict::Works)
        },
    )
}

/// Whether `tofu test` ends by its own fault. What it runs the tests in tells that it is done while it
/// falls, so that the tool may have ended as after a success before the fall is told, whole or at all.
fn crashes(corner: &Corner<'_>) -> Result<bool> {
    for _ in 0..5 {
        let output = corner.terraform.run(["test", "-no-color"])?;
        if (output.stdout + &output.stderr).contains(CRASH) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn example() -> PathBuf {
    hanse_acceptance::checkout::root().join("provider/framework/examples/corner")
}
