//! Somebody sets a machine's clock, by a day, while the agent runs or before it starts: nobody is
//! locked out, and no credentials that have ended come in.
//!
//! Certificates live for seconds here, so that each step sees several of them end.

use std::fs;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use hanse_acceptance::agent::API_PORT;
use hanse_acceptance::wait::wait_until_true;
use hanse_acceptance::{Agent, Configuration, FakeClock, Federation, Laboratory, Operator};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(120);
const RENEWED: &str = "the certificate was renewed";
const STEPS: [(&str, &str); 2] = [("+1d", "ahead of"), ("-1d", "behind")];

fn raise(laboratory: &Laboratory) -> Result<Federation<'_>> {
    let federation = Federation::raise(laboratory)?;
    let mut configuration = federation.configuration();
    let lifetime = "  certificate_lifetime = \"12s\"".to_owned();
    configuration.federation_lines.push(lifetime);
    federation.terraform(&configuration)?.apply()?;
    Ok(federation)
}

/// Waits until the agent has renewed its certificate twice more, and is live.
fn outlives_its_certificate(agent: &mut Agent, operator: &Operator) -> Result<()> {
    renews_twice(agent)?;
    agent.wait_until_live(operator)
}

/// The same for all at once.
fn all_outlive(federation: &mut Federation) -> Result<()> {
    let agents = &mut federation.agents;
    let before: Vec<usize> = agents.iter_mut().map(renewals).collect::<Result<_>>()?;
    for (agent, before) in agents.iter_mut().zip(before) {
        wait_until_true("the certificate is renewed twice", PATIENCE, || {
            Ok(renewals(agent)? >= before + 2)
        })?;
        agent.wait_until_live(&federation.operator)?;
    }
    Ok(())
}

fn renewals(agent: &mut Agent) -> Result<usize> {
    let log = agent.process().context("the agent runs")?.log()?;
    Ok(log.matches(RENEWED).count())
}

fn renews_twice(agent: &mut Agent) -> Result<()> {
    let before = renewals(agent)?;
    wait_until_true("the certificate is renewed twice", PATIENCE, || {
        Ok(renewals(agent)? >= before + 2)
    })
}

fn complains(operator: &Operator, node: &str, word: &str) -> Result<()> {
    wait_until_true("the node complains of its clock", PATIENCE, || {
        let status = operator.hanse_json(["status"])?;
        let problems = status["problems"].to_string();
        ensure!(
            problems.contains(node) && problems.contains(word),
            "{problems}"
        );
        Ok(true)
    })
}

/// What a restart of the machine leaves: the file, of a boot that is over. The machine has run since
/// before the file was written, so what was known is put back to when it started.
fn forget_the_boot(agent: &Agent) -> Result<()> {
    let path = agent.data_dir().join("clock.json");
    let mut mark: Value = serde_json::from_slice(&fs::read(&path)?)?;
    let known_ms = |name: &str| mark[name].as_u64().context("a time");
    mark["unix_ms"] = (known_ms("unix_ms")? - known_ms("boot_ms")?).into();
    mark["boot_id"] = "an earlier one".into();
    Ok(fs::write(path, mark.to_string())?)
}

#[test]
fn a_follower_whose_clock_is_set_stays_in() -> Result<()> {
    let laboratory = Laboratory::start(3)?;
    let mut federation = raise(&laboratory)?;
    let operator = federation.operator.clone();
    let clock = FakeClock::new(laboratory.folder(), "h2")?;
    let agent = &mut federation.agents[1];
    agent.set_environment(clock.environment());
    for (offset, word) in STEPS {
        clock.set("+0")?;
        agent.start()?;
        agent.wait_until_live(&operator)?;
        // While it runs.
        clock.set(offset)?;
        outlives_its_certificate(agent, &operator)?;
        complains(&operator, "h2", word)?;
        // Before the agent starts, and before the machine does.
        agent.stop()?;
        agent.start()?;
        outlives_its_certificate(agent, &operator)?;
        agent.stop()?;
        forget_the_boot(agent)?;
        agent.start()?;
        outlives_its_certificate(agent, &operator)?;
    }
    Ok(())
}

