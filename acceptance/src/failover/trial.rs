//! One fault, once: a system is raised anew, written to, hurt, mended and counted.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::cluster::{Cluster, Replication, Variant};
use super::fault::{Fault, Hold};
use super::ledger::{self, Outage};
use super::now_ns;
use super::onlookers::{Onlookers, Seen};
use super::report::Row;
use super::server::Server;
use super::system::System;
use super::ways::{self, Redirect};
use crate::laboratory::Laboratory;
use crate::wait::{pause_before_fault, wait_until_true};

/// Set to have the fault happen at the same moment again.
const SEED_VARIABLE: &str = "HANSE_SEED";
/// A machine that is busy with something else may hold up everything for a moment before the fault.
const STILL_TIMEOUT: Duration = Duration::from_secs(15);
/// How long is written before the fault, in ms; drawn by lot, so that it keeps step with nothing.
const MOMENT_MS: std::ops::Range<u64> = 3_000..8_000;
/// How long a service may stay away before the fault is mended all the same.
const SERVED_TIMEOUT: Duration = Duration::from_secs(150);
/// How long before the end of a fault of a given length the system is asked what it tells a person.
const TELLING: Duration = Duration::from_secs(8);
/// How long the copies may take to follow again once it is mended: one in an emulator takes minutes.
const WHOLE_TIMEOUT: Duration = Duration::from_secs(600);
/// How long is written once all is over.
const REST: Duration = Duration::from_secs(3);

/// What is to be measured.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// Which system.
    pub system: System,
    /// How it is set up.
    pub variant: Variant,
    /// Whether its commits wait.
    pub replication: Replication,
    /// What happens to it.
    pub fault: Fault,
    /// Which one of many, from 1 on.
    pub number: u32,
    /// By what the fault's moment is drawn.
    pub seed: u64,
}

/// The seed that is asked for by `HANSE_SEED`, or one by lot.
#[must_use]
pub fn seed() -> u64 {
    let asked = std::env::var(SEED_VARIABLE).ok();
    let asked = asked.and_then(|text| text.parse().ok());
    asked.unwrap_or_else(|| rand::rng().random())
}

impl Trial {
    /// One of a system as it comes.
    #[must_use]
    pub fn of(system: System, replication: Replication, fault: Fault) -> Self {
        Self {
            system,
            variant: Variant::Default,
            replication,
            fault,
            number: 1,
            seed: seed(),
        }
    }

    /// Does it; `say` is told of each step.
    ///
    /// # Errors
    ///
    /// When it can't be measured: the system doesn't become whole at first, or refuses a switchover.
    /// However badly it fares after that, it is a row and no error.
    pub fn run(&self, say: impl Fn(&str)) -> Result<Row> {
        self.measure(&self.system.laboratory()?, say)
    }

    /// The same, and has what came of it judged while the logs are still there: where it is found wrong,
    /// `say` is told of their ends.
    ///
    /// # Errors
    ///
    /// When it can't be measured, or `judge` finds it wrong.
    pub fn judged(
        &self,
        say: impl Fn(&str),
        judge: impl FnOnce(&Row) -> Result<()>,
    ) -> Result<Row> {
        let laboratory = self.system.laboratory()?;
        let judged = self.measure(&laboratory, &say).and_then(|row| {
            judge(&row).with_context(|| format!("{row:?}"))?;
            Ok(row)
        });
        if judged.is_err() {
            say(&laboratory.last_logs());
        }
        let name = self.fault.name();
        judged.with_context(|| format!("{name}, {SEED_VARIABLE}={}", self.seed))
    }

    fn measure(&self, laboratory: &Laboratory, say: impl Fn(&str)) -> Result<Row> {
        if let Some(size_mb) = self.fault.disk_mb() {
            laboratory.limit_disks(size_mb)?;
        }
        say("raising the system");
        let mut cluster =
            self.system
                .raise(laboratory, self.variant, self.replication, self.fault)?;
        self.hurt(laboratory, cluster.as_mut(), say)
    }

