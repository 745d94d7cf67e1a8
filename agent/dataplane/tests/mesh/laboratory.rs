//! Hosts as network namespaces on one bridge, inside a user, mount, network and process namespace
//! of their own, so that nothing is left when a scenario ends, however it ends.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use hanse_core::key::PublicKey;

use crate::plan::{Mesh, Order, Peer, Report};

const PATIENCE: Duration = Duration::from_secs(40);

pub(crate) struct Laboratory {
    _folder: tempfile::TempDir,
    pub(crate) hosts: Vec<Host>,
}

pub(crate) struct Host {
    pub(crate) name: String,
    number: usize,
    data_dir: PathBuf,
    agent: Option<Agent>,
    pub(crate) report: Report,
    key: Option<PublicKey>,
    revision: u64,
}

struct Agent {
    child: Child,
    orders: Option<ChildStdin>,
    reports: Receiver<Report>,
}

impl Laboratory {
    /// Hosts with agents that have a mesh without peers, each knowing its key.
    pub(crate) fn new(count: usize) -> Self {
        run("mount", &["-t", "tmpfs", "tmpfs", "/run"]);
        run("ip", &["link", "set", "lo", "up"]);
        run("ip", &["link", "add", "bridge0", "type", "bridge"]);
        run("ip", &["link", "set", "bridge0", "up"]);
        let folder = tempfile::tempdir().unwrap();
        let hosts = (1..=count)
            .map(|number| Host::new(number, folder.path()))
            .collect();
        Self {
            _folder: folder,
            hosts,
        }
    }

    /// Every host has all others as peers, and each path is proved.
    pub(crate) fn connect_all(&mut self) {
        self.make_keys();
        self.hand_out_full_meshes();
        for host in &mut self.hosts {
            host.wait_until_proved();
        }
    }

    /// Every host gets the mesh without peers, and makes its key.
    pub(crate) fn make_keys(&mut self) -> Vec<PublicKey> {
        for host in &mut self.hosts {
            let alone = host.mesh(Vec::new());
            host.set_plan(vec![alone]);
        }
        for host in &mut self.hosts {
            host.wait_until("it has a key", |report| {
                report.meshes.iter().any(|mesh| mesh.public_key.is_some())
            });
            host.key = host.report.meshes[0].public_key;
        }
        self.hosts.iter().map(Host::public_key).collect()
    }

    pub(crate) fn hand_out_full_meshes(&mut self) {
        for index in 0..self.hosts.len() {
            let mesh = self.full_mesh(index);
            self.hosts[index].set_plan(vec![mesh]);
        }
    }

    /// The mesh of a host with all others as peers.
    pub(crate) fn full_mesh(&self, index: usize) -> Mesh {
        let own = &self.hosts[index];
        let others = self.hosts.iter().filter(|other| other.number != own.number);
        own.mesh(others.map(|other| other.as_peer()).collect())
    }
}

impl Host {
    fn new(number: usize, folder: &Path) -> Self {
        let name = format!("host{number}");
        let (inner, outer) = ("eth0", format!("port{number}"));
        run("ip", &["netns", "add", &name]);
        run(
            "ip",
            &[
                "link", "add", &outer, "type", "veth", "peer", "name", inner, "netns", &name,
            ],
        );
        run("ip", &["link", "set", &outer, "master", "bridge0", "up"]);
        let mut host = Self {
            data_dir: folder.join(&name),
            name,
            number,
            agent: None,
            report: Report::default(),
            key: None,
            revision: 0,
        };
        host.must("ip", &["link", "set", "lo", "up"]);
        host.must("ip", &["link", "set", inner, "up"]);
        host.must(
            "ip",
            &[
                "address",
                "add",
                &format!("192.0.2.{number}/24"),
                "dev",
                inner,
            ],
        );
        let ipv6 = format!("2001:db8::{number}/64");
        host.must("ip", &["address", "add", &ipv6, "dev", inner, "nodad"]);
        host.start_agent();
        host
    }

    pub(crate) fn start_agent(&mut self) {
        let mut child = self
            .command(&std::env::current_exe().unwrap().to_string_lossy(), &[])
            .arg("host")
            .arg(&self.data_dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, reports) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        let orders = child.stdin.take();
        self.report = Report::default();
        self.agent = Some(Agent {
            child,
            orders,
            reports,
        });
    }

    pub(crate) fn kill_agent(&mut self) {
        let mut agent = self.agent.take().unwrap();
        agent.child.kill().unwrap();
        agent.child.wait().unwrap();
    }

    /// Ends the agent in order.
    pub(crate) fn stop_agent(&mut self) {
        let mut agent = self.agent.take().unwrap();
        drop(agent.orders.take());
        assert!(agent.child.wait().unwrap().success());
    }

    pub(crate) fn set_plan(&mut self, meshes: Vec<Mesh>) {
        self.revision += 1;
        self.send(&Order {
            revision: self.revision,
            meshes: Some(meshes),
        });
    }

    pub(crate) fn acknowledge(&mut self) -> u64 {
        self.revision += 1;
        self.send(&Order {
            revision: self.revision,
            meshes: None,
        });
        self.revision
    }

