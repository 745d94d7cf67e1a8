//! Drills beside a standby of real PostgreSQL: what they find, and that nothing of them is left.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hanse_core::dr::choose::SyncSet;
use hanse_core::dr::drill::{CheckOutcome, DrillOutcome, DrillReport};
use hanse_core::dr::duty::{DrillOrder, Duty};
use hanse_core::dr::sight::CopyRole;
use hanse_core::object::dr_plan::DrillCheck;
use hanse_workload::{CopyReport, DrillNews, Driller};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::laboratory::{Laboratory, PATIENCE};
use crate::moves::{follows, leads};
use crate::practice;

pub(crate) fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

pub(crate) fn check(name: &str, sql: &str) -> DrillCheck {
    DrillCheck {
        name: name.to_owned(),
        sql: sql.to_owned(),
        database: "postgres".to_owned(),
    }
}

pub(crate) fn order(number: u64, checks: Vec<DrillCheck>) -> DrillOrder {
    DrillOrder {
        checks,
        ..practice::order(number, PATIENCE)
    }
}

/// A standby that follows under load, and whoever holds drills beside it.
pub(crate) struct Stage {
    // It ends before the servers do.
    load: Load,
    pub(crate) lab: Laboratory,
    news: watch::Receiver<Option<DrillNews>>,
    pub(crate) driller: JoinSet<()>,
}

/// Somebody who writes all the time.
struct Load {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let mut lab = Laboratory::new(&["a", "b"]);
        lab.tell(0, Duty::Wait);
        let made = |told: &CopyReport| told.role == CopyRole::Stopped;
        lab.copies[0].until("the database is made", made).await;
        lab.lead(0, 5, SyncSet::default());
        lab.copies[0].until("it leads", leads(5)).await;
        lab.copies[0].sql("create table orders (id serial, text text)");
        lab.copies[0].sql("insert into orders (text) select 'early' from generate_series(1, 1000)");
        lab.follow(1, 0, 5);
        lab.copies[1].until("it follows", follows(5)).await;
        let load = Load::begin(&lab);
        let (_, news) = watch::channel(None);
        let driller = JoinSet::new();
        let mut stage = Self {
            lab,
            news,
            driller,
            load,
        };
        stage.start();
        stage
    }

    /// Starts whoever holds drills; one that was there is gone at once.
    pub(crate) fn start(&mut self) {
        self.driller = JoinSet::new();
        let copy = &self.lab.copies[1];
        let plans = copy.plans.subscribe();
        let (driller, news) = Driller::new(copy.setup.clone(), practice::cage(), plans);
        self.news = news;
        self.driller.spawn(driller.run());
    }

    pub(crate) fn order(&mut self, drill: Option<DrillOrder>) {
        (self.lab.drill, self.lab.drills_on) = (drill, 1);
        self.lab.follow(1, 0, 5);
    }

    pub(crate) async fn until(&mut self, is_so: impl Fn(&DrillNews) -> bool) -> DrillNews {
        let is_told = |news: &Option<DrillNews>| news.as_ref().is_some_and(&is_so);
        let waited = tokio::time::timeout(PATIENCE, self.news.wait_for(is_told)).await;
        let told = waited
            .ok()
            .and_then(|told| told.ok().map(|told| told.clone()));
        told.flatten()
            .unwrap_or_else(|| panic!("never came true: {:?}", self.news.borrow()))
    }

    pub(crate) async fn report(&mut self, number: u64) -> DrillReport {
        let ended = |news: &DrillNews| news.number == number && news.report.is_some();
        self.until(ended).await.report.unwrap()
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.lab.copies[1].setup.folder.join("drill")
    }

    /// Returns once no file and no process of any drill is left, and the copy still follows.
    pub(crate) async fn is_clean(&mut self) {
        let root = self.root();
        let (told, cleaned) = tokio::sync::oneshot::channel();
        let looked = root.clone();
        std::thread::spawn(move || {
            let began = std::time::Instant::now();
            while (!left(&looked).is_empty() || !processes(&looked).is_empty())
                && began.elapsed() < PATIENCE
            {
                std::thread::yield_now();
            }
            let _ = told.send(());
        });
        cleaned.await.unwrap();
        assert_eq!(left(&root), Vec::<PathBuf>::new());
        assert_eq!(processes(&root), Vec::<String>::new());
        self.lab.copies[1]
            .until("it still follows", follows(5))
            .await;
    }
}

/// What is in a drill's folder.
fn left(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// The processes that have a drill's folder among their words.
fn processes(root: &Path) -> Vec<String> {
    let root = root.display().to_string();
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = all.filter_map(|entry| {
        let words = std::fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&words).replace('\0', " ");
        let id = entry.file_name().to_string_lossy().into_owned();
        line.contains(&root).then(|| format!("{id} {line}"))
    });
    lines.collect()
}

