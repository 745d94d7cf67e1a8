//! Measures how long nobody can write after a leader was killed: three voters of a federation, and
//! beside them, on the same hosts and in turn, three members of an etcd, each at its own defaults.
//!
//! A writer (`agent/examples/bench_writer`) writes without pause and notes each acknowledgement. The
//! leader is killed with `kill -9`; what counts is the time from then to the next acknowledgement.
//! Then the killed one comes back, and the next leader dies. It measures and judges nothing.

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use hanse_acceptance::agent::API_PORT;
use hanse_acceptance::laboratory::Invocation;
use hanse_acceptance::wait::{pause_before_fault, wait_until, wait_until_true};
use hanse_acceptance::{Federation, Host, Laboratory, Process, binaries};
use rand::Rng;

const HOSTS: u8 = 3;
const ETCD_CLIENT_PORT: u16 = 2379;
const ETCD_PEER_PORT: u16 = 2380;
/// What was sent before the leader died may still be acknowledged for so long; nobody elects sooner.
const ECHO: u64 = 200;
/// How long to wait for whatever must come.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between a return and the next death, so that heartbeats and deaths keep no step.
const MOMENT_MS: std::ops::Range<u64> = 2_000..4_000;

/// The time from a leader's death to the next write, as a Markdown table.
#[derive(Parser)]
struct Arguments {
    /// How many leaders of each die.
    #[arg(long, default_value_t = 15)]
    trials: usize,
}

fn main() -> ExitCode {
    match measure(&Arguments::parse()) {
        Ok(text) => {
            say(&text);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn say(text: &str) {
    print!("{text}");
}

fn measure(arguments: &Arguments) -> Result<String> {
    let laboratory = Laboratory::start(HOSTS)?;
    let mut federation = Federation::raise_voters(&laboratory)?;
    let mut etcd = Etcd::raise(&laboratory)?;
    let writer = |whom: &[&str], endpoints: &str| -> Result<Process> {
        let program = binaries::example("bench_writer", "hanse")?;
        let write = Invocation::new(program).args(["--endpoints", endpoints]);
        laboratory.spawn("writer", write.args(whom))
    };
    let credentials = federation.operator.credentials().to_owned();
    let credentials = credentials.to_str().context("a path that is text")?;
    let ours = writer(
        &["federation", "--credentials", credentials],
        &addresses(&laboratory, API_PORT),
    )?;
    let theirs = writer(&["etcd"], &addresses(&laboratory, ETCD_CLIENT_PORT))?;
    let (mut waits, mut waits_etcd) = (Vec::new(), Vec::new());
    for trial in 0..arguments.trials {
        let leader = federation.leader()?;
        let wait = gap_after(&ours, || federation.agents[leader].kill());
        waits.push(wait.with_context(|| format!("trial {trial} of the federation"))?);
        federation.agents[leader].start()?;
        let leader = etcd.leader()?;
        let wait = gap_after(&theirs, || etcd.kill(leader));
        waits_etcd.push(wait.with_context(|| format!("trial {trial} of etcd"))?);
        etcd.start(leader)?;
        etcd.wait_until_whole()?;
        wait_until_whole(&federation)?;
        eprintln!("{:?} {:?} ms", waits.last(), waits_etcd.last());
    }
    Ok(table(&mut waits, &mut waits_etcd))
}

/// Kills, and waits for the next acknowledgement: how long it took, in ms.
fn gap_after(writer: &Process, kill: impl FnOnce() -> Result<()>) -> Result<u64> {
    let moment = rand::rng().random_range(MOMENT_MS);
    pause_before_fault(Duration::from_millis(moment));
    let last = last_time(writer)?;
    ensure!(
        last.is_some_and(|last| last + 1_000 > now_ms()),
        "nothing is being written: {}",
        writer.log()?
    );
    let killed = now_ms();
    kill()?;
    wait_until("the next write", PATIENCE, || {
        let log = writer.log()?;
        let times = log.lines().filter_map(|line| line.parse::<u64>().ok());
        let next = times.filter(|time| *time > killed + ECHO).min();
        Ok(next.map(|next| next - killed))
    })
}

fn last_time(writer: &Process) -> Result<Option<u64>> {
    let log = writer.log()?;
    Ok(log.lines().next_back().and_then(|line| line.parse().ok()))
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0))
}

fn addresses(laboratory: &Laboratory, port: u16) -> String {
    let hosts = laboratory.hosts().iter();
    let all: Vec<String> = hosts
        .map(|host| format!("{}:{port}", host.ipv4()))
        .collect();
    all.join(",")
}

fn wait_until_whole(federation: &Federation) -> Result<()> {
    wait_until_true("all voters are there again", PATIENCE, || {
        let status = federation.operator.hanse_json(["status"])?;
        let voters = status["voters"].as_array().cloned().unwrap_or_default();
        let near = |voter: &&serde_json::Value| {
            voter["votes"] == true && voter["lag_entries"].as_u64().is_some_and(|lag| lag < 50)
        };
        Ok(voters.iter().filter(near).count() == usize::from(HOSTS))
    })
}

/// One member of etcd on each host.
struct Etcd<'l> {
    hosts: &'l [Host],
    members: Vec<Option<Process>>,
    laboratory: &'l Laboratory,
}

