//! Whatever lies in an agent's folder, and whatever somebody hands it as a token or a backup, is
//! read or an error; what was read is written as it was.

use std::str;

use hanse_agent::audit::{Chain, Line, Record};
use hanse_agent::data::Settings;
use hanse_agent::follower::plan_file;
use hanse_agent::identity::Token;
use hanse_agent::identity::backup::Backup;
use hanse_client::convert;

/// Reads an input; panics at what must not be.
pub fn read(input: &[u8]) {
    if let [kind, content @ ..] = input {
        match kind % 5 {
            0 => drop(settings(content)),
            1 => drop(plan(content)),
            2 => audit(content),
            3 => drop(token(content)),
            _ => drop(Backup::read(content)),
        }
    }
}

fn settings(content: &[u8]) -> Option<()> {
    let settings: Settings = toml::from_str(str::from_utf8(content).ok()?).ok()?;
    let written = toml::to_string(&settings).expect("settings are written");
    assert_eq!(toml::from_str(&written), Ok(settings));
    Some(())
}

fn plan(content: &[u8]) -> Option<()> {
    let plan = plan_file::decode(content)?;
    let _ = convert::node_plan_from_proto(&plan);
    assert_eq!(plan_file::decode(&plan_file::encode(&plan)), Some(plan));
    Some(())
}

/// Lines are what stands between line ends, as the reader has them.
fn audit(content: &[u8]) {
    let mut chain = Chain::new(Vec::new());
    for (number, text) in (1..).zip(content.split(|byte| *byte == b'\n')) {
        if let Ok(line) = serde_json::from_slice::<Line>(text) {
            let written = serde_json::to_vec(&line).expect("a line is written");
            assert_eq!(serde_json::from_slice(&written).ok(), Some(line));
        }
        let record = Record {
            file: "audit.log".to_owned(),
            line: number,
            text: text.to_vec(),
        };
        if chain.push(&record).is_err() {
            return;
        }
    }
    let _ = chain.finish();
}

fn token(content: &[u8]) -> Option<()> {
    let token: Token = str::from_utf8(content).ok()?.parse().ok()?;
    let again: Token = token.reveal().parse().expect("a token crosses paper");
    assert_eq!(again, token);
    Some(())
}
