//! A DR plan's backups, from the declaration to a restore to a time, before and after a move.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hanse_acceptance::failover::hanse::{self, Hanse};
use hanse_acceptance::failover::server::{self, Server};
use hanse_acceptance::failover::{Cluster, Replication, Variant};
use hanse_acceptance::laboratory::{Host, Invocation};
use hanse_acceptance::{Laboratory, Output, binaries, wait_until};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(180);
const PASSWORD: &str = "correct-horse-battery-staple";

#[test]
fn a_plan_is_backed_up_and_restored_to_a_time_before_and_after_a_move() -> Result<()> {
    let laboratory = Laboratory::start_with_users(hanse::HOSTS)?;
    let mut plan = Hanse::raise(&laboratory, Variant::Default, Replication::Default)?;
    let repository = tempfile::tempdir()?;
    let ids = server::postgres_ids()?;
    std::os::unix::fs::chown(repository.path(), Some(ids.0), Some(ids.1))?;

    declare(&plan, repository.path())?;
    wait_until("it says what backups need", PATIENCE, || {
        let says = plan.told().contains("a switchover there and back does it");
        Ok(says.then_some(()))
    })?;
    moved(&mut plan)?;
    moved(&mut plan)?;
    until_backed_up(&plan)?;
    let home = laboratory.host(plan.primary()?);
    let ask = |host: &Host, question: &str| plan_server(host)?.ask(&laboratory, question);
    ask(home, "create table rows (id int)")?;
    ask(home, "insert into rows values (1)")?;
    let at = wait_for_a_time(&laboratory, home)?;
    ask(home, "insert into rows values (2)")?;
    archive(&laboratory, home)?;
    let first = repository.path().with_extension("first");
    restored(home, &first, Some(&at))?;
    assert_eq!(rows(home, &first)?, "1");

    let other = laboratory.host(moved(&mut plan)?);
    until_backed_up(&plan)?;
    ask(other, "insert into rows values (3)")?;
    archive(&laboratory, other)?;
    // The former primary's node has all that a restore needs.
    let second = repository.path().with_extension("second");
    restored(home, &second, None)?;
    assert_eq!(rows(home, &second)?, "1,2,3");

    let listed = command(home, &["dr", "backups", "orders", "--json"])?;
    let listed: Value = serde_json::from_str(&listed.stdout)?;
    assert_eq!(listed["backups"][0]["kind"], "full");
    let shown = plan.told();
    assert!(!shown.contains("backups:"), "nothing is wrong: {shown}");
    fs::remove_dir_all(&first)?;
    fs::remove_dir_all(&second)?;
    Ok(())
}

/// Moves the primary; yields the host that it is on once all copies follow it.
fn moved(plan: &mut Hanse<'_>) -> Result<u8> {
    let before = plan.primary()?;
    plan.switchover()?;
    wait_until("another site is primary", PATIENCE, || {
        let primary = plan.primary().ok();
        Ok(primary.filter(|primary| *primary != before && plan.is_whole().unwrap_or(false)))
    })
}

/// Declares backups in the plan that is there.
fn declare(plan: &Hanse<'_>, repository: &Path) -> Result<()> {
    let main = fs::read_to_string(plan.terraform.folder().join("main.tf"))?;
    let workload = "  workload = {\n    postgresql = { data_directory";
    ensure!(
        main.contains(workload),
        "the plan is written otherwise: {main}"
    );
    let backup = format!(
        "  backup = {{\n    repository = \"{}\"\n    password_wo = \"{PASSWORD}\"\n    \
         password_wo_version = 1\n  }}\n{workload}",
        repository.display()
    );
    plan.terraform
        .write("main.tf", &main.replace(workload, &backup))?;
    plan.terraform.apply()?;
    let planned = plan.terraform.plan()?;
    ensure!(
        !planned.has_changes,
        "a second plan has changes: {planned:?}"
    );
    let state = fs::read_to_string(plan.terraform.folder().join("terraform.tfstate"))?;
    ensure!(!state.contains(PASSWORD), "the password is in the state");
    Ok(())
}

fn until_backed_up(plan: &Hanse<'_>) -> Result<()> {
    wait_until("the primary is backed up", PATIENCE, || {
        let status = plan.status()?;
        let copies = status["copies"].as_array().cloned().unwrap_or_default();
        let primary = copies.iter().find(|copy| copy["role"] == "primary");
        let backup = primary.map_or(Value::Null, |copy| copy["backup"].clone());
        let is_well = backup["count"].as_u64() > Some(0) && backup["trouble"] == "";
        Ok(is_well.then_some(()))
    })
}

fn plan_server(host: &Host) -> Result<Server> {
    Ok(Server {
        user: Some(server::postgres_ids()?),
        ..Server::of(host)
    })
}

/// A time after the last backup, at which all that was committed until now is.
fn wait_for_a_time(laboratory: &Laboratory, host: &Host) -> Result<String> {
    let server = plan_server(host)?;
    let listed = command(host, &["dr", "backups", "orders", "--json"])?;
    let listed: Value = serde_json::from_str(&listed.stdout)?;
    let from = listed["restorable_from_unix_s"].as_u64();
    let from = from.context("nothing can be restored yet")?;
    wait_until("a backup is older than now", PATIENCE, || {
        let question = format!(
            "select to_char(now() at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') \
             where extract(epoch from now()) > {from}"
        );
        let at = server.ask(laboratory, &question)?;
        Ok(Some(at.trim().to_owned()).filter(|at| !at.is_empty()))
    })
}

/// Has all that was written until now be in the repository.
fn archive(laboratory: &Laboratory, host: &Host) -> Result<()> {
    let server = plan_server(host)?;
    let file = server.ask(laboratory, "select pg_walfile_name(pg_switch_wal())")?;
    let question = format!(
        "select 1 from pg_stat_archiver where last_archived_wal >= '{}'",
        file.trim()
    );
    wait_until("the log is archived", PATIENCE, || {
        let answer = server.ask(laboratory, &question)?;
        Ok((answer.trim() == "1").then_some(()))
    })
}

fn command(host: &Host, arguments: &[&str]) -> Result<Output> {
    let hanse = Invocation::new(binaries::hanse()?)
        .args(arguments)
        .arg("--data-dir")
        .arg(host.data_dir().join("hanse"));
    host.exec(hanse)?.success()
}

fn restored(host: &Host, into: &Path, at: Option<&str>) -> Result<()> {
    let into = into.display().to_string();
    let mut arguments = vec!["dr", "restore", "orders", "--into", &into];
    arguments.extend(at.iter().flat_map(|at| ["--at", at]));
    let output = command(host, &arguments)?;
    ensure!(output.stdout.contains("pg_ctl"), "no next step: {output:?}");
    ensure!(!output.text().contains(PASSWORD), "it shows the password");
    Ok(())
}

/// What is in a restored server, as the next steps say.
fn rows(host: &Host, folder: &Path) -> Result<String> {
    let script = r#"
        cd /
        as() { setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"; }
        as "$1/pg_ctl" -D "$2" -w -l /dev/null -o '-p 5499 -k /tmp' start >&2
        as "$1/psql" -XAtq -h /tmp -p 5499 -d postgres \
            -c "select string_agg(id::text, ',' order by id) from rows"
        as "$1/pg_ctl" -D "$2" -m fast stop >&2"#;
    let look = Invocation::script(script)
        .arg("look")
        .arg(server::bin())
        .arg(folder);
    let output = host.exec(look)?.success()?;
    Ok(output.stdout.trim().to_owned())
}
