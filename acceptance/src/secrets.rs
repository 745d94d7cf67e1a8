//! The secrets that a node's data folder holds, for tests that look for them elsewhere.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::agent::Agent;

/// Every key in the node's data folder, in each spelling in which it could leak. Fails if a file
/// with a key can be read by anybody else.
///
/// # Errors
///
/// When a file can't be read, or others can.
pub fn of(agent: &Agent) -> Result<Vec<(String, String)>> {
    let mut secrets = Vec::new();
    for path in files(&agent.data_dir())? {
        let name = path.display().to_string();
        let is_key = name.ends_with(".key") || name.contains("secret");
        if !is_key {
            continue;
        }
        let mode = fs::metadata(&path)?.permissions().mode() & 0o777;
        ensure!(mode == 0o600, "{name} has the mode {mode:o}");
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
