//! Servers that somebody else made and started, and starts past the guard.

use std::fs;
use std::path::PathBuf;

use hanse_core::dr::choose::SyncSet;
use hanse_core::dr::duty::Duty;
use hanse_core::dr::position::Position;
use hanse_core::dr::sight::CopyRole;
use hanse_core::object::dr_plan::Postgresql;
use hanse_workload::CopyReport;

use crate::backups::{PASSWORD, backup};
use crate::laboratory::{Copy, Laboratory, any_of, folder_of_postgres, program};
use crate::moves::{leads, made, pair, paired};

/// A server that an operator made, without checksums and with a setting of its own. `apart`: where its
/// configuration is, if not with the data.
fn started(copy: &Copy, apart: Option<PathBuf>) {
    let data = copy.data();
    let made = program("initdb")
        .arg("-D")
        .arg(&data)
        .arg("--auth=peer")
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let sockets = copy.folder.join("sockets");
    let address = address(apart.is_some());
    let mut text = fs::read_to_string(data.join("postgresql.conf")).unwrap();
    text.push_str(&format!(
        "listen_addresses = '{address}'\nport = 15999\nwork_mem = '5MB'\n\
         unix_socket_directories = '{}'\n",
        sockets.display()
    ));
    let mut start = program("pg_ctl");
    start
        .args(["start", "--wait", "-D"])
        .arg(&data)
        .arg("-l")
        .arg(data.join("log"));
    match apart {
        None => fs::write(data.join("postgresql.conf"), text).unwrap(),
        Some(folder) => {
            folder_of_postgres(&folder);
            for name in ["pg_hba.conf", "pg_ident.conf"] {
                let file = folder.join(name);
                fs::copy(data.join(name), &file).unwrap();
                let (user, group) = crate::laboratory::postgres_id();
                std::os::unix::fs::chown(&file, Some(user), Some(group)).unwrap();
                fs::remove_file(data.join(name)).unwrap();
            }
            fs::remove_file(data.join("postgresql.conf")).unwrap();
            let shown = folder.display();
            text.push_str(&format!(
                "data_directory = '{}'\nhba_file = '{shown}/pg_hba.conf'\n\
                 ident_file = '{shown}/pg_ident.conf'\n",
                data.display()
            ));
            fs::write(folder.join("postgresql.conf"), text).unwrap();
            start
                .arg("-o")
                .arg(format!("-c config_file={shown}/postgresql.conf"));
        }
    }
    let status = start.stdout(std::process::Stdio::null()).status().unwrap();
    assert!(status.success());
}

async fn is_adopted(apart: bool) {
    let mut lab = Laboratory::new(&["a"]);
    let etc = lab.copies[0].folder.join("etc/15/main");
    started(&lab.copies[0], apart.then_some(etc));
    lab.copies[0].sql("create table orders (id int)");
    lab.tell(0, Duty::Wait);
    let told = lab.copies[0].until("it is told of", leads(0)).await;
    assert!(matches!(
        told.position,
        Some(Position {
            branch: 0,
            offset_bytes: 1..
        })
    ));
    assert_eq!(
        lab.copies[0].sql("show port"),
        "15999",
        "nothing of it was touched"
    );

    lab.lead(0, 5, SyncSet::default());
    lab.copies[0].until("it leads", leads(5)).await;
    let copy = &lab.copies[0];
    assert_eq!(copy.sql("select count(*) from orders"), "0");
    assert_eq!(copy.sql("show port"), lab.port.to_string());
    assert_eq!(copy.sql("show work_mem"), "5MB");
    assert_eq!(copy.sql("show wal_log_hints"), "on");
    let listens = copy.sql("show listen_addresses");
    assert_eq!(listens, format!("{},127.0.0.2,localhost", address(apart)));
}

/// Where it listens before it is adopted: these tests run beside one another.
fn address(apart: bool) -> &'static str {
    match apart {
        true => "127.0.0.8",
        false => "127.0.0.9",
    }
}

