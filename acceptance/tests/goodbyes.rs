//! Nodes go in three ways: shut out, forgotten, by themselves. The others lose them either way, and
//! of one that left nothing stays on its host.

use std::time::Duration;

use anyhow::{Context, Result};
use hanse_acceptance::wait::wait_until_true;
use hanse_acceptance::{Agent, Federation, Laboratory, Operator, wireguard};

/// Long enough for a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(60);

fn refused(output: &hanse_acceptance::laboratory::Output) -> &str {
    assert_eq!(output.code(), Some(1), "{}", output.stderr);
    &output.stderr
}

fn has_peers(agent: &Agent<'_>, count: usize) -> Result<bool> {
    Ok(wireguard::observe(agent.host())?.len() == count)
}

#[test]
fn a_revoked_node_is_lost_to_its_peers_and_told_why() -> Result<()> {
    let laboratory = Laboratory::start(3)?;
    let federation = Federation::raise(&laboratory)?;
    let _terraform = federation.with_mesh()?;
    let operator = &federation.operator;
    operator.hanse(["node", "revoke", "h2"])?.success()?;
    for agent in [&federation.agents[0], &federation.agents[2]] {
        wait_until_true("the peer is gone", PATIENCE, || has_peers(agent, 1))?;
    }
    let shown = operator.hanse_json(["nodes"])?;
    assert_eq!(shown["revoked"][0]["name"], "h2", "{shown}");
    let token = operator.token("site2")?;
    let name_taken = join_again(&laboratory, &token)?;
    assert!(name_taken.contains("hanse node remove h2"), "{name_taken}");
    let remaining = operator.hanse(["audit", "--verify"])?.success()?;
    assert!(remaining.text().contains("is whole"));
    Ok(())
}

#[test]
fn a_node_that_leaves_takes_its_meshes_down_and_keeps_nothing_secret() -> Result<()> {
    let laboratory = Laboratory::start(2)?;
    let mut federation = Federation::raise(&laboratory)?;
    let _terraform = federation.with_mesh()?;
    let folder = federation.agents[1].data_dir();
    let path = folder.to_string_lossy().into_owned();
    let leave = ["leave", "--data-dir", path.as_str()];

    let running = federation.agents[1].hanse(leave)?;
    let said = refused(&running);
    assert!(said.contains("another agent runs"), "{said}");
    let still = federation.operator.hanse(["node", "remove", "h2"])?;
    let said = refused(&still);
    assert!(said.contains("hanse leave"), "{said}");

    federation.agents[1].stop()?;
    assert!(has_peers(&federation.agents[1], 1)?, "the mesh stays up");
    federation.agents[1].hanse(leave)?.success()?;
    assert!(!folder.exists(), "nothing of it is left");
    let links = federation.agents[1].host().exec(["ip", "-br", "link"])?;
    assert!(!links.stdout.contains("hanse0"), "{}", links.stdout);
    let voter = &federation.agents[0];
    wait_until_true("the peer is gone", PATIENCE, || has_peers(voter, 0))?;
    // The name is free at once.
    let token = federation.operator.token("site2")?;
    Agent::join(laboratory.host(2), &token)?;
    Ok(())
}

#[test]
fn a_node_leaves_without_a_word_only_by_force_and_a_voter_not_at_all() -> Result<()> {
    let laboratory = Laboratory::start(2)?;
    let mut federation = Federation::raise(&laboratory)?;
    let paths: Vec<String> = federation
        .agents
        .iter()
        .map(|agent| agent.data_dir().to_string_lossy().into_owned())
        .collect();
    federation.agents[1].stop()?;
    federation.agents[0].stop()?;
    let (voter, node) = (&federation.agents[0], &federation.agents[1]);

    let unheard = node.hanse(["leave", "--data-dir", &paths[1]])?;
    let said = refused(&unheard);
    assert!(
        said.contains("--force") && said.contains("hanse node remove"),
        "{said}"
    );
    let voters = voter.hanse(["leave", "--data-dir", &paths[0], "--force"])?;
    let said = refused(&voters);
    assert!(said.contains("was a voter"), "{said}");
    assert!(voter.data_dir().exists());

    let forced = node.hanse(["leave", "--data-dir", &paths[1], "--force"])?;
    assert!(forced.succeeded(), "{}", forced.stderr);
    assert!(
        forced.stderr.contains("hanse node remove h2"),
        "{}",
        forced.stderr
    );
    assert!(!node.data_dir().exists());
    federation.agents[0].start()?;
    let voter = &federation.agents[0];
    voter.wait_until_answered(&federation.operator)?;
    let known = federation.operator.hanse_json(["nodes"])?.to_string();
    assert!(known.contains("h2"), "{known}");
    let removed = ["node", "remove", "h2"];
    wait_until_true("the node is silent and removed", PATIENCE, || {
        Ok(federation.operator.hanse(removed)?.succeeded())
    })
}

#[test]
fn revoked_credentials_are_refused_and_new_ones_of_the_name_are_not() -> Result<()> {
    let laboratory = Laboratory::start(1)?;
    let federation = Federation::raise(&laboratory)?;
    let operator = &federation.operator;
    let issue = |file: &str| -> Result<Operator<'_>> {
        let path = laboratory.folder().join(file);
        let shown = path.to_string_lossy().into_owned();
        let arguments = ["credentials", "issue", "--name", "ci", "--role", "viewer"];
        let arguments = arguments.into_iter().chain(["--out", &shown]);
        operator
            .hanse(arguments)?
            .success()
            .context("no credentials")?;
        Ok(Operator::new(&laboratory, operator.endpoints(), &path))
    };
    let old = issue("old.pem")?;
    old.hanse(["status"])?.success()?;
    operator
        .hanse(["credentials", "revoke", "--name", "ci"])?
        .success()?;
    let output = old.hanse(["status"])?;
    let said = refused(&output);
    assert!(said.contains("were revoked"), "{said}");
    issue("new.pem")?.hanse(["status"])?.success()?;
    Ok(())
}

/// What somebody reads who joins a third machine under the name of the second.
fn join_again(laboratory: &Laboratory, token: &str) -> Result<String> {
    let host = laboratory.host(3);
    let folder = host.data_dir().join("again");
    let invocation =
        hanse_acceptance::laboratory::Invocation::new(hanse_acceptance::binaries::hanse()?)
            .args(["join", "--token", token, "--node", "h2", "--data-dir"])
            .arg(folder);
    let output = host.exec(invocation)?;
    Ok(refused(&output).to_owned())
}
