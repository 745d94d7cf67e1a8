//! A site for each copy, on one host: folders, guards and stewards.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hanse_core::dr::choose::SyncSet;
use hanse_core::dr::duty::{CopyPlace, CopyPlan, DrillOrder, Duty};
use hanse_core::dr::sight::CopyRole;
use hanse_core::dr::timings::Preset;
use hanse_core::name::NodeName;
use hanse_core::object::dr_plan::Workload;
use hanse_workload::{CopyReport, Setup, Steward};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::guard::TestGuard;
use crate::patience::{self, PATIENCE};

/// All copies of one plan.
pub(crate) struct Laboratory {
    pub(crate) root: tempfile::TempDir,
    pub(crate) copies: Vec<Copy>,
    revision: u64,
    /// The drill that the standby is to hold.
    pub(crate) drill: Option<DrillOrder>,
}

/// One copy, with all that a host has of it.
pub(crate) struct Copy {
    name: &'static str,
    number: usize,
    pub(crate) folder: PathBuf,
    pub(crate) setup: Setup,
    pub(crate) guard: Arc<TestGuard>,
    pub(crate) workload: Workload,
    pub(crate) plans: watch::Sender<Option<(u64, CopyPlan)>>,
    reports: watch::Receiver<CopyReport>,
    steward: JoinSet<()>,
}

impl Laboratory {
    /// Sites of a workload, which is given the root of all and each site's own folder.
    pub(crate) fn new(workload: impl Fn(&Path, &Path) -> Workload) -> Self {
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_test_writer()
            .try_init();
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let copies = ["a", "b"].into_iter().enumerate().map(|(number, name)| {
            let folder = root.path().join(name);
            for inner in ["memory", "seal"] {
                fs::create_dir_all(folder.join(inner)).unwrap();
            }
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
            let addresses = root.path().join("addresses");
            fs::create_dir_all(&addresses).unwrap();
            let link = addresses.join(address(number).to_string());
            std::os::unix::fs::symlink(&folder, link).unwrap();
            let workload = workload(root.path(), &folder);
            Copy::new(name, number, folder, workload)
        });
        Self {
            copies: copies.collect(),
            revision: 0,
            drill: None,
            root,
        }
    }

    /// Gives a copy its duty, at a new revision.
    pub(crate) fn tell(&mut self, number: usize, duty: Duty) {
        self.revision += 1;
        let places = self.copies.iter().map(|copy| {
            let place = CopyPlace {
                cluster: copy.name.parse().unwrap(),
                address: Some(address(copy.number)),
            };
            (node(copy.name), place)
        });
        let copy = &self.copies[number];
        let plan = CopyPlan {
            plan: "files".parse().unwrap(),
            cluster: copy.name.parse().unwrap(),
            is_home: number == 0,
            workload: copy.workload.clone(),
            duty,
            timings: Preset::Fast.timings(),
            places: places.collect::<BTreeMap<_, _>>(),
            service: None,
            watchdog: false,
            drill: self.drill.clone().filter(|_| number == 1),
            key: None,
            backup: None,
        };
        copy.plans.send_replace(Some((self.revision, plan)));
    }

    /// Has a copy lead under a lease that it has.
    pub(crate) fn lead(&mut self, number: usize, epoch: u64) {
        self.copies[number].guard.lease.send_replace(Some(epoch));
        self.tell_to_lead(number, epoch);
    }

    /// The same, whether the lease is there or not.
    pub(crate) fn tell_to_lead(&mut self, number: usize, epoch: u64) {
        let duty = Duty::Lead {
            epoch,
            fences_itself: true,
            set: SyncSet::default(),
            followers: Vec::new(),
        };
        self.tell(number, duty);
    }

    pub(crate) fn follow(&mut self, number: usize, primary: usize, epoch: u64) {
        let primary = node(self.copies[primary].name);
        self.tell(number, Duty::Follow { primary, epoch });
    }

    pub(crate) async fn until(
        &mut self,
        number: usize,
        what: &str,
        is_so: impl Fn(&CopyReport) -> bool,
    ) -> CopyReport {
        self.copies[number].until(what, is_so).await
    }

    /// Has the home begin, and take writes.
    pub(crate) async fn begin(&mut self) {
        self.tell(0, Duty::Wait);
        let is_whole =
            |told: &CopyReport| told.role == CopyRole::Stopped && told.position.is_some();
        self.until(0, "the home is whole", is_whole).await;
        self.lead(0, 1);
        self.until(0, "the home leads", leads(1)).await;
    }
}

impl Copy {
    fn new(name: &'static str, number: usize, folder: PathBuf, workload: Workload) -> Self {
        let setup = Setup {
            memory: folder.join("memory"),
            folder: folder.join("data.hanse"),
            seal: folder.join("seal/seal"),
            log: folder.join("data.hanse/log"),
            user: "root".to_owned(),
            configurations: folder.join("etc"),
            sockets: None,
        };
        let guard = TestGuard::new();
        let (plans, told) = watch::channel(None);
        let (steward, reports) = Steward::new(setup.clone(), guard.clone(), told);
        let mut life = JoinSet::new();
        life.spawn(steward.run());
        Self {
            name,
            number,
            folder,
            setup,
            guard,
            workload,
            plans,
            reports,
            steward: life,
        }
    }

    /// The same, and what the one before remembered is not there any more.
    pub(crate) fn forget(&mut self) {
        self.steward = JoinSet::new();
        fs::remove_file(self.setup.memory.join("files.json")).unwrap();
        self.restart();
    }

    /// Nobody keeps it any more.
    pub(crate) fn end(&mut self) {
        self.steward = JoinSet::new();
    }

    pub(crate) fn begin(&mut self) {
        self.restart();
    }

    /// Another steward takes over; the one that was there is gone at once, wherever it was.
    pub(crate) fn restart(&mut self) {
        let told = self.plans.subscribe();
        let (steward, reports) = Steward::new(self.setup.clone(), self.guard.clone(), told);
        self.steward = JoinSet::new();
        self.reports = reports;
        self.steward.spawn(steward.run());
    }

    /// Waits until the copy tells something.
    pub(crate) async fn until(
        &mut self,
        what: &str,
        is_so: impl Fn(&CopyReport) -> bool,
    ) -> CopyReport {
        let named = (self.name, what);
        patience::until(&mut self.reports, named, is_so, String::new).await
    }

    /// Waits until something is so that no report tells.
    pub(crate) async fn until_seen(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let seen = async {
            while !is_so(self) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, seen).await;
        assert!(waited.is_ok(), "{}: {what}: never came true", self.name);
    }
}

pub(crate) fn leads(epoch: u64) -> impl Fn(&CopyReport) -> bool {
    move |told| told.role == CopyRole::Primary && told.epoch == epoch && told.trouble.is_none()
}

/// It follows, and is as far as this.
pub(crate) fn follows(position: (u64, u64)) -> impl Fn(&CopyReport) -> bool {
    move |told| told.role == CopyRole::Following && at(told) == Some(position)
}

pub(crate) fn at(told: &CopyReport) -> Option<(u64, u64)> {
    told.position.map(|it| (it.branch, it.offset_bytes))
}

fn node(name: &str) -> NodeName {
    name.parse().unwrap()
}

fn address(number: usize) -> IpAddr {
    IpAddr::from([127, 0, 0, 2 + u8::try_from(number).unwrap()])
}
