//! pg_auto_failover: three hosts with a server and a keeper each, and the monitor on a fourth.
//!
//! The monitor is not redundant: where it stands is what decides, and nobody can move it. By default
//! a commit waits for one of the standbys while there is one. A keeper that was killed is not started
//! again until the fault is over, though the unit that `pg_autoctl show systemd` prints would do so
//! at once: all systems suffer the same.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};

use super::cluster::{Cluster, Front, Replication, TRY_ALL, Variant};
use super::peers;
use super::server::{self, Server, as_postgres};
use crate::laboratory::{Invocation, Laboratory, Process, last_lines};
use crate::wait::{wait_until, wait_until_true};

/// How many hosts it stands on.
pub const HOSTS: u8 = 4;
const MONITOR: u8 = 4;
const COPIES: [u8; 3] = [1, 2, 3];
/// How long each step of raising it may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(120);
/// What tells the monitor sooner that a node is gone, in ms.
const TUNED_MONITOR: [(&str, u32); 6] = [
    ("health_check_period", 1_000),
    ("health_check_timeout", 1_000),
    ("health_check_max_retries", 2),
    ("health_check_retry_delay", 500),
    ("node_considered_unhealthy_timeout", 5_000),
    ("primary_demote_timeout", 5_000),
];
/// When a keeper that hears neither the monitor nor a standby stops its server, in seconds.
const TUNED_PARTITION_TIMEOUT: &str = "3";
/// Until then it believes `pg_stat_replication`; 30 s unless told otherwise.
const TUNED_WAL_SENDER_TIMEOUT: &str = "3s";

/// It, raised.
#[derive(Debug)]
pub struct AutoFailover<'l> {
    laboratory: &'l Laboratory,
    title: String,
    /// By host: a keeper, or the monitor.
    agents: BTreeMap<u8, Process>,
}

impl<'l> AutoFailover<'l> {
    /// Raises it on the first four hosts of the laboratory.
    ///
    /// # Errors
    ///
    /// When its programs are missing or it doesn't become whole.
    pub fn raise(
        laboratory: &'l Laboratory,
        variant: Variant,
        replication: Replication,
    ) -> Result<Self> {
        let said = laboratory.exec(Invocation::new(program()?).arg("--version"))?;
        let said = said.success()?;
        let version = said
            .text()
            .lines()
            .next()
            .and_then(|line| line.rsplit(' ').next());
        let title = format!(
            "pg_auto_failover {}, PostgreSQL {}",
            version.unwrap_or("unknown"),
            server::version(laboratory)?
        );
        let mut raised = Self {
            laboratory,
            title,
            agents: BTreeMap::new(),
        };
        raised.raise_monitor(variant)?;
        for number in COPIES {
            raised.raise_copy(number, variant, replication)?;
        }
        if replication == Replication::Async {
            let none = ["set", "formation", "number-sync-standbys", "0"];
            raised.ask_on(COPIES[0], &none)?;
        }
        wait_until_true("pg_auto_failover is whole", STEP_TIMEOUT, || {
            raised.is_whole()
        })?;
        Ok(raised)
    }

    fn raise_monitor(&mut self, variant: Variant) -> Result<()> {
        self.prepare(MONITOR)?;
        let address = self.laboratory.host(MONITOR).ipv4();
        let create = [
            "create",
            "monitor",
            "--pgport",
            "5432",
            "--hostname",
            &address,
        ];
        let trust = ["--auth", "trust", "--no-ssl"];
        self.ask_on(MONITOR, &[create.as_slice(), &trust].concat())?;
        self.start_agent(MONITOR)?;
        wait_until("the monitor answers", STEP_TIMEOUT, || {
            self.nodes().map(Some)
        })?;
        match variant {
            Variant::Default => {}
            Variant::Tuned => {
                for (name, value) in TUNED_MONITOR {
                    let set = format!("ALTER SYSTEM SET pgautofailover.{name} = {value}");
                    self.server(MONITOR).ask(self.laboratory, &set)?;
                }
                let reload = "SELECT pg_reload_conf()";
                self.server(MONITOR).ask(self.laboratory, reload)?;
            }
        }
        Ok(())
    }

