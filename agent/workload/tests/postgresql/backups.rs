//! Backups and restores to a time, with pgBackRest. They need Debian's package `pgbackrest`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use hanse_core::dr::choose::SyncSet;
use hanse_core::dr::duty::{CopyBackup, CopyPlan};
use hanse_core::dr::sight::CopyRole;
use hanse_core::object::dr_backup::{Backup, Password};
use hanse_core::object::dr_plan::Postgresql;
use hanse_workload::{BackedCopy, CopyReport, Kind, Made, Restored, Restoring, Stock, Trouble};

use crate::backup_trouble::is_wrong;
use crate::laboratory::{Copy, Laboratory, PATIENCE, folder_of_postgres, program};
use crate::moves::{archiving_pair, leads, made, pair};

pub(crate) const PASSWORD: &str = "correct-horse-battery-staple";
const ROWS: &str = "select string_agg(id::text, ' ' order by id) from orders";

/// Backups into a folder of the laboratory, all of which every copy sees.
pub(crate) fn backup(lab: &Laboratory, password: &str) -> CopyBackup {
    assert!(
        Path::new("/usr/bin/pgbackrest").is_file(),
        "pgbackrest is missing: run `apt-get install pgbackrest`"
    );
    let repository = lab.root.path().join("repository");
    folder_of_postgres(&repository);
    CopyBackup {
        declared: Backup {
            repository: repository.display().to_string().parse().unwrap(),
            interval: "1h".parse().unwrap(),
            retention: "168h".parse().unwrap(),
            environment_file: None,
            password_version: 1,
        },
        password: Some(Password::try_new(password.as_bytes()).unwrap()),
    }
}

/// A repository that is not there for now.
pub(crate) struct Away {
    repository: PathBuf,
    away: PathBuf,
}

impl Away {
    pub(crate) fn take(lab: &Laboratory) -> Self {
        let (repository, away) = (
            lab.root.path().join("repository"),
            lab.root.path().join("away"),
        );
        fs::rename(&repository, &away).unwrap();
        fs::write(&repository, "no folder").unwrap();
        Self { repository, away }
    }

    pub(crate) fn bring_back(self) {
        fs::remove_file(&self.repository).unwrap();
        fs::rename(&self.away, &self.repository).unwrap();
    }
}

/// It is backed up, and all is well with that.
pub(crate) fn is_backed_up(told: &CopyReport) -> bool {
    told.backup.as_ref().is_some_and(|backup| {
        backup.count > 0 && backup.trouble.is_none() && backup.progress.is_none()
    })
}

impl Copy {
    /// Waits until the server answers so.
    pub(crate) async fn until_sql(&self, question: &str, answer: &str) {
        let asked = async {
            while self.try_sql(question).as_deref() != Ok(answer) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, asked).await;
        assert!(waited.is_ok(), "{}: {question}: never {answer}", self.name);
    }

    /// Has all that was written until now be in the repository.
    pub(crate) async fn archive(&self) {
        let file = self.sql("select pg_walfile_name(pg_switch_wal())");
        let question = format!("select last_archived_wal >= '{file}' from pg_stat_archiver");
        self.until_sql(&question, "t").await;
    }

    fn now(&self) -> (u64, String) {
        let asked = "select extract(epoch from now())::bigint, now() at time zone 'utc' || '+00'";
        let now = self.sql(asked);
        let (unix_s, text) = now.split_once('|').unwrap();
        (unix_s.parse().unwrap(), text.to_owned())
    }
}

impl Laboratory {
    pub(crate) async fn backups(&self, number: usize) -> Result<Vec<Made>, Trouble> {
        self.stock(number).await.map(|stock| stock.made)
    }

    pub(crate) async fn stock(&self, number: usize) -> Result<Stock, Trouble> {
        let (postgresql, plan) = (self.postgresql(number), self.heard(number));
        hanse_workload::backups(&self.backed(number, &postgresql, &plan)).await
    }

    /// Returns once it is later than the first time that can be restored.
    async fn is_restorable(&self, number: usize) {
        let from = self.backups(number).await.unwrap()[0].restorable_from_unix_s();
        let is_later = format!("select extract(epoch from now()) > {from}");
        self.copies[number].until_sql(&is_later, "t").await;
    }

    /// The plan of a copy, as it heard it last.
    fn heard(&self, number: usize) -> CopyPlan {
        let heard = self.copies[number].plans.borrow();
        heard.as_ref().unwrap().1.clone()
    }

