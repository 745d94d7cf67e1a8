//! Programs that run for a moment, as the server's own user.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use super::layout::Server;
use crate::call::{Complaints, OUTPUT_MAX, first, in_one_line, last};
use crate::trouble::Trouble;

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
    let said = ended_well(what, command).await?;
    match said.is_whole {
        true => Ok(String::from_utf8_lossy(&said.printed).into_owned()),
        false => Err(Trouble(format!(
            "unable to {what}: it prints more than {OUTPUT_MAX} bytes, and the rest was cut"
        ))),
    }
}

/// The same, whatever and however much it printed.
pub(crate) async fn check(what: &str, command: &mut Command) -> Result<(), Trouble> {
    ended_well(what, command).await.map(|_| ())
}

/// The same, and yields the last of what it told of its work.
pub(crate) async fn words_of(what: &str, command: &mut Command) -> Result<String, Trouble> {
    let said = ended_well(what, command).await?;
    Ok(said.complaints.text())
}

/// What a program said.
struct Said {
    /// The first of what it printed, and whether that is all.
    printed: Vec<u8>,
    is_whole: bool,
    complaints: Complaints,
}

async fn ended_well(what: &str, command: &mut Command) -> Result<Said, Trouble> {
    let unable = |error: std::io::Error| {
        Trouble(format!(
            "unable to {what}: setpriv can't be started ({error}): run `apt-get install util-linux`"
        ))
    };
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(unable)?;
    let (printed, complained) = (child.stdout.take(), child.stderr.take());
    let (printed, complaints, status) =
        tokio::join!(first(printed, OUTPUT_MAX), last(complained), child.wait());
    let status = status.map_err(unable)?;
    let (printed, is_whole) = printed.map_err(|error| {
        Trouble(format!(
            "unable to {what}: what it prints can't be read: {error}"
        ))
    })?;
    if status.success() {
        return Ok(Said {
            printed,
            is_whole,
            complaints,
        });
    }
    // Some print what is wrong.
    let words = match complaints.words() {
        none if none.is_empty() => last_of(&String::from_utf8_lossy(&printed)),
        words => words,
    };
    Err(Trouble(format!("unable to {what}: {words} ({status})")))
}

/// The last of many words, in one line; what was cut off before them is marked.
pub(crate) fn last_of(words: &str) -> String {
    in_one_line(words, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_that_says_too_much_fills_no_memory() {
        let shell = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            command
        };
        let much = "head -c 20000000 /dev/zero | tr '\\0' x";
        let cut = run("ask", &mut shell(much)).await.unwrap_err().0;
        assert!(cut.contains("the rest was cut"), "{cut}");
        check("ask", &mut shell(much)).await.unwrap();
        let mut loud = shell(&format!("({much}; echo; echo the end) >&2; exit 1"));
        let told = run("ask", &mut loud).await.unwrap_err().0;
        assert!(told.contains("x the end"), "{told}");
        assert!(told.contains("ask: […]"), "{told}");
        let printed = run("ask", &mut shell("echo what is wrong; exit 1")).await;
        assert!(printed.unwrap_err().0.contains("what is wrong"));
    }
}
