//! An agent that dies is suspect, then down, then healthy again, as the rules say, and each change
//! is an event that a program can follow.

use std::time::Duration;

use anyhow::{Context, Result};
use hanse_acceptance::laboratory::Process;
use hanse_acceptance::wait::{wait_until, wait_until_true};
use hanse_acceptance::{Configuration, Federation, Laboratory, Operator};
use serde_json::Value;

/// Long enough for a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(90);

/// With `QUICK`, a node of a mesh is gone once nobody has heard from it for so long.
const GONE_AGE_MS: u64 = 21_000;

/// A silence is noticed within seconds.
const QUICK: &str = "health = {\n    check_interval = \"1s\"\n    failure_threshold = 2\n  }";

#[test]
fn an_agent_that_is_killed_is_suspect_then_down_and_healthy_once_it_is_back() -> Result<()> {
    let laboratory = Laboratory::start(2)?;
    let mut federation = Federation::raise(&laboratory)?;
    let mut configuration = Configuration::mesh("test", []);
    configuration.address_pools.clear();
    configuration.federation_lines.push(QUICK.to_owned());
    federation.terraform(&configuration)?.apply()?;
    let events = federation
        .operator
        .spawn("events", ["events", "--follow", "--json"])?;

    federation.agents[1].kill()?;
    until_told(&events, "h2", "is suspect: silent for")?;
    until_told(&events, "h2", "is down: silent for")?;
    let status = federation.operator.hanse_json(["status"])?;
    assert_eq!(status["nodes_by_health"]["down"], 1, "{status}");
    assert_eq!(status["unwell"][0]["node"], "h2", "{status}");
    let said = federation.operator.hanse(["nodes"])?.success()?.stdout;
    assert!(said.contains("! h2: down: silent for"), "{said}");

    federation.agents[1].start()?;
    until_told(&events, "h2", "is healthy")?;
    let node = node(&federation.operator, "h2")?;
    assert_eq!(node["live"], true, "{node}");

    let kinds: Vec<_> = told(&events, "h2")?
        .iter()
        .filter(|event| event["kind"] == "health-changed")
        .map(|event| event["revision"].as_u64())
        .collect();
    assert!(kinds.is_sorted() && kinds.len() >= 3, "{kinds:?}");
    let again = federation.operator.hanse(["events", "--json"])?.success()?;
    assert!(again.stdout.contains("\"kind\":\"node-enrolled\""));
    Ok(())
}

#[test]
fn a_node_whose_mesh_lives_on_is_suspect_and_down_only_without_power() -> Result<()> {
    let laboratory = Laboratory::start(3)?;
    let mut federation = Federation::raise(&laboratory)?;
    let mut configuration = federation.configuration();
    configuration.federation_lines.push(QUICK.to_owned());
    federation.terraform(&configuration)?.apply()?;

    federation.agents[2].kill()?;
    let suspect = wait_until("h3 is silent for long", PATIENCE, || {
        let node = node(&federation.operator, "h3")?;
        let silent_ms = node["last_seen_age_ms"].as_u64().unwrap_or_default();
        Ok((silent_ms > 2 * GONE_AGE_MS).then_some(node))
    })?;
    assert_eq!(suspect["health"]["state"], "suspect", "{suspect}");
    assert_eq!(suspect["live"], false, "{suspect}");

    laboratory.host(3).power_off()?;
    wait_until_true("h3 is down", PATIENCE, || {
        let node = node(&federation.operator, "h3")?;
        Ok(node["health"]["state"] == "down")
    })
}

#[test]
fn a_site_with_limits_offers_no_more_and_tells_what_breaks_them() -> Result<()> {
    let laboratory = Laboratory::start(1)?;
    let federation = Federation::raise(&laboratory)?;
    let mut configuration = Configuration::mesh("test", []);
    configuration.address_pools.clear();
    configuration.tail = "resource \"hanse_member_cluster\" \"site1\" {\n  \
        federation = hanse_federation.this.name\n  name = \"site1\"\n  platform = \"edge\"\n  \
        capabilities = [\"cache\", \"teleport\"]\n  \
        limits = {\n    max_memory = \"1MiB\"\n    max_cpus = 1\n  }\n}\n"
        .to_owned();
    let applied = federation.terraform(&configuration)?.apply()?;
    assert!(
        applied.stdout.contains("`teleport` is kept"),
        "{}",
        applied.stdout
    );
    let node = wait_until("h1 keeps to its limits", PATIENCE, || {
        let node = node(&federation.operator, "h1")?;
        let problems = node["status"]["problems"].to_string();
        Ok(problems.contains("limits.max_memory").then_some(node))
    })?;
    assert_eq!(node["capacity"]["offer"]["cpus"], 1, "{node}");
    assert_eq!(node["capacity"]["offer"]["memory_bytes"], 0, "{node}");
    assert_eq!(node["limits"]["max_memory"], "1MiB", "{node}");
    assert_eq!(node["capabilities"][0], "cache", "{node}");
    assert!(node["capacity"]["age_ms"].is_u64(), "{node}");
    let status = federation.operator.hanse(["status"])?.success()?.stdout;
    assert!(status.contains("raise the limit"), "{status}");
    assert!(status.contains("memory ≤ 1MiB, CPUs ≤ 1"), "{status}");
    Ok(())
}

fn node(operator: &Operator, name: &str) -> Result<Value> {
    let nodes = operator.hanse_json(["nodes"])?;
    let found = nodes["nodes"].as_array().into_iter().flatten();
    let mut found = found.filter(|node| node["name"] == name);
    found
        .next()
        .cloned()
        .with_context(|| format!("{name} in {nodes}"))
}

/// What was told of a node so far.
fn told(events: &Process, node: &str) -> Result<Vec<Value>> {
    let subject = format!("node/{node}");
    let log = events.log()?;
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    Ok(lines
        .filter(|event: &Value| event["subject"] == subject)
        .collect())
}

fn until_told(events: &Process, node: &str, words: &str) -> Result<()> {
    wait_until_true(&format!("it is told that {node} {words}"), PATIENCE, || {
        let told = told(events, node)?;
        Ok(told
            .iter()
            .any(|event| event["sentence"].to_string().contains(words)))
    })
}