    fn send(&mut self, order: &Order) {
        let orders = self
            .agent
            .as_mut()
            .and_then(|agent| agent.orders.as_mut())
            .unwrap();
        writeln!(orders, "{}", serde_json::to_string(order).unwrap()).unwrap();
    }

    pub(crate) fn wait_until(&mut self, what: &str, is_so: impl Fn(&Report) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(&self.report) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.agent.as_ref().unwrap().reports.recv_timeout(left) {
                Ok(report) => self.report = report,
                Err(_) => panic!("{}: never so: {what}: {:#?}", self.name, self.report),
            }
        }
    }

    pub(crate) fn wait_until_applied(&mut self) {
        let revision = self.revision;
        self.wait_until("the plan is applied", |report| {
            report.applied_revision == revision
        });
    }

    /// The plan is applied, and data was proved to go to every peer and back.
    pub(crate) fn wait_until_proved(&mut self) {
        self.wait_until_applied();
        self.wait_until("every peer is proved", |report| {
            report
                .meshes
                .iter()
                .all(|mesh| mesh.peers.iter().all(|peer| peer.proved))
        });
    }

    pub(crate) fn public_key(&self) -> PublicKey {
        self.key.unwrap()
    }

    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        let number = self.number;
        vec![
            format!("10.80.0.{number}").parse().unwrap(),
            format!("fd80::{number}").parse().unwrap(),
        ]
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    pub(crate) fn mesh(&self, peers: Vec<Peer>) -> Mesh {
        let pools = vec![
            "10.80.0.0/24".parse().unwrap(),
            "fd80::/64".parse().unwrap(),
        ];
        Mesh {
            mesh: "core".parse().unwrap(),
            interface: "wg0".parse().unwrap(),
            addresses: self.addresses(),
            address_pools: pools.clone(),
            peers,
            routes: pools,
            gateway: false,
        }
    }

    pub(crate) fn as_peer(&self) -> Peer {
        Peer {
            node: self.name.parse().unwrap(),
            public_key: self.public_key(),
            preshared_key: Some([7; 32]),
            endpoint: Some(format!("192.0.2.{}:51820", self.number).parse().unwrap()),
            addresses: self.addresses(),
            routes: Vec::new(),
        }
    }

    /// A command inside the host.
    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.name, program])
            .args(arguments);
        command
    }

    pub(crate) fn must(&self, program: &str, arguments: &[&str]) -> String {
        succeed(
            program,
            arguments,
            self.command(program, arguments).output().unwrap(),
        )
    }

    /// The packets lost before so many pings were answered; all of them if none was.
    pub(crate) fn pings_lost(&self, to: IpAddr, count: u32) -> u32 {
        let (count_text, to) = (count.to_string(), to.to_string());
        // A deadline, since without one ping gives up on late answers.
        let arguments = ["-n", "-i", "0.02", "-w", "4", "-c", &count_text, &to];
        let output = self.command("ping", &arguments).output().unwrap();
        match lost(&String::from_utf8_lossy(&output.stdout)) {
            (0, _) => count,
            (_, lost) => lost,
        }
    }

    /// Pings that go on until they are ended.
    pub(crate) fn start_pings(&self, to: IpAddr) -> Pings {
        let arguments = ["-n", "-i", "0.02", &to.to_string()];
        let child = self
            .command("ping", &arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Pings(child)
    }

    /// `wg` on the daemon's socket, which is in the data folder.
    pub(crate) fn wg(&self, arguments: &str) -> String {
        let sockets = self.data_dir.join("run/wireguard");
        let script = format!(
            "mkdir -p /run/wireguard && mount --bind {} /run/wireguard && wg {arguments}",
            sockets.display()
        );
        self.must("unshare", &["--mount", "sh", "-ec", &script])
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How many answers say something.
const PINGS_ANSWERED_MIN: usize = 50;

pub(crate) struct Pings(Child);

impl Pings {
    /// How many were answered, and how many before the last answered one were not. A quick machine
    /// is done before the pings say anything, so some answers are awaited first.
    pub(crate) fn end(mut self) -> (u32, u32) {
        let mut output = BufReader::new(self.0.stdout.take().unwrap());
        let mut answers = String::new();
        while answers.matches("time=").count() <= PINGS_ANSWERED_MIN
            && output.read_line(&mut answers).unwrap() > 0
        {}
        run("kill", &["-INT", &self.0.id().to_string()]);
        output.read_to_string(&mut answers).unwrap();
        self.0.wait().unwrap();
        lost(&answers)
    }
}

/// What is still under way when pings end is not lost, so only gaps count.
fn lost(answers: &str) -> (u32, u32) {
    let number = |line: &str| {
        let (_, rest) = line.split_once("icmp_seq=")?;
        rest.split(' ').next()?.parse::<u32>().ok()
    };
    let numbers: BTreeSet<u32> = answers
        .lines()
        .filter(|line| line.contains("time="))
        .filter_map(number)
        .collect();
    let answered = u32::try_from(numbers.len()).unwrap();
    (answered, numbers.last().map_or(0, |last| last - answered))
}

pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    succeed(
        program,
        arguments,
        Command::new(program).args(arguments).output().unwrap(),
    )
}

fn succeed(program: &str, arguments: &[&str], output: Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}