/// What is left to a server that runs on without its plan.
const LEFT: &str = "archive_command = '/bin/true'";

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_runs_already_goes_on_under_the_guard() {
    is_adopted(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_its_configuration_where_debian_has_it_goes_on_too() {
    is_adopted(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_past_the_guard_fails() {
    let mut lab = Laboratory::new(&["a"]);
    lab.tell(0, Duty::Wait);
    let made = |told: &CopyReport| told.role == CopyRole::Stopped;
    lab.copies[0].until("the database is made", made).await;
    lab.lead(0, 5, SyncSet::default());
    lab.copies[0].until("it leads", leads(5)).await;
    lab.copies[0].guard.lease.send_replace(None);
    lab.tell(0, Duty::Stop { barrier: 8 });
    let stopped = |told: &CopyReport| told.role == CopyRole::Stopped && told.barrier == 8;
    lab.copies[0].until("it stopped", stopped).await;
    let data = lab.copies[0].data();
    let log = data.join("past.log");
    let start = program("pg_ctl")
        .args(["start", "--wait", "-D"])
        .arg(&data)
        .arg("-l")
        .arg(&log)
        .output()
        .unwrap();
    assert!(!start.status.success());
    let words = fs::read_to_string(log).unwrap();
    assert!(words.contains("seal/seal"), "{words}");
}

/// A server as an earlier guard let it go: it sees the seal, and is PID 1 of its namespace.
fn let_go(copy: &Copy) -> std::process::Child {
    let (user, group) = crate::laboratory::postgres_id();
    let script =
        "mount -t tmpfs none \"$0\" && touch \"$0/seal\" && chmod 755 \"$0\" && exec \"$@\"";
    let postgres = program("postgres");
    let server = postgres.get_args().last().unwrap().to_owned();
    let child = std::process::Command::new("unshare")
        .args(["--pid", "--fork", "--kill-child", "--mount", "--mount-proc"])
        .args(["sh", "-c", script])
        .arg(copy.setup.seal.parent().unwrap())
        .args(["setpriv", "--clear-groups"])
        .args([format!("--reuid={user}"), format!("--regid={group}")])
        .arg(server)
        .arg("-D")
        .arg(copy.data())
        .arg("-c")
        .arg(format!(
            "unix_socket_directories={}",
            copy.folder.join("sockets").display()
        ))
        .arg("-c")
        .arg("listen_addresses=")
        .env("LC_ALL", "C")
        .stderr(std::process::Stdio::null())
        .spawn();
    child.expect("unshare is missing: run `apt-get install util-linux`")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_an_earlier_guard_let_go_is_found_and_stopped_before_another_starts() {
    let mut lab = Laboratory::new(&["a"]);
    lab.tell(0, Duty::Wait);
    let made = |told: &CopyReport| told.role == CopyRole::Stopped;
    lab.copies[0].until("the database is made", made).await;
    let mut server = let_go(&lab.copies[0]);
    let told = lab.copies[0].until("it is told of", leads(0)).await;
    assert_eq!(told.epoch, 0, "it writes under no lease");
    let number = fs::read_to_string(lab.copies[0].data().join("postmaster.pid")).unwrap();
    assert_eq!(number.lines().next(), Some("1"), "of its own namespace");

    lab.lead(0, 5, SyncSet::default());
    lab.copies[0].until("it leads", leads(5)).await;
    assert!(server.wait().unwrap().success(), "it ended in good order");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_takes_the_place_of_data_that_an_earlier_guards_server_runs_on() {
    let mut lab = pair().await;
    lab.copies[1].kill();
    lab.tell(1, Duty::Stop { barrier: 3 });
    lab.copies[1].start();
    let stopped = |told: &CopyReport| told.role == CopyRole::Stopped && told.barrier == 3;
    lab.copies[1].until("it stopped", stopped).await;
    lab.copies[1].kill();
    let made = lab.copies[1].made();
    // It is as if nothing was known of the copy, so that it would be made anew.
    fs::remove_file(lab.copies[1].data().join("standby.signal")).unwrap();
    let mut server = let_go(&lab.copies[1]);
    let folder = lab.copies[1].setup.memory.clone();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        fs::remove_file(entry.path()).unwrap();
    }
    lab.copies[1].start();
    lab.follow(1, 0, 5);
    let warned = |told: &CopyReport| {
        let trouble = told.trouble.as_deref().unwrap_or_default();
        trouble.contains("a server runs on this data")
    };
    lab.copies[1].until("it is in trouble", warned).await;
    assert_eq!(lab.copies[1].made(), made, "the data is what it was");
    assert_eq!(server.try_wait().unwrap(), None);
    server.kill().unwrap();
    server.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_kept_no_more_goes_on_without_anything_of_ours() {
    // It archives by our doing, and goes on so until its next start.
    let mut lab = made(&["a", "b"]).await;
    lab.backup = Some(backup(&lab, PASSWORD));
    let mut lab = paired(lab).await;
    lab.lead(0, 5, any_of(&["b"]));
    let set = |told: &CopyReport| told.set.needed == 1;
    lab.copies[0].until("each commit is at b first", set).await;
    // Nobody receives any more, so that its slot can go.
    lab.tell(1, Duty::Stop { barrier: 6 });
    let stopped = |told: &CopyReport| told.role == CopyRole::Stopped && told.barrier == 6;
    lab.copies[1].until("it stopped", stopped).await;
    lab.copies[0].kill();
    let copy = &lab.copies[0];
    let postgresql = Postgresql {
        data_directory: copy.data().display().to_string(),
        port: lab.port,
        bin_directory: None,
    };
    hanse_workload::withdraw(&copy.setup, &postgresql)
        .await
        .unwrap();
    for name in ["postgresql.conf", "pg_hba.conf"] {
        let text = fs::read_to_string(copy.data().join(name)).unwrap();
        // Its log would wait for an archive for ever, until its next start.
        let (ours, theirs): (Vec<&str>, Vec<&str>) = text
            .lines()
            .partition(|line| line.contains("hanse") || *line == LEFT);
        assert_eq!(
            ours.len(),
            if name == "postgresql.conf" { 3 } else { 0 },
            "{ours:?}"
        );
        assert!(
            !theirs.iter().any(|line| line.starts_with("include")),
            "{name}"
        );
    }
    assert_eq!(copy.sql("select count(*) from pg_replication_slots"), "0");
    assert_eq!(
        copy.sql("select count(*) from pg_roles where rolname ~ 'hanse'"),
        "0"
    );
    assert_eq!(copy.sql("show synchronous_standby_names"), "");
    assert_eq!(copy.sql("show archive_command"), "/bin/true");
    copy.sql("insert into orders values (2)");
}
