//! Ctrl-C in the middle of an apply that makes the copies of a DR plan: they go on being made, and the next
//! apply waits for them.

use std::time::Duration;

use anyhow::Result;
use hanse_acceptance::failover::hanse::{self, Hanse};
use hanse_acceptance::failover::server::{as_user, bin, postgres_ids};
use hanse_acceptance::failover::{Cluster, Replication, Variant};
use hanse_acceptance::wait::wait_until_true;
use hanse_acceptance::{Laboratory, wait_until};

const TERMS: (Variant, Replication) = (Variant::Default, Replication::Default);
const PATIENCE: Duration = Duration::from_secs(180);
/// Of a kilobyte each: what takes a machine's processors some seconds to send through the mesh twice.
const ROWS: u32 = 500_000;

#[test]
fn an_interrupted_apply_stops_no_copy_and_the_next_one_sees_them_through() -> Result<()> {
    let laboratory = Laboratory::start_with_users(hanse::HOSTS)?;
    let mut plan = Hanse::written(&laboratory, TERMS)?;
    fill(&laboratory, &plan)?;

    plan.terraform = plan.terraform.traced();
    let arguments = ["apply", "-no-color", "-auto-approve"];
    let apply = plan.terraform.invocation(arguments)?;
    let mut apply = laboratory.spawn("apply", apply)?;
    // Terraform shows of a resource that it waits, and logs for what.
    wait_until_true("it tells how far a copy is", PATIENCE, || {
        let told = plan.terraform.trace()?;
        Ok(told.contains("it is seeding and not following yet, it copies the primary's data: "))
    })?;
    apply.interrupt()?;
    apply.wait(PATIENCE)?;
    let said = flat(&apply.log()?);
    assert!(!plan.is_whole()?, "the copies were made before: {said}");
    assert!(said.contains("Interrupted"), "{said}");
    assert!(said.contains("the nodes go on making its copies"), "{said}");
    let state = plan.terraform.run(["state", "list"])?.success()?;
    assert!(state.text().contains("hanse_dr_plan.orders"), "{state:?}");

    // While a run is under way, a plan is not changed.
    wait_until("its start is over", PATIENCE, || {
        let status = plan.status()?;
        Ok((status["primary"] == "site1" && status["run"].is_null()).then_some(()))
    })?;
    plan.declare(TERMS, "max_lag_on_failover = \"2MiB\"", "")?;
    assert!(plan.is_whole()?, "{}", plan.told());
    let planned = plan.terraform.plan()?;
    assert!(!planned.has_changes, "{planned:?}");

    // Declared once, changed once, and each copy made once.
    let events = plan.hanse(["events"])?.success()?;
    for sentence in [
        "the DR plan `orders` was declared",
        "the declaration of the DR plan `orders` was changed",
        "DR plan `orders`: its copy in `site2` is whole",
        "DR plan `orders`: its copy in `site3` is whole",
    ] {
        let count = events.text().matches(sentence).count();
        assert_eq!(count, 1, "{sentence}: {}", events.text());
    }
    let rows = "SELECT count(*) FROM filling";
    for host in [1, 2, 3] {
        let there = plan.server(host).ask(&laboratory, rows)?;
        assert_eq!(there, ROWS.to_string(), "on h{host}");
    }
    Ok(())
}

/// Without line breaks, frames and repeated blanks.
fn flat(text: &str) -> String {
    let words = text.split_whitespace();
    let words = words.filter(|word| !matches!(*word, "│" | "╷" | "╵"));
    words.collect::<Vec<_>>().join(" ")
}

/// Gives the server that was there before something to copy, before anybody starts it.
fn fill(laboratory: &Laboratory, plan: &Hanse<'_>) -> Result<()> {
    let fill = format!(
        "CREATE TABLE filling AS SELECT number, repeat('x', 1000) AS text \
         FROM generate_series(1, {ROWS}) AS number;\n"
    );
    let server = as_user(postgres_ids()?)
        .arg(bin().join("postgres"))
        .args(["--single", "-c", "wal_level=minimal"])
        .args(["-c", "max_wal_senders=0", "-D"])
        .arg(plan.server(1).data)
        .arg("postgres")
        .input(fill);
    laboratory.host(1).exec(server)?.success()?;
    Ok(())
}
