//! A plan's life: its first primary, a standby, a promotion, and the old primary's return.

use std::fs;

use hanse_core::dr::choose::SyncSet;
use hanse_core::dr::duty::Duty;
use hanse_core::dr::sight::CopyRole;
use hanse_workload::CopyReport;

use crate::laboratory::{Laboratory, any_of};

pub(crate) fn leads(epoch: u64) -> impl Fn(&CopyReport) -> bool {
    move |told| told.role == CopyRole::Primary && told.epoch == epoch
}

pub(crate) fn follows(epoch: u64) -> impl Fn(&CopyReport) -> bool {
    move |told| {
        told.role == CopyRole::Following
            && told.trouble.is_none()
            && told
                .position
                .is_some_and(|position| position.branch == epoch)
    }
}

/// A primary with a table in the first place and a standby that follows it in the second.
pub(crate) async fn pair() -> Laboratory {
    paired(made(&["a", "b"]).await).await
}

/// The same of servers that can archive their log without another start.
pub(crate) async fn archiving_pair() -> Laboratory {
    let lab = made(&["a", "b"]).await;
    let main = lab.copies[0].data().join("postgresql.conf");
    let text = fs::read_to_string(&main).unwrap();
    fs::write(&main, format!("{text}\narchive_mode = on\n")).unwrap();
    paired(lab).await
}