#[test]
fn a_machine_whose_clock_is_wrong_joins() -> Result<()> {
    let laboratory = Laboratory::start(3)?;
    let federation = Federation::raise_on(&laboratory, 1)?;
    for (host, (offset, _)) in [2, 3].into_iter().zip(STEPS) {
        let clock = FakeClock::new(laboratory.folder(), &format!("h{host}"))?;
        clock.set(offset)?;
        let token = federation.operator.token("site2")?;
        let host = laboratory.host(host);
        let mut agent = Agent::join_with(host, &token, clock.environment())?;
        agent.start()?;
        agent.wait_until_live(&federation.operator)?;
    }
    Ok(())
}

#[test]
fn a_lone_voter_whose_clock_is_set_shuts_nobody_out_and_lets_nobody_in() -> Result<()> {
    let laboratory = Laboratory::start(2)?;
    let mut federation = raise(&laboratory)?;
    let operator = federation.operator.clone();
    let clock = FakeClock::new(laboratory.folder(), "h1")?;
    let ended = ended_credentials(&laboratory, &operator)?;
    federation.agents[0].set_environment(clock.environment());
    for (offset, word) in STEPS {
        clock.set("+0")?;
        federation.agents[0].start()?;
        federation.agents[0].wait_until_answered(&operator)?;
        for restarts in [false, true] {
            clock.set(offset)?;
            if restarts {
                federation.agents[0].stop()?;
                federation.agents[0].start()?;
                federation.agents[0].wait_until_answered(&operator)?;
            }
            for agent in &mut federation.agents {
                outlives_its_certificate(agent, &operator)?;
            }
            complains(&operator, "h1", word)?;
            // What it makes is good by everybody else's clock.
            let fresh = credentials(&laboratory, &operator, "1h")?;
            fresh.hanse(["status"])?.success()?;
            let refused = ended.hanse(["status"])?;
            ensure!(!refused.succeeded(), "{offset}: ended credentials come in");
        }
        federation.agents[0].stop()?;
    }
    Ok(())
}

#[test]
fn a_lone_voter_whose_machine_starts_with_a_wrong_clock_shuts_no_node_out() -> Result<()> {
    let laboratory = Laboratory::start(2)?;
    let mut federation = raise(&laboratory)?;
    let clock = FakeClock::new(laboratory.folder(), "h1")?;
    federation.agents[0].set_environment(clock.environment());
    // Back first: from a day ahead, it is the clock that is right which is behind.
    for (offset, _) in STEPS.into_iter().rev() {
        federation.agents[0].stop()?;
        forget_the_boot(&federation.agents[0])?;
        clock.set(offset)?;
        federation.agents[0].start()?;
        for agent in &mut federation.agents {
            renews_twice(agent)?;
        }
        // By the voter's own socket: tools elsewhere go by a clock that is a day behind.
        let folder = federation.agents[0].data_dir();
        let folder = folder.to_str().context("a path")?;
        wait_until_true("both nodes are live", PATIENCE, || {
            let status = federation.agents[0].hanse(["status", "--json", "--data-dir", folder])?;
            Ok(status.success()?.json()?["nodes_live"] == 2)
        })?;
    }
    Ok(())
}

#[test]
fn the_clock_of_the_voter_that_leads_of_three_shuts_nobody_out_and_lets_nobody_in() -> Result<()> {
    a_minority_is_wrong(|federation| federation.leader())
}

#[test]
fn the_clock_of_another_voter_of_three_shuts_nobody_out_and_lets_nobody_in() -> Result<()> {
    a_minority_is_wrong(|federation| Ok((federation.leader()? + 1) % 3))
}

