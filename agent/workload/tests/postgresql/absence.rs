//! Copies that were away for longer than their primary keeps its log: they can't go on from where they
//! were, and return all the same.

use std::fs;

use hanse_core::dr::choose::SyncSet;
use hanse_core::dr::duty::Duty;
use hanse_core::dr::sight::CopyRole;
use hanse_workload::CopyReport;

use crate::laboratory::{Copy, Laboratory, PATIENCE};
use crate::moves::{follows, leads, made, paired};

/// How much of the log is kept for whoever is away: two files of it.
const LITTLE: &str = "max_slot_wal_keep_size = 32MB";

const STATUS: &str = "select wal_status from pg_replication_slots where slot_name = 'hanse_b'";
const ROWS: &str = "select count(*) from orders";

/// A primary and a standby whose own configuration has a line more.
async fn pair_with(line: &str) -> Laboratory {
    let lab = made(&["a", "b"]).await;
    let main = lab.copies[0].data().join("postgresql.conf");
    let text = fs::read_to_string(&main).unwrap();
    fs::write(&main, format!("{text}\n{line}\n")).unwrap();
    paired(lab).await
}

/// Has a primary write more than it keeps, and forget the rest.
fn write_much(copy: &Copy) {
    for row in 100..108 {
        copy.sql(&format!("insert into orders values ({row})"));
        copy.sql("select pg_switch_wal()");
    }
    copy.sql("checkpoint");
}

fn stopped(barrier: u64) -> impl Fn(&CopyReport) -> bool {
    move |told| told.role == CopyRole::Stopped && told.barrier == barrier
}

fn warns(words: &'static str) -> impl Fn(&CopyReport) -> bool {
    move |told| told.warnings.iter().any(|warning| warning.contains(words))
}

/// Waits until a server answers as it is to.
async fn until_answered(copy: &Copy, question: &str, expected: &str) {
    let looking = async {
        while copy.sql(question) != expected {
            tokio::task::yield_now().await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, looking).await;
    assert!(found.is_ok(), "{question}: {}", copy.sql(question));
}

/// Removes the slot of a standby that has just stopped.
async fn remove_slot(copy: &Copy) {
    let removing = async {
        while let Err(words) = copy.try_sql("select pg_drop_replication_slot('hanse_b')") {
            assert!(words.contains("is active"), "{words}");
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, removing).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_was_away_for_longer_than_the_log_is_kept_is_made_anew_and_follows() {
    let mut lab = pair_with(LITTLE).await;
    let kept = lab.copies[0].sql("show max_slot_wal_keep_size");
    assert_eq!(kept, "32MB", "its own configuration counts");
    lab.tell(1, Duty::Stop { barrier: 6 });
    lab.copies[1].until("it is away", stopped(6)).await;
    // While nobody looks after the slot, it is seen that it is lost.
    lab.copies[0].kill();
    write_much(&lab.copies[0]);
    assert_eq!(lab.copies[0].sql(STATUS), "lost");
    lab.copies[0].start();
    until_answered(&lab.copies[0], STATUS, "reserved").await;

    let before = lab.copies[1].made();
    lab.follow(1, 0, 5);
    lab.copies[1]
        .until("why is told", warns("no longer has the log"))
        .await;
    let anew = |told: &CopyReport| follows(5)(told) && told.warnings.is_empty();
    lab.copies[1].until("it follows", anew).await;
    assert_ne!(lab.copies[1].made(), before, "it was made anew");
    lab.copies[0].sql("insert into orders values (2)");
    until_answered(&lab.copies[1], ROWS, &lab.copies[0].sql(ROWS)).await;
    assert_eq!(
        lab.copies[0].sql(STATUS),
        "reserved",
        "it is kept for it again"
    );
}

/// The slot was lost, and the log was not.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_whose_log_is_there_still_goes_on_from_where_it_was() {
    let mut lab = pair_with("wal_keep_size = 1GB").await;
    lab.tell(1, Duty::Stop { barrier: 6 });
    lab.copies[1].until("it is away", stopped(6)).await;
    lab.copies[0].kill();
    remove_slot(&lab.copies[0]).await;
    write_much(&lab.copies[0]);
    lab.copies[0].start();
    until_answered(&lab.copies[0], STATUS, "reserved").await;

    let before = lab.copies[1].made();
    lab.follow(1, 0, 5);
    lab.copies[1].until("it follows", follows(5)).await;
    until_answered(&lab.copies[1], ROWS, &lab.copies[0].sql(ROWS)).await;
    assert_eq!(lab.copies[1].made(), before, "it was not made anew");
}

/// A slot that somebody removed is made again while all goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_primary_makes_a_slot_again_that_somebody_removed() {
    let mut lab = pair_with(LITTLE).await;
    lab.tell(1, Duty::Stop { barrier: 6 });
    lab.copies[1].until("it is away", stopped(6)).await;
    remove_slot(&lab.copies[0]).await;
    until_answered(&lab.copies[0], STATUS, "reserved").await;
}

/// It can't be rewound, since what followed the promotion is there no more.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_primary_that_was_away_for_too_long_is_made_anew_and_keeps_what_only_it_had() {
    let mut lab = pair_with(LITTLE).await;
    lab.tell(1, Duty::Detach { barrier: 40 });
    let cut = |told: &CopyReport| told.role == CopyRole::Detached && told.barrier == 40;
    lab.copies[1].until("it has cut its connection", cut).await;
    lab.copies[0].sql("insert into orders values (666)");
    lab.copies[0].guard.lease.send_replace(None);
    lab.lead(1, 9, SyncSet::default());
    lab.copies[1].until("it leads", leads(9)).await;
    write_much(&lab.copies[1]);
    let before = lab.copies[0].made();
    lab.follow(0, 1, 9);
    lab.copies[0]
        .until("why is told", warns("no longer has the log"))
        .await;
    lab.copies[0].until("it follows", follows(9)).await;
    assert_ne!(lab.copies[0].made(), before, "it was made anew");
    assert_eq!(lab.copies[0].kept(), 1);
    let kept = warns("of log that the primary does not have");
    lab.copies[0].until("what is kept is told", kept).await;
    until_answered(&lab.copies[0], ROWS, &lab.copies[1].sql(ROWS)).await;
}
