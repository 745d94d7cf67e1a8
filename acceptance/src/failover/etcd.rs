//! The etcd beside Patroni: one member on each host, at its defaults.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::binaries;
use crate::laboratory::{Host, Invocation, Laboratory, Process};
use crate::wait::wait_until_true;

const CLIENT_PORT: u16 = 2379;
const PEER_PORT: u16 = 2380;
/// How long the members may take to find one another.
const PATIENCE: Duration = Duration::from_secs(30);

/// The members.
#[derive(Debug)]
pub(super) struct Etcd<'l> {
    laboratory: &'l Laboratory,
    members: BTreeMap<u8, Process>,
}

impl<'l> Etcd<'l> {
    /// One on each host, and one of them leads.
    pub(super) fn raise(laboratory: &'l Laboratory) -> Result<Self> {
        let mut etcd = Self {
            laboratory,
            members: BTreeMap::new(),
        };
        for host in laboratory.hosts() {
            etcd.start(host.number())?;
        }
        wait_until_true("a member of etcd leads", PATIENCE, || {
            Ok(etcd.leader().is_ok())
        })?;
        Ok(etcd)
    }

    /// Starts the member of a host, with its data if it has any.
    pub(super) fn start(&mut self, number: u8) -> Result<()> {
        let host = self.laboratory.host(number);
        let hosts = self.laboratory.hosts().iter();
        let cluster: Vec<String> = hosts
            .map(|host| format!("{}={}", host.name(), url(host, PEER_PORT)))
            .collect();
        let (client, peer) = (url(host, CLIENT_PORT), url(host, PEER_PORT));
        let invocation = Invocation::new(binaries::etcd()?)
            .args(["--name", host.name(), "--data-dir"])
            .arg(host.data_dir().join("etcd"))
            .args(["--listen-client-urls", &client])
            .args(["--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer])
            .args(["--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &cluster.join(",")]);
        let member = host.spawn("etcd", invocation)?;
        self.members.insert(number, member);
        Ok(())
    }

    /// `address:port` of each member, for clients.
    pub(super) fn endpoints(&self) -> Vec<String> {
        let hosts = self.laboratory.hosts().iter();
        hosts
            .map(|host| format!("{}:{CLIENT_PORT}", host.ipv4()))
            .collect()
    }

    /// The host whose member leads.
    pub(super) fn leader(&self) -> Result<u8> {
        let leads = |host: &&Host| {
            self.status(host)
                .is_ok_and(|status| status["leader"] == status["header"]["member_id"])
        };
        let leader = self.laboratory.hosts().iter().find(leads);
        Ok(leader.context("no member of etcd leads")?.number())
    }

    /// Has the member of that host lead.
    pub(super) fn move_leader(&self, number: u8) -> Result<()> {
        let leader = self.leader()?;
        if leader == number {
            return Ok(());
        }
        let status = self.status(self.laboratory.host(number))?;
        let wanted = json!({ "targetID": status["header"]["member_id"] });
        let leader = self.laboratory.host(leader);
        self.call(leader, "maintenance/transfer-leadership", &wanted)?;
        wait_until_true("the other member leads", PATIENCE, || {
            Ok(self.leader()? == number)
        })
    }

    fn status(&self, host: &Host) -> Result<Value> {
        self.call(host, "maintenance/status", &json!({}))
    }

    fn call(&self, host: &Host, what: &str, body: &Value) -> Result<Value> {
        let url = format!("{}/v3/{what}", url(host, CLIENT_PORT));
        let curl = Invocation::new("curl")
            .args(["-sS", "--fail", "--noproxy", "*", "--max-time", "2"])
            .args(["-d", &body.to_string(), &url]);
        self.laboratory.exec(curl)?.success()?.json()
    }
}

fn url(host: &Host, port: u16) -> String {
    format!("http://{}:{port}", host.ipv4())
}
