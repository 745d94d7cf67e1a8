//! Certificates of seconds are renewed while everything runs, and nobody notices.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use hanse_acceptance::wait::wait_until_true;
use hanse_acceptance::{Agent, Federation, Laboratory};

const PATIENCE: Duration = Duration::from_secs(120);
const RENEWED: &str = "the certificate was renewed";
/// So many certificates are seen to end.
const RENEWALS: usize = 3;

fn log(agent: &mut Agent) -> Result<String> {
    agent.process().context("the agent runs")?.log()
}

#[test]
fn nodes_outlive_their_certificates_and_plans_go_on_coming() -> Result<()> {
    let laboratory = Laboratory::start(3)?;
    let mut federation = Federation::raise(&laboratory)?;
    let mut configuration = federation.configuration();
    let lifetime = "  certificate_lifetime = \"15s\"".to_owned();
    configuration.federation_lines.push(lifetime);
    let terraform = federation.terraform(&configuration)?;
    terraform.apply()?;
    // Those of a day are replaced at once, since certificates live for less now.
    for round in 1..=RENEWALS {
        for agent in &mut federation.agents {
            wait_until_true("the certificate is renewed", PATIENCE, || {
                Ok(log(agent)?.matches(RENEWED).count() >= round)
            })?;
        }
        // An apply returns once every node has proved the change: their streams live.
        configuration.site("site2").routes = vec![format!("192.168.{round}.0/24")];
        terraform.write("main.tf", &configuration.to_string())?;
        terraform.apply()?;
    }
    for agent in &mut federation.agents {
        let log = log(agent)?;
        ensure!(!log.contains("unable to renew"), "{log}");
        ensure!(!log.contains("has ended"), "a certificate ended:\n{log}");
    }
    Ok(())
}
