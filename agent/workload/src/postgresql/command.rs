//! Programs that run for a moment, as the server's own user.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use super::layout::Server;
use crate::call::{Complaints, OUTPUT_MAX, first, last};
use crate::trouble::Trouble;

/// What of a program's words is told; the last ones say why it failed.
const WORDS_MAX: usize = 600;

impl Server {
    /// A program of the server's, as its user, in English; it dies with whoever started it.
    pub(crate) fn program(&self, name: &str) -> Command {
        self.as_user(&self.bin.join(name))
    }

    pub(crate) fn as_user(&self, program: &Path) -> Command {
        let mut command = self.user.starts();
        command
            .arg(program)
            .env_clear()
            .envs([("LC_ALL", "C"), ("PATH", "/usr/bin:/bin"), ("TZ", "UTC")])
            .env("HOME", &self.user.home)
            .current_dir("/")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }
}

/// Runs a program to its end, and yields what it printed.
pub(crate) async fn run(what: &str, command: &mut Command) -> Result<String, Trouble> {
    let (output, is_whole, _) = heard(what, command, OUTPUT_MAX).await?;
    match is_whole {
        true => Ok(String::from_utf8_lossy(&output).into_owned()),
        false => Err(Trouble(format!(
            "unable to {what}: the program prints more than {OUTPUT_MAX} bytes"
        ))),
    }
}

/// Runs a program to its end. What it prints is nobody's.
pub(crate) async fn run_quietly(what: &str, command: &mut Command) -> Result<(), Trouble> {
    heard(what, command, 0).await.map(|_| ())
}

/// The same, and yields the last of what it told of its work.
pub(crate) async fn words_of(what: &str, command: &mut Command) -> Result<String, Trouble> {
    let (_, _, complaints) = heard(what, command, 0).await?;
    Ok(complaints.text())
}

/// The first of what a program prints, whether that is all, and the last of what it tells of its work,
/// once it ended well.
async fn heard(
    what: &str,
    command: &mut Command,
    bytes_max: usize,
) -> Result<(Vec<u8>, bool, Complaints), Trouble> {
    let unable = |error: std::io::Error| {
        Trouble(format!(
            "unable to {what}: setpriv can't be started ({error}): run `apt-get install util-linux`"
        ))
    };
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(unable)?;
    let ((output, is_whole), complaints) = tokio::join!(
        first(child.stdout.take(), bytes_max),
        last(child.stderr.take())
    );
    let status = child.wait().await.map_err(unable)?;
    match status.success() {
        true => Ok((output, is_whole, complaints)),
        false => Err(Trouble(format!(
            "unable to {what}: {} ({status})",
            complaints.words()
        ))),
    }
}

/// The last of many words, in one line.
pub(crate) fn last_of(words: &str) -> String {
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let skip = line.chars().count().saturating_sub(WORDS_MAX);
    line.chars().skip(skip).collect()
}
