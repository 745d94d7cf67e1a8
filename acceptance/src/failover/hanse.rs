//! Hanse: three sites with a copy each and a witness, all four of them voters.
//!
//! The first copy is a server that was there before, made by `initdb` as Debian has it; the plan
//! adopts it. What a boot of a host starts is the agent; that starts the guard, and the guard the
//! server.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::cluster::{Cluster, Front, Replication, Variant};
use super::declared::{COPIES, PLAN, Roles, SERVICE, Terms, plan};
use super::server::{self, Server};
use crate::federation::Federation;
use crate::laboratory::{Host, Invocation, Laboratory, Output, last_lines};
use crate::operator::Operator;
use crate::terraform::Terraform;
use crate::wait::wait_until_true;

/// How many hosts it stands on: the last one is the witness.
pub const HOSTS: u8 = 4;
/// So often another voter is elected until it is the one that is wanted.
const ELECTIONS_MAX: usize = 20;
const ELECTION_TIMEOUT: Duration = Duration::from_secs(30);
/// How long it may take until all copies follow the first primary.
const RAISE_TIMEOUT: Duration = Duration::from_secs(180);

/// It, raised.
#[derive(Debug)]
pub struct Hanse<'l> {
    laboratory: &'l Laboratory,
    title: String,
    roles: Roles,
    federation: Federation<'l>,
    /// Where the plan is declared.
    pub terraform: Terraform<'l>,
}

impl<'l> Hanse<'l> {
    /// Raises it on all hosts of the laboratory.
    ///
    /// # Errors
    ///
    /// When its programs are missing or it doesn't become whole.
    pub fn raise(
        laboratory: &'l Laboratory,
        variant: Variant,
        replication: Replication,
    ) -> Result<Self> {
        let hanse = Self::written(laboratory, (variant, replication))?;
        hanse.begin()?;
        Ok(hanse)
    }

    /// Raises all of it but the plan, which is written down and not applied.
    ///
    /// # Errors
    ///
    /// When its programs are missing or the federation doesn't come up.
    pub fn written(laboratory: &'l Laboratory, terms: impl Into<Terms>) -> Result<Self> {
        let roles = Roles {
            copies: [1, 2, 3],
            witness: HOSTS,
            voters: HOSTS,
            presets: ["standard", "fast"],
        };
        for number in roles.copies {
            prepare(laboratory.host(number))?;
        }
        make_first(laboratory.host(1))?;
        let federation = Federation::raise_voters(laboratory)?;
        Self::of(laboratory, federation, roles, terms.into(), "")
    }

    /// Has a federation keep the plan, in which there is `more`, and waits until it does.
    pub(super) fn plan(
        laboratory: &'l Laboratory,
        federation: Federation<'l>,
        roles: Roles,
        terms: Terms,
        more: &str,
    ) -> Result<Self> {
        let hanse = Self::of(laboratory, federation, roles, terms, more)?;
        hanse.begin()?;
        Ok(hanse)
    }

    fn of(
        laboratory: &'l Laboratory,
        federation: Federation<'l>,
        roles: Roles,
        terms: Terms,
        more: &str,
    ) -> Result<Self> {
        let title = format!(
            "Hanse {}, PostgreSQL {}",
            env!("CARGO_PKG_VERSION"),
            server::version(laboratory)?
        );
        let mut configuration = federation.configuration();
        configuration.tail = plan(roles, terms, more);
        let terraform = federation.terraform(&configuration)?;
        Ok(Self {
            laboratory,
            title,
            roles,
            federation,
            terraform,
        })
    }

    /// Applies the plan, and waits until every copy follows.
    ///
    /// # Errors
    ///
    /// When it is refused, or they don't.
    pub fn begin(&self) -> Result<()> {
        self.terraform.apply()?;
        self.wait_until_whole()
    }

    /// Waits until one copy is primary, all others follow it, and nothing is wrong.
    ///
    /// # Errors
    ///
    /// When it doesn't come to that.
    pub fn wait_until_whole(&self) -> Result<()> {
        wait_until_true("every copy follows", RAISE_TIMEOUT, || self.is_whole())
    }

    /// How the plan is, as `hanse dr` tells it.
    ///
    /// # Errors
    ///
    /// When nobody leads.
    pub fn status(&self) -> Result<Value> {
        let told = self.federation.operator.hanse_json(["dr", PLAN])?;
        Ok(told["plans"][0].clone())
    }

