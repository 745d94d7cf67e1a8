//! A site for each copy, on one host: loopback addresses, folders, guards and stewards.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use hanse_core::dr::choose::SyncSet;
use hanse_core::dr::duty::{CopyBackup, CopyPlace, CopyPlan, DrillOrder, Duty};
use hanse_core::dr::timings::Preset;
use hanse_core::name::NodeName;
use hanse_core::object::dr_plan::{Postgresql, Workload};
use hanse_workload::{CopyReport, Setup, Steward};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::guard::TestGuard;
use crate::interruption::Killer;
use crate::patience;
pub(crate) use crate::patience::PATIENCE;

static PORTS: AtomicU16 = AtomicU16::new(0);

/// All copies of one plan.
pub(crate) struct Laboratory {
    pub(crate) root: tempfile::TempDir,
    pub(crate) port: u16,
    pub(crate) copies: Vec<Copy>,
    pub(crate) backup: Option<CopyBackup>,
    revision: u64,
    /// The drill that one of them is to hold.
    pub(crate) drill: Option<DrillOrder>,
    pub(crate) drills_on: usize,
}

/// One copy, with all that a host has of it.
pub(crate) struct Copy {
    pub(crate) name: &'static str,
    pub(crate) number: usize,
    pub(crate) folder: PathBuf,
    pub(crate) setup: Setup,
    pub(crate) guard: Arc<TestGuard>,
    pub(crate) plans: Arc<watch::Sender<Option<(u64, CopyPlan)>>>,
    pub(crate) reports: watch::Receiver<CopyReport>,
    steward: JoinSet<()>,
}

