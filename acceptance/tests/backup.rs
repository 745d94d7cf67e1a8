//! A federation whose voters are all lost is restored elsewhere from a backup, and its nodes come
//! back to the places that they had.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use hanse_acceptance::laboratory::Invocation;
use hanse_acceptance::{
    Agent, Federation, Host, Laboratory, Operator, Pinger, binaries, wireguard,
};

/// The keys of a host's peers, and its own addresses in the mesh.
fn interface(host: &Host) -> Result<(Vec<String>, String)> {
    let addresses = host
        .exec(["ip", "-o", "address", "show", "dev", "hanse0"])?
        .success()?;
    let addresses = addresses.stdout.lines();
    let inet = addresses.filter_map(|line| {
        let mut words = line.split_whitespace();
        words.find(|word| word.starts_with("inet"))?;
        words.next().map(str::to_owned)
    });
    let inet: Vec<String> = inet.filter(|one| !one.starts_with("fe80")).collect();
    let peers = wireguard::observe(host)?;
    let keys = peers.into_iter().map(|peer| peer.public_key);
    Ok((keys.collect(), inet.join(" ")))
}

/// The first of a host's addresses, without its prefix.
fn mesh_address(addresses: &str) -> Result<String> {
    let first = addresses.split([' ', '/']).next();
    first.map(str::to_owned).context("no address")
}

