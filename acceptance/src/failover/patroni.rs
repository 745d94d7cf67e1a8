//! Patroni with etcd: three hosts, each with a server, a Patroni and a member of etcd.
//!
//! Nothing starts a Patroni again that was killed: the unit in its documentation says `Restart=no`.
//! `pg_rewind` is on as in its sample configuration, since without it nobody could follow again. No
//! watchdog: the laboratory has no device for one, and Patroni goes on without unless told to insist.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::cluster::{Cluster, Front, Replication, TRY_ALL, Variant};
use super::etcd::Etcd;
use super::peers;
use super::server::{self, Server, as_postgres};
use crate::laboratory::{Invocation, Laboratory, Process, last_lines};
use crate::wait::wait_until_true;

/// How many hosts it stands on.
pub const HOSTS: u8 = 3;
const REST_PORT: u16 = 8008;
/// How long it may take until all copies follow the first primary.
const RAISE_TIMEOUT: Duration = Duration::from_secs(120);
/// The lowest that Patroni takes: a `ttl` below 20 is raised to it, and the leader must be able to
/// ask twice within it (`loop_wait` + 2 × `retry_timeout` ≤ `ttl`).
const TUNED: [(&str, u32); 3] = [("ttl", 20), ("loop_wait", 1), ("retry_timeout", 3)];

/// It, raised.
#[derive(Debug)]
pub struct Patroni<'l> {
    laboratory: &'l Laboratory,
    title: String,
    etcd: Etcd<'l>,
    copies: Vec<u8>,
    agents: BTreeMap<u8, Process>,
}

impl<'l> Patroni<'l> {
    /// Raises it on all hosts of the laboratory.
    ///
    /// # Errors
    ///
    /// When its programs are missing or it doesn't become whole.
    pub fn raise(
        laboratory: &'l Laboratory,
        variant: Variant,
        replication: Replication,
    ) -> Result<Self> {
        let title = format!(
            "Patroni {}, etcd {}, PostgreSQL {}",
            peers::PATRONI_VERSION,
            etcd_version(laboratory)?,
            server::version(laboratory)?
        );
        let hosts = laboratory.hosts().iter();
        let mut patroni = Self {
            laboratory,
            title,
            etcd: Etcd::raise(laboratory)?,
            copies: hosts.map(crate::Host::number).collect(),
            agents: BTreeMap::new(),
        };
        for number in patroni.copies.clone() {
            Server::prepare(laboratory.host(number))?;
            let configuration = patroni.configuration(number, variant, replication)?;
            let path = patroni.configuration_path(number);
            fs::write(&path, configuration.to_string())
                .with_context(|| format!("unable to write {}", path.display()))?;
            patroni.start_agent(number)?;
        }
        wait_until_true("Patroni is whole", RAISE_TIMEOUT, || patroni.is_whole())?;
        Ok(patroni)
    }

    /// JSON, which is YAML.
    fn configuration(
        &self,
        number: u8,
        variant: Variant,
        replication: Replication,
    ) -> Result<Value> {
        let host = self.laboratory.host(number);
        let server = Server::of(host);
        let mut shared = json!({ "postgresql": { "use_pg_rewind": true } });
        match variant {
            Variant::Default => {}
            Variant::Tuned => {
                for (name, value) in TUNED {
                    shared[name] = value.into();
                }
            }
        }
        match replication {
            Replication::Default | Replication::Async => {}
            Replication::Sync => shared["synchronous_mode"] = true.into(),
        }
        let address = format!("{}:{REST_PORT}", host.ipv4());
        Ok(json!({
            "scope": "bench",
            "name": host.name(),
            "restapi": { "listen": address, "connect_address": address },
            "etcd3": { "hosts": self.etcd.endpoints() },
            "bootstrap": { "dcs": shared, "initdb": ["data-checksums", { "encoding": "UTF8" }] },
            "postgresql": {
                "listen": format!("{}:{}", host.ipv4(), server.port),
                "connect_address": format!("{}:{}", host.ipv4(), server.port),
                "data_dir": server.data,
                "bin_dir": server::bin(),
                "pgpass": host.data_dir().join("pgpass"),
                "authentication": {
                    "superuser": { "username": "postgres" },
                    "replication": { "username": "postgres" },
                },
                "parameters": { "unix_socket_directories": server.sockets },
                "pg_hba": [
                    "local all all trust",
                    "host all all 10.99.0.0/24 trust",
                    "host replication all 10.99.0.0/24 trust",
                ],
            },
        }))
    }

    fn configuration_path(&self, number: u8) -> PathBuf {
        self.laboratory.host(number).data_dir().join("patroni.yml")
    }

