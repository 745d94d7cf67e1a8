//! The packaged units under systemd: a workload depends on its guard and on nothing else, and its
//! guard on nothing but itself.
//!
//! One machine for all, since each takes a while to raise: what one part does the next finds undone.
#![cfg(feature = "long")]

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hanse_acceptance::wait::{wait_until, wait_until_true};
use hanse_acceptance::{Machine, binaries};

const AGENT: &str = "hanse-agent.service";
const GUARD: &str = "hanse-guard@orders.service";
const DATA: &str = "/srv/orders";
/// Debian 12's.
const VERSION: &str = "15";
const DEBIANS: &str = "postgresql@15-orders.service";
const PATIENCE: Duration = Duration::from_secs(120);
const ENDPOINT: &str = "127.0.0.1:7443";

/// A plan of one copy. Its standby's site has no node, so nothing but the machine decides.
const CONFIGURATION: &str = r#"
terraform {
  required_providers {
    hanse = { source = "hanse/hanse" }
  }
}
provider "hanse" {}
resource "hanse_federation" "this" {
  name = "lab"
}
resource "hanse_member_cluster" "here" {
  federation = hanse_federation.this.name
  name = "here"
  platform = "other"
}
resource "hanse_member_cluster" "there" {
  federation = hanse_federation.this.name
  name = "there"
  platform = "other"
}
resource "hanse_vpn_mesh" "this" {
  federation = hanse_federation.this.name
  name = "backbone"
  address_pools = ["10.90.0.0/24"]
  sites = {
    (hanse_member_cluster.here.name) = { endpoint = "192.0.2.1:51820" }
    (hanse_member_cluster.there.name) = {}
  }
}
"#;
const PLAN: &str = r#"
resource "hanse_dr_plan" "this" {
  federation = hanse_federation.this.name
  name = "orders"
  workload = { postgresql = { data_directory = "/srv/orders" } }
  home = hanse_member_cluster.here.name
  standbys = [hanse_member_cluster.there.name]
  wait_for = "accepted"
  depends_on = [hanse_vpn_mesh.this]
}
"#;

#[test]
fn a_workload_lives_and_dies_with_its_guard_and_with_nothing_else() -> Result<()> {
    let mut machine = Machine::boot()?;
    let told = the_story(&mut machine);
    told.with_context(|| {
        let (agent, guard) = (machine.log(AGENT), machine.log(GUARD));
        let log = machine.run(&format!("tail -n 20 {DATA}.hanse/server.log"));
        format!("agent:\n{agent}\n\nguard:\n{guard}\n\nserver:\n{log:?}")
    })
}

fn the_story(machine: &mut Machine) -> Result<()> {
    step("systemd finds nothing wrong with the units");
    let verified = machine.run(&format!("systemd-analyze verify {AGENT} {GUARD} 2>&1"))?;
    ensure!(verified.is_empty(), "{verified}");

    step("a plan raises a server under a guard that is a unit");
    let debians = raise(machine)?;
    let guard = machine.wait_for_other(GUARD, 0)?;
    let workload = writes(machine, debians)?;
    let enabled = machine.run(&format!("systemctl is-enabled {GUARD}"))?;
    ensure!(enabled == "enabled", "{enabled}");

    step("whatever becomes of the agent, guard and workload stay as they are");
    for harm in ["kill -s KILL", "kill -s STOP", "restart", "stop", "upgrade"] {
        let agent = machine.main_process(AGENT)?;
        match harm {
            "restart" => drop(machine.run(&format!("systemctl restart {AGENT}"))?),
            "stop" => drop(machine.run(&format!("systemctl stop {AGENT}"))?),
            "upgrade" => drop(machine.run(&format!(
                "cp /usr/bin/hanse /usr/bin/hanse.new && mv /usr/bin/hanse.new /usr/bin/hanse && \
                 systemctl daemon-reload && systemctl start {AGENT}"
            ))?),
            signal => {
                let sent = signal.replace("kill", "systemctl kill --kill-whom=main");
                machine.run(&format!("{sent} {AGENT}"))?;
            }
        }
        machine.run("runuser -u postgres -- psql -XAtqc 'INSERT INTO kept VALUES (1)'")?;
        if harm == "kill -s KILL" {
            machine.wait_for_other(AGENT, agent.unwrap_or(0))?;
        }
        if harm == "kill -s STOP" {
            machine.run(&format!("systemctl kill -s CONT {AGENT}"))?;
        }
        let is_same =
            server(machine)? == Some(workload) && machine.main_process(GUARD)? == Some(guard);
        ensure!(
            is_same,
            "the agent's {harm} reached the workload or its guard"
        );
    }
    machine.wait_for_other(AGENT, 0)?;

    step("a guard that is killed takes the workload along, and systemd brings both back");
    machine.run(&format!("systemctl kill --kill-whom=main -s KILL {GUARD}"))?;
    gone(machine, workload)?;
    let guard = machine.wait_for_other(GUARD, guard)?;
    let workload = writes(machine, workload)?;

    step("a guard that stands still is ended by systemd's watchdog, and the workload with it");
    machine.run(&format!("systemctl kill --kill-whom=main -s STOP {GUARD}"))?;
    gone(machine, workload)?;
    machine.wait_for_other(GUARD, guard)?;
    let log = machine.log(GUARD);
    ensure!(log.contains("Watchdog timeout"), "{log}");
    let workload = writes(machine, workload)?;

    step("nobody starts the server past its guard");
    machine.run(&format!("systemctl stop {AGENT} {GUARD}"))?;
    gone(machine, workload)?;
    let state = machine.run(&format!(
        "runuser -u postgres -- /usr/lib/postgresql/{VERSION}/bin/pg_controldata {DATA} \
         | grep 'cluster state'"
    ))?;
    ensure!(
        state.contains("shut down"),
        "it was not stopped in good order: {state}"
    );
    let past = machine.run(&format!(
        "runuser -u postgres -- /usr/lib/postgresql/{VERSION}/bin/pg_ctl -w -t 10 \
         -l /tmp/past.log -D {DATA} start"
    ));
    ensure!(past.is_err(), "it was started past its guard: {past:?}");
    let past = machine.run(&format!("systemctl start {DEBIANS}"));
    ensure!(past.is_err(), "its own unit started it: {past:?}");
    let past = machine.run(&format!(
        "pg_ctlcluster --skip-systemctl-redirect {VERSION} orders start"
    ));
    ensure!(past.is_err(), "pg_ctlcluster started it: {past:?}");

    step("after a loss of power the guard is back before the agent, and needs none");
    machine.run(&format!("systemctl disable {AGENT}"))?;
    machine.reboot()?;
    ensure!(machine.main_process(AGENT)?.is_none(), "the agent runs");
    machine.wait_for_other(GUARD, 0)?;
    machine.run(&format!("systemctl enable --now {AGENT}"))?;
    writes(machine, 0)?;
    let own = machine.run(&format!("systemctl is-active {DEBIANS} || true"))?;
    ensure!(own != "active", "its own unit started it at boot");
    machine.reboot()?;
    let order = "systemctl show -P ExecMainStartTimestampMonotonic";
    machine.wait_for_other(AGENT, 0)?;
    let began =
        |unit: &str| -> Result<u64> { Ok(machine.run(&format!("{order} {unit}"))?.parse()?) };
    ensure!(
        began(GUARD)? < began(AGENT)?,
        "the agent began before its guard"
    );
    let workload = writes(machine, 0)?;

    step(
        "a plan that is taken back leaves its server running, without a unit that starts it again",
    );
    apply(machine, CONFIGURATION)?;
    wait_until_true("the guard is gone", PATIENCE, || {
        Ok(machine.main_process(GUARD)?.is_none())
    })?;
    ensure!(server(machine)? == Some(workload), "the server was stopped");
    machine.run("runuser -u postgres -- psql -XAtqc 'INSERT INTO kept VALUES (1)'")?;
    wait_until_true("the unit is disabled", PATIENCE, || {
        let enabled = machine.run(&format!("systemctl is-enabled {GUARD} || true"))?;
        Ok(enabled == "disabled")
    })
}

