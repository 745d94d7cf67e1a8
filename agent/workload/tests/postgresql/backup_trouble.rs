//! What is wrong with backups is told, and never stops the primary.

use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use hanse_core::dr::choose::SyncSet;
use hanse_core::dr::sight::CopyRole;
use hanse_workload::CopyReport;

use crate::backups::{Away, PASSWORD, backup, is_backed_up};
use crate::laboratory::{Laboratory, PATIENCE, postgres_id};
use crate::moves::{archiving_pair, leads, made};

/// The backups are in such a trouble, and the copy is not.
pub(crate) fn is_wrong(why: &'static str) -> impl Fn(&CopyReport) -> bool {
    move |told| {
        let backup = told.backup.as_ref();
        let trouble = backup.and_then(|backup| backup.trouble.as_deref());
        trouble.is_some_and(|trouble| trouble.contains(why))
            && told.trouble.is_none()
            && told.role == CopyRole::Primary
    }
}

/// A small disk, as long as the test runs.
pub(crate) struct Disk(PathBuf);

impl Disk {
    pub(crate) fn mount(path: PathBuf, size: &str) -> Self {
        let (user, _) = postgres_id();
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={size},uid={user}"),
                "none",
            ])
            .arg(&path)
            .status()
            .unwrap();
        assert!(mounted.success(), "mounting needs root");
        Self(path)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_password_than_the_repositorys_is_told() {
    let mut lab = archiving_pair().await;
    lab.backup = Some(backup(&lab, PASSWORD));
    lab.lead(0, 5, SyncSet::default());
    lab.copies[0].until("a backup is made", is_backed_up).await;
    lab.backup = Some(backup(&lab, "another-password-than-before"));
    lab.lead(0, 5, SyncSet::default());
    let wrong = is_wrong("encrypted with another password");
    lab.copies[0].until("it is told", wrong).await;
    lab.copies[0].sql("insert into orders values (2)");
    let why = lab.backups(0).await.unwrap_err().0;
    assert!(why.contains("encrypted with another password"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_is_away_stops_nothing_and_is_told_until_it_is_back() {
    let mut lab = archiving_pair().await;
    lab.backup = Some(backup(&lab, PASSWORD));
    lab.lead(0, 5, SyncSet::default());
    lab.copies[0].until("a backup is made", is_backed_up).await;
    let repository = Away::take(&lab);
    lab.copies[0].sql("insert into orders values (2)");
    lab.copies[0].sql("select pg_switch_wal()");
    let waits = |told: &CopyReport| {
        let waiting = told
            .backup
            .as_ref()
            .map_or(0, |backup| backup.waiting_bytes);
        waiting > 0 && is_wrong("unable to")(told) || is_wrong("the log can't be archived")(told)
    };
    lab.copies[0].until("it is told", waits).await;
    lab.copies[0].sql("insert into orders values (3)");

    repository.bring_back();
    // The server tries again once a minute, or with the next part of its log.
    lab.copies[0].sql("select pg_switch_wal()");
    let is_back = |told: &CopyReport| {
        let waiting = told
            .backup
            .as_ref()
            .map_or(1, |backup| backup.waiting_bytes);
        is_backed_up(told) && waiting == 0
    };
    lab.copies[0].until("all is well again", is_back).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_without_room_is_told() {
    let mut lab = made(&["a", "b"]).await;
    lab.backup = Some(backup(&lab, PASSWORD));
    let _disk = Disk::mount(lab.root.path().join("repository"), "1m");
    lab.lead(0, 5, SyncSet::default());
    let wrong = is_wrong("no room left there");
    lab.copies[0].until("it is told", wrong).await;
    lab.copies[0].sql("create table still_writes ()");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_may_not_be_written_to_is_told() {
    let mut lab = made(&["a", "b"]).await;
    lab.backup = Some(backup(&lab, PASSWORD));
    let repository = lab.root.path().join("repository");
    fs::set_permissions(&repository, fs::Permissions::from_mode(0o500)).unwrap();
    lab.lead(0, 5, SyncSet::default());
    let wrong = is_wrong("Permission denied");
    lab.copies[0].until("it is told", wrong).await;
    lab.copies[0].sql("create table still_writes ()");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_of_the_servers_own_stays_and_the_next_step_is_told() {
    let mut lab = made(&["a", "b"]).await;
    let main = lab.copies[0].data().join("postgresql.conf");
    let text = fs::read_to_string(&main).unwrap();
    let theirs = format!("{text}\narchive_mode = on\narchive_command = 'cp %p /dev/null'\n");
    fs::write(&main, theirs).unwrap();
    lab.backup = Some(backup(&lab, PASSWORD));
    lab.lead(0, 5, SyncSet::default());
    lab.copies[0].until("it leads", leads(5)).await;
    let wrong = is_wrong("is archived by `cp %p /dev/null` already");
    lab.copies[0].until("it is told", wrong).await;
    assert_eq!(lab.copies[0].sql("show archive_command"), "cp %p /dev/null");

    let text = fs::read_to_string(&main).unwrap();
    fs::write(
        &main,
        text.replace("archive_command = 'cp %p /dev/null'", ""),
    )
    .unwrap();
    lab.copies[0].until("a backup is made", is_backed_up).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lacking_on_the_node_is_told() {
    let mut lab = archiving_pair().await;
    let mut lacking = backup(&lab, PASSWORD);
    lacking.password = None;
    lab.backup = Some(lacking);
    lab.lead(0, 5, SyncSet::default());
    let wrong = is_wrong("the password of the backups is not here yet");
    lab.copies[0].until("it is told", wrong).await;
    let mut lacking = backup(&lab, PASSWORD);
    let keys = lab.root.path().join("keys");
    lacking.declared.environment_file = Some(keys.display().to_string());
    lab.backup = Some(lacking);
    lab.lead(0, 5, SyncSet::default());
    lab.copies[0]
        .until("it is told", is_wrong("make it on this node"))
        .await;
    fs::write(&keys, "").unwrap();
    lab.copies[0].until("a backup is made", is_backed_up).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_damaged_pages_is_told_and_does_not_count() {
    let mut lab = archiving_pair().await;
    lab.backup = Some(backup(&lab, PASSWORD));
    lab.lead(0, 5, SyncSet::default());
    lab.copies[0].until("a backup is made", is_backed_up).await;
    lab.copies[0].sql("create table damaged as select generate_series(1, 1000) id");
    lab.copies[0].sql("checkpoint");
    let file = lab.copies[0].sql("select pg_relation_filepath('damaged')");
    let file = fs::OpenOptions::new()
        .write(true)
        .open(lab.copies[0].data().join(file))
        .unwrap();
    file.write_all_at(b"not what was written", 4000).unwrap();
    // The next one is due at once.
    let mut often = backup(&lab, PASSWORD);
    often.declared.interval = "1s".parse().unwrap();
    lab.backup = Some(often);
    lab.lead(0, 5, SyncSet::default());
    let wrong = is_wrong("does not count, since pages of the primary are damaged");
    let told = lab.copies[0].until("it is told", wrong).await;
    assert_eq!(told.backup.unwrap().count, 1, "the one before counts");
    assert_eq!(
        lab.backups(0).await.unwrap().len(),
        1,
        "and is restored from"
    );

    lab.copies[0].sql("drop table damaged");
    let is_well = |told: &CopyReport| {
        let count = told.backup.as_ref().map_or(0, |backup| backup.count);
        count > 1 && is_backed_up(told)
    };
    lab.copies[0].until("the next one is well", is_well).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_being_made_goes_on_when_its_plan_changes() {
    let mut lab = archiving_pair().await;
    lab.backup = Some(backup(&lab, PASSWORD));
    lab.lead(0, 5, SyncSet::default());
    lab.copies[0].until("a backup is made", is_backed_up).await;
    // The next one is due, and waits for its part of the log, which the repository does not take.
    let mut folder = lab.root.path().join("repository/archive/shop");
    for _ in 0..2 {
        let entries = fs::read_dir(&folder).unwrap().flatten();
        let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
        folder = folders.map(|entry| entry.path()).max().unwrap();
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).unwrap();
    let mut changed = backup(&lab, PASSWORD);
    changed.declared.interval = "1s".parse().unwrap();
    lab.backup = Some(changed.clone());
    lab.lead(0, 5, SyncSet::default());
    let is_made = |told: &CopyReport| {
        let backup = told.backup.as_ref();
        backup.is_some_and(|backup| backup.progress.is_some())
    };
    lab.copies[0].until("a backup is being made", is_made).await;
    let making = making(&lab).await;

    changed.declared.retention = "24h".parse().unwrap();
    let keys = lab.root.path().join("keys");
    fs::write(&keys, "AWS_REGION=elsewhere\n").unwrap();
    changed.declared.environment_file = Some(keys.display().to_string());
    lab.backup = Some(changed);
    let revision = lab.lead(0, 5, SyncSet::default());
    let is_heard = move |told: &CopyReport| told.revision >= revision && is_made(told);
    lab.copies[0].until("it goes on", is_heard).await;
    let configuration = lab.copies[0].setup.folder.join("pgbackrest.conf");
    let text = fs::read_to_string(configuration).unwrap();
    assert!(text.contains("elsewhere"), "the next one goes by that");
    assert_eq!(self::making(&lab).await, making);
}

/// The process that makes a backup, once there is one.
async fn making(lab: &Laboratory) -> u32 {
    let of = lab.root.path().display().to_string();
    let found = async {
        loop {
            let processes = fs::read_dir("/proc").unwrap().flatten();
            let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
            for id in ids {
                let words = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
                let words = String::from_utf8_lossy(&words).replace('\0', " ");
                if words.contains("pgbackrest ")
                    && words.contains(&of)
                    && words.ends_with("backup ")
                {
                    return id;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, found).await;
    found.expect("no backup is being made")
}