    /// Declares the plan with more in it, and more beside it, and applies that.
    ///
    /// # Errors
    ///
    /// When it is refused, or does not become whole.
    pub fn declare(&self, terms: impl Into<Terms>, more: &str, beside: &str) -> Result<()> {
        let mut configuration = self.federation.configuration();
        configuration.tail = plan(self.roles, terms.into(), more) + beside;
        self.terraform
            .write("main.tf", &configuration.to_string())?;
        self.terraform.apply()?;
        Ok(())
    }

    /// Whoever asks.
    #[must_use]
    pub fn operator(&self) -> &Operator<'l> {
        &self.federation.operator
    }

    /// What `hanse` says to an operator.
    ///
    /// # Errors
    ///
    /// When it can't be started.
    pub fn hanse<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result<Output> {
        self.federation.operator.hanse(arguments)
    }

    /// What `hanse` says to a program.
    ///
    /// # Errors
    ///
    /// When it fails, or says no JSON.
    pub fn hanse_json<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result<Value> {
        self.federation.operator.hanse_json(arguments)
    }

    /// Leads the primary home.
    ///
    /// # Errors
    ///
    /// When it is refused, or doesn't arrive there.
    pub fn failback(&self) -> Result<()> {
        self.federation
            .operator
            .hanse(["failback", PLAN])?
            .success()?;
        Ok(())
    }

    fn host_of(&self, status: &Value) -> Result<u8> {
        let node = status["primary_node"].as_str().unwrap_or_default();
        let host = self
            .laboratory
            .hosts()
            .iter()
            .find(|host| host.name() == node);
        Ok(host
            .with_context(|| format!("nobody is primary: {status}"))?
            .number())
    }
}