    fn raise_copy(&mut self, number: u8, variant: Variant, replication: Replication) -> Result<()> {
        self.prepare(number)?;
        let host = self.laboratory.host(number);
        let (address, monitor) = (host.ipv4(), self.monitor_url());
        let create = [
            "create",
            "postgres",
            "--pgport",
            "5432",
            "--name",
            host.name(),
        ];
        let place = ["--hostname", &address, "--monitor", &monitor];
        let trust = ["--auth", "trust", "--no-ssl", "--pg-hba-lan"];
        let quorum = match replication {
            Replication::Default | Replication::Sync => "true",
            Replication::Async => "false",
        };
        let quorum = ["--replication-quorum", quorum];
        self.ask_on(
            number,
            &[create.as_slice(), &place, &trust, &quorum].concat(),
        )?;
        if variant == Variant::Tuned {
            let name = "timeout.network_partition_timeout";
            self.ask_on(number, &["config", "set", name, TUNED_PARTITION_TIMEOUT])?;
        }
        self.start_agent(number)?;
        let what = format!("the copy on {} is settled", host.name());
        wait_until_true(&what, STEP_TIMEOUT, || {
            let nodes = self.nodes()?;
            let node = nodes.iter().find(|node| node.number == number);
            Ok(node.is_some_and(|node| node.is_settled && (node.leads() || node.follows())))
        })?;
        if variant == Variant::Tuned {
            let set = format!("ALTER SYSTEM SET wal_sender_timeout = '{TUNED_WAL_SENDER_TIMEOUT}'");
            let server = self.server(number);
            // The keeper may just be starting it again.
            wait_until("the server takes a setting", STEP_TIMEOUT, || {
                server.ask(self.laboratory, &set)?;
                server
                    .ask(self.laboratory, "SELECT pg_reload_conf()")
                    .map(Some)
            })?;
        }
        Ok(())
    }

    /// What is lost with the power: the folders of pids and of sockets, which lies on the disk for
    /// whoever asks from outside, and the extension's files, which are laid over those of the
    /// machine's PostgreSQL in this host alone.
    fn prepare(&self, number: u8) -> Result<()> {
        let host = self.laboratory.host(number);
        let server = Server::prepare(host)?;
        let files = peers::auto_failover()?;
        let script = r#"
            mkdir -p /run/postgresql /run/agent "$2"
            mount --bind "$3" /run/postgresql
            for folder in lib/postgresql/$4/lib share/postgresql/$4/extension; do
                mount -t overlay overlay -o "lowerdir=$1/usr/$folder:/usr/$folder" "/usr/$folder"
            done"#;
        let prepare = Invocation::script(script).arg("prepare");
        let prepare = prepare.arg(files).arg(host.data_dir().join("home"));
        let prepare = prepare.arg(server.sockets).arg(server::VERSION);
        host.exec(prepare)?.success()?;
        Ok(())
    }

    fn invocation(&self, number: u8) -> Result<Invocation> {
        let host = self.laboratory.host(number);
        let server = self.server(number);
        Ok(as_postgres(program()?)?
            .env("HOME", host.data_dir().join("home"))
            .env("XDG_RUNTIME_DIR", "/run/agent")
            .env("PGDATA", &server.data)
            .current_dir(host.data_dir()))
    }

    fn ask_on(&self, number: u8, arguments: &[&str]) -> Result<String> {
        let invocation = self.invocation(number)?.args(arguments);
        let host = self.laboratory.host(number);
        let output = host.exec(invocation)?.success()?;
        Ok(output.stdout)
    }

    fn monitor_url(&self) -> String {
        let address = self.laboratory.host(MONITOR).ipv4();
        format!("postgres://autoctl_node@{address}:5432/pg_auto_failover?sslmode=prefer")
    }

    /// The monitor's own table, past the network.
    fn nodes(&self) -> Result<Vec<Node>> {
        let question = "SELECT nodename, reportedstate, goalstate, health FROM pgautofailover.node";
        let psql = Invocation::new(server::bin().join("psql"));
        let server = self.server(MONITOR);
        let output = self.laboratory.exec(
            psql.arg("-h")
                .arg(server.sockets)
                .args(["-U", "postgres", "-d", "pg_auto_failover"])
                .args(["-XAtq", "-F", " ", "-c", question]),
        )?;
        let output = output.success()?;
        Ok(output.text().lines().filter_map(Node::read).collect())
    }
}