pub(crate) fn postgres_id() -> (u32, u32) {
    let output = Command::new("getent")
        .args(["passwd", "postgres"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let fields: Vec<&str> = text.split(':').collect();
    let missing = "no user postgres: run `apt-get install postgresql`";
    let number = |place: usize| fields.get(place).expect(missing).parse().expect(missing);
    (number(2), number(3))
}

/// A folder of the user postgres.
pub(crate) fn folder_of_postgres(path: &Path) {
    fs::create_dir_all(path).unwrap();
    let (user, group) = postgres_id();
    chown(path, Some(user), Some(group)).unwrap();
}

/// A program of PostgreSQL, as its user.
pub(crate) fn program(name: &str) -> Command {
    let bins = fs::read_dir("/usr/lib/postgresql");
    let bins = bins.expect("PostgreSQL is missing: run `apt-get install postgresql`");
    let newest = bins.flatten().map(|entry| entry.path()).max().unwrap();
    let (user, group) = postgres_id();
    let mut command = Command::new("setpriv");
    command
        .args([format!("--reuid={user}"), format!("--regid={group}")])
        .args(["--clear-groups", "--"])
        .arg(newest.join("bin").join(name))
        .env("LC_ALL", "C")
        .current_dir("/");
    command
}

impl Laboratory {
    pub(crate) fn new(names: &[&'static str]) -> Self {
        // With RUST_LOG=hanse_workload=debug a test tells each step.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_test_writer()
            .try_init();
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let offset = PORTS.fetch_add(1, Ordering::SeqCst) + (std::process::id() % 500) as u16 * 20;
        let mut laboratory = Self {
            port: 15000 + offset,
            copies: Vec::new(),
            backup: None,
            revision: 0,
            drill: None,
            drills_on: 0,
            root,
        };
        for (number, name) in names.iter().enumerate() {
            let copy = Copy::new(laboratory.root.path(), name, number);
            laboratory.copies.push(copy);
        }
        laboratory
    }

    fn plan(&self, number: usize, duty: Duty) -> CopyPlan {
        let place = |name: &str, address: String| {
            let place = CopyPlace {
                cluster: name.parse().unwrap(),
                address: Some(address.parse().unwrap()),
            };
            (node(name), place)
        };
        let mut places: BTreeMap<NodeName, CopyPlace> = self
            .copies
            .iter()
            .map(|copy| place(copy.name, copy.address().to_string()))
            .collect();
        // On the loopback everybody comes from its first address.
        places.extend([place("loopback", "127.0.0.1".to_owned())]);
        CopyPlan {
            plan: "shop".parse().unwrap(),
            cluster: self.copies[number].name.parse().unwrap(),
            is_home: number == 0,
            workload: Workload::Postgresql(self.postgresql(number)),
            duty,
            timings: Preset::Fast.timings(),
            places,
            service: None,
            watchdog: false,
            drill: self.drill.clone().filter(|_| self.drills_on == number),
            key: Some([7; 32].into()),
            backup: self.backup.clone(),
        }
    }

    /// The server of a copy.
    pub(crate) fn postgresql(&self, number: usize) -> Postgresql {
        Postgresql {
            data_directory: self.copies[number].data().display().to_string(),
            port: self.port,
            bin_directory: None,
        }
    }

    /// Gives a copy its duty, at a new revision.
    pub(crate) fn tell(&mut self, number: usize, duty: Duty) -> u64 {
        self.revision += 1;
        let plan = self.plan(number, duty);
        self.copies[number]
            .plans
            .send_replace(Some((self.revision, plan)));
        self.revision
    }

    /// Has a copy lead under a lease that it has.
    pub(crate) fn lead(&mut self, number: usize, epoch: u64, set: SyncSet) -> u64 {
        let followers = (0..self.copies.len()).filter(|other| *other != number);
        let followers = followers
            .map(|other| node(self.copies[other].name))
            .collect();
        self.copies[number].guard.lease.send_replace(Some(epoch));
        self.tell(
            number,
            Duty::Lead {
                epoch,
                fences_itself: true,
                set,
                followers,
            },
        )
    }

    pub(crate) fn follow(&mut self, number: usize, primary: usize, epoch: u64) -> u64 {
        let primary = node(self.copies[primary].name);
        self.tell(number, Duty::Follow { primary, epoch })
    }
}

impl Copy {
    fn new(root: &Path, name: &'static str, number: usize) -> Self {
        let folder = root.join(name);
        for inner in ["", "memory", "seal"] {
            fs::create_dir_all(folder.join(inner)).unwrap();
        }
        for inner in ["data", "sockets"] {
            folder_of_postgres(&folder.join(inner));
        }
        let setup = Setup {
            memory: folder.join("memory"),
            folder: folder.join("hanse"),
            seal: folder.join("seal/seal"),
            log: folder.join("log"),
            user: "postgres".to_owned(),
            configurations: folder.join("etc"),
            sockets: Some(folder.join("sockets")),
        };
        let (plans, _) = watch::channel(None);
        let (_, reports) = watch::channel(CopyReport::default());
        let mut copy = Self {
            name,
            number,
            folder,
            setup,
            guard: TestGuard::new(),
            plans: Arc::new(plans),
            reports,
            steward: JoinSet::new(),
        };
        copy.start();
        copy
    }

    /// Starts a steward; one that was there is gone at once, wherever it was.
    pub(crate) fn start(&mut self) {
        self.start_under(None);
    }

    /// The same under a killer: whenever it kills, the next steward begins.
    pub(crate) fn start_under(&mut self, killer: Option<Killer>) {
        self.kill();
        let (told, reports) = watch::channel(CopyReport::default());
        self.reports = reports;
        let (setup, guard, plans) = (self.setup.clone(), self.guard.clone(), self.plans.clone());
        let name = self.name;
        self.steward.spawn(async move {
            loop {
                let plans = plans.subscribe();
                let (steward, mut reports) = Steward::new(setup.clone(), guard.clone(), plans);
                let mut life = JoinSet::new();
                let run = steward.run().instrument(tracing::info_span!("copy", name));
                match &killer {
                    None => life.spawn(run),
                    Some(killer) => killer.let_live(&mut life, run),
                };
                while reports.changed().await.is_ok() {
                    told.send_replace(reports.borrow().clone());
                }
                if killer.is_none() {
                    return;
                }
            }
        });
    }

    pub(crate) fn kill(&mut self) {
        self.steward = JoinSet::new();
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data/main")
    }

    /// Which data directory it is: one that was made anew is another.
    pub(crate) fn made(&self) -> u64 {
        fs::metadata(self.data()).unwrap().ino()
    }

    /// How many times it gave up what nobody else had.
    pub(crate) fn kept(&self) -> usize {
        fs::read_dir(self.folder.join("hanse/divergent")).map_or(0, Iterator::count)
    }

    pub(crate) fn address(&self) -> IpAddr {
        IpAddr::from([127, 0, 0, 2 + u8::try_from(self.number).unwrap()])
    }

    /// Waits until the copy tells something.
    pub(crate) async fn until(
        &mut self,
        what: &str,
        is_so: impl Fn(&CopyReport) -> bool,
    ) -> CopyReport {
        let log = self.setup.log.clone();
        let last = || {
            let log = fs::read_to_string(log).unwrap_or_default();
            let log: Vec<&str> = log.lines().rev().take(30).collect();
            format!("{log:#?}")
        };
        patience::until(&mut self.reports, (self.name, what), is_so, last).await
    }

    /// What the server answers.
    pub(crate) fn sql(&self, question: &str) -> String {
        self.try_sql(question).unwrap()
    }

    pub(crate) fn try_sql(&self, question: &str) -> Result<String, String> {
        let sockets = self.folder.join("sockets");
        let port = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let port = port.lines().nth(3).unwrap_or("1").to_owned();
        let output = program("psql")
            .args(["-XAtq", "-h"])
            .arg(sockets)
            .args([
                "-p",
                &port,
                "-d",
                "postgres",
                "-v",
                "ON_ERROR_STOP=1",
                "-c",
                question,
            ])
            .output()
            .unwrap();
        match output.status.success() {
            true => Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }
}

pub(crate) fn node(name: &str) -> NodeName {
    name.parse().unwrap()
}

/// One of these must have each commit.
pub(crate) fn any_of(names: &[&str]) -> SyncSet {
    SyncSet {
        members: names.iter().map(|name| name.parse().unwrap()).collect(),
        needed: 1,
    }
}
