//! Drills of a DR plan on real PostgreSQL: asked for by Terraform and by hand, and cut off in the midst.

use std::time::Duration;

use anyhow::Result;
use hanse_acceptance::failover::hanse::{self, Hanse};
use hanse_acceptance::failover::{Cluster, Replication, Variant};
use hanse_acceptance::laboratory::Invocation;
use hanse_acceptance::{Laboratory, wait_until};
use serde_json::Value;

const TIMEOUT: Duration = Duration::from_secs(180);
const TERMS: (Variant, Replication) = (Variant::Default, Replication::Default);
const ACTION: &str = r#"
action "hanse_drill" "orders" {
  config {
    federation = hanse_federation.this.name
    plan       = "orders"
  }
}
"#;

#[test]
fn a_drill_proves_a_plan_and_leaves_nothing_even_if_its_agent_is_killed() -> Result<()> {
    let laboratory = Laboratory::start_with_users(hanse::HOSTS)?;
    let mut plan = Hanse::raise(&laboratory, TERMS.0, TERMS.1)?;
    let checks = r#"drill = {
      checks = [
        { name = "it writes", sql = "select count(*) = 1 from hanse_drill.written" },
      ]
    }"#;
    plan.declare(TERMS, checks, ACTION)?;
    let primary = plan.primary()?;

    // By Terraform: every step is told, and it ends once the drill did.
    let invoke = [
        "apply",
        "-auto-approve",
        "-no-color",
        "-invoke=action.hanse_drill.orders",
    ];
    let told = plan.terraform.run(invoke)?.success()?;
    for part in [
        "drill 1 in `site3`",
        "it copies the standby's data",
        "passed",
        "RTO",
    ] {
        assert!(told.text().contains(part), "{part}: {}", told.text());
    }
    let records = plan.hanse_json(["dr", "records", "orders"])?;
    let record = &records["drills"][0];
    assert_eq!(record["verified"], Value::Bool(true), "{record}");
    assert_eq!(record["report"]["outcome"], "passed", "{record}");
    let names: Vec<_> = record["report"]["checks"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    assert!(
        names
            .iter()
            .any(|check| check["name"] == "it writes" && check["outcome"] == "passed")
    );
    let status = plan.status()?;
    assert_eq!(status["last_drill"]["outcome"], "passed", "{status}");
    assert!(status["last_drill_age_s"].is_u64(), "{status}");
    assert_eq!(plan.primary()?, primary);
    is_clean(&laboratory, 3)?;

    // By hand, on another standby: a check that is not so fails it, with its reason.
    let wrong = r#"drill = {
      checks = [{ name = "never", sql = "select false" }]
    }"#;
    plan.declare(TERMS, wrong, ACTION)?;
    let told = plan.hanse(["drill", "orders", "--on", "site2"])?;
    assert!(!told.succeeded(), "{told:?}");
    assert!(told.stderr.contains("`never`"), "{told:?}");
    is_clean(&laboratory, 2)?;

    // The agent is killed in the midst: all of it goes, and the next agent says that it ended.
    let endless = r#"drill = { command = ["sleep", "100000"] }"#;
    plan.declare(TERMS, endless, ACTION)?;
    plan.hanse(["drill", "orders", "--no-wait"])?.success()?;
    wait_until("the drill sleeps", TIMEOUT, || {
        let progress = plan.status()?["drill"]["progress"].to_string();
        Ok(progress.contains("sleep").then_some(()))
    })?;
    assert!(
        left(&laboratory, 3)?.contains("sleep"),
        "{}",
        left(&laboratory, 3)?
    );
    plan.kill_agent(3)?;
    is_clean(&laboratory, 3)?;
    plan.start_agent(3)?;
    let ended = wait_until("the drill has ended", TIMEOUT, || {
        let status = plan.status()?;
        Ok(status["drill"]
            .is_null()
            .then(|| status["last_drill"].clone()))
    })?;
    assert_eq!(ended["outcome"], "failed", "{ended}");
    assert!(
        ended["trouble"].to_string().contains("in the midst"),
        "{ended}"
    );
    wait_until("every copy follows", TIMEOUT, || {
        Ok(plan.is_whole()?.then_some(()))
    })?;
    assert_eq!(plan.primary()?, primary);
    Ok(())
}

/// What is on a host of drills: files, and processes.
fn left(laboratory: &Laboratory, host: u8) -> Result<String> {
    let script = r#"
        ls -d /run/data/disk/pg.hanse/drill/* 2>/dev/null || true
        for one in /proc/[0-9]*; do
            line=$(tr '\0' ' ' 2>/dev/null < "$one/cmdline" || true)
            case $line in
                *drill*script*) ;;
                *pg.hanse/drill* | *"sleep 100000"*) echo "$line" ;;
            esac
        done
        true"#;
    let told = laboratory
        .host(host)
        .exec(Invocation::script(script))?
        .success()?;
    Ok(told.text().to_owned())
}

fn is_clean(laboratory: &Laboratory, host: u8) -> Result<()> {
    wait_until("nothing is left of the drill", TIMEOUT, || {
        let left = left(laboratory, host)?;
        Ok(left.trim().is_empty().then_some(()))
    })
}
