//! One fault, once: a system is raised anew, written to, hurt, mended and counted.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use rand::Rng;

use super::cluster::{Cluster, Replication, Variant};
use super::fault::{Fault, Hold};
use super::ledger::{self, Outage};
use super::report::Row;
use super::system::System;
use super::{load, now_ns, writers};
use crate::laboratory::{Invocation, Laboratory, Process, last_lines};
use crate::wait::{pause_before_fault, wait_until_true};

/// The bench's own file.
const PROGRAM: &str = "bench_failover";
/// Clients that write.
const CLIENTS: u32 = 4;
/// How long the first writes may take.
const LOAD_TIMEOUT: Duration = Duration::from_secs(15);
/// How long is written before the fault, in ms; drawn by lot, so that it keeps step with nothing.
const MOMENT_MS: std::ops::Range<u64> = 3_000..8_000;
/// An acknowledgement that old says that writes go on.
const FRESH_NS: u64 = 1_000_000_000;
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
}

impl Trial {
    /// Does it; `say` is told of each step.
    ///
    /// # Errors
    ///
    /// When it can't be measured: the system doesn't become whole at first, or refuses a switchover.
    /// However badly it fares after that, it is a row and no error.
    pub fn run(&self, say: impl Fn(&str)) -> Result<Row> {
        let laboratory = self.system.laboratory()?;
        if let Some(size_mb) = self.fault.disk_mb() {
            laboratory.limit_disks(size_mb)?;
        }
        say("raising the system");
        let mut cluster =
            self.system
                .raise(&laboratory, self.variant, self.replication, self.fault)?;
        self.hurt(&laboratory, cluster.as_mut(), say)
    }

    fn hurt(
        &self,
        laboratory: &Laboratory,
        cluster: &mut dyn Cluster,
        say: impl Fn(&str),
    ) -> Result<Row> {
        let started_unix_s = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let first = cluster.primary()?;
        cluster.server(first).ask(laboratory, load::TABLES)?;
        let observer = start_observer(laboratory, cluster)?;
        let writer = start_load(laboratory, cluster)?;
        wait_until_true("the load writes", LOAD_TIMEOUT, || is_served(&writer))?;
        let blow = self.fault.prepare(laboratory, cluster)?;
        pause_before_fault(Duration::from_millis(rand::rng().random_range(MOMENT_MS)));
        // A machine that is busy with something else may hold up everything for a moment.
        wait_until_true("the load writes still", LOAD_TIMEOUT, || {
            ensure!(
                is_served(&writer)?,
                "the load's last words: {}",
                last_lines(&writer.log()?, 5)
            );
            Ok(true)
        })?;

        say(&format!(
            "{} on h{}, decided on h{}",
            self.fault.name(),
            blow.primary(),
            blow.decider()
        ));
        let (fault_ns, begun) = (now_ns(), Instant::now());
        let (primary_before, decider) = (blow.primary(), blow.decider());
        blow.begin(laboratory, cluster)?;
        let told = self.hold(begun, &writer, cluster);

        say("mending");
        blow.mend(laboratory, cluster)?;
        let mended = Instant::now();
        let whole = wait_until_true("the system is whole", WHOLE_TIMEOUT, || cluster.is_whole());
        if whole.is_err() {
            say(&format!("it does not become whole:\n{}", cluster.told()));
        }
        let whole_after = whole.is_ok().then(|| mended.elapsed());
        pause_before_fault(REST);

        let end_ns = now_ns();
        let (written, observed) = (stop(writer)?, stop(observer)?);
        let commits = ledger::commits(&written);
        let (rto, lasting) = match ledger::outage(&commits, fault_ns, end_ns) {
            Outage::Over(gap) => (Some(gap), None),
            Outage::Lasting(gap) => (None, Some(gap)),
        };
        let primary_after = cluster.primary().ok();
        let probes = writers::probes(&observed, cluster.copies());
        let ask_primary = |question| {
            let server = cluster.server(primary_after?);
            server.ask(laboratory, question).ok()
        };
        let lost = ask_primary(load::ROWS).map(|said| ledger::lost(&commits, &pairs(&said)));
        let lost_probes = ask_primary(load::PROBES)
            .map(|said| writers::lost_probes(&probes, cluster.copies(), &pairs(&said)));
        let together = writers::writers(&probes);
        Ok(Row {
            system: self.system,
            title: cluster.title().to_owned(),
            variant: self.variant,
            replication: self.replication,
            front: cluster.front().explanation.to_owned(),
            fault: self.fault,
            trial: self.number,
            started_unix_s,
            load_average: load_average(),
            primary_before,
            primary_after,
            decider,
            rto_ms: rto.map(milliseconds),
            outage_lasting_ms: lasting.map(milliseconds),
            commits: commits.len(),
            lost,
            lost_probes,
            writers_max: together.at_once_max,
            two_writers_ms: milliseconds(together.many),
            whole_after_ms: whole_after.map(milliseconds),
            told,
            befell: cluster.befell(fault_ns),
        })
    }

