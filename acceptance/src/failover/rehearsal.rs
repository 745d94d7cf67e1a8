//! What a drill costs the primary: how many commits a writing load gets before, during and after one.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::cluster::{Cluster, Replication, Variant};
use super::hanse::{HOSTS, Hanse};
use super::ledger::{self, Commit};
use super::onlookers::{start_load, stop};
use super::{load, now_ns};
use crate::laboratory::Laboratory;
use crate::wait::{pause_before_fault, wait_until_true};

/// How long is written before and after the drill.
const CALM: Duration = Duration::from_secs(30);
/// How long is written before anything is measured.
const SETTLING: Duration = Duration::from_secs(45);
/// How long the first writes may take.
const LOAD_TIMEOUT: Duration = Duration::from_secs(15);
/// How long the standbys may take to receive the filling.
const FILL_TIMEOUT: Duration = Duration::from_secs(600);
/// What one row of the filling has, in bytes, roughly.
const ROW_BYTES: u64 = 1 << 10;

/// One drill between two times without one.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// Commits in a second, before the drill.
    pub before: f64,
    /// The same during it.
    pub during: f64,
    /// The same after it.
    pub after: f64,
    /// How long it took.
    pub took: Duration,
    /// What `hanse drill --json` said.
    pub record: Value,
}

impl Rehearsal {
    /// Raises a plan, fills its database, writes to it, and holds drills meanwhile, one after another.
    ///
    /// # Errors
    ///
    /// When something of that can't be done, or the drill does not pass.
    pub fn measure(size_mb: u64, rounds: u32, say: impl Fn(&str)) -> Result<Vec<Self>> {
        let laboratory = Laboratory::start_with_users(HOSTS)?;
        say("raising the plan");
        let plan = Hanse::raise(&laboratory, Variant::Default, Replication::Default)?;
        say(&format!("writing {size_mb} MB"));
        let primary = plan.server(plan.primary()?);
        primary.ask(&laboratory, load::TABLES)?;
        let rows = (size_mb << 20) / ROW_BYTES;
        // Text that PostgreSQL can't make smaller.
        let fill = format!(
            "CREATE TABLE filling AS SELECT number, (SELECT string_agg(md5(random()::text || part), '') \
             FROM generate_series(1, 31) AS part) AS text FROM generate_series(1, {rows}) AS number"
        );
        primary.ask(&laboratory, &fill)?;
        primary.ask(&laboratory, "CHECKPOINT")?;
        wait_until_true("every copy follows", FILL_TIMEOUT, || {
            let status = plan.status()?;
            let copies = status["copies"].as_array().cloned().unwrap_or_default();
            let lags = |copy: &Value| copy["lag_bytes"].as_u64().is_some_and(|lag| lag > 1 << 20);
            Ok(plan.is_whole()? && !copies.iter().any(lags))
        })?;
        let writer = start_load(&laboratory, &plan)?;
        wait_until_true("the load writes", LOAD_TIMEOUT, || {
            Ok(!ledger::commits(&writer.log()?).is_empty())
        })?;
        part(&laboratory, plan.primary()?)?;
        // What the filling left to do would be taken for the drill's, or for its absence.
        pause_before_fault(SETTLING);
        let mut moments = Vec::new();
        let mut drills = Vec::new();
        for round in 1..=rounds {
            say(&format!(
                "writing without a drill, and during drill {round}"
            ));
            moments.push(now_ns());
            pause_before_fault(CALM);
            moments.push(now_ns());
            let told = plan.hanse(["drill", "orders", "--json"])?.success()?;
            drills.push(told.json().context("the drill's record")?);
        }
        moments.push(now_ns());
        pause_before_fault(CALM);
        moments.push(now_ns());
        let commits = ledger::commits(&stop(writer)?);
        let rows = drills.into_iter().zip(moments.windows(4).step_by(2));
        let row = |(record, at): (Value, &[u64])| Self {
            before: rate(&commits, at[0], at[1]),
            during: rate(&commits, at[1], at[2]),
            after: rate(&commits, at[2], at[3]),
            took: Duration::from_nanos(at[2] - at[1]),
            record,
        };
        Ok(rows.map(row).collect())
    }

    /// How much of the throughput without a drill there was during it.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.during * 2.0 / (self.before + self.after)
    }
}

/// Gives the primary and its clients one processor, and the standbys another, as on machines of their own.
fn part(laboratory: &Laboratory, primary: u8) -> Result<()> {
    for host in laboratory.hosts() {
        let number = host.number();
        let is_standby = number != primary && number != HOSTS;
        host.keep_to_processor(usize::from(is_standby))?;
    }
    Ok(())
}

/// Commits in a second, between two moments.
fn rate(commits: &[Commit], from_ns: u64, to_ns: u64) -> f64 {
    let within = commits.iter();
    let within = within.filter(|commit| (from_ns..to_ns).contains(&commit.acked_ns));
    let seconds = Duration::from_nanos(to_ns.saturating_sub(from_ns)).as_secs_f64();
    f64::from(u32::try_from(within.count()).unwrap_or(u32::MAX)) / seconds.max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_counts_what_was_acknowledged_between_two_moments() {
        let commits: Vec<Commit> = (0..40)
            .map(|sequence| Commit {
                client: 0,
                sequence,
                acked_ns: sequence * 100_000_000,
            })
            .collect();
        assert!((rate(&commits, 0, 2_000_000_000) - 10.0).abs() < 0.01);
        assert!(rate(&commits, 5_000_000_000, 6_000_000_000) < 0.01);
    }
}
