//! Programs that run for a moment, as the server's own user.

use std::path::Path;
use std::process::{Output, Stdio};

use tokio::process::Command;

use super::layout::Server;
use crate::trouble::Trouble;

/// What of a program's words is told; the last ones say why it failed.
const WORDS_MAX: usize = 600;

impl Server {
    /// A program of the server's, as its user, in English; it dies with whoever started it.
    pub(crate) fn program(&self, name: &str) -> Command {
        self.as_user(&self.bin.join(name))
    }

    pub(crate) fn as_user(&self, program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        command
            .arg(format!("--reuid={}", self.user.id))
            .arg(format!("--regid={}", self.user.group_id))
            .args(["--init-groups", "--pdeathsig=KILL", "--"])
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
    let output = output_of(what, command).await?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The same, and yields what it told of its work.
pub(crate) async fn words_of(what: &str, command: &mut Command) -> Result<String, Trouble> {
    let output = output_of(what, command).await?;
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

async fn output_of(what: &str, command: &mut Command) -> Result<Output, Trouble> {
    let output = command.output().await.map_err(|error| {
        Trouble(format!(
            "unable to {what}: setpriv can't be started ({error}): run `apt-get install util-linux`"
        ))
    })?;
    if output.status.success() {
        return Ok(output);
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(Trouble(format!(
        "unable to {what}: {} ({})",
        last_of(&words),
        output.status
    )))
}

/// The last of many words, in one line.
pub(crate) fn last_of(words: &str) -> String {
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let skip = line.chars().count().saturating_sub(WORDS_MAX);
    line.chars().skip(skip).collect()
}