    /// Lets the fault last: what a person who looks near its end is told. Asking takes its time, and
    /// must not lengthen a fault of a given length.
    fn hold(&self, begun: Instant, writer: &Process, cluster: &dyn Cluster) -> String {
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
                let left = rest_of(SERVED_TIMEOUT);
                // A service that stays away is what the row will say.
                let _ = wait_until_true("writes go on", left, || is_served(writer));
                cluster.told()
            }
        }
    }
}

pub(super) fn start_load(laboratory: &Laboratory, cluster: &dyn Cluster) -> Result<Process> {
    let front = cluster.front();
    let load = itself()?
        .args(["load", "--clients", &CLIENTS.to_string()])
        .args(front.endpoints);
    match front.from {
        None => laboratory.spawn("load", load),
        Some(number) => laboratory.host(number).spawn("load", load),
    }
}

fn start_observer(laboratory: &Laboratory, cluster: &dyn Cluster) -> Result<Process> {
    let program = program()?;
    let first = cluster.copies().first().context("the system has no copy")?;
    let mut observe = cluster.server(*first).client(program).arg("observe");
    for number in cluster.copies() {
        let server = cluster.server(*number);
        let sockets = server.sockets.display();
        observe = observe.arg(format!("{number}:{}:{sockets}", server.port));
    }
    laboratory.spawn("observer", observe)
}

/// The bench, which is the load and the observer too. A test of this package lies one folder deeper.
pub(super) fn program() -> Result<PathBuf> {
    let current = std::env::current_exe().context("unable to find this program")?;
    let folders = current.ancestors().skip(1).take(2);
    let mut programs = folders.map(|folder| folder.join(PROGRAM));
    let found = programs.find(|program| program.is_file());
    found.with_context(|| format!("{PROGRAM} is not built: run `cargo build -p hanse-acceptance`"))
}

fn itself() -> Result<Invocation> {
    Ok(Invocation::new(program()?))
}

/// Whether a commit was acknowledged just now.
fn is_served(writer: &Process) -> Result<bool> {
    let commits = ledger::commits(&writer.log()?);
    let is_fresh = |last: &ledger::Commit| last.acked_ns + FRESH_NS > now_ns();
    Ok(commits.last().is_some_and(is_fresh))
}

/// Kills it: all that it wrote.
pub(super) fn stop(mut process: Process) -> Result<String> {
    process.kill()?;
    process.log()
}

/// From lines of two numbers each.
fn pairs<T: FromStr + Ord, U: FromStr + Ord>(said: &str) -> BTreeSet<(T, U)> {
    let pair = |line: &str| {
        let (first, second) = line.split_once(' ')?;
        Some((first.parse().ok()?, second.parse().ok()?))
    };
    said.lines().filter_map(pair).collect()
}

pub(super) fn milliseconds(length: Duration) -> f64 {
    (length.as_secs_f64() * 1e6).round() / 1e3
}

/// Of the last minute: how far to trust the times.
fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
