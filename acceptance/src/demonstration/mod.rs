//! The demonstration: three hosts, one `terraform apply`, a mesh that is proved, and away again.
//!
//! It is a story told to a person, by the same builders that the tests use. It never does by other
//! means what a user could not do: every step is a command of `hanse` or of Terraform.

mod narrator;
mod tables;

use std::io::{self, BufRead, IsTerminal};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::agent::Agent;
use crate::laboratory::{Host, Laboratory};
use crate::operator::Operator;
use crate::terraform::Terraform;
use crate::wait::wait_until_true;

pub use narrator::Narrator;

/// The federation that the example declares.
const FEDERATION: &str = "hanse-demo";

/// The member clusters that the example declares, in the order of the hosts.
const MEMBER_CLUSTERS: [&str; 3] = ["lubeck", "hamburg", "visby"];

/// How long agents may take to remove what was destroyed.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(60);

/// Tells the whole story with the configuration in `example`; with `keeps`, the laboratory stays
/// up until the person has seen enough.
///
/// # Errors
///
/// At the first step that fails.
pub fn run(example: &Path, keeps: bool) -> Result<()> {
    let mut narrator = Narrator::new();
    narrator.step("Raising a laboratory of three hosts (no root needed, nothing stays behind)")?;
    let laboratory = Laboratory::start(3)?;
    show_places(&mut narrator, &laboratory)?;
    let (_agents, operator) = enrol(&mut narrator, &laboratory)?;

    let terraform = operator.terraform(example)?;
    narrator.step("terraform init")?;
    terraform.init()?;
    narrator.step("terraform apply: the federation, three member clusters and a mesh")?;
    shown(&narrator, &terraform, &["apply", "-auto-approve"])?;

    narrator.step("What the hosts themselves say")?;
    narrator.show(&tables::nodes(&laboratory, &terraform)?)?;
    narrator.show(&tables::pairs(&laboratory, &terraform)?)?;

    narrator.step("terraform plan: is there anything left to do?")?;
    let plan = terraform.plan()?;
    if plan.has_changes {
        bail!(
            "the plan after the apply has changes:\n{}",
            plan.output.stdout
        );
    }
    narrator.show("No changes.")?;

    if keeps {
        narrator.step("The laboratory stays up")?;
        show_entrances(&mut narrator, &laboratory)?;
        show_operator(&mut narrator, &operator, &terraform)?;
        return hold(&mut narrator);
    }
    narrator.step("terraform destroy")?;
    shown(&narrator, &terraform, &["destroy", "-auto-approve"])?;
    for host in laboratory.hosts() {
        wait_until_gone(host)?;
        narrator.show(&format!("{}: no WireGuard interface is left", host.name()))?;
    }
    narrator.step("Done")
}

/// Raises `count` hosts with nothing on them, and holds them up until the person has seen enough.
///
/// # Errors
///
/// When the laboratory can't be raised.
pub fn hold_up(count: u8) -> Result<()> {
    let mut narrator = Narrator::new();
    let laboratory = Laboratory::start(count)?;
    narrator.step(&format!(
        "A laboratory of {count} hosts, in {}",
        laboratory.folder().display()
    ))?;
    show_places(&mut narrator, &laboratory)?;
    show_entrances(&mut narrator, &laboratory)?;
    hold(&mut narrator)
}

fn enrol<'l>(
    narrator: &mut Narrator,
    laboratory: &'l Laboratory,
) -> Result<(Vec<Agent<'l>>, Operator<'l>)> {
    let [home, others @ ..] = &MEMBER_CLUSTERS;
    let first = laboratory.host(1);
    narrator.step(&format!(
        "hanse bootstrap on {} (member cluster {home})",
        first.name()
    ))?;
    let (mut voter, operator) = Agent::bootstrap(laboratory, first, FEDERATION, home)?;
    voter.start()?;
    voter.wait_until_answered(&operator)?;
    let mut agents = vec![voter];
    for (host, member_cluster) in laboratory.hosts().iter().skip(1).zip(others) {
        narrator.step(&format!(
            "hanse join on {} by token (member cluster {member_cluster}, declared later)",
            host.name()
        ))?;
        let mut agent = Agent::join(host, &operator.token(member_cluster)?)?;
        agent.start()?;
        agents.push(agent);
    }
    for agent in &agents {
        agent.wait_until_live(&operator)?;
        narrator.show(&format!("{} is live", agent.node()))?;
    }
    Ok((agents, operator))
}

fn shown(narrator: &Narrator, terraform: &Terraform, arguments: &[&str]) -> Result<()> {
    let plain = (!narrator.is_colourful()).then_some("-no-color");
    terraform.run_shown(arguments.iter().copied().chain(plain))
}

fn wait_until_gone(host: &Host) -> Result<()> {
    let what = format!("the interfaces of {} are gone", host.name());
    wait_until_true(&what, REMOVAL_TIMEOUT, || {
        let added = host.added_interfaces()?;
        match added.is_empty() {
            true => Ok(true),
            false => bail!("{} is left", added.join(", ")),
        }
    })
}

fn show_places(narrator: &mut Narrator, laboratory: &Laboratory) -> Result<()> {
    for host in laboratory.hosts() {
        narrator.show(&format!(
            "{}: {}, {}",
            host.name(),
            host.ipv4(),
            host.ipv6()
        ))?;
    }
    Ok(())
}

fn show_entrances(narrator: &mut Narrator, laboratory: &Laboratory) -> Result<()> {
    for host in laboratory.hosts() {
        narrator.show(&format!(
            "enter {}:       {}",
            host.name(),
            host.enter_command()?
        ))?;
    }
    narrator.show(&format!("enter operator: {}", laboratory.enter_command()?))
}

fn show_operator(
    narrator: &mut Narrator,
    operator: &Operator,
    terraform: &Terraform,
) -> Result<()> {
    let credentials = operator.credentials().display();
    narrator.show(&format!(
        "there: export HANSE_ENDPOINTS={} HANSE_CREDENTIALS={credentials}",
        operator.endpoints()
    ))?;
    narrator.show(&format!("there: {}", terraform.shell_line()?))
}

/// Until Enter at a terminal; without one, until a signal ends the program.
fn hold(narrator: &mut Narrator) -> Result<()> {
    if io::stdin().is_terminal() {
        narrator.show("Enter (or Ctrl-C) takes it down.")?;
        let mut line = String::new();
        io::stdin()
            .lock()
            .read_line(&mut line)
            .context("unable to read from the terminal")?;
        return Ok(());
    }
    loop {
        std::thread::park();
    }
}