fn fingerprint(operator: &Operator) -> Result<String> {
    let status = operator.hanse_json(["status"])?;
    let text = status["ca_fingerprint"].as_str().map(str::to_owned);
    text.context("no fingerprint")
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[test]
fn a_lost_federation_is_restored_elsewhere_and_its_nodes_come_back_as_they_were() -> Result<()> {
    let laboratory = Laboratory::start(3)?;
    let mut federation = Federation::raise_on(&laboratory, 2)?;
    let mut configuration = federation.configuration();
    let terraform = federation.terraform(&configuration)?;
    terraform.apply()?;
    let before = [
        interface(laboratory.host(1))?,
        interface(laboratory.host(2))?,
    ];
    let path = laboratory.folder().join("backup");
    let old = federation.operator.clone();
    old.hanse(["backup", &text(&path)])?.success()?;
    let mode = fs::metadata(&path)?.permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = old.hanse(["backup", &text(&path)])?;
    assert!(
        again.stderr.contains("is there already"),
        "{}",
        again.stderr
    );
    let signed_by = fingerprint(&old)?;
    for agent in &mut federation.agents {
        agent.kill()?;
    }

    let address = mesh_address(&before[1].1)?;
    let pinger = Pinger::start(laboratory.host(1), &address)?;
    let keys_from = text(&federation.agents[0].data_dir());
    let arguments = ["--cluster", "site3", "--expect", &signed_by];
    let arguments = [&arguments[..], &["--keys-from", &keys_from]].concat();
    let (mut voter, operator) = Agent::restore(&laboratory, laboratory.host(3), &path, &arguments)?;
    voter.start()?;
    voter.wait_until_answered(&operator)?;
    assert_ne!(fingerprint(&operator)?, signed_by);
    let stranger = Operator::new(&laboratory, operator.endpoints(), old.credentials());
    let refused = stranger.hanse(["status"])?;
    assert!(refused.stderr.contains("certificate"), "{}", refused.stderr);

    let status = operator.hanse_json(["status"])?;
    assert_eq!(
        status["awaited"],
        serde_json::json!(["h1", "h2"]),
        "{status}"
    );
    for (agent, site) in federation.agents.iter_mut().zip(["site1", "site2"]) {
        let foreign = if site == "site1" { "site2" } else { "site1" };
        let wrong = agent.rejoin(&operator.token(foreign)?)?;
        assert!(
            wrong.stderr.contains("belongs to the member cluster"),
            "{}",
            wrong.stderr
        );
        agent.rejoin(&operator.token(site)?)?.success()?;
        agent.start()?;
        let running = agent.rejoin(&operator.token(site)?)?;
        assert!(
            running.stderr.contains("another agent runs"),
            "{}",
            running.stderr
        );
    }
    for agent in &federation.agents {
        agent.wait_until_live(&operator)?;
    }
    let status = operator.hanse_json(["status"])?;
    assert_eq!(status["awaited"], serde_json::json!([]), "{status}");
    let terraform = terraform
        .env("HANSE_ENDPOINTS", operator.endpoints())
        .env("HANSE_CREDENTIALS", operator.credentials());
    let plan = terraform.plan()?;
    assert!(!plan.has_changes, "{}", plan.output.stdout);
    pinger.wait_for_more(20)?;
    assert_eq!(pinger.lost()?, [0; 0], "the mesh stayed up all the time");
    // An apply returns once every live node has proved the change, both ways.
    configuration.mesh_lines.push("mtu = 1380".to_owned());
    terraform.write("main.tf", &configuration.to_string())?;
    terraform.apply()?;
    let after = [
        interface(laboratory.host(1))?,
        interface(laboratory.host(2))?,
    ];
    assert_eq!(before, after, "keys and addresses");
    let events = operator.hanse(["events"])?.success()?.stdout;
    assert!(events.contains("restored from a backup"), "{events}");
    Ok(())
}

#[test]
fn a_voter_whose_state_is_damaged_is_restored_in_place_and_no_ping_is_lost() -> Result<()> {
    let laboratory = Laboratory::start(2)?;
    let mut federation = Federation::raise(&laboratory)?;
    let terraform = federation.with_mesh()?;
    let path = laboratory.folder().join("backup");
    federation
        .operator
        .hanse(["backup", &text(&path)])?
        .success()?;
    let before = interface(laboratory.host(1))?;
    let address = mesh_address(&before.1)?;
    let pinger = Pinger::start(laboratory.host(2), &address)?;
    federation.agents[0].kill()?;
    fs::write(
        federation.agents[0].data_dir().join("state.redb"),
        "garbage",
    )?;

    let (mut voter, operator) =
        Agent::restore(&laboratory, laboratory.host(1), &path, &["--in-place"])?;
    voter.start()?;
    voter.wait_until_answered(&operator)?;
    // The other one still follows a federation that is no more.
    let node = &mut federation.agents[1];
    node.kill()?;
    node.rejoin(&operator.token("site2")?)?.success()?;
    node.start()?;
    for agent in [&voter, &federation.agents[1]] {
        agent.wait_until_live(&operator)?;
    }
    let terraform = terraform
        .env("HANSE_ENDPOINTS", operator.endpoints())
        .env("HANSE_CREDENTIALS", operator.credentials());
    let plan = terraform.plan()?;
    assert!(!plan.has_changes, "{}", plan.output.stdout);
    pinger.wait_for_more(20)?;
    assert_eq!(pinger.lost()?, [0; 0]);
    assert_eq!(interface(laboratory.host(1))?, before);
    operator.hanse(["audit", "--verify"])?.success()?;
    Ok(())
}

#[test]
fn a_backup_that_was_tampered_with_is_refused_and_leaves_nothing() -> Result<()> {
    let laboratory = Laboratory::start(2)?;
    let federation = Federation::raise_on(&laboratory, 1)?;
    let path = laboratory.folder().join("backup");
    federation
        .operator
        .hanse(["backup", &text(&path)])?
        .success()?;
    let whole = fs::read(&path)?;
    let other = laboratory.host(2);
    let folder = other.data_dir().join("restored");
    let restore = |path: &Path| {
        let address = format!("{}:7443", other.ipv4());
        other.exec(
            Invocation::new(binaries::hanse()?)
                .arg("restore")
                .arg(path)
                .args(["--node", "h1", "--listen", &address, "--data-dir"])
                .arg(&folder),
        )
    };
    let changed = laboratory.folder().join("changed");
    let refused = |bytes: &[u8], expected: &str| -> Result<()> {
        fs::write(&changed, bytes)?;
        let output = restore(&changed)?;
        assert_eq!(output.code(), Some(1), "{}", output.stderr);
        assert!(output.stderr.contains(expected), "{}", output.stderr);
        assert!(!folder.exists(), "{}", output.stderr);
        Ok(())
    };
    // In the magic, the version, the manifest, the signature and the content.
    let middle = whole.len() / 2;
    for (place, expected) in [
        (0, "no backup"),
        (6, "format version"),
        (40, "not as it was signed"),
        (600, "not as it was signed"),
        (middle, "not as it was signed"),
        (whole.len() - 1, "checksum"),
    ] {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        refused(&bytes, expected)?;
    }
    refused(&whole[..middle], "cut short")?;
    refused(&[&whole[..], b"more"].concat(), "follow its end")?;
    refused(b"", "no backup")?;
    restore(&path)?.success()?;
    assert!(folder.join("state.redb").exists());
    Ok(())
}