    /// What it says of itself, by the first that answers; a cut one may tell an old story.
    fn members(&self) -> Result<Vec<Value>> {
        let mut newest: Option<Vec<Value>> = None;
        for number in &self.copies {
            let url = format!(
                "http://{}:{REST_PORT}/cluster",
                self.laboratory.host(*number).ipv4()
            );
            let curl = ["curl", "-sS", "--noproxy", "*", "--max-time", "2", &url];
            let Ok(said) = self
                .laboratory
                .exec(curl)?
                .success()
                .and_then(|said| said.json())
            else {
                continue;
            };
            let members = said["members"].as_array().cloned().unwrap_or_default();
            if newest
                .as_ref()
                .is_none_or(|best| timeline(&members) > timeline(best))
            {
                newest = Some(members);
            }
        }
        newest.context("no Patroni answers")
    }

    fn patronictl(&self, arguments: &[&str]) -> Result<String> {
        let configuration = self.configuration_path(self.copies[0]);
        let output = self.laboratory.exec(
            Invocation::new(peers::patroni("patronictl")?)
                .arg("-c")
                .arg(configuration)
                .args(arguments)
                .env("LC_ALL", "C.UTF-8")
                .time_limit(Duration::from_secs(60)),
        )?;
        let output = output.success()?;
        Ok(format!("{}{}", output.stdout, output.stderr))
    }
}

impl Cluster for Patroni<'_> {
    fn title(&self) -> &str {
        &self.title
    }

    fn copies(&self) -> &[u8] {
        &self.copies
    }

    fn agent_names(&self) -> &[&str] {
        &["patroni"]
    }

    fn front(&self) -> Front {
        let hosts = self.laboratory.hosts().iter();
        Front {
            endpoints: hosts
                .map(|host| format!("{}:{}", host.ipv4(), server::PORT))
                .collect(),
            from: None,
            explanation: TRY_ALL,
        }
    }

    fn server(&self, host: u8) -> Server {
        Server::of(self.laboratory.host(host))
    }

    fn primary(&self) -> Result<u8> {
        let members = self.members()?;
        let leader = members.iter().find(|member| leads(member));
        let name = leader.and_then(|member| member["name"].as_str());
        let mut hosts = self.laboratory.hosts().iter();
        let host = hosts.find(|host| Some(host.name()) == name);
        Ok(host.context("Patroni names no leader")?.number())
    }

    fn is_whole(&self) -> Result<bool> {
        let members = self.members()?;
        let leaders = members.iter().filter(|member| leads(member)).count();
        let follow = members
            .iter()
            .filter(|member| member["state"] == "streaming");
        Ok(leaders == 1 && follow.count() == self.copies.len() - 1)
    }

    fn decider(&self) -> Result<u8> {
        self.etcd.leader()
    }

    fn move_decider(&mut self, host: u8) -> Result<bool> {
        self.etcd.move_leader(host).map(|()| true)
    }

    fn switchover(&mut self) -> Result<()> {
        self.patronictl(&["switchover", "--force"]).map(|_| ())
    }

    fn boot(&mut self, host: u8) -> Result<()> {
        Server::prepare(self.laboratory.host(host))?;
        self.etcd.start(host)?;
        self.start_agent(host)
    }

    fn start_agent(&mut self, number: u8) -> Result<()> {
        let invocation =
            as_postgres(peers::patroni("patroni")?)?.arg(self.configuration_path(number));
        let agent = self.laboratory.host(number).spawn("patroni", invocation)?;
        self.agents.insert(number, agent);
        Ok(())
    }

    fn told(&self) -> String {
        let mut told = match self.patronictl(&["list"]) {
            Ok(said) => said,
            Err(error) => format!("{error:#}\n"),
        };
        for (number, agent) in &self.agents {
            let log = agent.log().unwrap_or_default();
            told += &format!("patroni on h{number}:\n{}\n", last_lines(&log, 3));
        }
        told
    }
}

fn leads(member: &Value) -> bool {
    member["role"] == "leader" && member["state"] == "running"
}

fn timeline(members: &[Value]) -> u64 {
    let timelines = members
        .iter()
        .filter_map(|member| member["timeline"].as_u64());
    timelines.max().unwrap_or(0)
}

fn etcd_version(laboratory: &Laboratory) -> Result<String> {
    let said = laboratory.exec(Invocation::new(crate::binaries::etcd()?).arg("--version"))?;
    let said = said.success()?;
    let version = said
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("etcd Version: "));
    ensure!(
        version.is_some(),
        "etcd doesn't say its version: {}",
        said.stdout
    );
    Ok(version.unwrap_or_default().to_owned())
}