/// Sets the clock of one of three voters, chosen anew for each step, while it runs and before it
/// starts.
fn a_minority_is_wrong(choose: impl Fn(&Federation) -> Result<usize>) -> Result<()> {
    let laboratory = Laboratory::start(3)?;
    let mut federation = Federation::raise_voters(&laboratory)?;
    let operator = federation.operator.clone();
    let mut configuration = Configuration::mesh("test", []);
    configuration.address_pools.clear();
    let lifetime = "certificate_lifetime = \"12s\"".to_owned();
    configuration.federation_lines.push(lifetime);
    let terraform = federation.terraform(&configuration)?;
    terraform.apply()?;
    let ended = ended_credentials(&laboratory, &operator)?;
    let mut clocks = Vec::new();
    for agent in &mut federation.agents {
        let clock = FakeClock::new(laboratory.folder(), agent.node())?;
        agent.set_environment(clock.environment());
        agent.start()?;
        agent.wait_until_live(&operator)?;
        clocks.push(clock);
    }
    for (offset, word) in STEPS {
        federation.wait_until_voting(3)?;
        let wrong = choose(&federation)?;
        let node = federation.agents[wrong].node().to_owned();
        for restarts in [false, true] {
            clocks[wrong].set(offset)?;
            if restarts {
                federation.agents[wrong].stop()?;
                federation.agents[wrong].start()?;
            }
            all_outlive(&mut federation)?;
            complains(&operator, &node, word)?;
            // Each voter judges by itself who may connect, and what they make is good everywhere.
            let fresh = credentials(&laboratory, &operator, "1h")?;
            for agent in &federation.agents {
                let endpoint = format!("{}:{API_PORT}", agent.host().ipv4());
                let at = |who: &Operator<'_>| {
                    let one = Operator::new(&laboratory, &endpoint, who.credentials());
                    one.hanse(["status"])
                };
                at(&fresh)?.success()?;
                let refused = at(&ended)?;
                ensure!(!refused.succeeded(), "{offset}: ended credentials come in");
            }
        }
        // What is signed and who is trusted goes on changing.
        let roles = || -> Result<Vec<String>> {
            let all = operator.hanse_json(["authority", "status"])?;
            let all = all.as_array().context("a list")?.clone();
            let role = |one: &Value| one["role"].as_str().unwrap_or_default().to_owned();
            Ok(all.iter().map(role).collect())
        };
        if roles()? == ["signing"] {
            operator.hanse(["authority", "rotate"])?.success()?;
            wait_until_true("another authority signs", PATIENCE, || {
                let roles = roles()?;
                ensure!(roles == ["retiring", "signing"], "{roles:?}");
                Ok(true)
            })?;
            all_outlive(&mut federation)?;
        }
        clocks[wrong].set("+0")?;
    }
    ensure!(
        !terraform.plan()?.has_changes,
        "a clock changed what is declared"
    );
    Ok(())
}

fn credentials<'l>(
    laboratory: &'l Laboratory,
    operator: &Operator,
    ttl: &str,
) -> Result<Operator<'l>> {
    let path = laboratory.folder().join(format!("alex-{ttl}.pem"));
    let out = path.to_str().context("a path")?;
    let issue = ["credentials", "issue", "--name", "alex", "--role", "admin"];
    operator
        .hanse(issue.into_iter().chain(["--ttl", ttl, "--out", out]))?
        .success()?;
    Ok(Operator::new(laboratory, operator.endpoints(), &path))
}

/// Credentials that have ended.
fn ended_credentials<'l>(laboratory: &'l Laboratory, operator: &Operator) -> Result<Operator<'l>> {
    let ended = credentials(laboratory, operator, "2s")?;
    let ends = SystemTime::now() + Duration::from_secs(4);
    wait_until_true("the credentials have ended", PATIENCE, || {
        Ok(SystemTime::now() > ends)
    })?;
    Ok(ended)
}
