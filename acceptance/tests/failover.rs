//! A DR plan on real PostgreSQL: three sites with a copy each and a witness, under a writing load.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use hanse_acceptance::failover::hanse::{self, Hanse};
use hanse_acceptance::failover::{Cluster, Fault, Replication, Row, System, Trial, Variant};
use hanse_acceptance::{Laboratory, Plan, wait_until};

/// One plan at a time: several at once would take so much of a small machine that their leases end.
static ALONE: Mutex<()> = Mutex::new(());

const MOVE_TIMEOUT: Duration = Duration::from_secs(120);

/// Lets one fault happen to a plan whose commits wait for a standby.
fn suffer(fault: Fault) -> Result<Row> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let trial = Trial::of(System::Hanse, Replication::Sync, fault);
    trial.judged(
        |step| eprintln!("{step}"),
        |row| {
            ensure!(row.writers_max <= 1, "two wrote at once");
            ensure!(row.lost == Some(0), "acknowledged and lost");
            ensure!(row.rto_ms.is_some(), "nobody writes any more");
            ensure!(row.whole_after_ms.is_some(), "not every copy follows");
            Ok(())
        },
    )
}

#[test]
fn when_the_primarys_host_dies_a_standby_with_every_acknowledged_commit_takes_over() -> Result<()> {
    let row = suffer(Fault::PowerOff)?;
    assert_ne!(row.primary_after, Some(row.primary_before));
    Ok(())
}

#[test]
fn when_everything_on_the_primarys_host_stands_still_it_never_writes_again_by_itself() -> Result<()>
{
    let row = suffer(Fault::FreezeHost)?;
    assert_ne!(row.primary_after, Some(row.primary_before));
    Ok(())
}

#[test]
fn a_server_that_is_killed_is_started_again_where_it_was() -> Result<()> {
    let row = suffer(Fault::KillServer)?;
    assert_eq!(row.primary_after, Some(row.primary_before));
    Ok(())
}

#[test]
fn after_a_failover_terraform_has_nothing_to_do_and_the_primary_can_be_led_home() -> Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let laboratory = Laboratory::start_with_users(hanse::HOSTS)?;
    let mut plan = Hanse::raise(&laboratory, Variant::Default, Replication::Default)?;
    let home = plan.primary()?;
    plan.move_decider(hanse::HOSTS)?;
    laboratory.host(home).power_off()?;
    let elsewhere = wait_until("another site is primary", MOVE_TIMEOUT, || {
        let primary = plan.primary().ok();
        Ok(primary.filter(|primary| *primary != home))
    })?;

    let planned = plan.terraform.plan()?;
    assert!(!planned.has_changes, "{planned:?}");
    assert_eq!(warnings(&planned), 1, "{planned:?}");
    let promoted = format!("site{elsewhere}");
    assert!(planned.output.text().contains(&promoted), "{planned:?}");

    laboratory.host(home).power_on()?;
    plan.boot(home)?;
    // A copy that followed a moment ago may have to connect again.
    wait_until("the way home", MOVE_TIMEOUT, || match plan.is_whole()? {
        true => plan.failback().map(Some),
        false => Ok(None),
    })?;
    assert_eq!(plan.primary()?, home);
    wait_until("every copy follows", MOVE_TIMEOUT, || {
        Ok(plan.is_whole()?.then_some(()))
    })?;
    let planned = plan.terraform.plan()?;
    assert!(
        !planned.has_changes && warnings(&planned) == 0,
        "{planned:?}"
    );
    Ok(())
}

fn warnings(planned: &Plan) -> usize {
    planned.output.text().matches("Warning:").count()
}
