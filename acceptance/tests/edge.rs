//! A host at the edge that nobody hears for a while: what happened there meanwhile is told in order
//! when it is back.

use std::time::Duration;

use anyhow::{Context as _, Result};
use hanse_acceptance::wait::wait_until_true;
use hanse_acceptance::{Federation, Laboratory};

/// Long enough for an agent to look twice, and for a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn what_happened_while_nobody_heard_a_node_is_told_in_order_when_it_is_back() -> Result<()> {
    let laboratory = Laboratory::start(2)?;
    let mut federation = Federation::raise(&laboratory)?;
    let _mesh = federation.with_mesh()?;
    laboratory.cut_between(laboratory.host(1), laboratory.host(2))?;
    // It starts alone, and its neighbour is silent.
    federation.agents[1].kill()?;
    federation.agents[1].start()?;
    let kept = federation.agents[1].data_dir().join("backlog.json");
    let keeps = |word: &str| {
        let kept = std::fs::read_to_string(&kept).unwrap_or_default();
        Ok(kept.contains(word))
    };
    wait_until_true("the start is kept", PATIENCE, || keeps("started"))?;
    wait_until_true("the silent neighbour is kept", PATIENCE, || {
        keeps("h1 in backbone")
    })?;
    // What is on the disk survives the agent.
    federation.agents[1].kill()?;
    federation.agents[1].start()?;
    laboratory.heal_all()?;

    wait_until_true("it is told", PATIENCE, || {
        let told = federation.operator.hanse(["events", "--json"])?.success()?;
        Ok(told.stdout.contains("h1 in backbone"))
    })?;
    let told = federation.operator.hanse(["events", "--json"])?.success()?;
    let lines = told.stdout.lines().map(serde_json::from_str);
    let events: Vec<serde_json::Value> = lines.collect::<Result<_, _>>()?;
    let recalled = events.iter().filter(|event| event["kind"] == "recalled");
    let recalled: Vec<&serde_json::Value> = recalled.collect();
    let place = |word: &str| {
        let found = recalled
            .iter()
            .position(|event| event["sentence"].to_string().contains(word));
        found.with_context(|| format!("{word} in {recalled:?}"))
    };
    assert!(place("agent started")? < place("h1 in backbone")?);
    let times: Vec<u64> = recalled
        .iter()
        .filter_map(|event| event["at_unix_s"].as_u64())
        .collect();
    assert!(times.is_sorted(), "{recalled:?}");
    assert!(recalled.iter().all(|event| event["subject"] == "node/h2"));
    Ok(())
}
