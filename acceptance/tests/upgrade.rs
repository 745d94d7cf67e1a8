//! Three voters of the version before this one become voters of this one, one after the other and
//! while changes go on: nothing is lost, nobody comes to another state, and what only the newer
//! version understands is not written before all understand it.
#![cfg(feature = "long")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hanse_acceptance::wait::wait_until_true;
use hanse_acceptance::{
    Agent, Configuration, Federation, Laboratory, Operator, Terraform, binaries,
};
use serde_json::Value;

/// Long enough for a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(90);
/// What a voter says when its state and the leader's were compared.
const AGREED: &str = "this voter's state is the leader's";
/// What a voter says when they differ.
const DIFFERS: &str = "differs from the leader's";
/// The levels of the two versions.
const BEFORE: u64 = 1;
const AFTER: u64 = 2;

/// Both versions of the program.
struct Programs {
    previous: PathBuf,
    current: PathBuf,
}

#[test]
fn voters_of_two_versions_agree_through_an_upgrade_under_load_and_back() -> Result<()> {
    let programs = Programs {
        previous: binaries::previous_hanse()?,
        current: binaries::hanse()?,
    };
    let laboratory = Laboratory::start(5)?;
    let mut federation = Federation::raise_voters_with(&laboratory, 3, &programs.previous)?;
    // A new agent that follows old voters; before the end, an old one that follows new voters.
    let token = federation.operator.token("site4")?;
    let mut follower = Agent::join(laboratory.host(4), &token)?;
    follower.start()?;
    follower.wait_until_live(&federation.operator)?;

    let operator = federation.operator.clone();
    let load = Load::default();
    let acknowledged = std::thread::scope(|scope| {
        let running = scope.spawn(|| load.run(&operator));
        let upgraded = upgrade(&mut federation, &mut follower, &programs, &laboratory);
        load.ends.store(true, Ordering::Relaxed);
        let acknowledged = running
            .join()
            .map_err(|_| anyhow::anyhow!("the load died"))?;
        upgraded.and(acknowledged)
    })?;
    nothing_is_lost(&operator, &acknowledged)?;

    an_older_voter_stops_and_names_the_version(&mut federation, &programs)?;
    an_older_voter_is_not_let_in(&federation, &laboratory, &programs)
}

fn upgrade(
    federation: &mut Federation,
    follower: &mut Agent,
    programs: &Programs,
    laboratory: &Laboratory,
) -> Result<()> {
    let sites: Vec<String> = (1..=4).map(|number| format!("site{number}")).collect();
    let sites = sites.iter().map(String::as_str).zip(laboratory.hosts());
    let mut configuration = Configuration::mesh("test", sites);
    let terraform = federation.terraform(&configuration)?;
    let mut change = |stage: &str| change(&terraform, &mut configuration, stage);
    change("before")?;
    shows(federation, BEFORE, [BEFORE; 3])?;
    let add = [
        "voter",
        "add",
        follower.node(),
        "--advertise",
        "192.0.2.1:7443",
    ];
    let early = federation.operator.hanse(add)?;
    ensure!(
        !early.succeeded(),
        "a command of the newer version was taken"
    );

    // The leader first: an old one leads from here on, and one of its followers is new.
    let first = federation.leader()?;
    replace(federation, first, &programs.current)?;
    change("one-is-new")?;
    shows(federation, BEFORE, levels([first]))?;

    let second = federation.leader()?;
    ensure!(second != first, "a voter leads that was just replaced");
    replace(federation, second, &programs.current)?;
    change("two-are-new")?;
    shows(federation, BEFORE, levels([first, second]))?;
    let early = federation.operator.hanse(add)?;
    let said = &early.stderr;
    ensure!(said.contains("Not every voter supports this"), "{said}");

    // Back: what the newer one wrote is read by the older one.
    replace(federation, second, &programs.previous)?;
    change("one-went-back")?;
    shows(federation, BEFORE, levels([first]))?;
    replace(federation, second, &programs.current)?;
    shows(federation, BEFORE, levels([first, second]))?;

    let third = 3 - first - second;
    replace(federation, third, &programs.current)?;
    shows(federation, AFTER, [AFTER; 3])?;
    change("all-are-new")?;

    follower.set_program(programs.previous.clone());
    follower.stop()?;
    follower.start()?;
    follower.wait_until_live(&federation.operator)?;
    change("an-older-agent-follows")
}

/// Has a voter run another version, and waits until it lacks nothing and all voters compared their
/// states afterwards: each leader begins with that, so the leader moves.
fn replace(federation: &mut Federation, place: usize, program: &Path) -> Result<()> {
    let moves = federation.leader()?;
    let agent = &mut federation.agents[place];
    agent.set_program(program.to_owned());
    ensure!(agent.stop()?.success(), "a voter did not stop in peace");
    agent.start()?;
    federation.agents[place].wait_until_live(&federation.operator)?;
    federation.wait_until_voting(3)?;
    if moves != place {
        let leader = &mut federation.agents[moves];
        ensure!(leader.stop()?.success(), "a leader did not stop in peace");
        leader.start()?;
        federation.agents[moves].wait_until_live(&federation.operator)?;
    }
    agree(federation)
}

