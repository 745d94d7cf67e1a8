//! Every fault of the bench happens once to a plan on real PostgreSQL, under a writing load: nobody writes
//! beside another, no more is lost than may be, and what begins ends, or says what it waits for.
//!
//! Those that take a machine of its own are in `paused_guest`.
#![cfg(feature = "long")]

use std::slice::from_ref;
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, ensure};
use clap::ValueEnum as _;
use hanse_acceptance::failover::{Fault, Replication, Row, System, Trial, report};

/// One plan at a time: several at once would take so much of a small machine that their leases end.
static ALONE: Mutex<()> = Mutex::new(());

/// What an asynchronous standby may lack when it is promoted, by default.
const LAG_BYTES_MAX: usize = 1 << 20;
/// What a commit of the load is in PostgreSQL's log at least: a row, its place in the index, and the end.
const COMMIT_BYTES_MIN: usize = 128;
/// Of these nothing of the workload notices.
const UNNOTICED: [Fault; 2] = [Fault::KillAgentAlone, Fault::FreezeAgentAlone];

/// A module of tests, one for each fault, so that each can be asked for by its name.
macro_rules! suffered {
    ($module:ident by $replication:ident: $($name:ident: $fault:ident,)+) => {
        mod $module {
            use super::*;

            pub(super) const FAULTS: &[Fault] = &[$(Fault::$fault),+];

            $(
                #[test]
                fn $name() -> Result<()> {
                    suffer(Fault::$fault, Replication::$replication)
                }
            )+
        }
    };
}

suffered! {
    async_loses_no_more_than_its_lag by Async:
    after_kill_server: KillServer,
    after_kill_server_busy: KillServerBusy,
    after_kill_system: KillSystem,
    after_kill_agent_alone: KillAgentAlone,
    after_fill_disk: FillDisk,
    after_freeze_server: FreezeServer,
    after_freeze_agent_alone: FreezeAgentAlone,
    after_freeze_guard: FreezeGuard,
    after_freeze_host: FreezeHost,
    after_power_off: PowerOff,
    after_cut_from_standby: CutFromStandby,
    after_cut_primary_to_first: CutPrimaryToFirst,
    after_cut_first_to_primary: CutFirstToPrimary,
    after_cut_primary_to_second: CutPrimaryToSecond,
    after_cut_second_to_primary: CutSecondToPrimary,
    after_cut_primary_to_witness: CutPrimaryToWitness,
    after_cut_witness_to_primary: CutWitnessToPrimary,
    after_cut_first_to_second: CutFirstToSecond,
    after_cut_second_to_first: CutSecondToFirst,
    after_cut_decider: CutDecider,
    after_restart_deciders: RestartDeciders,
}

suffered! {
    sync_loses_nothing by Sync:
    after_kill_guard: KillGuard,
    after_kill_all: KillAll,
    after_freeze_system: FreezeSystem,
    after_power_off_with_decider: PowerOffWithDecider,
    after_kill_decider_during_failover: KillDeciderDuringFailover,
    after_cut: Cut,
    after_cut_with_decider: CutWithDecider,
    after_cut_out: CutOut,
    after_cut_in: CutIn,
    after_cut_from_hosts: CutFromHosts,
    after_switchover: Switchover,
}

#[test]
fn every_fault_that_a_host_can_suffer_is_suffered() {
    let all = Fault::value_variants().iter();
    let all: Vec<&Fault> = all
        .filter(|fault| System::Hanse.can_suffer(**fault))
        .collect();
    let suffered = [
        async_loses_no_more_than_its_lag::FAULTS,
        sync_loses_nothing::FAULTS,
    ]
    .concat();
    let missing: Vec<_> = all.iter().filter(|it| !suffered.contains(it)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(suffered.len(), all.len(), "one of them twice");
}

fn suffer(fault: Fault, replication: Replication) -> Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let trial = Trial::of(System::Hanse, replication, fault);
    let row = trial.judged(|step| eprintln!("{step}"), judge)?;
    eprintln!("{}", report::table(from_ref(&row)));
    Ok(())
}

fn judge(row: &Row) -> Result<()> {
    let (most, both_ms) = (row.writers_max, row.two_writers_ms);
    ensure!(most <= 1, "{most} wrote at once, for {both_ms} ms");
    ensure!(row.commits > 0, "nothing was ever acknowledged");
    let lost_max = match row.replication {
        Replication::Sync => 0,
        Replication::Async | Replication::Default => LAG_BYTES_MAX / COMMIT_BYTES_MIN,
    };
    if let Some(lost) = row.lost {
        ensure!(
            lost <= lost_max,
            "{lost} acknowledged commits are lost, and {lost_max} may be"
        );
    }
    // Whoever asked a server itself was told of nothing that is not there, either.
    if let (Replication::Sync, Some(lost)) = (row.replication, row.lost_probes) {
        ensure!(lost == 0, "{lost} writes that a server took are lost");
    }
    if UNNOTICED.contains(&row.fault) {
        let after = row.primary_after;
        ensure!(after == Some(row.primary_before), "{after:?} is primary");
    }
    match &row.told_in_the_end {
        None => ensure!(row.lost.is_some(), "nobody can say what was lost"),
        // What a plan waits for, or what is wrong with a copy, is a line of its own.
        Some(told) => ensure!(told.contains("\n! "), "it is not over and says nothing"),
    }
    Ok(())
}