/// A server as Debian makes and starts it comes under the plan; yields what it was before.
fn raise(machine: &Machine) -> Result<u32> {
    machine.run(&format!(
        "for version in $(ls /etc/postgresql); do
             for name in $(ls /etc/postgresql/$version); do pg_dropcluster $version $name; done
         done
         pg_createcluster --datadir {DATA} --port 5432 --locale C {VERSION} orders -- -k >/dev/null
         systemctl enable --quiet postgresql
         systemctl start {DEBIANS}
         hanse bootstrap --federation lab --cluster here --node h1 --listen {ENDPOINT} \
             --data-dir /var/lib/hanse --credentials-out /root/operator.pem
         systemctl enable --quiet {AGENT}
         systemctl start {AGENT}"
    ))?;
    let debians = server(machine)?.context("Debian's own unit started no server")?;
    machine.run("runuser -u postgres -- psql -XAtqc 'CREATE TABLE kept (number int)'")?;
    let credentials = machine.run("cat /root/operator.pem")?;
    fs::write(machine.folder().join("operator.pem"), credentials)?;
    apply(machine, &format!("{CONFIGURATION}{PLAN}"))?;
    Ok(debians)
}

/// Terraform, on this machine's files.
fn apply(machine: &Machine, configuration: &str) -> Result<()> {
    let folder = machine.folder().join("terraform");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("main.tf"), configuration)?;
    let provider = binaries::provider()?;
    let place = provider
        .parent()
        .context("the provider lies in no folder")?;
    let settings = format!(
        "disable_checkpoint = true\nprovider_installation {{\n  dev_overrides {{\n    \
         \"hanse/hanse\" = \"{}\"\n  }}\n}}\n",
        place.display()
    );
    fs::write(folder.join("terraform.rc"), settings)?;
    let output = machine
        .on_its_network(&binaries::terraform()?)
        .args(["apply", "-auto-approve", "-no-color"])
        .current_dir(&folder)
        .env("TF_CLI_CONFIG_FILE", folder.join("terraform.rc"))
        .env("TF_IN_AUTOMATION", "1")
        .env("TF_INPUT", "0")
        .env("HANSE_ENDPOINTS", ENDPOINT)
        .env("HANSE_CREDENTIALS", machine.folder().join("operator.pem"))
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let told = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "terraform apply: {told}{said}");
    Ok(())
}

/// Waits until a server takes writes that is another one than `known`; yields which.
fn writes(machine: &Machine, known: u32) -> Result<u32> {
    wait_until("the server takes writes", PATIENCE, || {
        machine.run("runuser -u postgres -- psql -XAtqc 'INSERT INTO kept VALUES (1)'")?;
        Ok(server(machine)?.filter(|pid| *pid != known))
    })
}

/// The server's first process, as the machine numbers it.
fn server(machine: &Machine) -> Result<Option<u32>> {
    let found = machine.run(&format!("pgrep -o -f '^[^ ]*postgres -D {DATA}' || true"))?;
    Ok(found.parse().ok())
}

fn gone(machine: &Machine, workload: u32) -> Result<()> {
    wait_until_true("the workload is gone", PATIENCE, || {
        let state = machine.run(&format!("ps -o pid= -p {workload} || true"))?;
        Ok(state.is_empty())
    })
}

fn step(what: &str) {
    eprintln!("{what}");
}
