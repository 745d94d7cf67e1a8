//! A primary whose whole machine stands still for longer than its lease, clocks and all, and goes on: no
//! process on it can know. And a machine on which nothing can end the primary but its watchdog.
//!
//! The first copy is in a guest of an emulator, two more and the witness are hosts; clients write through
//! the service address from the witness, and each server is asked past the mesh.
#![cfg(feature = "long")]

use std::slice::from_ref;
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use hanse_acceptance::failover::{Fault, Replication, Row, System, Trial, report};

/// One guest at a time: an emulated processor takes a real one.
static ALONE: Mutex<()> = Mutex::new(());

/// Lets one fault happen to a plan whose primary is in a guest.
fn suffer(fault: Fault, replication: Replication) -> Result<Row> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let trial = Trial::of(System::HanseInGuest, replication, fault);
    let row = trial.run(|step| eprintln!("{step}"))?;
    eprintln!(
        "{}{}",
        report::table(from_ref(&row)),
        report::told(from_ref(&row))
    );
    assert!(row.writers_max <= 1, "two wrote at once: {row:?}");
    assert!(row.rto_ms.is_some(), "nobody writes any more: {row:?}");
    assert_ne!(row.primary_after, Some(row.primary_before), "{row:?}");
    assert!(
        row.whole_after_ms.is_some(),
        "the old primary does not follow: {row:?}"
    );
    Ok(row)
}

/// When the machine suffered it, after the fault.
fn when(row: &Row, what: &str) -> Option<f64> {
    let found = row.befell.iter().find(|it| it.what == what);
    found.map(|it| it.after_ms)
}

#[test]
fn a_paused_primary_that_goes_on_acknowledges_nothing_and_follows_the_one_in_its_place()
-> Result<()> {
    let row = suffer(Fault::PauseGuest, Replication::Sync)?;
    assert_eq!(row.lost, Some(0), "acknowledged and lost: {row:?}");
    // Whoever asked the old primary itself was told of nothing that is not there.
    assert_eq!(row.lost_probes, Some(0), "acknowledged and lost: {row:?}");
    // It was neither reset nor powered off: what was paused is what went on.
    let befell: Vec<&str> = row.befell.iter().map(|it| it.what.as_str()).collect();
    assert_eq!(befell, ["STOP", "RESUME"]);
    Ok(())
}

#[test]
fn a_paused_primary_is_powered_off_before_another_one_writes_where_a_standby_may_lack_something()
-> Result<()> {
    let row = suffer(Fault::PauseGuest, Replication::Async)?;
    let off = when(&row, "SHUTDOWN (host-qmp-quit)");
    // It had stood still since its last acknowledgement, from which the other counts.
    let is_before = off.is_some_and(|off| row.rto_ms.is_some_and(|rto| off < rto));
    assert!(is_before, "it was not powered off before: {row:?}");
    assert_eq!(when(&row, "RESUME"), None, "it went on: {row:?}");
    Ok(())
}

#[test]
fn a_machine_on_which_nothing_ends_the_primary_is_reset_by_its_watchdog_before_another_one_writes()
-> Result<()> {
    // Until the reset the old primary writes on; that nobody else does is what `suffer` sees.
    let row = suffer(Fault::StarveWatchdog, Replication::Sync)?;
    assert_eq!(row.lost, Some(0), "acknowledged and lost: {row:?}");
    let reset = when(&row, "SHUTDOWN (guest-reset)");
    assert!(reset.is_some(), "it was not reset: {row:?}");
    Ok(())
}