    fn hurt(
        &self,
        laboratory: &Laboratory,
        cluster: &mut dyn Cluster,
        say: impl Fn(&str),
    ) -> Result<Row> {
        let started_unix_s = unix_s();
        let onlookers = Onlookers::begin(laboratory, cluster)?;
        let blow = self.fault.prepare(laboratory, cluster)?;
        let mut random = StdRng::seed_from_u64(self.seed);
        pause_before_fault(Duration::from_millis(random.random_range(MOMENT_MS)));
        onlookers.wait_until_served(STILL_TIMEOUT)?;

        say(&format!(
            "{} on h{}, decided on h{}",
            self.fault.name(),
            blow.primary(),
            blow.decider()
        ));
        let (fault_ns, begun) = (now_ns(), Instant::now());
        let (primary_before, decider) = (blow.primary(), blow.decider());
        blow.begin(laboratory, cluster)?;
        let told = self.hold(begun, &onlookers, cluster);

        say("mending");
        let mended_ns = now_ns();
        blow.mend(laboratory, cluster)?;
        let whole_after = until_whole(cluster, &say);
        pause_before_fault(REST);

        let end_ns = now_ns();
        let seen = onlookers.end(cluster)?;
        let (rto, lasting) = match ledger::outage(&seen.commits, fault_ns, end_ns) {
            Outage::Over(gap) => (Some(gap), None),
            Outage::Lasting(gap) => (None, Some(gap)),
        };
        let primary_after = cluster.primary().ok();
        let moved = (primary_before, primary_after);
        let server = primary_after.map(|primary| cluster.server(primary));
        let lost = |count: fn(&Seen, &Laboratory, &Server) -> Result<usize>| {
            count(&seen, laboratory, server.as_ref()?).ok()
        };
        let writers = seen.writers();
        let is_over = rto.is_some() && whole_after.is_some();
        Ok(Row {
            system: self.system,
            title: cluster.title().to_owned(),
            variant: self.variant,
            replication: self.replication,
            front: cluster.front().explanation.to_owned(),
            fault: self.fault,
            trial: self.number,
            seed: self.seed,
            started_unix_s,
            load_average: load_average(),
            primary_before,
            primary_after,
            decider,
            rto_ms: rto.map(milliseconds),
            outage_lasting_ms: lasting.map(milliseconds),
            commits: seen.commits.len(),
            lost: lost(Seen::lost),
            lost_probes: lost(Seen::lost_probes),
            writers_max: writers.at_once_max,
            two_writers_ms: milliseconds(writers.many),
            redirect: self.redirect(&seen, moved, (fault_ns, mended_ns)),
            whole_after_ms: whole_after.map(milliseconds),
            told,
            told_in_the_end: (!is_over).then(|| cluster.told()),
            befell: cluster.befell(fault_ns),
        })
    }

    /// Lets the fault last: what a person who looks near its end is told. Asking takes its time, and
    /// must not lengthen a fault of a given length.
    fn hold(&self, begun: Instant, onlookers: &Onlookers, cluster: &dyn Cluster) -> String {
        let rest_of = |length: Duration| length.saturating_sub(begun.elapsed());
        match self.fault.hold() {
            Hold::For(length) => {
                pause_before_fault(rest_of(length.saturating_sub(TELLING)));
                let told = cluster.told();
                pause_before_fault(rest_of(length));
                told
            }
            Hold::UntilServed(least) => {
                pause_before_fault(rest_of(least));
                // A service that stays away is what the row will say.
                let _ = onlookers.wait_until_served(rest_of(SERVED_TIMEOUT));
                cluster.told()
            }
        }
    }

    /// When the last node led to the new primary, of those that could hear of it.
    fn redirect(
        &self,
        seen: &Seen,
        (before, after): (u8, Option<u8>),
        (fault_ns, mended_ns): (u64, u64),
    ) -> Redirect {
        let moved_to = after.filter(|after| *after != before && !seen.ways.is_empty());
        let Some(after) = moved_to else {
            return Redirect::NotNeeded;
        };
        let hears = |host: u8| host != before || self.fault.spares_agent();
        let hosts = seen.ways.iter().filter(|(host, _)| hears(**host));
        ways::redirect(
            hosts.map(|(_, turns)| turns.as_slice()),
            (fault_ns, mended_ns),
            seen.first_write_ns(after, fault_ns),
        )
    }
}

/// Waits until the system is whole: how long that took; none: it doesn't become so.
fn until_whole(cluster: &dyn Cluster, say: impl Fn(&str)) -> Option<Duration> {
    let mended = Instant::now();
    let whole = wait_until_true("the system is whole", WHOLE_TIMEOUT, || cluster.is_whole());
    if whole.is_err() {
        say(&format!("it does not become whole:\n{}", cluster.told()));
    }
    whole.is_ok().then(|| mended.elapsed())
}

pub(super) fn milliseconds(length: Duration) -> f64 {
    (length.as_secs_f64() * 1e6).round() / 1e3
}

fn unix_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// Of the last minute: how far to trust the times.
fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
