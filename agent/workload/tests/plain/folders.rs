//! Folders, with a real restic and a repository on this host.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use hanse_core::dr::duty::Duty;
use hanse_core::dr::sight::CopyRole;
use hanse_core::duration::Span;
use hanse_core::object::dr_plan::{Directory, Keep, Workload};
use hanse_workload::CopyReport;

use crate::commands;
use crate::laboratory::{Copy, Laboratory, at, follows, leads};

pub(crate) fn laboratory() -> Laboratory {
    laboratory_of(|_, _, _| ())
}

fn laboratory_of(change: impl Fn(&Path, &Path, &mut Directory)) -> Laboratory {
    Laboratory::new(|root, folder| {
        fs::write(root.join("password"), "secret\n").unwrap();
        let mut directory = Directory {
            path: folder.join("data").display().to_string(),
            repository: root.join("repository").display().to_string(),
            password_file: root.join("password").display().to_string(),
            environment_file: None,
            interval: Span::from_secs(1),
            // With one each second, none is forgotten while a test looks at it.
            keep: Some(Keep {
                last: 1000,
                ..Keep::default()
            }),
            exclude: vec!["*.tmp".to_owned()],
            run: None,
            user: None,
        };
        change(root, folder, &mut directory);
        Workload::Directory(directory)
    })
}

fn data(copy: &Copy) -> PathBuf {
    copy.folder.join("data")
}

pub(crate) fn put(copy: &Copy, name: &str, text: &str) {
    fs::write(data(copy).join(name), text).unwrap();
}

pub(crate) fn got(copy: &Copy, name: &str) -> Option<String> {
    fs::read_to_string(data(copy).join(name)).ok()
}

fn restic(root: &Path, arguments: &[&str]) -> String {
    let output = Command::new("restic")
        .args(["--quiet", "--no-cache", "--repo"])
        .arg(root.join("repository"))
        .arg("--password-file")
        .arg(root.join("password"))
        .args(arguments)
        .output()
        .expect("restic is missing: run `apt-get install restic`");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The primary has put what it has into the repository, and is that far.
pub(crate) async fn published(
    sites: &mut Laboratory,
    number: usize,
    epoch: u64,
    beyond: u64,
) -> (u64, u64) {
    let is_beyond = |told: &CopyReport| at(told).is_some_and(|at| at > (epoch, beyond));
    let told = sites.until(number, "it has published", is_beyond).await;
    at(&told).unwrap()
}

#[tokio::test]
async fn a_folder_moves_to_another_site_and_back_with_all_that_is_in_it() {
    let mut sites = laboratory();
    sites.begin().await;
    let home = data(&sites.copies[0]);
    fs::create_dir(home.join("inner")).unwrap();
    put(&sites.copies[0], "inner/file", "first");
    put(&sites.copies[0], "not.tmp", "");
    chown(home.join("inner/file"), Some(1234), Some(4321)).unwrap();
    fs::set_permissions(home.join("inner"), fs::Permissions::from_mode(0o2750)).unwrap();
    symlink("inner/file", home.join("link")).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o711)).unwrap();
    sites.follow(1, 0, 1);
    let has_first = |copy: &Copy| got(copy, "link").as_deref() == Some("first");
    sites.copies[1]
        .until_seen("it has the first", has_first)
        .await;
    let there = data(&sites.copies[1]);
    let file = fs::metadata(there.join("inner/file")).unwrap();
    assert_eq!((file.uid(), file.gid()), (1234, 4321));
    assert_eq!(
        fs::metadata(there.join("inner")).unwrap().mode() & 0o7777,
        0o2750
    );
    assert_eq!(fs::metadata(&there).unwrap().mode() & 0o7777, 0o711);
    assert!(!there.join("not.tmp").exists());

    put(&sites.copies[0], "inner/file", "last");
    sites.tell(0, Duty::Stop { barrier: 7 });
    let stopped = |told: &CopyReport| {
        told.role == CopyRole::Stopped && told.barrier == 7 && told.position.is_some()
    };
    let told = sites.until(0, "it stopped", stopped).await;
    let last = at(&told);
    sites.copies[0].guard.lease.send_replace(None);
    sites.tell(1, Duty::Detach { barrier: 7 });
    let has_all = move |told: &CopyReport| {
        told.role == CopyRole::Detached && told.barrier == 7 && at(told) == last
    };
    sites.until(1, "it has the last", has_all).await;
    assert_eq!(got(&sites.copies[1], "link").as_deref(), Some("last"));

    sites.lead(1, 2);
    sites.until(1, "it leads", leads(2)).await;
    put(&sites.copies[0], "mine", "nobody else has this");
    put(&sites.copies[1], "inner/file", "anew");
    sites.follow(0, 1, 2);
    let has_new = |copy: &Copy| got(copy, "link").as_deref() == Some("anew");
    sites.copies[0]
        .until_seen("it has what is new", has_new)
        .await;
    assert_eq!(got(&sites.copies[0], "mine"), None);
    let kept = sites.copies[0].folder.join("data.hanse/kept-1/mine");
    assert_eq!(fs::read_to_string(kept).unwrap(), "nobody else has this");
}

