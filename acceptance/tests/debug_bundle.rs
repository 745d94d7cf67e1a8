//! What is sent to somebody to find out what is wrong tells a lot, and no secret.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use hanse_acceptance::laboratory::{Invocation, Output};
use hanse_acceptance::{Agent, Federation, Laboratory, Operator, binaries, secrets};

/// Prints what the devices know, also those whose socket hides with their daemon.
const PRESHARED: &str = r#"
    wg show all preshared-keys
    for pid in $(pgrep -x wireguard-go); do
        nsenter --target "$pid" --mount wg show all preshared-keys
    done"#;

fn bundle(agent: &Agent, operator: &Operator, file: &Path, log: &Path) -> Result<Output> {
    agent.host().exec(
        Invocation::new(binaries::hanse()?)
            .args(["debug", "bundle"])
            .arg(file)
            .arg("--data-dir")
            .arg(agent.data_dir())
            .arg("--log")
            .arg(log)
            .env("HANSE_ENDPOINTS", operator.endpoints())
            .env("HANSE_CREDENTIALS", operator.credentials()),
    )
}

fn unpacked(laboratory: &Laboratory, file: &Path, name: &str) -> Result<String> {
    let entry = format!("hanse-debug/{name}");
    let arguments = [
        "tar",
        "-xzOf",
        &file.to_string_lossy(),
        "--wildcards",
        &entry,
    ];
    Ok(laboratory.exec(arguments)?.success()?.stdout)
}

#[test]
fn a_bundle_tells_what_is_so_and_no_secret_that_is_known_on_the_machine() -> Result<()> {
    let laboratory = Laboratory::start(2)?;
    let mut federation = Federation::raise(&laboratory)?;
    let _terraform = federation.with_mesh()?;
    let operator = federation.operator.clone();
    let log = federation.agents[1]
        .process()
        .context("the agent runs")?
        .log()?;
    let node = &federation.agents[1];

    let credentials = fs::read_to_string(operator.credentials())?;
    let private = credentials
        .split("-----BEGIN PRIVATE KEY-----")
        .nth(1)
        .context("no key")?;
    let mut known = secrets::of(node)?;
    known.push(("token".to_owned(), operator.token("site9")?));
    let lines = private.lines().filter(|line| line.len() > 40);
    known.extend(lines.map(|line| ("credentials".to_owned(), line.to_owned())));
    let preshared = node.host().exec(Invocation::script(PRESHARED))?.success()?;
    let preshared = preshared.stdout.lines().filter_map(|line| {
        let key = line.split_whitespace().last()?;
        (key.len() > 40).then(|| ("pre-shared key".to_owned(), key.to_owned()))
    });
    let others = known.len();
    known.extend(preshared);
    assert!(known.len() > others, "the mesh has pre-shared keys");
    // Somebody who is careless prints them all.
    let planted: String = known
        .iter()
        .map(|(name, secret)| format!("{name} = {secret}\n"))
        .collect();
    let log_path = laboratory.folder().join("agent.log");
    fs::write(&log_path, format!("{log}\n{planted}"))?;

    let file = laboratory.folder().join("bundle.tar.gz");
    bundle(node, &operator, &file, &log_path)?.success()?;
    let told = unpacked(&laboratory, &file, "*")?;
    for (name, secret) in &known {
        assert!(!told.contains(secret.as_str()), "{name} is told");
    }
    let expected = known.len();
    let redacted = unpacked(&laboratory, &file, "agent/log.txt")?;
    assert!(redacted.matches("(redacted)").count() >= expected);
    assert!(redacted.contains("following the federation"), "{redacted}");
    for (name, word) in [
        ("federation/status.json", "\"ca_fingerprint\""),
        ("federation/nodes.json", "\"h2\""),
        ("federation/voters.json", "\"h1\""),
        ("federation/mesh.json", "\"backbone\""),
        ("federation/events.json", "was enrolled"),
        ("agent/agent.toml", "node = \"h2\""),
        ("agent/files.txt", "node.key"),
        ("system/addresses.txt", "hanse0"),
        ("system/routes-4.txt", "10.90.0"),
        ("system/kernel.txt", "Linux version"),
    ] {
        let text = unpacked(&laboratory, &file, name)?;
        assert!(text.contains(word), "{name}: {text}");
    }
    Ok(())
}

#[test]
fn a_bundle_is_made_where_the_federation_is_out_of_reach_and_says_what_is_missing() -> Result<()> {
    let laboratory = Laboratory::start(1)?;
    let mut federation = Federation::raise(&laboratory)?;
    federation.agents[0].kill()?;
    let file = laboratory.folder().join("bundle.tar.gz");
    let log = laboratory.folder().join("no-such-log");
    let agent = &federation.agents[0];
    let made = bundle(agent, &federation.operator, &file, &log)?.success()?;
    assert!(
        made.stderr.contains("Missing: federation"),
        "{}",
        made.stderr
    );
    let missing = unpacked(&laboratory, &file, "missing.txt")?;
    assert!(
        missing.contains("agent/log.txt: unable to read"),
        "{missing}"
    );
    let settings = unpacked(&laboratory, &file, "agent/agent.toml")?;
    assert!(settings.contains("node = \"h1\""), "{settings}");
    let again = bundle(agent, &federation.operator, &file, &log)?;
    assert!(
        again.stderr.contains("is there already"),
        "{}",
        again.stderr
    );
    Ok(())
}
