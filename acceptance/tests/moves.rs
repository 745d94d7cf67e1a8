//! The moves of a DR plan on real PostgreSQL, by Terraform and by hand: both say the same words, and a plan
//! that fails over by nobody's word alone waits for somebody's.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use hanse_acceptance::failover::hanse::{self, Hanse};
use hanse_acceptance::failover::{Cluster, Onlookers, Replication, Terms, Variant};
use hanse_acceptance::wait::wait_until_true;
use hanse_acceptance::{Laboratory, Output, Process, Terraform, wait_until};
use serde_json::Value;

/// One plan at a time: several at once would take so much of a small machine that their leases end.
static ALONE: Mutex<()> = Mutex::new(());

const TIMEOUT: Duration = Duration::from_secs(180);
/// Nothing fails over by itself.
const MANUAL: Terms = Terms {
    variant: Variant::Default,
    replication: Replication::Default,
    is_automatic: false,
};
/// Beside the plan.
const ACTIONS: &str = r#"
action "hanse_switchover" "to_site2" {
  config {
    federation = hanse_federation.this.name
    plan       = "orders"
    to         = "site2"
  }
}
action "hanse_switchover" "to_nowhere" {
  config {
    federation = hanse_federation.this.name
    plan       = "orders"
    to         = "site9"
  }
}
action "hanse_failback" "orders" {
  config {
    federation = hanse_federation.this.name
    plan       = "orders"
  }
}
action "hanse_failover" "orders" {
  config {
    federation = hanse_federation.this.name
    plan       = "orders"
    timeout    = "5s"
  }
}
action "hanse_failover" "to_site2" {
  config {
    federation = hanse_federation.this.name
    plan       = "orders"
    to         = "site2"
  }
}
"#;
/// Of somebody who only looks.
const LOOK: &str = r#"
terraform {
  required_providers {
    hanse = { source = "hanse/hanse" }
  }
}
provider "hanse" {}
data "hanse_dr_status" "orders" {
  federation = "test"
  plan       = "orders"
}
output "status" {
  value = data.hanse_dr_status.orders
}
"#;
/// What a failover waits for, once the primary's host is gone.
const UNFENCED: &str = "`h1` may write until somebody runs `hanse dr confirm-fenced`";

