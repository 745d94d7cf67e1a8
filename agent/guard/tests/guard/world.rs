//! A folder, a guard in it, and a workload of which a scenario hears when all of it is dead.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use hanse_guard::{
    Client, Clock, LeaseTerms, Order, Process, Program, Status, StopSignal, SystemClock,
};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{sleep, timeout};

use crate::fakes::alive;

/// Whom the workload runs as.
pub(crate) const NOBODY: u32 = 65_534;
pub(crate) const GROUP: u32 = 4242;
/// Nothing here takes so long but a failure.
const NEVER: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// What the workload does first: it holds a pipe, of which the scenario reads the end once no process
/// holds it any more. Its descendants leave its session, fork twice and ignore what asks them to end.
const BEGIN: &str = r#"
exec 9>"$FOLDER/alive"
STUBBORN='trap "" TERM INT HUP; while :; do sleep 1000; done'
setsid sh -c "$STUBBORN" &
(setsid sh -c "$STUBBORN" &) &
setsid sh -c 'trap "" TERM INT HUP; while :; do :; done' &
[ -e "$SEAL" ] || exit 3
"#;

/// What the scenario hears of the workload.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Said(String),
    /// No process of it lives.
    Dead,
}

pub(crate) struct World {
    folder: TempDir,
    guard: Child,
    pub(crate) client: Client,
    life: UnboundedReceiver<Life>,
}