/// A database in the first place that nothing runs on yet.
pub(crate) async fn made(names: &[&'static str]) -> Laboratory {
    let mut lab = Laboratory::new(names);
    lab.tell(0, Duty::Wait);
    let made = |told: &CopyReport| told.role == CopyRole::Stopped;
    lab.copies[0].until("the database is made", made).await;
    lab
}

/// Has such a database lead and the second place follow it.
pub(crate) async fn paired(mut lab: Laboratory) -> Laboratory {
    lab.lead(0, 5, SyncSet::default());
    lab.copies[0].until("it leads", leads(5)).await;
    lab.copies[0].sql("create table orders (id int primary key)");
    lab.copies[0].sql("insert into orders values (1)");
    lab.follow(1, 0, 5);
    lab.copies[1].until("it follows", follows(5)).await;
    lab
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_begins_at_home_and_moves_after_its_primary_died_and_back() {
    let mut lab = pair().await;
    assert_eq!(lab.copies[1].sql("select pg_is_in_recovery()"), "t");

    let revision = lab.lead(0, 5, any_of(&["b"]));
    let in_effect = |told: &CopyReport| told.revision >= revision && told.set == any_of(&["b"]);
    lab.copies[0]
        .until("each commit is at b first", in_effect)
        .await;
    assert_eq!(
        lab.copies[0].sql("select application_name || sync_state from pg_stat_replication"),
        "hanse_bquorum"
    );
    lab.copies[0].sql("insert into orders values (2)");

    // The standby cuts its connection; what is written after that is nobody else's.
    lab.tell(1, Duty::Detach { barrier: 40 });
    let cut = |told: &CopyReport| told.role == CopyRole::Detached && told.barrier == 40;
    let detached = lab.copies[1].until("it has cut its connection", cut).await;
    lab.copies[0].sql("set synchronous_commit = local; insert into orders values (666)");
    assert_eq!(
        lab.copies[1].reports.borrow().position,
        detached.position,
        "what it told stays true"
    );

    // Its lease ends, and with it the server.
    lab.copies[0].guard.lease.send_replace(None);
    lab.lead(1, 9, SyncSet::default());
    lab.copies[1].until("it leads", leads(9)).await;
    lab.copies[1].sql("insert into orders values (3)");

    // The old primary gives up what nobody else has, and keeps it aside.
    let made = lab.copies[0].made();
    lab.follow(0, 1, 9);
    lab.copies[0].until("it follows", follows(9)).await;
    let rows = "select string_agg(id::text, ' ' order by id) from orders";
    assert_eq!(lab.copies[1].sql(rows), "1 2 3");
    assert_eq!(
        lab.copies[0].made(),
        made,
        "it was rewound, and not made anew"
    );
    assert_eq!(lab.copies[0].kept(), 1);
    let is_kept = |told: &CopyReport| {
        let mut warnings = told.warnings.iter();
        warnings.any(|warning| warning.contains("are kept for 7 days in"))
    };
    lab.copies[0].until("it tells of that", is_kept).await;
    lab.copies[1].sql("insert into orders values (4)");
    let end = lab.copies[1].sql("select pg_current_wal_flush_lsn() - '0/0'");
    let end: u64 = end.parse().unwrap();
    let has_all = |told: &CopyReport| {
        told.position
            .is_some_and(|position| position.offset_bytes >= end)
    };
    lab.copies[0].until("it has all", has_all).await;

    // A planned move back: the primary stops in good order, the other receives the last.
    lab.tell(1, Duty::Stop { barrier: 60 });
    let stopped = |told: &CopyReport| {
        told.role == CopyRole::Stopped && told.barrier == 60 && told.position.is_some()
    };
    let last = lab.copies[1]
        .until("it stopped", stopped)
        .await
        .position
        .unwrap();
    assert_eq!(last.branch, 9);
    lab.tell(0, Duty::Detach { barrier: 60 });
    let cut = |told: &CopyReport| told.role == CopyRole::Detached && told.barrier == 60;
    let other = lab.copies[0].until("it has cut its connection", cut).await;
    assert_eq!(
        other.position,
        Some(last),
        "it has the last that was written"
    );
    lab.lead(0, 11, SyncSet::default());
    lab.copies[0].until("it leads", leads(11)).await;
    assert_eq!(lab.copies[0].sql(rows), "1 2 3 4");
    let made = lab.copies[1].made();
    lab.follow(1, 0, 11);
    lab.copies[1].until("it follows", follows(11)).await;
    assert_eq!((lab.copies[1].made(), lab.copies[1].kept()), (made, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_primary_that_cannot_be_rewound_is_made_anew() {
    let mut lab = pair().await;
    lab.tell(1, Duty::Detach { barrier: 40 });
    let cut = |told: &CopyReport| told.role == CopyRole::Detached && told.barrier == 40;
    lab.copies[1].until("it has cut its connection", cut).await;
    let fork = lab.copies[0].sql("select pg_walfile_name(pg_current_wal_lsn())");
    for row in [666, 667, 668] {
        lab.copies[0].sql(&format!("insert into orders values ({row})"));
        lab.copies[0].sql("select pg_switch_wal()");
        lab.copies[0].sql("checkpoint");
    }
    lab.copies[0].guard.lease.send_replace(None);
    lab.lead(1, 9, SyncSet::default());
    lab.copies[1].until("it leads", leads(9)).await;
    // What both had last is in the log no more.
    let _ = std::fs::remove_file(lab.copies[0].data().join("pg_wal").join(fork));
    let made = lab.copies[0].made();
    lab.follow(0, 1, 9);
    lab.copies[0].until("it follows", follows(9)).await;
    assert_ne!(lab.copies[0].made(), made);
    assert_eq!(
        lab.copies[0].sql("select string_agg(id::text, ' ') from orders"),
        "1"
    );
    assert_eq!(lab.copies[0].kept(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_standby_follows_the_next_primary_as_it_is() {
    let mut lab = paired(made(&["a", "b", "c"]).await).await;
    lab.follow(2, 0, 5);
    lab.copies[2].until("it follows", follows(5)).await;
    lab.tell(1, Duty::Detach { barrier: 40 });
    let cut = |told: &CopyReport| told.role == CopyRole::Detached && told.barrier == 40;
    lab.copies[1].until("it has cut its connection", cut).await;
    lab.copies[0].guard.lease.send_replace(None);
    lab.lead(1, 9, SyncSet::default());
    lab.copies[1].until("it leads", leads(9)).await;
    lab.copies[1].sql("insert into orders values (2)");
    let made = lab.copies[2].made();
    lab.follow(2, 1, 9);
    lab.copies[2].until("it follows", follows(9)).await;
    assert_eq!(lab.copies[2].made(), made, "it was not made anew");
    assert_eq!(lab.copies[2].sql("select max(id) from orders"), "2");
    // Nothing keeps the log for whoever receives no more.
    let slots = "select string_agg(slot_name, ' ' order by slot_name) from pg_replication_slots";
    assert_eq!(lab.copies[1].sql(slots), "hanse_a hanse_c");
    assert_eq!(lab.copies[2].sql(slots), "");
}

/// The standby has what nobody else has: it received more than the one that was promoted.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_received_more_than_the_next_primary_gives_it_up() {
    let mut lab = paired(made(&["a", "b", "c"]).await).await;
    lab.follow(2, 0, 5);
    lab.copies[2].until("it follows", follows(5)).await;
    lab.tell(1, Duty::Detach { barrier: 40 });
    let cut = |told: &CopyReport| told.role == CopyRole::Detached && told.barrier == 40;
    lab.copies[1].until("it has cut its connection", cut).await;
    let lead = lab.lead(0, 5, any_of(&["c"]));
    let in_effect = |told: &CopyReport| told.revision >= lead && told.set == any_of(&["c"]);
    lab.copies[0]
        .until("each commit is at c first", in_effect)
        .await;
    lab.copies[0].sql("insert into orders values (666)");
    lab.copies[0].guard.lease.send_replace(None);
    lab.lead(1, 9, SyncSet::default());
    lab.copies[1].until("it leads", leads(9)).await;
    lab.follow(2, 1, 9);
    lab.copies[2].until("it follows", follows(9)).await;
    let rows = "select string_agg(id::text, ' ' order by id) from orders";
    assert_eq!(lab.copies[2].sql(rows), "1");
}