impl Cluster for Hanse<'_> {
    fn title(&self) -> &str {
        &self.title
    }

    fn copies(&self) -> &[u8] {
        &self.roles.copies
    }

    fn agent_names(&self) -> &[&str] {
        &["hanse"]
    }

    fn front(&self) -> Front {
        Front {
            endpoints: vec![format!("{SERVICE}:{}", server::PORT)],
            from: Some(self.roles.witness),
            explanation: "the plan's service address in the mesh, from the witness",
        }
    }

    fn service(&self) -> Option<IpAddr> {
        Some(SERVICE.into())
    }

    fn server(&self, host: u8) -> Server {
        Server {
            user: server::postgres_ids().ok(),
            ..Server::of(self.laboratory.host(host))
        }
    }

    fn primary(&self) -> Result<u8> {
        let status = self.status()?;
        self.host_of(&status)
    }

    fn is_whole(&self) -> Result<bool> {
        let Ok(status) = self.status() else {
            return Ok(false);
        };
        let copies = status["copies"].as_array().cloned().unwrap_or_default();
        let has_role = |role: &str| {
            let holders = copies.iter().filter(|copy| copy["role"] == role);
            holders.count()
        };
        let is_over = status["run"].is_null();
        let trouble = |copy: &Value| {
            copy["trouble"]
                .as_str()
                .is_some_and(|text| !text.is_empty())
        };
        let is_well = !copies.iter().any(trouble);
        Ok(is_over && is_well && has_role("primary") == 1 && has_role("following") == COPIES - 1)
    }

    fn decider(&self) -> Result<u8> {
        Ok(self.federation.agents[self.federation.leader()?]
            .host()
            .number())
    }

    /// Whoever leads is stopped and started again until another does; no workload notices.
    fn move_decider(&mut self, host: u8) -> Result<bool> {
        for _ in 0..ELECTIONS_MAX {
            let leader = self.federation.leader()?;
            if self.federation.agents[leader].host().number() == host {
                return Ok(true);
            }
            self.federation.agents[leader].stop()?;
            wait_until_true("another voter leads", ELECTION_TIMEOUT, || {
                Ok(self.federation.leader().is_ok_and(|other| other != leader))
            })?;
            self.federation.agents[leader].start()?;
            let voters = usize::from(self.roles.voters);
            self.federation.wait_until_voting(voters)?;
            self.wait_until_whole()?;
        }
        Ok(false)
    }

    fn switchover(&mut self) -> Result<()> {
        let from = self.primary()?;
        let to = if from == 2 { 1 } else { 2 };
        let site = format!("site{to}");
        let arguments = ["switchover", PLAN, "--to", &site];
        self.federation.operator.hanse(arguments)?.success()?;
        Ok(())
    }

    fn boot(&mut self, host: u8) -> Result<()> {
        prepare(self.laboratory.host(host))?;
        self.start_agent(host)
    }

    fn start_agent(&mut self, host: u8) -> Result<()> {
        self.federation.agents[usize::from(host) - 1].start()
    }

    fn kill_agent(&mut self, host: u8) -> Result<()> {
        self.federation.agents[usize::from(host) - 1].kill()
    }

    fn freeze_agent(&mut self, host: u8) -> Result<()> {
        let agent = self.federation.agents[usize::from(host) - 1].process();
        agent.context("the agent does not run")?.stop()
    }

    fn signal_guard(&self, host: u8, signal: &str) -> Result<()> {
        let script = r#"
            for pid in $(cd /proc && printf '%s\n' [0-9]*); do
                words=$(tr '\0' ' ' 2>/dev/null </proc/$pid/cmdline) || continue
                case $words in */hanse" guard "*) exec kill "-$1" "$pid" ;; esac
            done
            exit 1"#;
        let told = Invocation::script(script).args(["signal", signal]);
        let told = self.laboratory.host(host).exec(told)?.success();
        told.with_context(|| format!("no guard runs on h{host}"))?;
        Ok(())
    }

    fn is_moving(&self) -> Result<bool> {
        // One that is over by the time somebody looks has begun as well.
        let has_begun =
            |status: Value| !status["run"].is_null() || status["past"]["kind"] == "failover";
        Ok(self.status().is_ok_and(has_begun))
    }

    fn restart_decider(&mut self, host: u8) -> Result<()> {
        let agent = &mut self.federation.agents[usize::from(host) - 1];
        agent.kill()?;
        agent.start()
    }

    fn restart_deciders(&mut self) -> Result<()> {
        for number in 0..self.federation.agents.len() {
            self.federation.agents[number].stop()?;
            self.federation.agents[number].start()?;
            self.federation
                .wait_until_voting(usize::from(self.roles.voters))?;
        }
        Ok(())
    }

    fn told(&self) -> String {
        let told = self.federation.operator.hanse(["dr"]);
        let told = told.map_or_else(|error| error.to_string(), |output| output.text().to_owned());
        let events = self.federation.operator.hanse(["events"]);
        let events = events.map(|output| last_lines(output.text(), 12));
        format!(
            "$ hanse dr\n{told}\n\n$ hanse events\n{}",
            events.unwrap_or_default()
        )
    }
}

/// What a boot does on a host with PostgreSQL: Debian's folder of sockets, here on the host's disk so
/// that an observer gets to it past every network, and a path to the disk that is the same on all.
pub(super) fn prepare(host: &Host) -> Result<()> {
    let server = Server::prepare(host)?;
    let script = r#"
        mkdir -p /run/postgresql /run/data
        chown postgres:postgres "$1"
        mount --bind "$1" /run/postgresql
        mount --rbind "$2" /run/data"#;
    let mount = Invocation::script(script)
        .arg("prepare")
        .arg(&server.sockets)
        .arg(host.data_dir());
    host.exec(mount)?
        .success()
        .context("unable to prepare the folder of sockets")?;
    Ok(())
}

/// The server that was there before.
fn make_first(host: &Host) -> Result<()> {
    let server = Server::of(host);
    let ids = server::postgres_ids()?;
    let make = Invocation::script(r#"mkdir "$1" && chown postgres:postgres "$1""#);
    host.exec(make.arg("make").arg(&server.data))?.success()?;
    let initdb = server::as_user(ids)
        .arg(server::bin().join("initdb"))
        .args([
            "--auth-local=trust",
            "--auth-host=trust",
            "-k",
            "-E",
            "UTF8",
            "--locale=C",
            "-D",
        ])
        .arg(&server.data);
    host.exec(initdb)?.success()?;
    let allow = Invocation::script(r#"echo "host all all 10.90.0.0/24 trust" >>"$1/pg_hba.conf""#);
    host.exec(allow.arg("allow").arg(&server.data))?.success()?;
    Ok(())
}
