//! What a restore never does: write to another server's files, follow a branch that the plan has left, or
//! begin what acts on others.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use hanse_core::dr::choose::SyncSet;
use hanse_core::dr::duty::Duty;

use crate::backups::{PASSWORD, backup, is_backed_up};
use crate::laboratory::{Laboratory, folder_of_postgres, postgres_id};
use crate::moves::{archiving_pair, leads, made};

/// A pair whose primary is backed up.
async fn backed_up() -> Laboratory {
    let mut lab = archiving_pair().await;
    lab.backup = Some(backup(&lab, PASSWORD));
    lab.lead(0, 5, SyncSet::default());
    lab.copies[0].until("a backup is made", is_backed_up).await;
    lab
}

/// The same with nobody who follows: another server's tablespaces would be the same folders.
async fn alone() -> Laboratory {
    let mut lab = made(&["a"]).await;
    lab.backup = Some(backup(&lab, PASSWORD));
    lab.lead(0, 5, SyncSet::default());
    lab.copies[0].until("a backup is made", is_backed_up).await;
    lab
}

/// All files below a folder, with when they changed last.
fn files(folder: &Path) -> Vec<(PathBuf, i64, i64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let data = entry.metadata().unwrap();
        found.push((entry.path(), data.ctime(), data.ctime_nsec()));
        if data.is_dir() {
            found.extend(files(&entry.path()));
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn tablespaces_that_the_log_makes_and_drops_are_not_those_of_the_server_that_runs() {
    let lab = alone().await;
    let (kept, dropped) = (
        lab.root.path().join("kept"),
        lab.root.path().join("dropped"),
    );
    for folder in [&kept, &dropped] {
        folder_of_postgres(folder);
    }
    let primary = &lab.copies[0];
    let make = |name: &str, folder: &Path| {
        primary.sql(&format!(
            "create tablespace {name} location '{}'",
            folder.display()
        ));
        primary.sql(&format!(
            "create table on_{name} tablespace {name} as select 7 as seven"
        ));
    };
    make("kept", &kept);
    make("dropped", &dropped);
    primary.sql("drop table on_dropped");
    primary.sql("drop tablespace dropped");
    // One of the same number of files lies there by now, of which the log knows nothing.
    make("again", &dropped);
    primary.sql("checkpoint");
    primary.archive().await;
    let before = (files(&kept), files(&dropped));

    let into = lab.root.path().join("restored");
    lab.restore(0, &into, None).await.unwrap();
    assert_eq!((files(&kept), files(&dropped)), before);
    let sevens = lab.answer_of(
        &into,
        "select sum(seven) from on_kept join on_again using (seven)",
    );
    assert_eq!(sevens, "7");
    for link in fs::read_dir(into.join("pg_tblspc")).unwrap().flatten() {
        let target = fs::read_link(link.path()).unwrap();
        assert!(
            target.starts_with(lab.root.path().join("restored.tablespaces")),
            "{}",
            target.display()
        );
    }
    assert_eq!((files(&kept), files(&dropped)), before);
    assert_eq!(primary.sql("select seven from on_kept"), "7");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tablespace_without_a_folder_here_says_what_to_make() {
    let lab = alone().await;
    let folder = lab.root.path().join("elsewhere");
    folder_of_postgres(&folder);
    let primary = &lab.copies[0];
    let make = format!(
        "create tablespace elsewhere location '{}'",
        folder.display()
    );
    primary.sql(&make);
    primary.archive().await;
    // As on another host.
    fs::rename(&folder, lab.root.path().join("away")).unwrap();
    let into = lab.root.path().join("restored");
    let why = lab.restore(0, &into, None).await.unwrap_err().0;
    assert!(why.contains("make an empty one there"), "{why}");
    assert!(why.contains(&folder.display().to_string()), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_of_an_earlier_restore_is_not_taken_for_the_plans() {
    let lab = backed_up().await;
    let primary = &lab.copies[0];
    primary.sql("insert into orders values (2)");
    primary.archive().await;
    // Somebody starts what was restored, and has it archive into the same repository.
    let branch = lab.root.path().join("branch");
    lab.restore(0, &branch, None).await.unwrap();
    let archive = format!(
        "pgbackrest --config={} --stanza=shop --pg1-path={} archive-push \"%p\"",
        primary.setup.folder.join("pgbackrest.conf").display(),
        branch.display()
    );
    let main = branch.join("postgresql.conf");
    let text = fs::read_to_string(&main).unwrap();
    let archives = format!("{text}\narchive_mode = on\narchive_command = '{archive}'\n");
    fs::write(&main, archives).unwrap();
    let ready = branch.join("pg_wal/archive_status/00000002.history.ready");
    fs::write(&ready, "").unwrap();
    let (user, group) = postgres_id();
    chown(&ready, Some(user), Some(group)).unwrap();
    let server = lab.begin(&branch);
    server.sql("insert into orders values (666)");
    server.archive_all();
    server.end();

    primary.sql("insert into orders values (3)");
    primary.archive().await;
    let ours = lab.root.path().join("ours");
    let restored = lab.restore(0, &ours, None).await.unwrap();
    assert_eq!(lab.rows_in(&ours), "1 2 3");
    let note = restored.note.unwrap();
    assert!(note.contains("is on timeline 1"), "{note}");
    assert!(note.contains("timeline 2 too"), "{note}");
    // Whoever asks for it gets it.
    let theirs = lab.root.path().join("theirs");
    lab.restore_along(0, &theirs, None, Some(2)).await.unwrap();
    assert_eq!(lab.rows_in(&theirs), "1 2 666");
    let none = lab
        .restore_along(0, &lab.root.path().join("none"), None, Some(9))
        .await;
    let why = none.unwrap_err().0;
    assert!(why.contains("has no timeline 9"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lost_primary_archived_and_backed_up_later_is_left_out() {
    let mut lab = backed_up().await;
    lab.follow(1, 0, 5);
    lab.copies[0].sql("insert into orders values (2)");
    lab.copies[0].archive().await;
    let end = lab.copies[0].sql("select pg_current_wal_flush_lsn()");
    let has_all = format!("select pg_last_wal_replay_lsn() >= '{end}'");
    lab.copies[1].until_sql(&has_all, "t").await;
    lab.tell(1, Duty::Detach { barrier: 40 });
    lab.copies[1]
        .until("it has cut its connection", |told| told.barrier == 40)
        .await;
    // The old primary is lost to all others, and goes on for a while.
    lab.copies[0].kill();
    lab.lead(1, 9, SyncSet::default());
    lab.copies[1].until("it leads", leads(9)).await;
    // Which it begins at once, and two at the same time would disturb each other.
    lab.copies[1]
        .until("its own backup is made", is_backed_up)
        .await;
    lab.copies[1].sql("insert into orders values (3)");
    lab.copies[1].archive().await;
    lab.copies[0].sql("insert into orders values (666)");
    lab.copies[0].archive().await;
    lab.back_up_by_hand(0);

    let stock = lab.stock(1).await.unwrap();
    assert_eq!(stock.others.len(), 1, "{stock:?}");
    assert_eq!(stock.others[0].timeline, 1);
    let ours = lab.root.path().join("ours");
    let restored = lab.restore(1, &ours, None).await.unwrap();
    assert_eq!(lab.rows_in(&ours), "1 2 3");
    assert_eq!(restored.note, None);
    // Where nobody can tell who leads, the newest is taken and named.
    lab.tell(1, Duty::Stop { barrier: 50 });
    let newest = lab.root.path().join("newest");
    let restored = lab.restore(1, &newest, None).await.unwrap();
    assert_eq!(lab.rows_in(&newest), "1 2 3");
    let note = restored.note.unwrap();
    assert!(note.contains("was taken, 2"), "{note}");
    let theirs = lab.root.path().join("theirs");
    lab.restore_along(1, &theirs, None, Some(1)).await.unwrap();
    assert_eq!(lab.rows_in(&theirs), "1 2 666");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_the_primary_begins_is_begun_by_what_was_restored() {
    let mut lab = archiving_pair().await;
    // What the statements set counts more than any file. Commands run in the server's own folder.
    let primary = &lab.copies[0];
    for (name, value) in [
        ("recovery_end_command", "touch acted"),
        ("archive_cleanup_command", "touch acted"),
        ("shared_preload_libraries", "no_such_library"),
        ("lc_messages", "C.UTF-8"),
        ("log_line_prefix", "%m odd: "),
    ] {
        primary.sql(&format!("alter system set {name} = '{value}'"));
    }
    lab.backup = Some(backup(&lab, PASSWORD));
    lab.lead(0, 5, SyncSet::default());
    lab.copies[0].until("a backup is made", is_backed_up).await;
    lab.copies[0].sql("create table late ()");
    lab.copies[0].archive().await;
    let into = lab.root.path().join("restored");
    lab.restore(0, &into, None).await.unwrap();
    assert!(!into.join("acted").exists());
    let server = lab.begin(&into);
    for (name, value) in [
        ("listen_addresses", ""),
        ("archive_mode", "off"),
        ("shared_preload_libraries", ""),
        ("max_logical_replication_workers", "0"),
    ] {
        assert_eq!(server.sql(&format!("show {name}")), value, "{name}");
    }
    server.end();
}