/// Waits until each voter, since it was started, came to the state that the leader has.
fn agree(federation: &mut Federation) -> Result<()> {
    for agent in &mut federation.agents {
        let node = agent.node().to_owned();
        let process = agent.process().context("a voter does not run")?;
        wait_until_true(
            &format!("the states are compared on {node}"),
            PATIENCE,
            || {
                let log = process.log()?;
                ensure!(!log.contains(DIFFERS), "{log}");
                ensure!(process.is_running()?, "{log}");
                Ok(log.contains(AGREED))
            },
        )?;
    }
    Ok(())
}

/// What the voters support when those have the new version.
fn levels<const N: usize>(new: [usize; N]) -> [u64; 3] {
    [0, 1, 2].map(|place| if new.contains(&place) { AFTER } else { BEFORE })
}

/// Waits until the status shows these levels, and nobody lacks anything.
fn shows(federation: &Federation, level: u64, supported: [u64; 3]) -> Result<()> {
    wait_until_true(&format!("level {level} of {supported:?}"), PATIENCE, || {
        let status = federation.operator.hanse_json(["status"])?;
        let voters = status["voters"].as_array().cloned().unwrap_or_default();
        let is_so = |(agent, supported): (&Agent, u64)| {
            let voter = voters.iter().find(|voter| voter["node"] == agent.node());
            voter.is_some_and(|voter| {
                voter["feature_level"] == supported && voter["lag_entries"] == 0
            })
        };
        let found = status["feature_level"].as_u64();
        ensure!(found <= Some(level), "the level rose too early: {status}");
        let all = federation.agents.iter().zip(supported).all(is_so);
        ensure!(all && found == Some(level), "it is {status}");
        Ok(true)
    })
}

/// One change through Terraform, which is proved on every node.
fn change(terraform: &Terraform, configuration: &mut Configuration, stage: &str) -> Result<()> {
    configuration.federation_lines = vec![format!("labels = {{ stage = \"{stage}\" }}")];
    terraform.write("main.tf", &configuration.to_string())?;
    terraform.apply()?;
    let plan = terraform.plan()?;
    ensure!(!plan.has_changes, "a plan after the apply is not empty");
    Ok(())
}

/// Somebody who changes something again and again.
#[derive(Default)]
struct Load {
    ends: AtomicBool,
}

impl Load {
    /// Yields the names of what was acknowledged.
    fn run(&self, operator: &Operator) -> Result<Vec<String>> {
        let mut acknowledged = Vec::new();
        for number in 1.. {
            if self.ends.load(Ordering::Relaxed) {
                break;
            }
            let name = format!("user-{number}");
            let output = operator.hanse(["credentials", "revoke", "--name", &name])?;
            if output.succeeded() {
                acknowledged.push(name);
            }
        }
        Ok(acknowledged)
    }
}

fn nothing_is_lost(operator: &Operator, acknowledged: &[String]) -> Result<()> {
    ensure!(
        acknowledged.len() > 20,
        "there was no load: {acknowledged:?}"
    );
    let events = operator.hanse(["events", "--json"])?.success()?;
    let events: Vec<Value> = events
        .stdout
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let revoked = events
        .iter()
        .filter(|event| event["kind"] == "user-revoked");
    let revoked: BTreeSet<String> = revoked
        .filter_map(|event| event["subject"].as_str()?.strip_prefix("user/"))
        .map(str::to_owned)
        .collect();
    // The events reach back for a while only.
    let known = acknowledged
        .iter()
        .skip_while(|name| !revoked.contains(*name));
    let lost: Vec<_> = known.filter(|name| !revoked.contains(*name)).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    ensure!(!revoked.is_empty(), "no event of the load is known");
    let raised = events
        .iter()
        .filter(|event| event["kind"] == "feature-level-raised");
    assert_eq!(raised.count(), 1);
    Ok(())
}

fn an_older_voter_stops_and_names_the_version(
    federation: &mut Federation,
    programs: &Programs,
) -> Result<()> {
    let last = &mut federation.agents[2];
    last.stop()?;
    last.set_program(programs.previous.clone());
    last.start()?;
    let process = last.process().context("it was not started")?;
    let ended = process.wait(PATIENCE)?;
    let log = process.log()?;
    assert!(!ended.success(), "{log}");
    assert!(log.contains("feature level 2"), "{log}");
    assert!(log.contains("install hanse 0."), "{log}");
    last.set_program(programs.current.clone());
    last.start()?;
    federation.agents[2].wait_until_live(&federation.operator)?;
    federation.wait_until_voting(3)?;
    shows(federation, AFTER, [AFTER; 3])
}

fn an_older_voter_is_not_let_in(
    federation: &Federation,
    laboratory: &Laboratory,
    programs: &Programs,
) -> Result<()> {
    let token = federation.operator.voter_token("site5")?;
    let host = laboratory.host(5);
    let refused = Agent::join_voter_with(host, &token, programs.previous.clone());
    let refused = format!("{:#}", refused.err().context("it was let in")?);
    assert!(refused.contains("Too old to vote here"), "{refused}");
    assert!(refused.contains("Install hanse"), "{refused}");
    Ok(())
}