#[tokio::test]
async fn each_change_moves_the_position_and_no_change_does_not() {
    let mut sites = laboratory();
    sites.begin().await;
    let begin = published(&mut sites, 0, 1, 0).await;
    put(&sites.copies[0], "file", "text");
    let more = published(&mut sites, 0, 1, begin.1).await;
    sites.follow(1, 0, 1);
    sites.until(1, "it follows", follows(more)).await;
    // What is only taken away is a change as well.
    fs::remove_file(data(&sites.copies[0]).join("file")).unwrap();
    let less = published(&mut sites, 0, 1, more.1).await;
    sites.until(1, "it follows", follows(less)).await;
    assert_eq!(got(&sites.copies[1], "file"), None);
    // More snapshots, and the same place.
    let root = sites.root.path().to_owned();
    let before = finished(&root);
    let is_other = |_: &Copy| finished(&root) != before;
    sites.copies[0]
        .until_seen("another snapshot", is_other)
        .await;
    let told = sites.until(0, "it tells", |_| true).await;
    assert_eq!(at(&told), Some(less));
}

#[tokio::test]
async fn no_more_snapshots_stay_than_are_to() {
    let mut sites = laboratory_of(|_, _, directory| {
        directory.keep = Some(Keep {
            last: 3,
            ..Keep::default()
        });
    });
    sites.begin().await;
    published(&mut sites, 0, 1, 0).await;
    let root = sites.root.path().to_owned();
    let first = finished(&root).first().cloned();
    let is_gone = |_: &Copy| !finished(&root).contains(first.as_ref().unwrap());
    sites.copies[0]
        .until_seen("the first one goes", is_gone)
        .await;
    let count = finished(&root).len();
    assert!(count <= 4, "{count} snapshots stay, and 3 were to");
}

/// The snapshots that say that others are whole.
fn finished(root: &Path) -> Vec<String> {
    let told = restic(
        root,
        &[
            "snapshots",
            "--no-lock",
            "--json",
            "--tag",
            "hanse-plan=files",
        ],
    );
    let told: Vec<serde_json::Value> = serde_json::from_str(&told).unwrap();
    told.iter().map(|it| it["id"].to_string()).collect()
}

#[tokio::test]
async fn what_writes_reaches_the_folder_that_was_made_for_its_user() {
    let mut sites = laboratory_of(|root, folder, directory| {
        // By its path, as the guard opens it for that user.
        let script = "echo said >> $ME/data.hanse/log && umask > $ME/data/file; exec sleep 1000";
        directory.run = Some(commands::call(root, folder, "run", script));
        directory.user = Some("nobody".to_owned());
    });
    // As packaging/hanse-guard@.service and hanse-agent.service have it, these folders are not there yet.
    sites.begin().await;
    let copy = &sites.copies[0];
    let wrote = |copy: &Copy| got(copy, "file").is_some_and(|text| text.ends_with('\n'));
    copy.until_seen("it writes", wrote).await;
    let log = fs::read_to_string(&copy.setup.log).unwrap();
    assert_eq!(log, "said\n");
    let position = published(&mut sites, 0, 1, 1).await;
    sites.follow(1, 0, 1);
    sites.until(1, "it follows", follows(position)).await;
    let metadata = fs::metadata(data(&sites.copies[1])).unwrap();
    assert_eq!((metadata.uid(), metadata.mode() & 0o777), (65534, 0o755));
}