/// What the monitor believes of a copy.
#[derive(Debug)]
struct Node {
    number: u8,
    state: String,
    is_settled: bool,
    is_healthy: bool,
}

impl Node {
    /// From `h1 primary primary 1`.
    fn read(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let number = words.next()?.strip_prefix('h')?.parse().ok()?;
        let (reported, goal) = (words.next()?, words.next()?);
        Some(Self {
            number,
            state: goal.to_owned(),
            is_settled: reported == goal,
            is_healthy: words.next()? == "1",
        })
    }

    /// Whether it takes writes, or will.
    fn leads(&self) -> bool {
        [
            "single",
            "wait_primary",
            "primary",
            "join_primary",
            "apply_settings",
        ]
        .contains(&self.state.as_str())
    }

    fn follows(&self) -> bool {
        self.state == "secondary"
    }
}

impl Cluster for AutoFailover<'_> {
    fn title(&self) -> &str {
        &self.title
    }

    fn copies(&self) -> &[u8] {
        &COPIES
    }

    fn agent_names(&self) -> &[&str] {
        &["pg_autoctl"]
    }

    fn front(&self) -> Front {
        let endpoint = |number| {
            let address = self.laboratory.host(number).ipv4();
            format!("{address}:{}", server::PORT)
        };
        Front {
            endpoints: COPIES.map(endpoint).to_vec(),
            from: None,
            explanation: TRY_ALL,
        }
    }

    fn server(&self, host: u8) -> Server {
        Server::of(self.laboratory.host(host))
    }

    fn primary(&self) -> Result<u8> {
        let nodes = self.nodes()?;
        let primary = nodes.iter().find(|node| node.leads() && node.is_settled);
        Ok(primary.context("the monitor names no primary")?.number)
    }

    fn is_whole(&self) -> Result<bool> {
        let nodes = self.nodes()?;
        let healthy = nodes
            .iter()
            .filter(|node| node.is_settled && node.is_healthy);
        let follow = healthy.clone().filter(|node| node.follows()).count();
        let lead = healthy.filter(|node| node.state == "primary").count();
        Ok(lead == 1 && follow == COPIES.len() - 1)
    }

    fn decider(&self) -> Result<u8> {
        Ok(MONITOR)
    }

    fn move_decider(&mut self, host: u8) -> Result<bool> {
        Ok(host == MONITOR)
    }

    fn switchover(&mut self) -> Result<()> {
        self.ask_on(MONITOR, &["perform", "switchover"]).map(|_| ())
    }

    fn boot(&mut self, host: u8) -> Result<()> {
        self.prepare(host)?;
        self.start_agent(host)
    }

    fn start_agent(&mut self, number: u8) -> Result<()> {
        let run = self.invocation(number)?.arg("run");
        let agent = self.laboratory.host(number).spawn("pg_autoctl", run)?;
        self.agents.insert(number, agent);
        Ok(())
    }

    fn told(&self) -> String {
        let asked: [&[&str]; 2] = [&["show", "state"], &["show", "events", "--count", "8"]];
        let mut told = String::new();
        for arguments in asked {
            told += &match self.ask_on(MONITOR, arguments) {
                Ok(said) => said,
                Err(error) => format!("{error:#}"),
            };
            told.push('\n');
        }
        for (number, agent) in &self.agents {
            let log = agent.log().unwrap_or_default();
            told += &format!("pg_autoctl on h{number}:\n{}\n", last_lines(&log, 3));
        }
        told
    }
}

fn program() -> Result<std::path::PathBuf> {
    Ok(peers::auto_failover()?.join("usr/bin/pg_autoctl"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_on_its_way_is_not_settled() {
        let node = Node::read("h2 wait_primary primary 1").unwrap();
        assert!(node.number == 2 && node.leads() && !node.is_settled && node.is_healthy);
        let node = Node::read("h3 secondary secondary -1").unwrap();
        assert!(node.follows() && node.is_settled && !node.is_healthy);
        assert!(Node::read("").is_none());
    }
}
