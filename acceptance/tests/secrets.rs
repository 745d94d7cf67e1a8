//! Keys stay on their nodes and tokens nowhere: not in state, plan, logs or what the API tells.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use hanse_acceptance::laboratory::Invocation;
use hanse_acceptance::{Federation, Laboratory, secrets};

#[test]
fn no_key_and_no_token_is_found_outside_its_place() -> Result<()> {
    let laboratory = Laboratory::start(3)?;
    let mut federation = Federation::raise(&laboratory)?;
    let token = federation.operator.token("site9")?;
    let terraform = federation
        .operator
        .terraform_with(&federation.configuration().to_string())?;
    let terraform = terraform.traced();
    terraform.init()?;
    terraform.run(["plan", "-out", "plan.bin"])?.success()?;
    terraform.apply()?;

    let mut known = vec![("token".to_owned(), token)];
    for agent in &federation.agents {
        let found = secrets::of(agent)?;
        assert!(
            found.len() >= 2,
            "{} has keys of its own: {found:?}",
            agent.node()
        );
        known.extend(found);
    }

    let mut told = vec![
        (
            "plan".to_owned(),
            terraform
                .run(["show", "-json", "plan.bin"])?
                .success()?
                .stdout,
        ),
        (
            "plan file".to_owned(),
            lossy(&terraform.folder().join("plan.bin"))?,
        ),
        (
            "state".to_owned(),
            lossy(&terraform.folder().join("terraform.tfstate"))?,
        ),
        ("trace".to_owned(), terraform.trace()?),
    ];
    for command in ["status", "nodes", "mesh"] {
        let answer = federation
            .operator
            .hanse([command, "--json"])?
            .success()?
            .stdout;
        told.push((format!("hanse {command}"), answer));
    }
    for agent in &mut federation.agents {
        let node = agent.node().to_owned();
        let log = agent.process().context("the agent runs")?.log()?;
        told.push((format!("log of {node}"), log));
        let others = agent
            .host()
            .exec(Invocation::script("cat /proc/[0-9]*/cmdline"))?
            .stdout;
        told.push((format!("command lines on {node}"), others));
    }
    for (place, text) in &told {
        assert!(
            !text.is_empty(),
            "{place} is empty: this test would prove nothing"
        );
        for (name, secret) in &known {
            assert!(!text.contains(secret.as_str()), "{name} stands in {place}");
        }
    }
    Ok(())
}

fn lossy(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