    fn backed<'a>(
        &'a self,
        number: usize,
        postgresql: &'a Postgresql,
        plan: &'a CopyPlan,
    ) -> BackedCopy<'a> {
        BackedCopy {
            setup: &self.copies[number].setup,
            postgresql,
            plan: &plan.plan,
            duty: &plan.duty,
        }
    }

    /// Restores on the node of a copy.
    pub(crate) async fn restore(
        &self,
        number: usize,
        into: &Path,
        at: Option<(u64, String)>,
    ) -> Result<Restored, Trouble> {
        self.restore_along(number, into, at, None).await
    }

    /// The same along a timeline.
    pub(crate) async fn restore_along(
        &self,
        number: usize,
        into: &Path,
        at: Option<(u64, String)>,
        timeline: Option<u32>,
    ) -> Result<Restored, Trouble> {
        let taken: Vec<PathBuf> = self.copies.iter().map(Copy::data).collect();
        let (postgresql, plan) = (self.postgresql(number), self.heard(number));
        let restoring = Restoring {
            copy: self.backed(number, &postgresql, &plan),
            cage: &crate::practice::cage(),
            is_remote: false,
            into,
            at,
            timeline,
            taken: &taken,
        };
        hanse_workload::restore(&restoring, |_| ()).await
    }

    /// Has the server of a copy backed up past its keeper.
    pub(crate) fn back_up_by_hand(&self, number: usize) {
        let copy = &self.copies[number];
        let (user, group) = crate::laboratory::postgres_id();
        let done = Command::new("setpriv")
            .args([format!("--reuid={user}"), format!("--regid={group}")])
            .args(["--clear-groups", "--", "pgbackrest", "--stanza=shop"])
            .arg(format!(
                "--config={}",
                copy.setup.folder.join("pgbackrest.conf").display()
            ))
            .arg(format!(
                "--pg1-socket-path={}",
                copy.folder.join("sockets").display()
            ))
            .arg("backup")
            .current_dir("/")
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    }

    /// Starts a server that was restored by hand.
    pub(crate) fn begin(&self, restored: &Path) -> ByHand {
        let sockets = self.root.path().join("s");
        folder_of_postgres(&sockets);
        let server = ByHand {
            data: restored.to_owned(),
            sockets,
        };
        let options = format!("-k {} -p 5999", server.sockets.display());
        server.control(&["-o", &options, "start"]);
        server
    }

    /// What is in a server that was restored, once it is started by hand.
    pub(crate) fn rows_in(&self, restored: &Path) -> String {
        self.answer_of(restored, ROWS)
    }

    pub(crate) fn answer_of(&self, restored: &Path, question: &str) -> String {
        let server = self.begin(restored);
        let answer = server.sql(question);
        server.end();
        answer
    }
}

/// A server that was restored and runs.
pub(crate) struct ByHand {
    data: PathBuf,
    sockets: PathBuf,
}

impl ByHand {
    fn control(&self, arguments: &[&str]) {
        let mut command = program("pg_ctl");
        command.arg("-D").arg(&self.data).arg("-w").args(arguments);
        let done = command.args(["-l", "/dev/null"]).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    }

