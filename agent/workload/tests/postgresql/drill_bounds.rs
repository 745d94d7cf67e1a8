//! What a drill may take and touch, and that no bound of it changes what it found.

use std::path::{Path, PathBuf};
use std::process::Command;

use hanse_core::dr::drill::{CheckOutcome, DrillOutcome};

use crate::drills::{Stage, check, order, words};

/// A disk of hardly any size.
struct Disk(PathBuf);

impl Disk {
    fn mount(folder: &Path) -> Self {
        Self::of_size(folder, "8m")
    }

    fn of_size(folder: &Path, size: &str) -> Self {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "disk"])
            .arg(folder)
            .status();
        assert!(mounted.unwrap().success());
        Self(folder.to_owned())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_room_is_an_error_that_says_so_and_the_standby_goes_on() {
    let mut stage = Stage::new().await;
    // Whoever holds drills would remove the folder before there is a disk on it.
    stage.driller.shutdown().await;
    let folder = stage.root();
    std::fs::create_dir_all(&folder).unwrap();
    let disk = Disk::mount(&folder);
    stage.start();
    stage.order(Some(order(1, Vec::new())));
    let report = stage.report(1).await;
    assert_eq!(report.outcome, DrillOutcome::Failed, "{report:#?}");
    assert!(report.trouble.contains("make room"), "{}", report.trouble);
    drop(disk);
    stage.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_while_the_copy_is_verified_ends_the_drill() {
    let mut stage = Stage::new().await;
    stage.driller.shutdown().await;
    let folder = stage.root();
    std::fs::create_dir_all(&folder).unwrap();
    let disk = Disk::of_size(&folder, "400m");
    stage.start();
    let mut wanted = order(1, Vec::new());
    let fill = "cat /dev/zero > \"$HANSE_DRILL_COPY/filler\"; sleep 1000";
    wanted.command = words(&["sh", "-c", fill]);
    stage.order(Some(wanted));
    let report = stage.report(1).await;
    assert_eq!(report.outcome, DrillOutcome::Failed, "{report:#?}");
    assert!(report.trouble.contains("make room"), "{}", report.trouble);
    assert!(report.rto.is_some(), "it was verified by then: {report:#?}");
    drop(disk);
    stage.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_writes_nowhere_but_into_its_folder() {
    let mut stage = Stage::new().await;
    let outside = stage.lab.root.path().join("outside");
    crate::laboratory::folder_of_postgres(&outside);
    let mut wanted = order(1, vec![check("sorts", "show temp_file_limit")]);
    let tries = format!(
        "! touch {outside}/file && ! touch {standby}/file && touch \"$HANSE_DRILL_COPY/file\" \
         && touch /dev/shm/hanse-drill && ! psql -c \"create tablespace x location '{outside}'\"",
        outside = outside.display(),
        standby = stage.lab.copies[1].data().display(),
    );
    wanted.command = words(&["sh", "-c", &tries]);
    wanted.checks.push(check(
        "too much",
        "select repeat('x', 1000000) from generate_series(1, 1000)",
    ));
    stage.order(Some(wanted));
    let report = stage.report(1).await;
    let of = |name: &str| {
        let mut checks = report.checks.iter();
        checks.find(|check| check.name == name).unwrap()
    };
    assert_eq!(of("sh").outcome, CheckOutcome::Passed, "{report:#?}");
    assert!(of("sorts").detail.contains("kB"), "{report:#?}");
    let cut = "more than 16 MiB, and the rest was cut";
    assert!(of("too much").detail.contains(cut), "{report:#?}");
    assert!(!Path::new("/dev/shm/hanse-drill").exists());
    stage.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_removed_yet_changes_nothing_of_what_was_found() {
    let mut stage = Stage::new().await;
    let go = stage.lab.root.path().join("go");
    let mut wanted = order(1, Vec::new());
    let waits = format!("until test -e {}; do sleep 0.1; done", go.display());
    wanted.command = words(&["sh", "-c", &waits]);
    stage.order(Some(wanted));
    stage
        .until(|news| news.progress.contains("sh verifies"))
        .await;
    let held = stage.root().join("1/held");
    std::fs::write(&held, "").unwrap();
    let change = |how: &str| {
        let changed = Command::new("chattr").arg(how).arg(&held).status();
        assert!(changed.unwrap().success(), "{how}");
    };
    change("+i");
    std::fs::write(&go, "").unwrap();
    let report = stage.report(1).await;
    let was_there = held.exists();
    change("-i");
    assert_eq!(report.outcome, DrillOutcome::Passed, "{report:#?}");
    assert!(was_there, "it could not be removed");
    stage.is_clean().await;
}
