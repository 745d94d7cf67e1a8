//! A repository that hangs: nothing waits for it for long, and its log takes no more room than is said.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::PathBuf;
use std::process::Command;

use hanse_core::dr::choose::SyncSet;
use hanse_core::dr::duty::Duty;
use hanse_core::dr::sight::CopyRole;
use hanse_workload::CopyReport;

use crate::backup_trouble::{Disk, is_wrong};
use crate::backups::{PASSWORD, backup, is_backed_up};
use crate::laboratory::Laboratory;
use crate::moves::{archiving_pair, made};

/// A repository of which a file is a pipe that nobody writes to: whoever reads it waits.
struct Hanging {
    file: PathBuf,
    kept: PathBuf,
}

impl Hanging {
    fn hang(lab: &Laboratory) -> Self {
        let file = lab.root.path().join("repository/archive/shop/archive.info");
        let kept = file.with_extension("kept");
        fs::rename(&file, &kept).unwrap();
        let piped = Command::new("mkfifo")
            .args(["-m", "666"])
            .arg(&file)
            .status();
        assert!(piped.unwrap().success());
        Self { file, kept }
    }

    fn end(self) {
        let pipe = self.file.with_extension("pipe");
        fs::rename(&self.file, &pipe).unwrap();
        fs::rename(&self.kept, &self.file).unwrap();
        // Whoever waits reads its end. There may be nobody.
        let mut options = fs::OpenOptions::new();
        let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap();
        let _ = options.write(true).custom_flags(flags).open(&pipe);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_hangs_is_told_and_the_log_is_let_go_beyond_its_limit_alone() {
    let mut lab = made(&["a", "b"]).await;
    lab.backup = Some(backup(&lab, PASSWORD));
    // A quarter of this are eight parts of the log. The data's own disk has far more.
    let disk = lab.root.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let _disk = Disk::mount(disk.clone(), "600m");
    let log = lab.copies[0].data().join("pg_wal");
    let moved = Command::new("mv").arg(&log).arg(disk.join("log")).status();
    assert!(moved.unwrap().success());
    symlink(disk.join("log"), &log).unwrap();
    let main = lab.copies[0].data().join("postgresql.conf");
    let text = fs::read_to_string(&main).unwrap();
    let small = format!("{text}\nmin_wal_size = 32MB\nmax_wal_size = 64MB\n");
    fs::write(&main, small).unwrap();
    lab.lead(0, 5, SyncSet::default());
    lab.copies[0].until("a backup is made", is_backed_up).await;
    lab.copies[0].sql("create table parts (id int)");

    let hanging = Hanging::hang(&lab);
    let part = "insert into parts values (1); select pg_switch_wal()";
    for _ in 0..4 {
        lab.copies[0].sql(part);
    }
    let hangs = is_wrong("pgBackRest did not end within 15 seconds");
    lab.copies[0].until("it is told", hangs).await;
    let dropped = lab.copies[0].setup.folder.join("archive-dropped");
    assert!(!dropped.exists(), "nothing is let go before the limit");
    for _ in 0..8 {
        lab.copies[0].sql(part);
    }
    lab.copies[0]
        .until("it is let go", is_wrong("parts of the log were let go"))
        .await;
    lab.copies[0].sql(part);

    hanging.end();
    let is_well = |told: &CopyReport| {
        let backup = told.backup.as_ref();
        is_backed_up(told) && backup.is_some_and(|backup| backup.count == 2)
    };
    lab.copies[0].until("a backup is made since", is_well).await;
    assert!(!dropped.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_hangs_holds_up_no_server_that_is_to_end() {
    let mut lab = archiving_pair().await;
    lab.backup = Some(backup(&lab, PASSWORD));
    lab.lead(0, 5, SyncSet::default());
    lab.copies[0].until("a backup is made", is_backed_up).await;
    let hanging = Hanging::hang(&lab);
    lab.copies[0].sql("insert into orders values (2)");
    lab.copies[0].sql("select pg_switch_wal()");
    lab.tell(0, Duty::Stop { barrier: 6 });
    // In good order, since it says how far it is.
    let has_ended = |told: &CopyReport| told.role == CopyRole::Stopped && told.position.is_some();
    lab.copies[0].until("it has ended", has_ended).await;
    hanging.end();
}
