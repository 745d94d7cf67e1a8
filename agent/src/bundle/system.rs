//! What the machine says of itself. Nothing that prints keys is ever asked.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::Bundle;

/// How long a command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);
/// The most that is read of what it prints.
const OUTPUT_LENGTH_MAX: u64 = 16 << 20;
/// The most files of a folder that are named.
const FILES_MAX: usize = 1000;
/// The unit under which the agent runs.
const UNIT: &str = "hanse-agent";
/// The most lines of its journal.
const JOURNAL_LINES_MAX: &str = "20000";

/// What is read as it is.
const FILES: [(&str, &str); 7] = [
    ("kernel.txt", "/proc/version"),
    ("os-release.txt", "/etc/os-release"),
    ("uptime.txt", "/proc/uptime"),
    ("load.txt", "/proc/loadavg"),
    ("memory.txt", "/proc/meminfo"),
    ("pressure-io.txt", "/proc/pressure/io"),
    ("modules.txt", "/proc/modules"),
];
/// What is asked. `wg show` names public keys and hides the others, whatever the environment says.
const COMMANDS: [(&str, &[&str]); 11] = [
    (
        "links.txt",
        &["ip", "-details", "-statistics", "link", "show"],
    ),
    ("addresses.txt", &["ip", "address", "show"]),
    (
        "routes-4.txt",
        &["ip", "-4", "route", "show", "table", "all"],
    ),
    (
        "routes-6.txt",
        &["ip", "-6", "route", "show", "table", "all"],
    ),
    ("rules-4.txt", &["ip", "-4", "rule", "show"]),
    ("rules-6.txt", &["ip", "-6", "rule", "show"]),
    ("wireguard.txt", &["wg", "show", "all"]),
    ("sockets.txt", &["ss", "-H", "-l", "-n", "-t", "-u"]),
    ("firewall.txt", &["nft", "list", "tables"]),
    (
        "forwarding.txt",
        &[
            "sysctl",
            "net.ipv4.ip_forward",
            "net.ipv6.conf.all.forwarding",
        ],
    ),
    ("disks.txt", &["df", "-h"]),
];

/// Puts in what the machine says.
pub async fn machine(bundle: &mut Bundle) {
    for (name, path) in FILES {
        bundle.put_file(&format!("system/{name}"), Path::new(path));
    }
    for (name, command) in COMMANDS {
        bundle.put_result(&format!("system/{name}"), said(command).await);
    }
}

/// Puts in the end of the agent's journal.
pub async fn journal(bundle: &mut Bundle) {
    let command = [
        "journalctl",
        "--no-pager",
        "--output=short-iso",
        "--lines",
        JOURNAL_LINES_MAX,
        "--unit",
        UNIT,
    ];
    bundle.put_result("agent/journal.txt", said(&command).await);
}

/// The names, sizes and rights of what lies in a folder.
pub fn listing(folder: &Path) -> Result<String, String> {
    let unable = |error: std::io::Error| format!("unable to read {}: {error}", folder.display());
    let mut lines = Vec::new();
    for entry in fs::read_dir(folder).map_err(unable)?.take(FILES_MAX) {
        let entry = entry.map_err(unable)?;
        let metadata = entry.metadata().map_err(unable)?;
        let kind = if metadata.is_dir() { "/" } else { "" };
        lines.push(format!(
            "{:o} {:>12} {}{kind}\n",
            metadata.permissions().mode() & 0o7777,
            metadata.len(),
            entry.file_name().to_string_lossy(),
        ));
    }
    lines.sort();
    Ok(lines.concat())
}

/// What a command prints, whatever it thinks of it itself.
async fn said(command: &[&str]) -> Result<String, String> {
    let shown = command.join(" ");
    let unable = |reason: &dyn std::fmt::Display| format!("unable to run `{shown}`: {reason}");
    let [program, arguments @ ..] = command else {
        return Err(unable(&"it is empty"));
    };
    let mut child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .env("WG_HIDE_KEYS", "always")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| unable(&error))?;
    let mut output = Vec::new();
    let running = async {
        if let Some(printed) = child.stdout.take() {
            let mut printed = printed.take(OUTPUT_LENGTH_MAX);
            printed.read_to_end(&mut output).await?;
        }
        child.wait().await
    };
    let status = tokio::time::timeout(COMMAND_TIMEOUT, running)
        .await
        .map_err(|_| unable(&format!("it did not end within {COMMAND_TIMEOUT:?}")))?
        .map_err(|error| unable(&error))?;
    let text = String::from_utf8_lossy(&output).into_owned();
    if text.is_empty() && !status.success() {
        return Err(unable(&status));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_that_is_not_there_or_fails_is_named() {
        let missing = said(&["no-such-program", "x"]).await.unwrap_err();
        assert!(missing.contains("no-such-program x"), "{missing}");
        assert!(said(&["false"]).await.unwrap_err().contains("exit status"));
        assert_eq!(said(&["echo", "hello"]).await.unwrap(), "hello\n");
    }

    #[tokio::test]
    async fn whoever_shows_interfaces_is_told_to_hide_keys() {
        let told = said(&["printenv", "WG_HIDE_KEYS"]).await;
        assert_eq!(told.unwrap(), "always\n");
    }
}
