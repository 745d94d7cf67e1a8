//! What a copy can't be, it says so, and how to mend it.

use std::fs;
use std::path::Path;
use std::process::Command;

use hanse_core::dr::choose::SyncSet;
use hanse_core::dr::duty::Duty;
use hanse_core::dr::sight::CopyRole;
use hanse_workload::CopyReport;

use crate::laboratory::{Laboratory, folder_of_postgres, program};
use crate::moves::{follows, leads, pair};

/// What docs/dr-errors.md says that users see is what they see, wherever the data is.
#[track_caller]
fn is_on_the_page(sentence: &str, data: &Path) {
    let page = include_str!("../../../../docs/dr-errors.md");
    let folder = data.parent().unwrap().display().to_string();
    let sentence = sentence.replace(&folder, "/srv/data");
    assert!(page.contains(&format!("{sentence} |")), "{sentence}");
}

fn in_trouble(words: &'static str) -> impl Fn(&CopyReport) -> bool {
    move |told| {
        told.trouble
            .as_ref()
            .is_some_and(|trouble| trouble.contains(words))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_of_an_unknown_version_and_of_none_is_left_alone() {
    let mut lab = Laboratory::new(&["a"]);
    let data = lab.copies[0].data();
    folder_of_postgres(&data);
    fs::write(data.join("PG_VERSION"), "13\n").unwrap();
    lab.tell(0, Duty::Wait);
    lab.copies[0]
        .until("it is too old", in_trouble("run pg_upgrade"))
        .await;
    fs::write(data.join("PG_VERSION"), "18\n").unwrap();
    lab.copies[0]
        .until(
            "it is not here",
            in_trouble("apt-get install postgresql-18"),
        )
        .await;
    fs::remove_file(data.join("PG_VERSION")).unwrap();
    fs::write(data.join("letter"), "dear").unwrap();
    lab.copies[0]
        .until("it is none", in_trouble("move it away"))
        .await;
    fs::remove_dir_all(lab.copies[0].folder.join("data")).unwrap();
    lab.copies[0]
        .until("it has no place", in_trouble("is no folder"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_database_is_never_copied_over() {
    let mut lab = pair().await;
    lab.copies[1].kill();
    lab.tell(1, Duty::Wait);
    let mut lab = {
        let mut other = Laboratory::new(&["a", "b"]);
        other.port = lab.port;
        std::mem::swap(&mut other.copies[0], &mut lab.copies[0]);
        other
    };
    let data = lab.copies[1].data();
    let made = program("initdb").arg("-D").arg(&data).output().unwrap();
    assert!(made.status.success());
    let before = lab.copies[1].made();
    lab.follow(1, 0, 5);
    lab.copies[1]
        .until("it is another", in_trouble("another database"))
        .await;
    assert_eq!(lab.copies[1].made(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_without_room_is_not_begun() {
    let mut lab = pair().await;
    lab.copies[1].kill();
    let mut lab = {
        let mut other = Laboratory::new(&["a", "b"]);
        other.port = lab.port;
        std::mem::swap(&mut other.copies[0], &mut lab.copies[0]);
        other
    };
    let folder = lab.copies[1].folder.join("data");
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=20m", "none"])
        .arg(&folder)
        .status()
        .unwrap();
    assert!(mount.success());
    lab.follow(1, 0, 5);
    let told = lab.copies[1]
        .until("it has no room", in_trouble("make room"))
        .await;
    let left = fs::read_dir(&folder).unwrap().count();
    let unmount = Command::new("umount").arg(&folder).status().unwrap();
    assert!(unmount.success());
    assert_eq!((told.role, left), (CopyRole::Absent, 0));
    let numberless = |text: &str| -> String {
        let kept = text.chars().filter(|it| !it.is_ascii_digit());
        kept.collect()
    };
    let page = numberless(include_str!("../../../../docs/dr-errors.md"));
    let said = told.trouble.unwrap();
    let said = said.replace(&folder.display().to_string(), "/srv/data");
    assert!(page.contains(&numberless(&format!("| {said} |"))), "{said}");
}

/// Somebody's policy gives every role's password an end.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_expired_is_told_with_what_mends_it() {
    let mut lab = pair().await;
    lab.copies[0].sql("alter role hanse_replication valid until '2000-01-01'");
    lab.copies[1].kill();
    lab.copies[0].sql("select pg_terminate_backend(pid) from pg_stat_replication");
    lab.copies[1].start();
    let expired = in_trouble("VALID UNTIL 'infinity'");
    let told = lab.copies[1].until("it is told", expired).await;
    let trouble = told.trouble.unwrap();
    assert!(
        trouble.contains("password authentication failed"),
        "{trouble}"
    );
    let (_, advice) = trouble.split_once("Either").unwrap();
    is_on_the_page(&format!("| Either{advice}"), &lab.copies[1].data());
    lab.copies[0].sql("alter role hanse_replication valid until 'infinity'");
    lab.copies[1].until("it follows again", follows(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_gives_the_password_no_end() {
    let mut lab = pair().await;
    lab.copies[0].sql("alter role hanse_replication valid until '2000-01-01'");
    lab.copies[0].kill();
    lab.copies[0].start();
    lab.copies[0].until("it leads", leads(5)).await;
    let end = "select rolvaliduntil from pg_roles where rolname = 'hanse_replication'";
    let looking = async {
        while lab.copies[0].sql(end) != "infinity" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::laboratory::PATIENCE, looking)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_the_server_does_not_take_is_told() {
    let mut lab = pair().await;
    let hba = lab.copies[0].data().join("pg_hba.conf");
    let text = fs::read_to_string(&hba).unwrap();
    fs::write(&hba, format!("{text}host all all nowhere/99 nothing\n")).unwrap();
    lab.lead(0, 5, crate::laboratory::any_of(&["b"]));
    lab.copies[0]
        .until("the line is told", in_trouble("pg_hba.conf line"))
        .await;
    let text = fs::read_to_string(&hba).unwrap();
    fs::write(&hba, text.replace("host all all nowhere/99 nothing\n", "")).unwrap();
    let well = |told: &CopyReport| told.trouble.is_none() && told.set.needed == 1;
    lab.copies[0].until("it is well again", well).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_alter_system_says_is_told_and_not_overridden_in_silence() {
    let mut lab = pair().await;
    lab.copies[0].sql("alter system set synchronous_standby_names = ''");
    lab.lead(0, 5, crate::laboratory::any_of(&["b"]));
    lab.copies[0]
        .until("it is told", in_trouble("ALTER SYSTEM RESET"))
        .await;
    lab.copies[0].sql("alter system reset synchronous_standby_names");
    let well = |told: &CopyReport| told.trouble.is_none() && told.set.needed == 1;
    lab.copies[0].until("it is well again", well).await;
}

/// Two servers that were promoted from the same place call their timelines alike.
#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_of_the_same_number_that_another_lease_began_is_another() {
    let mut lab = Laboratory::new(&["a", "b", "c"]);
    lab.tell(0, Duty::Wait);
    let made = |told: &CopyReport| told.role == CopyRole::Stopped;
    lab.copies[0].until("the database is made", made).await;
    lab.lead(0, 5, SyncSet::default());
    lab.copies[0].until("it leads", leads(5)).await;
    for number in [1, 2] {
        lab.follow(number, 0, 5);
        lab.copies[number].until("it follows", follows(5)).await;
    }
    // The primary stops, and both have all; one leads and is alone, then the other.
    lab.tell(0, Duty::Stop { barrier: 6 });
    let stopped = |told: &CopyReport| told.role == CopyRole::Stopped && told.barrier == 6;
    lab.copies[0].until("it stopped", stopped).await;
    for number in [1, 2] {
        lab.tell(number, Duty::Detach { barrier: 6 });
        let cut = |told: &CopyReport| told.role == CopyRole::Detached && told.barrier == 6;
        lab.copies[number]
            .until("it has cut its connection", cut)
            .await;
    }
    for (number, epoch) in [(1, 7), (2, 9)] {
        lab.lead(number, epoch, SyncSet::default());
        lab.copies[number].until("it leads", leads(epoch)).await;
        lab.copies[number].sql(&format!("create table of_{epoch} (id int)"));
        lab.copies[number].sql("checkpoint");
        assert_eq!(
            lab.copies[number].sql("select timeline_id from pg_control_checkpoint()"),
            "2"
        );
    }
    let made = lab.copies[1].made();
    lab.follow(1, 2, 9);
    lab.copies[1].until("it follows", follows(9)).await;
    assert_ne!(
        lab.copies[1].made(),
        made,
        "it can't be rewound: it was made anew"
    );
    let tables = "select string_agg(relname, ' ') from pg_class where relname like 'of_%'";
    assert_eq!(lab.copies[1].sql(tables), "of_9");
    // Whoever followed neither goes on from where both began.
    lab.follow(0, 2, 9);
    lab.copies[0].until("it follows", follows(9)).await;
}