/// The units of systemd have this umask for the agent and the guard.
#[test]
fn what_writes_reaches_the_folder_if_nothing_else_is_anybodys() {
    let me = std::env::current_exe().unwrap();
    let test = "folders::what_writes_reaches_the_folder_that_was_made_for_its_user";
    let output = Command::new("sh")
        .args(["-c", "umask 0077; exec \"$0\" --exact \"$1\""])
        .arg(me)
        .arg(test)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}

#[tokio::test]
async fn a_link_that_the_datas_user_made_leads_nothing_elsewhere() {
    let mut sites = laboratory();
    let aim = sites.root.path().join("etc");
    fs::create_dir(&aim).unwrap();
    let link = sites.copies[0].folder.join("data.hanse");
    symlink(&aim, &link).unwrap();
    lchown(&link, Some(65534), Some(65534)).unwrap();
    sites.tell(0, Duty::Wait);
    sites
        .until(0, "it is whole", |told| told.position.is_some())
        .await;
    sites.lead(0, 1);
    let told = sites
        .until(0, "it is told", |told| told.trouble.is_some())
        .await;
    let trouble = told.trouble.unwrap();
    assert!(
        trouble.contains("`data.hanse` is a link that user 65534 made"),
        "{trouble}"
    );
    assert_eq!(fs::read_dir(&aim).unwrap().count(), 0);
    fs::remove_file(&link).unwrap();
    sites.until(0, "it leads", leads(1)).await;
}

#[tokio::test]
async fn a_folder_that_is_somebody_elses_is_not_replaced() {
    let mut sites = laboratory();
    sites.begin().await;
    fs::create_dir(data(&sites.copies[1])).unwrap();
    put(&sites.copies[1], "letter", "dear");
    sites.follow(1, 0, 1);
    let told = sites
        .until(1, "it is told", |told| told.trouble.is_some())
        .await;
    assert!(
        told.trouble
            .unwrap()
            .contains("no copy of this plan's: move it away")
    );
    assert_eq!(got(&sites.copies[1], "letter").as_deref(), Some("dear"));
    fs::remove_file(data(&sites.copies[1]).join("letter")).unwrap();
    sites
        .until(1, "it follows", |told| told.role == CopyRole::Following)
        .await;
}

#[tokio::test]
async fn a_folder_that_is_another_plans_copy_is_not_replaced() {
    let mut sites = laboratory();
    sites.begin().await;
    put(&sites.copies[0], "file", "first");
    sites.follow(1, 0, 1);
    sites
        .until(1, "it follows", |told| told.role == CopyRole::Following)
        .await;
    let Workload::Directory(mut other) = sites.copies[1].workload.clone() else {
        unreachable!()
    };
    // The plan is declared for another folder, which has something in it.
    other.path = sites.copies[1].folder.join("mine").display().to_string();
    fs::create_dir(&other.path).unwrap();
    let was = std::mem::replace(&mut sites.copies[1].workload, Workload::Directory(other));
    sites.follow(1, 0, 1);
    let other = |told: &CopyReport| {
        let trouble = told.trouble.as_deref().unwrap_or_default();
        trouble.contains("declare a plan of another name")
    };
    sites.until(1, "it is told", other).await;
    // And another plan, with another repository, for the same folder.
    sites.copies[1].workload = was;
    sites.copies[1].forget();
    let root = sites.root.path().to_owned();
    fs::rename(root.join("repository"), root.join("repository-2")).unwrap();
    for copy in &mut sites.copies {
        if let Workload::Directory(directory) = &mut copy.workload {
            directory.repository = root.join("repository-2").display().to_string();
        }
    }
    sites.follow(1, 0, 1);
    let refused = |told: &CopyReport| {
        let trouble = told.trouble.as_deref().unwrap_or_default();
        trouble.contains("no copy of this plan's: move it away")
    };
    sites.until(1, "it is refused", refused).await;
    assert_eq!(got(&sites.copies[1], "file").as_deref(), Some("first"));
}

