//! Who looks on while something happens to a system: the load, which writes as its clients do; the
//! observer, which asks each server itself; and on each host whoever notes where it is led.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::cluster::Cluster;
use super::ledger::{self, Commit};
use super::server::Server;
use super::ways::{self, Turn};
use super::writers::{self, Probe, Writers};
use super::{load, now_ns};
use crate::laboratory::{Invocation, Laboratory, Process, last_lines};
use crate::wait::wait_until_true;

/// The bench's own file.
const PROGRAM: &str = "bench_failover";
/// Clients that write.
const CLIENTS: u32 = 4;
/// How long the first writes may take.
const LOAD_TIMEOUT: Duration = Duration::from_secs(15);
/// An acknowledgement that old says that writes go on.
const FRESH_NS: u64 = 1_000_000_000;

/// They, while they look.
#[derive(Debug)]
pub struct Onlookers {
    load: Process,
    observer: Process,
    /// By host.
    ways: BTreeMap<u8, Process>,
}

/// What they saw.
#[derive(Debug)]
pub struct Seen {
    /// What was acknowledged to the load.
    pub commits: Vec<Commit>,
    /// What came of asking each server.
    pub probes: Vec<Vec<Probe>>,
    /// Where each host was led.
    pub ways: BTreeMap<u8, Vec<Turn>>,
    copies: Vec<u8>,
}

impl Onlookers {
    /// Has them look at a system, and waits until the load writes.
    ///
    /// # Errors
    ///
    /// When they can't be started, or the load gets nothing acknowledged.
    pub fn begin(laboratory: &Laboratory, cluster: &dyn Cluster) -> Result<Self> {
        let primary = cluster.server(cluster.primary()?);
        primary.ask(laboratory, load::TABLES)?;
        let observer = start_observer(laboratory, cluster)?;
        let mut ways = BTreeMap::new();
        if let Some(address) = cluster.service() {
            for host in laboratory.hosts() {
                let look = itself()?.args(["ways", &address.to_string()]);
                ways.insert(host.number(), host.spawn("ways", look)?);
            }
        }
        let onlookers = Self {
            load: start_load(laboratory, cluster)?,
            observer,
            ways,
        };
        onlookers.wait_until_served(LOAD_TIMEOUT)?;
        Ok(onlookers)
    }

    /// Waits until writes are acknowledged.
    ///
    /// # Errors
    ///
    /// When they are not; the message holds the load's last words.
    pub fn wait_until_served(&self, timeout: Duration) -> Result<()> {
        wait_until_true("writes are acknowledged", timeout, || {
            let said = self.load.log()?;
            ensure!(
                is_served(&said),
                "the load's last words: {}",
                last_lines(&said, 5)
            );
            Ok(true)
        })
    }

    /// Ends them: what they saw.
    ///
    /// # Errors
    ///
    /// When they can't be ended or what they wrote can't be read.
    pub fn end(self, cluster: &dyn Cluster) -> Result<Seen> {
        let (written, observed) = (stop(self.load)?, stop(self.observer)?);
        let mut turns = BTreeMap::new();
        for (host, process) in self.ways {
            turns.insert(host, ways::turns(&stop(process)?));
        }
        let copies = cluster.copies().to_vec();
        Ok(Seen {
            commits: ledger::commits(&written),
            probes: writers::probes(&observed, &copies),
            ways: turns,
            copies,
        })
    }
}

impl Seen {
    /// Who took writes at once.
    #[must_use]
    pub fn writers(&self) -> Writers {
        writers::writers(&self.probes)
    }

    /// How many commits that were acknowledged to the load a server lacks.
    ///
    /// # Errors
    ///
    /// When it can't be asked.
    pub fn lost(&self, laboratory: &Laboratory, server: &Server) -> Result<usize> {
        let said = server.ask(laboratory, load::ROWS)?;
        Ok(ledger::lost(&self.commits, &pairs(&said)))
    }

    /// How many writes it lacks that the observer was told of by whichever server it asked.
    ///
    /// # Errors
    ///
    /// When it can't be asked.
    pub fn lost_probes(&self, laboratory: &Laboratory, server: &Server) -> Result<usize> {
        let said = server.ask(laboratory, load::PROBES)?;
        let present = pairs(&said);
        Ok(writers::lost_probes(&self.probes, &self.copies, &present))
    }

    /// When the server on a host told the observer for the first time after a moment that it took a write.
    #[must_use]
    pub fn first_write_ns(&self, host: u8, since_ns: u64) -> Option<u64> {
        let place = self.copies.iter().position(|copy| *copy == host)?;
        let mut probes = self.probes.get(place)?.iter();
        probes.find_map(|probe| match *probe {
            Probe::Taken { acked_ns, .. } => (acked_ns > since_ns).then_some(acked_ns),
            Probe::Refused => None,
        })
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

/// The bench, which is the onlookers too. A test of this package lies one folder deeper.
pub(super) fn program() -> Result<PathBuf> {
    let current = std::env::current_exe().context("unable to find this program")?;
    let folders = current.ancestors().skip(1).take(2);
    let mut programs = folders.map(|folder| folder.join(PROGRAM));
    let found = programs.find(|program| program.is_file());
    found.with_context(|| format!("{PROGRAM} is not built: run `cargo build -p hanse-acceptance`"))
}

/// Kills it: all that it wrote.
pub(super) fn stop(mut process: Process) -> Result<String> {
    process.kill()?;
    process.log()
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

fn itself() -> Result<Invocation> {
    Ok(Invocation::new(program()?))
}

/// Whether a commit was acknowledged just now, from what the load wrote.
fn is_served(written: &str) -> bool {
    let commits = ledger::commits(written);
    let is_fresh = |last: &Commit| last.acked_ns + FRESH_NS > now_ns();
    commits.last().is_some_and(is_fresh)
}

/// From lines of two numbers each.
fn pairs<T: FromStr + Ord, U: FromStr + Ord>(said: &str) -> BTreeSet<(T, U)> {
    let pair = |line: &str| {
        let (first, second) = line.split_once(' ')?;
        Some((first.parse().ok()?, second.parse().ok()?))
    };
    said.lines().filter_map(pair).collect()
}