impl<'l> Etcd<'l> {
    fn raise(laboratory: &'l Laboratory) -> Result<Self> {
        let hosts = laboratory.hosts();
        let members = hosts.iter().map(|_| None).collect();
        let mut etcd = Self {
            hosts,
            members,
            laboratory,
        };
        for place in 0..hosts.len() {
            etcd.start(place)?;
        }
        etcd.wait_until_whole()?;
        Ok(etcd)
    }

    /// At the defaults: heartbeat 100 ms, election 1,000 ms.
    fn start(&mut self, place: usize) -> Result<()> {
        let host = &self.hosts[place];
        let url = |host: &Host, port: u16| format!("http://{}:{port}", host.ipv4());
        let hosts = self.hosts.iter();
        let cluster: Vec<String> = hosts
            .map(|host| format!("{}={}", host.name(), url(host, ETCD_PEER_PORT)))
            .collect();
        let (client, peer) = (url(host, ETCD_CLIENT_PORT), url(host, ETCD_PEER_PORT));
        let invocation = Invocation::new(binaries::etcd()?)
            .args(["--name", host.name(), "--data-dir"])
            .arg(host.data_dir().join("etcd"))
            .args(["--listen-client-urls", &client])
            .args(["--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer])
            .args(["--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &cluster.join(",")]);
        self.members[place] = Some(host.spawn("etcd", invocation)?);
        Ok(())
    }

    fn kill(&mut self, place: usize) -> Result<()> {
        let member = self.members[place].take().context("it runs")?.kill();
        member.map(|_| ())
    }

    fn leader(&self) -> Result<usize> {
        let leads = |place: &usize| {
            let metrics = self.ask(*place, "metrics").unwrap_or_default();
            metrics
                .lines()
                .any(|line| line == "etcd_server_is_leader 1")
        };
        let leader = (0..self.hosts.len()).find(leads);
        leader.context("no member of etcd leads")
    }

    fn wait_until_whole(&self) -> Result<()> {
        wait_until_true("all members of etcd are healthy", PATIENCE, || {
            for place in 0..self.hosts.len() {
                ensure!(self.ask(place, "health")?.contains("true"));
            }
            Ok(true)
        })
    }

    fn ask(&self, place: usize, what: &str) -> Result<String> {
        let url = format!(
            "http://{}:{ETCD_CLIENT_PORT}/{what}",
            self.hosts[place].ipv4()
        );
        let asked = ["curl", "-sS", "--noproxy", "*", "--max-time", "2", &url];
        Ok(self.laboratory.exec(asked)?.success()?.stdout)
    }
}

fn table(ours: &mut [u64], theirs: &mut [u64]) -> String {
    let mut text = format!(
        "{} leaders of each killed, in turn; from the death to the next acknowledged write, in \
         s.\n\n| | median | lowest | highest |\n|---|--:|--:|--:|\n",
        ours.len()
    );
    let rows = [
        (
            "3 voters of a federation (heartbeat 500 ms, made for a WAN)",
            ours,
        ),
        (
            "3 members of etcd (heartbeat 100 ms, made for a LAN)",
            theirs,
        ),
    ];
    for (title, waits) in rows {
        waits.sort_unstable();
        let at = |place: usize| waits.get(place).map_or(f64::NAN, |ms| *ms as f64 / 1000.0);
        text += &format!(
            "| {title} | {:.2} | {:.2} | {:.2} |\n",
            at(waits.len() / 2),
            at(0),
            at(waits.len().saturating_sub(1)),
        );
    }
    text
}