#[tokio::test]
async fn a_copy_that_ended_before_it_remembered_what_it_restored_goes_on() {
    let mut sites = laboratory();
    sites.begin().await;
    put(&sites.copies[0], "file", "first");
    sites.follow(1, 0, 1);
    sites
        .until(1, "it follows", |told| told.role == CopyRole::Following)
        .await;
    sites.copies[1].forget();
    sites.follow(1, 0, 1);
    let told = sites
        .until(1, "it follows again", |told| {
            told.role == CopyRole::Following || told.trouble.is_some()
        })
        .await;
    assert_eq!(told.trouble, None);
}

#[tokio::test]
async fn what_can_not_be_verified_replaces_nothing() {
    let mut sites = laboratory();
    sites.begin().await;
    put(&sites.copies[0], "file", "first");
    sites.follow(1, 0, 1);
    let has_first = |copy: &Copy| got(copy, "file").as_deref() == Some("first");
    sites.copies[1]
        .until_seen("it has the first", has_first)
        .await;
    // Until the primary stopped, it would go on writing what is damaged here.
    sites.tell(1, Duty::Detach { barrier: 3 });
    sites.until(1, "it was cut", |told| told.barrier == 3).await;
    put(&sites.copies[0], "file", &"second".repeat(5000));
    sites.tell(0, Duty::Stop { barrier: 7 });
    sites.until(0, "it stopped", |told| told.barrier == 7).await;
    damage(&sites.root.path().join("repository/data"));
    sites.follow(1, 0, 1);
    let told = sites
        .until(1, "it is told", |told| told.trouble.is_some())
        .await;
    let trouble = told.trouble.unwrap();
    let whats = ["list", "measure", "restore"].map(|what| format!("unable to {what} snapshot"));
    assert!(whats.iter().any(|it| trouble.contains(it)), "{trouble}");
    assert_eq!(got(&sites.copies[1], "file").as_deref(), Some("first"));
}

/// Turns bytes in the middle of every file.
fn damage(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => damage(&entry.path()),
            false => {
                let mut bytes = fs::read(entry.path()).unwrap();
                let place = bytes.len() / 3;
                bytes[place] ^= 0xff;
                fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o600)).unwrap();
                fs::write(entry.path(), bytes).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_snapshot_that_was_not_finished_is_nobodys() {
    let mut sites = laboratory();
    sites.begin().await;
    put(&sites.copies[0], "file", "whole");
    let position = published(&mut sites, 0, 1, 0).await;
    let torn = sites.root.path().join("torn");
    fs::create_dir(&torn).unwrap();
    fs::write(torn.join("file"), "torn").unwrap();
    let path = torn.display().to_string();
    let tag = "hanse-data=files,hanse-epoch=1,hanse-offset=99999999";
    restic(
        sites.root.path(),
        &["backup", "--host", "hanse", "--tag", tag, &path],
    );
    sites.follow(1, 0, 1);
    let told = sites
        .until(1, "it follows", |told| at(told) >= Some(position))
        .await;
    assert!(at(&told).unwrap().1 < 99_999_999);
    assert!(!data(&sites.copies[1]).join("torn").exists());
}

#[tokio::test]
async fn a_repository_that_can_not_be_opened_is_told_of_and_not_made_anew() {
    let mut sites = laboratory();
    restic(sites.root.path(), &["init"]);
    fs::write(sites.root.path().join("password"), "other\n").unwrap();
    sites.tell(0, Duty::Wait);
    let told = sites
        .until(0, "it is told", |told| told.trouble.is_some())
        .await;
    assert!(told.trouble.unwrap().contains("wrong password"));
    assert_eq!(told.role, CopyRole::Absent);
}