#[test]
fn planned_moves_by_terraform_and_by_hand_lose_nothing_and_are_refused_in_the_same_words()
-> Result<()> {
    let _alone = alone();
    let laboratory = Laboratory::start_with_users(hanse::HOSTS)?;
    let plan = manual(&laboratory)?;
    let looking = plan.operator().terraform_with(LOOK)?;
    looking.init()?;
    let onlookers = Onlookers::begin(&laboratory, &plan)?;

    let cases: [(&[&str], &str, &str); 3] = [
        (
            &["failover", "orders"],
            "hanse_failover.orders",
            "the primary in `site1` is well; move it with `hanse switchover`, which loses nothing",
        ),
        (
            &["switchover", "orders", "--to", "site9"],
            "hanse_switchover.to_nowhere",
            "the plan has no standby in `site9`: it has `site2`, `site3`",
        ),
        (
            &["failback", "orders"],
            "hanse_failback.orders",
            "`site1` is primary already",
        ),
    ];
    for (by_hand, action, words) in cases {
        is_refused(&plan, by_hand, action, words)?;
    }

    let told = said(&invoke(&plan, "hanse_switchover.to_site2")?.success()?);
    for part in [
        "orders: switchover from `site1` to `site2`: ",
        "orders: switchover from `site1` to `site2` ended after",
        "`site2` is primary, nothing was lost",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let seen = look(&looking)?;
    assert_eq!(seen["primary"], "site2", "{seen}");
    assert_eq!(seen["primary_node"], "h2", "{seen}");
    assert_eq!(seen["past"]["kind"], "switchover", "{seen}");
    assert_eq!(seen["past"]["outcome"], "moved", "{seen}");
    assert_eq!(seen["automatic_failover"], false, "{seen}");
    onlookers.wait_until_served(TIMEOUT)?;

    // Whoever was primary a moment ago may have to connect first.
    let told = wait_until("the way home", TIMEOUT, || {
        plan.hanse(["failback", "orders"])?.success().map(Some)
    })?;
    let told = said(&told);
    let part = "`site1` is primary, nothing was lost";
    assert!(told.contains(part), "{told}");
    assert_eq!(look(&looking)?["primary"], "site1");
    plan.wait_until_whole()?;
    onlookers.wait_until_served(TIMEOUT)?;
    let planned = plan.terraform.plan()?;
    assert!(!planned.has_changes, "{planned:?}");
    assert_eq!(warnings(&planned.output), 0, "{planned:?}");

    let seen = onlookers.end(&plan)?;
    let primary = plan.server(plan.primary()?);
    assert_eq!(seen.writers().at_once_max, 1);
    assert_eq!(seen.lost(&laboratory, &primary)?, 0);
    assert_eq!(seen.lost_probes(&laboratory, &primary)?, 0);
    Ok(())
}

#[test]
fn a_manual_failover_waits_for_a_word_and_promotes_nobody_of_whom_it_is_not_known_what_they_lack()
-> Result<()> {
    let _alone = alone();
    let laboratory = Laboratory::start_with_users(hanse::HOSTS)?;
    let mut plan = manual(&laboratory)?;
    // The only voter that reaches all others while site3 is parted from two of them.
    assert!(plan.move_decider(hanse::HOSTS)?);
    let onlookers = Onlookers::begin(&laboratory, &plan)?;
    have_site3_miss_two_promotions(&laboratory, &plan)?;

    laboratory.host(1).power_off()?;
    // Whom site3 would have to follow is gone: it stays where it was.
    laboratory.heal_all()?;
    until_it_waits_for(
        &plan,
        "nothing is done by itself: automatic_failover is off: run `hanse failover`",
    )?;
    is_refused(
        &plan,
        &["switchover", "orders", "--to", "site2"],
        "hanse_switchover.to_site2",
        "a switchover needs a primary that is well. Run: hanse failover",
    )?;

    let asked = [
        wait_for_a_word(&plan)?,
        refuse_site3(&plan)?,
        promote_site2(&laboratory, &plan)?,
    ];
    assert_eq!(plan.primary()?, 2);
    // Whoever asked learns how it ended, also those who asked for something else before.
    for mut one in asked {
        assert!(one.wait(TIMEOUT)?.success(), "{}", one.log()?);
        let end = "orders: failover from `site1` to `site2` ended after";
        assert!(one.log()?.contains(end), "{}", one.log()?);
    }
    onlookers.wait_until_served(TIMEOUT)?;

    laboratory.host(1).power_on()?;
    plan.boot(1)?;
    plan.wait_until_whole()?;
    let planned = plan.terraform.plan()?;
    assert!(!planned.has_changes, "{planned:?}");
    assert_eq!(warnings(&planned.output), 1, "{planned:?}");
    let warning = "The primary of the DR plan `orders` is in `site2`";
    assert!(said(&planned.output).contains(warning), "{planned:?}");
    onlookers.wait_until_served(TIMEOUT)?;
    let seen = onlookers.end(&plan)?;
    assert_eq!(seen.writers().at_once_max, 1);
    Ok(())
}

#[test]
fn a_paused_plan_fails_over_once_it_is_resumed() -> Result<()> {
    let _alone = alone();
    let laboratory = Laboratory::start_with_users(hanse::HOSTS)?;
    let mut plan = Hanse::raise(&laboratory, Variant::Default, Replication::Default)?;
    let looking = plan.operator().terraform_with(LOOK)?;
    looking.init()?;
    let onlookers = Onlookers::begin(&laboratory, &plan)?;
    let home = plan.primary()?;
    let told = plan.hanse(["pause", "orders"])?.success()?;
    let part = "nothing happens by itself any more, until `hanse resume`";
    assert!(told.stderr.contains(part), "{told:?}");

    laboratory.host(home).power_off()?;
    let waits = "nothing is done by itself: the plan is paused";
    until_it_waits_for(&plan, waits)?;
    let seen = look(&looking)?;
    assert_eq!(seen["paused"], true, "{seen}");
    assert_eq!(seen["run"], Value::Null, "{seen}");
    assert!(seen["waits_for"].to_string().contains(waits), "{seen}");
    assert_eq!(plan.primary()?, home);

    plan.hanse(["resume", "orders"])?.success()?;
    wait_until_true("another site is primary", TIMEOUT, || {
        Ok(plan.primary()? != home)
    })?;
    onlookers.wait_until_served(TIMEOUT)?;
    laboratory.host(home).power_on()?;
    plan.boot(home)?;
    plan.wait_until_whole()?;
    let seen = onlookers.end(&plan)?;
    assert_eq!(seen.writers().at_once_max, 1);
    Ok(())
}

/// A plan that fails over by somebody's word alone, with every action beside it.
fn manual(laboratory: &Laboratory) -> Result<Hanse<'_>> {
    let plan = Hanse::written(laboratory, MANUAL)?;
    plan.declare(MANUAL, "", ACTIONS)?;
    plan.wait_until_whole()?;
    Ok(plan)
}

/// Moves the primary away and home while site3 reaches neither.
fn have_site3_miss_two_promotions(laboratory: &Laboratory, plan: &Hanse<'_>) -> Result<()> {
    for other in [1, 2] {
        laboratory.cut_between(laboratory.host(3), laboratory.host(other))?;
    }
    plan.hanse(["switchover", "orders", "--to", "site2"])?
        .success()?;
    wait_until("the way home", TIMEOUT, || plan.failback().map(Some))?;
    wait_until_true("site2 follows", TIMEOUT, || {
        let status = plan.status()?;
        let mut copies = status["copies"].as_array().into_iter().flatten();
        let copy = copies.find(|copy| copy["member_cluster"] == "site2");
        Ok(copy.is_some_and(|copy| copy["role"] == "following" && copy["trouble"] == ""))
    })
}