impl Load {
    fn begin(lab: &Laboratory) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let written = Arc::new(AtomicU64::new(0));
        let (ends, counts) = (stop.clone(), written.clone());
        let sockets = lab.copies[0].folder.join("sockets");
        let port = lab.port;
        let thread = std::thread::spawn(move || {
            while !ends.load(Ordering::SeqCst) {
                let insert = "insert into orders (text) select 'late' from generate_series(1, 50)";
                let written = crate::laboratory::program("psql")
                    .args(["-XAtq", "-d", "postgres", "-c", insert, "-h"])
                    .arg(&sockets)
                    .args(["-p", &port.to_string()])
                    .status();
                if written.is_ok_and(|status| status.success()) {
                    counts.fetch_add(50, Ordering::SeqCst);
                }
            }
        });
        Self {
            stop,
            written,
            thread: Some(thread),
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_beside_a_standby_that_follows_under_load_passes_and_leaves_nothing() {
    let mut stage = Stage::new().await;
    let checks = vec![
        check(
            "early rows",
            "select count(*) = 1000 from orders where text = 'early'",
        ),
        check("it writes", "select count(*) = 1 from hanse_drill.written"),
        check(
            "it is alone",
            "select count(*) = 0 from pg_stat_wal_receiver",
        ),
        check(
            "it gives way",
            "select split_part(pg_read_file('/proc/self/stat', 0, 4096), ' ', 19) = '19'",
        ),
    ];
    let mut wanted = order(1, checks);
    wanted.command = words(&[
        "sh",
        "-c",
        // No interface, not even a loopback that is up, and no other server's socket.
        "test -d \"$HANSE_DRILL_COPY\" && psql -Atc 'select 1' >&2 && test ! -S /tmp/.s.PGSQL.5432 \
         && test \"$(grep -c : /proc/net/dev)\" -le 2 && test -z \"$(ls -A /run)\"",
    ]);
    stage.order(Some(wanted));
    let report = stage.report(1).await;
    assert_eq!(report.outcome, DrillOutcome::Passed, "{report:#?}");
    assert_eq!(report.checks.len(), 6, "{report:#?}");
    let rto = report.rto.unwrap();
    assert_eq!(rto.total_ms, 12_000 + rto.measured_promotion_ms);
    assert!(report.copied_bytes.unwrap() > 1 << 20);
    assert!(report.rpo.lag_bytes.is_some(), "{report:#?}");
    assert!(stage.load.written.load(Ordering::SeqCst) > 0);
    stage.order(None);
    stage.is_clean().await;
    // Nothing of it is on the standby, which never took a write.
    let written = "select count(*) from pg_namespace where nspname = 'hanse_drill'";
    assert_eq!(stage.lab.copies[1].sql(written), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_is_not_so_fails_the_drill_with_its_reason() {
    let mut stage = Stage::new().await;
    let checks = vec![
        check("so", "select true"),
        check("not so", "select false"),
        check("no row", "select true where false"),
        check("no table", "select * from nothing"),
    ];
    stage.order(Some(order(1, checks)));
    let report = stage.report(1).await;
    assert_eq!(report.outcome, DrillOutcome::Failed, "{report:#?}");
    let of = |name: &str| {
        report
            .checks
            .iter()
            .find(|check| check.name == name)
            .unwrap()
    };
    assert_eq!(of("so").outcome, CheckOutcome::Passed);
    assert!(of("not so").detail.contains("answers `f`"), "{report:#?}");
    assert!(of("no row").detail.contains("0 rows"), "{report:#?}");
    assert!(of("no table").detail.contains("\"nothing\""), "{report:#?}");
    assert!(
        report.trouble.contains("3 checks failed"),
        "{}",
        report.trouble
    );
    stage.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_dies_in_the_midst_of_a_drill_leaves_nothing_and_it_is_not_begun_again() {
    let mut stage = Stage::new().await;
    let mut number = 0;
    for midst in ["copies", "starts", "pg_amcheck", "sleep"] {
        number += 1;
        let mut wanted = order(number, Vec::new());
        wanted.command = words(&["sleep", "1000"]);
        stage.order(Some(wanted));
        stage
            .until(|news| news.number == number && news.progress.contains(midst))
            .await;
        // The agent is gone at once; so are its pipes.
        stage.driller.abort_all();
        while stage.driller.join_next().await.is_some() {}
        stage.is_clean().await;
        stage.start();
        let report = stage.report(number).await;
        assert!(report.trouble.contains("in the midst of it"), "{report:#?}");
    }
    // The keeper of the cage dies, too: what it would have removed, the next agent does.
    number += 1;
    let mut wanted = order(number, Vec::new());
    wanted.command = words(&["sleep", "1000"]);
    stage.order(Some(wanted));
    stage
        .until(|news| news.number == number && news.progress.contains("sleep"))
        .await;
    let root = stage.root();
    let keepers = processes(&root);
    let keeper = keepers.iter().find(|line| line.contains("a_cage"));
    let keeper = keeper.unwrap().split_once(' ').unwrap().0.parse().unwrap();
    kill_process(Pid::from_raw(keeper).unwrap(), Signal::KILL).unwrap();
    stage.driller.abort_all();
    while stage.driller.join_next().await.is_some() {}
    stage.start();
    stage.report(number).await;
    stage.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_that_is_not_wanted_any_more_or_takes_too_long_ends() {
    let mut stage = Stage::new().await;
    let mut wanted = order(1, Vec::new());
    wanted.command = words(&["sleep", "1000"]);
    stage.order(Some(wanted.clone()));
    stage.until(|news| news.progress.contains("sleep")).await;
    stage.order(None);
    stage.is_clean().await;
    wanted.number = 2;
    wanted.timeout = Duration::from_secs(1);
    stage.order(Some(wanted));
    let report = stage.report(2).await;
    assert!(
        report.trouble.contains("did not end within 1 s"),
        "{report:#?}"
    );
    stage.is_clean().await;
}