/// Runs a scenario.
pub(crate) fn run(scenario: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(scenario);
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_stage(&[])
    }

    /// `stage`: the command that becomes the program, if not this one.
    pub(crate) fn with_stage(stage: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let pipe = folder.path().join("alive");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::from(0o666), 0).unwrap();
        fs::set_permissions(&pipe, fs::Permissions::from_mode(0o666)).unwrap();
        let (told, life) = unbounded_channel();
        std::thread::spawn(move || {
            loop {
                for line in BufReader::new(fs::File::open(&pipe).unwrap()).lines() {
                    let _ = told.send(Life::Said(line.unwrap()));
                }
                if told.send(Life::Dead).is_err() {
                    return;
                }
            }
        });
        let guard = start_guard(folder.path(), stage);
        let client = Client::new(&folder.path().join("guard"));
        let world = Self {
            folder,
            guard,
            client,
            life,
        };
        world.put("federation", "* 60000");
        world
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// Puts a file in its place in one step.
    pub(crate) fn put(&self, name: &str, text: &str) {
        let beside = self.path(&format!("{name}.new"));
        fs::write(&beside, text).unwrap();
        fs::rename(beside, self.path(name)).unwrap();
    }

    pub(crate) fn events(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("events")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub(crate) fn count(&self, prefix: &str) -> usize {
        let is_such = |event: &&String| event.starts_with(prefix);
        self.events().iter().filter(is_such).count()
    }

    pub(crate) async fn event(&self, prefix: &str) -> String {
        let found = || {
            self.events()
                .into_iter()
                .find(|event| event.starts_with(prefix))
        };
        eventually(prefix, || found().is_some()).await;
        found().unwrap()
    }

    /// Waits for some more of such events.
    pub(crate) async fn more(&self, prefix: &str, number: usize) {
        let known = self.count(prefix);
        eventually(prefix, || self.count(prefix) >= known + number).await;
    }

    /// A program that goes on until it is asked to end.
    pub(crate) fn program(&self) -> Program {
        self.script("trap 'exit 0' TERM\necho up >&9\nwhile :; do sleep 0.02; done")
    }

    pub(crate) fn script(&self, script: &str) -> Program {
        let folder = self.folder().display().to_string();
        let seal = self.path("sealed/server");
        Program {
            command: vec!["/bin/sh".into(), "-c".into(), format!("{BEGIN}\n{script}")],
            environment: BTreeMap::from([
                ("FOLDER".to_owned(), folder),
                ("SEAL".to_owned(), seal.display().to_string()),
                ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
            ]),
            folder: self.folder().to_owned(),
            user_id: NOBODY,
            group_id: NOBODY,
            groups: vec![GROUP],
            stop_signal: StopSignal::Terminate,
            stop_max_ms: 60_000,
            seal,
            log: self.path("log"),
        }
    }

    /// Gives an order, as soon as the guard answers.
    pub(crate) async fn order(&self, order: Order) -> u64 {
        let deadline = tokio::time::Instant::now() + NEVER;
        loop {
            match self.client.order(order.clone()).await {
                Ok(serial) => return serial,
                Err(error) => {
                    assert!(tokio::time::Instant::now() < deadline, "{error}");
                    sleep(POLL).await;
                }
            }
        }
    }

    pub(crate) async fn answers(&self) {
        let socket = self.path("guard/socket");
        let connects = || std::os::unix::net::UnixStream::connect(&socket).is_ok();
        eventually("the socket", connects).await;
    }

    pub(crate) async fn status(&self, what: &str, is_so: impl FnMut(&Status) -> bool) -> Status {
        let mut is_so = is_so;
        let mut status = self.client.status();
        let found = status.wait_for(|status| status.as_ref().is_some_and(&mut is_so));
        let Ok(found) = timeout(NEVER, found).await else {
            let known = self.client.status().borrow().clone();
            let events = self.events();
            let log = fs::read_to_string(self.path("log"));
            panic!("never {what}: {known:?}\n{events:?}\n{log:?}");
        };
        found.unwrap().clone().unwrap()
    }

    pub(crate) async fn running(&self) -> (u64, u32) {
        self.running_other_than(0).await
    }

    pub(crate) async fn running_other_than(&self, known: u64) -> (u64, u32) {
        let is_other = |status: &Status| matches!(status.process, Process::Running { start, .. } if start != known);
        match self.status("running", is_other).await.process {
            Process::Running { start, pid } => (start, pid),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn said(&mut self, what: &str) {
        loop {
            match self.hear(what).await {
                Life::Said(said) if said == what => return,
                Life::Said(_) | Life::Dead => {}
            }
        }
    }

    pub(crate) async fn dead(&mut self) {
        while self.hear("the end").await != Life::Dead {}
    }

    /// Whether nothing was heard of the workload that was not waited for.
    pub(crate) fn is_silent(&mut self) -> bool {
        self.life.try_recv().is_err()
    }

    async fn hear(&mut self, what: &str) -> Life {
        match timeout(NEVER, self.life.recv()).await {
            Ok(life) => life.unwrap(),
            Err(_) => panic!(
                "never heard {what}: {:?}\n{:?}\n{:?}",
                self.events(),
                self.client.status().borrow(),
                fs::read_to_string(self.path("log"))
            ),
        }
    }

    pub(crate) fn guard(&self) -> u32 {
        self.guard.id()
    }

    pub(crate) fn keeper(&self) -> u32 {
        let found = crate::fakes::processes(|pid| parent(pid) == Some(self.guard.id()));
        assert_eq!(found.len(), 1, "a guard has one keeper");
        found[0]
    }

    pub(crate) fn alive(&self) -> Vec<u32> {
        alive(self.folder())
    }

    pub(crate) fn kill_guard(&mut self) {
        self.guard.kill().unwrap();
        self.guard.wait().unwrap();
    }

    pub(crate) fn start_guard(&mut self) {
        self.guard = start_guard(self.folder.path(), &[]);
    }

    pub(crate) async fn guard_ended(&mut self) -> bool {
        let mut status = None;
        eventually("the end of the guard", || {
            status = self.guard.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap().success()
    }

    /// Waits until a lease that was renewed no later than this has certainly ended.
    pub(crate) async fn lease_ended(&self, ttl_ms: u64) {
        let last = self.events().into_iter().rev().find_map(|event| {
            let (_, at) = event.split_once(" at ")?;
            at.parse::<u64>().ok()
        });
        let ends = Duration::from_millis(last.unwrap() + ttl_ms);
        eventually("the end of the lease", || SystemClock.boot() >= ends).await;
    }
}

pub(crate) fn order(program: Option<Program>, lease: Option<LeaseTerms>) -> Order {
    Order {
        plan: "orders".parse().unwrap(),
        serial: 0,
        lease,
        program,
        gives_back: false,
        service_address: None,
    }
}

pub(crate) fn lease(epoch: u64) -> LeaseTerms {
    LeaseTerms {
        epoch,
        check_interval_ms: 100,
        stop_budget_ms: 600,
        fences_itself: true,
        restart_max_ms: 60_000,
        watchdog: false,
    }
}

pub(crate) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + NEVER;
    while !is_so() {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        sleep(POLL).await;
    }
}

pub(crate) fn send(pid: u32, signal: Signal) {
    kill_process(process(pid), signal).unwrap();
}

/// Stops a process of the workload, of which the kernel may end any meanwhile: their lease is ending.
pub(crate) fn freeze_or_gone(pid: u32) {
    match kill_process(process(pid), Signal::STOP) {
        Ok(()) | Err(Errno::SRCH) => {}
        Err(errno) => panic!("could not stop process {pid}: {errno}"),
    }
}

fn process(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

fn parent(pid: u32) -> Option<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

fn start_guard(folder: &Path, stage: &[&str]) -> Child {
    Command::new("/proc/self/exe")
        .arg("guard")
        .arg(folder)
        .args(stage)
        .spawn()
        .unwrap()
}
