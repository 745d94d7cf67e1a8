//! Keys stay on their nodes and tokens nowhere: not in state, plan, logs or what the API tells.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use hanse_acceptance::laboratory::Invocation;
use hanse_acceptance::{Agent, Federation, Laboratory};

#[test]
fn no_key_and_no_token_is_found_outside_its_place() -> Result<()> {
    let laboratory = Laboratory::start(3)?;
    let mut federation = Federation::raise(&laboratory)?;
    let token = federation.operator.token("site9")?;
    let terraform = federation
        .operator
        .terraform_with(&federation.configuration().to_string())?;
    let terraform = terraform.traced();
    terraform.init()?;
    terraform.run(["plan", "-out", "plan.bin"])?.success()?;
    terraform.apply()?;

    let mut secrets = vec![("token".to_owned(), token)];
    for agent in &federation.agents {
        let found = secrets_of(agent)?;
        assert!(
            found.len() >= 2,
            "{} has keys of its own: {found:?}",
            agent.node()
        );
        secrets.extend(found);
    }

    let mut told = vec![
        (
            "plan".to_owned(),
            terraform
                .run(["show", "-json", "plan.bin"])?
                .success()?
                .stdout,
        ),
        (
            "plan file".to_owned(),
            lossy(&terraform.folder().join("plan.bin"))?,
        ),
        (
            "state".to_owned(),
            lossy(&terraform.folder().join("terraform.tfstate"))?,
        ),
        ("trace".to_owned(), terraform.trace()?),
    ];
    for command in ["status", "nodes", "mesh"] {
        let answer = federation
            .operator
            .hanse([command, "--json"])?
            .success()?
            .stdout;
        told.push((format!("hanse {command}"), answer));
    }
    for agent in &mut federation.agents {
        let node = agent.node().to_owned();
        let log = agent.process().context("the agent runs")?.log()?;
        told.push((format!("log of {node}"), log));
        let others = agent
            .host()
            .exec(Invocation::script("cat /proc/[0-9]*/cmdline"))?
            .stdout;
        told.push((format!("command lines on {node}"), others));
    }
    for (place, text) in &told {
        assert!(
            !text.is_empty(),
            "{place} is empty: this test would prove nothing"
        );
        for (name, secret) in &secrets {
            assert!(!text.contains(secret.as_str()), "{name} stands in {place}");
        }
    }
    Ok(())
}

/// Every key in the node's data folder, in each spelling in which it could leak. Fails if a file
/// with a key can be read by anybody else.
fn secrets_of(agent: &Agent) -> Result<Vec<(String, String)>> {
    let mut secrets = Vec::new();
    for path in files(&agent.data_dir())? {
        let name = path.display().to_string();
        let is_key = name.ends_with(".key") || name.contains("secret");
        if !is_key {
            continue;
        }
        let mode = fs::metadata(&path)?.permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
        let bytes = fs::read(&path)?;
        match String::from_utf8(bytes.clone()) {
            Ok(text) => {
                let lines = text.lines().map(str::trim);
                let lines = lines.filter(|line| line.len() >= 40 && !line.starts_with("---"));
                secrets.extend(lines.map(|line| (name.clone(), line.to_owned())));
            }
            Err(_) => {
                let hexadecimal = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                secrets.push((name.clone(), hexadecimal));
                secrets.push((name.clone(), base64(&bytes)));
            }
        }
    }
    Ok(secrets)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.is_file() {
            found.push(path);
        }
    }
    Ok(found)
}

fn lossy(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk
            .iter()
            .fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        let word = word << (8 * (3 - chunk.len()));
        for position in 0..=chunk.len() {
            text.push(char::from(
                ALPHABET[(word >> (18 - 6 * position) & 63) as usize],
            ));
        }
    }
    text
}