    pub(crate) fn sql(&self, question: &str) -> String {
        let output = program("psql")
            .args([
                "-XAtq", "-p", "5999", "-d", "postgres", "-c", question, "-h",
            ])
            .arg(&self.sockets)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Has all that it wrote be archived: a server that ends does so.
    pub(crate) fn archive_all(&self) {
        self.sql("select pg_switch_wal()");
    }

    pub(crate) fn end(&self) {
        self.control(&["-m", "fast", "stop"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_has_what_was_written_before_its_time_and_nothing_after() {
    let mut lab = archiving_pair().await;
    let started = "select pg_postmaster_start_time()";
    let since = lab.copies[0].sql(started);
    lab.backup = Some(backup(&lab, PASSWORD));
    lab.lead(0, 5, SyncSet::default());
    lab.copies[0].until("a backup is made", is_backed_up).await;
    assert_eq!(lab.copies[0].sql(started), since, "it needs no restart");

    lab.copies[0].sql("insert into orders values (2)");
    lab.is_restorable(0).await;
    let at = lab.copies[0].now();
    lab.copies[0].sql("insert into orders values (3)");
    lab.copies[0].archive().await;
    let made = lab.copies[0].made();

    let earlier = lab.root.path().join("earlier");
    let restored = lab.restore(0, &earlier, Some(at.clone())).await.unwrap();
    assert!(restored.last.is_some(), "it says how far it got");
    assert_eq!(lab.rows_in(&earlier), "1 2");
    let latest = lab.root.path().join("latest");
    lab.restore(0, &latest, None).await.unwrap();
    assert_eq!(lab.rows_in(&latest), "1 2 3");
    assert_eq!(lab.copies[0].sql(ROWS), "1 2 3", "the primary is as it was");
    assert_eq!(
        (lab.copies[0].made(), lab.copies[0].sql(started)),
        (made, since)
    );

    // Nothing of the plan, its archive or its password goes along.
    let main = fs::read_to_string(latest.join("postgresql.conf")).unwrap();
    let automatic = fs::read_to_string(latest.join("postgresql.auto.conf")).unwrap();
    for text in [&main, &automatic] {
        assert!(
            !text.contains("hanse.conf") && !text.contains("pgbackrest"),
            "{text}"
        );
    }

    let into = |name: &str| lab.root.path().join(name);
    let refused = async |into: PathBuf, at| lab.restore(0, &into, at).await.unwrap_err().0;
    let why = refused(into("latest"), None).await;
    assert!(why.contains("something is in it"), "{why}");
    let why = refused(lab.copies[0].data().join("inner"), None).await;
    assert!(why.contains("belongs to a DR plan"), "{why}");
    let why = refused(into("x"), Some((1, "1970-01-01 00:00:01+00".to_owned()))).await;
    assert!(why.contains("before the first backup"), "{why}");
    let far = Some((at.0 + 999_999, "2090-01-01 00:00:00+00".to_owned()));
    let why = refused(into("y"), far).await;
    assert!(why.contains("leave --at out"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_standby_goes_on_with_the_same_archive() {
    let mut lab = archiving_pair().await;
    lab.backup = Some(backup(&lab, PASSWORD));
    lab.lead(0, 5, SyncSet::default());
    lab.follow(1, 0, 5);
    lab.copies[0].until("a backup is made", is_backed_up).await;
    lab.copies[0].sql("insert into orders values (2)");
    let end = lab.copies[0].sql("select pg_current_wal_flush_lsn()");
    let has_all = format!("select pg_last_wal_replay_lsn() >= '{end}'");
    lab.copies[1].until_sql(&has_all, "t").await;

    lab.tell(1, hanse_core::dr::duty::Duty::Detach { barrier: 40 });
    let cut = |told: &CopyReport| told.barrier == 40;
    lab.copies[1].until("it has cut its connection", cut).await;
    lab.copies[0].guard.lease.send_replace(None);
    lab.lead(1, 9, SyncSet::default());
    lab.copies[1].until("it leads", leads(9)).await;
    let is_unproved = is_wrong("no backup was made since this copy leads");
    lab.copies[1]
        .until("what may be missing is told", is_unproved)
        .await;
    lab.copies[1]
        .until("and a backup follows", is_backed_up)
        .await;
    let made = lab.backups(1).await.unwrap();
    let kinds: Vec<Kind> = made.iter().map(|made| made.kind).collect();
    assert_eq!(
        kinds,
        [Kind::Full, Kind::Incremental],
        "upon the old primary's"
    );

    lab.copies[1].sql("insert into orders values (3)");
    let at = lab.copies[1].now();
    lab.copies[1].sql("insert into orders values (4)");
    lab.copies[1].archive().await;
    let restored = lab.root.path().join("restored");
    lab.restore(1, &restored, Some(at)).await.unwrap();
    assert_eq!(lab.rows_in(&restored), "1 2 3");
    // A standby's node has all that a restore needs.
    lab.follow(0, 1, 9);
    lab.copies[0]
        .until("it follows", crate::moves::follows(9))
        .await;
    let elsewhere = lab.root.path().join("elsewhere");
    lab.restore(0, &elsewhere, None).await.unwrap();
    assert_eq!(lab.rows_in(&elsewhere), "1 2 3 4");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_primary_before_never_archived_the_promoted_one_does() {
    let mut lab = archiving_pair().await;
    lab.backup = Some(backup(&lab, PASSWORD));
    lab.lead(0, 5, SyncSet::default());
    lab.follow(1, 0, 5);
    lab.copies[0].until("a backup is made", is_backed_up).await;
    lab.is_restorable(0).await;
    let repository = Away::take(&lab);
    lab.copies[0].sql("insert into orders values (2)");
    let at = lab.copies[0].now();
    for id in 3..6 {
        lab.copies[0].sql("select pg_switch_wal()");
        lab.copies[0].sql(&format!("insert into orders values ({id})"));
    }
    let end = lab.copies[0].sql("select pg_current_wal_flush_lsn()");
    let has_all = format!("select pg_last_wal_replay_lsn() >= '{end}'");
    lab.copies[1].until_sql(&has_all, "t").await;
    lab.tell(1, hanse_core::dr::duty::Duty::Detach { barrier: 40 });
    let cut = |told: &CopyReport| told.barrier == 40;
    lab.copies[1].until("it has cut its connection", cut).await;
    lab.copies[0].guard.lease.send_replace(None);
    let has_ended = |told: &CopyReport| told.role == CopyRole::Stopped;
    lab.copies[0].until("it has ended", has_ended).await;
    repository.bring_back();

    lab.lead(1, 9, SyncSet::default());
    lab.copies[1].until("a backup is made", is_backed_up).await;
    lab.copies[1].archive().await;
    // Between the last backup of the one and the first of the other.
    let restored = lab.root.path().join("restored");
    lab.restore(1, &restored, Some(at)).await.unwrap();
    assert_eq!(lab.rows_in(&restored), "1 2");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_promised_goes_and_what_a_promised_time_needs_stays() {
    let mut lab = archiving_pair().await;
    let mut often = backup(&lab, PASSWORD);
    often.declared.interval = "1s".parse().unwrap();
    often.declared.retention = "3s".parse().unwrap();
    lab.backup = Some(often);
    lab.lead(0, 5, SyncSet::default());
    lab.copies[0].until("a backup is made", is_backed_up).await;
    let first = lab.backups(0).await.unwrap().remove(0);
    let is_gone = move |told: &CopyReport| {
        let from = told
            .backup
            .as_ref()
            .and_then(|backup| backup.restorable_from_unix_s);
        from.is_some_and(|from| from > first.restorable_from_unix_s())
    };
    lab.copies[0]
        .until("the first backup is gone", is_gone)
        .await;
    let now = lab.copies[0].now().0;
    let made = lab.backups(0).await.unwrap();
    assert_eq!(made[0].kind, Kind::Full);
    assert!(made[0].ended_unix_s + 3 <= now, "{made:?} at {now}");
    let restored = lab.root.path().join("restored");
    lab.restore(0, &restored, None).await.unwrap();
    assert_eq!(lab.rows_in(&restored), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_is_in_files_of_the_servers_user_and_nowhere_else() {
    let mut lab = made(&["a", "b"]).await;
    lab.backup = Some(backup(&lab, PASSWORD));
    lab.lead(0, 5, SyncSet::default());
    lab.copies[0].until("it leads", leads(5)).await;
    lab.copies[0].until("a backup is made", is_backed_up).await;
    let output = Command::new("grep")
        .args(["-rl", PASSWORD])
        .arg(lab.root.path())
        .output()
        .unwrap();
    let found = String::from_utf8(output.stdout).unwrap();
    let expected = lab.copies[0].setup.folder.join("pgbackrest.conf");
    assert_eq!(found.trim(), expected.display().to_string());
    let mode = fs::metadata(&expected).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!format!("{:?}", lab.backup).contains(PASSWORD));

    // Without backups it goes.
    lab.backup = None;
    let revision = lab.lead(0, 5, SyncSet::default());
    let is_so = move |told: &CopyReport| told.revision >= revision && told.backup.is_none();
    lab.copies[0].until("no backups are made", is_so).await;
    assert!(!expected.exists());
    let command = lab.copies[0].sql("show archive_command");
    assert_eq!(command, "/bin/true", "and nothing waits for an archive");
}

/// A server that archives fills a part of its log when it stops, which every standby has to receive first.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_backups_does_not_archive_and_says_what_backups_need() {
    let mut lab = pair().await;
    assert_eq!(lab.copies[0].sql("show archive_mode"), "off");
    lab.backup = Some(backup(&lab, PASSWORD));
    lab.lead(0, 5, SyncSet::default());
    let wrong = is_wrong("archive_mode takes effect when the server starts again");
    lab.copies[0].until("it is told", wrong).await;
}