/// A failover that nobody confirmed waits, and says the same by hand and by Terraform; whoever asked by
/// hand still waits.
fn wait_for_a_word(plan: &Hanse<'_>) -> Result<Process> {
    let by_hand = plan.operator().spawn("failover", ["failover", "orders"])?;
    let words = format!("orders waits: {UNFENCED}");
    wait_until_true("it says whose word it waits for", TIMEOUT, || {
        Ok(by_hand.log()?.contains(&words))
    })?;
    let by_terraform = invoke(plan, "hanse_failover.orders")?;
    let told = said(&by_terraform);
    assert!(!by_terraform.succeeded(), "{told}");
    for part in [
        words,
        "The failover of the DR plan `orders` has not ended after 5s".to_owned(),
        format!("It waits: {UNFENCED}."),
    ] {
        assert!(told.contains(&part), "{part}: {told}");
    }
    let other = plan.hanse(["dr", "confirm-fenced", "orders", "--holder", "h2"])?;
    let part = "nobody waits for `h2` to be fenced";
    assert!(!other.succeeded(), "{other:?}");
    assert!(other.stderr.contains(part), "{other:?}");
    Ok(by_hand)
}

/// Somebody asks for site3, of which nobody knows what it lacks, and says that the old primary is off.
fn refuse_site3(plan: &Hanse<'_>) -> Result<Process> {
    let arguments = ["failover", "orders", "--to", "site3"];
    let asked = plan.operator().spawn("failover-site3", arguments)?;
    wait_until_true("site3 is asked for", TIMEOUT, || {
        Ok(plan.status()?["run"]["to"] == "site3")
    })?;
    let word = ["dr", "confirm-fenced", "orders", "--holder", "h1"];
    let told = plan.hanse(word)?.success()?;
    let part = "`h1` counts as fenced, by your word";
    assert!(told.stderr.contains(part), "{told:?}");
    until_it_waits_for(plan, "what `site3` lacks is not known")?;
    assert_eq!(plan.primary()?, 1);
    Ok(asked)
}

/// Somebody asks for site2 by Terraform. If nobody knows what it lacks, that waits until somebody accepts by
/// hand what may be lost.
fn promote_site2(laboratory: &Laboratory, plan: &Hanse<'_>) -> Result<Process> {
    let invoke = "-invoke=action.hanse_failover.to_site2";
    let arguments = ["apply", "-auto-approve", "-no-color", invoke];
    let asked = laboratory.spawn("failover-site2", plan.terraform.invocation(arguments)?)?;
    let is_held = wait_until("it moves, or says what is not known", TIMEOUT, || {
        let status = plan.status()?;
        let waits_for = status["waits_for"].as_str().unwrap_or_default();
        let is_unknown = waits_for.contains("not known") && !waits_for.contains("`site3`");
        let has_moved = status["primary"] == "site2" && status["run"].is_null();
        Ok((has_moved || is_unknown).then_some(!has_moved))
    })?;
    if is_held {
        let accept = ["failover", "orders", "--to", "site2", "--allow-data-loss"];
        plan.hanse(accept)?.success()?;
    }
    Ok(asked)
}

/// What is asked for by hand and by Terraform is refused in the same words.
fn is_refused(plan: &Hanse<'_>, by_hand: &[&str], action: &str, words: &str) -> Result<()> {
    let by_hand = plan.hanse(by_hand.iter().copied())?;
    let by_terraform = invoke(plan, action)?;
    for refused in [by_hand, by_terraform] {
        assert!(!refused.succeeded(), "{refused:?}");
        assert!(said(&refused).contains(words), "{words}: {refused:?}");
    }
    Ok(())
}

/// Has Terraform do an action.
fn invoke(plan: &Hanse<'_>, action: &str) -> Result<Output> {
    let invoke = format!("-invoke=action.{action}");
    let arguments = ["apply", "-auto-approve", "-no-color", &invoke];
    plan.terraform.run(arguments)
}

/// What Terraform reads of the plan now.
fn look(looking: &Terraform<'_>) -> Result<Value> {
    looking.apply()?;
    looking.output("status")
}

fn until_it_waits_for(plan: &Hanse<'_>, words: &str) -> Result<()> {
    wait_until_true(&format!("it waits: {words}"), TIMEOUT, || {
        let status = plan.status()?;
        let waits_for = status["waits_for"].as_str();
        Ok(waits_for.is_some_and(|waits_for| waits_for.contains(words)))
    })
}

fn warnings(output: &Output) -> usize {
    output.text().matches("Warning:").count()
}

/// All of it, without line breaks, frames and repeated blanks.
fn said(output: &Output) -> String {
    let all = format!("{}\n{}", output.stdout, output.stderr);
    let words = all.split_whitespace();
    let words = words.filter(|word| !matches!(*word, "│" | "╷" | "╵"));
    words.collect::<Vec<_>>().join(" ")
}

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
