//! What to run in a namespace, and what came of it.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::requirements;

/// How long a command may run unless it says otherwise; a hang must not stall a whole test run.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// One command line with its surroundings.
#[derive(Clone, Debug)]
pub struct Invocation {
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    input: Option<String>,
    time_limit: Option<Duration>,
}

impl Invocation {
    /// Runs `program`.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: None,
            input: None,
            time_limit: Some(TIME_LIMIT),
        }
    }

    /// Runs `script` in bash, ending at the first command that fails.
    #[must_use]
    pub fn script(script: &str) -> Self {
        Self::new("bash").args(["-euc", script])
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.arguments.extend(
            arguments
                .into_iter()
                .map(|argument| argument.as_ref().to_owned()),
        );
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Runs in `folder`.
    #[must_use]
    pub fn current_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Gives the command `input` to read; without it, there is nothing to read.
    #[must_use]
    pub fn input(mut self, input: impl Into<String>) -> Self {
        self.input = Some(input.into());
        self
    }

    /// Kills the command after `time_limit` (only of commands that are waited for).
    #[must_use]
    pub fn time_limit(mut self, time_limit: Duration) -> Self {
        self.time_limit = Some(time_limit);
        self
    }

    /// Runs it without `timeout` between: for what signals every process of a host.
    pub(super) fn without_time_limit(mut self) -> Self {
        self.time_limit = None;
        self
    }

    /// Runs it to its end inside the namespaces that `enter` leads to.
    pub(super) fn run(&self, enter: &[OsString]) -> Result<Output> {
        let description = self.description();
        let mut command = self.entering(enter, self.time_limit);
        let input = if self.input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        };
        let mut child = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("unable to start `{description}`"))?;
        if let (Some(text), Some(mut pipe)) = (&self.input, child.stdin.take()) {
            // A command that ends without reading its input says so by its exit code.
            let _ = pipe.write_all(text.as_bytes());
        }
        let output = child
            .wait_with_output()
            .with_context(|| format!("unable to wait for `{description}`"))?;
        Ok(Output {
            command: description,
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs it to its end in full view of the person at the terminal.
    pub(super) fn run_shown(&self, enter: &[OsString]) -> Result<ExitStatus> {
        let description = self.description();
        self.entering(enter, self.time_limit)
            .stdin(Stdio::null())
            .status()
            .with_context(|| format!("unable to start `{description}`"))
    }

    /// The command, ready to be started in the background.
    pub(super) fn background(&self, enter: &[OsString]) -> Command {
        self.entering(enter, None)
    }

    /// The command line as a person would read it.
    #[must_use]
    pub fn description(&self) -> String {
        std::iter::once(&self.program)
            .chain(&self.arguments)
            .map(|word| word.to_string_lossy())
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn entering(&self, enter: &[OsString], time_limit: Option<Duration>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(enter);
        if let Some(folder) = &self.folder {
            // As the namespace sees it: a folder that was opened outside has no path inside.
            let mut wd = OsString::from("--wdns=");
            wd.push(folder);
            command.arg(wd);
        }
        command.arg("--");
        if let Some(limit) = time_limit {
            command
                .args(["timeout", "--signal=KILL"])
                .arg(limit.as_secs_f64().to_string());
        }
        command.arg(&self.program).args(&self.arguments);
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_foreign(name)) {
            command.env_remove(name);
        }
        command
            .env("PATH", requirements::search_path())
            .envs(self.environment.iter().cloned());
        command
    }
}

impl<const N: usize> From<[&str; N]> for Invocation {
    fn from(words: [&str; N]) -> Self {
        Self::from(words.as_slice())
    }
}

impl From<&[&str]> for Invocation {
    fn from(words: &[&str]) -> Self {
        let (program, arguments) = words.split_first().unwrap_or((&"true", &[]));
        Self::new(program).args(arguments)
    }
}

/// What a command that ended has said.
#[derive(Clone, Debug)]
pub struct Output {
    /// The command line.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// All that it wrote to standard output.
    pub stdout: String,
    /// All that it wrote to standard error.
    pub stderr: String,
}

impl Output {
    /// Whether it ended with exit code 0.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.status.success()
    }

    /// The exit code; none when a signal ended it.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The output of a command that must have succeeded.
    ///
    /// # Errors
    ///
    /// When it did not; the message holds all that it said.
    pub fn success(self) -> Result<Self> {
        if self.succeeded() {
            return Ok(self);
        }
        let ending = match self.code() {
            Some(code) => format!("ended with exit code {code}"),
            // `timeout` ends itself as it ended its command.
            None => format!("was ended by a {}, perhaps at its time limit", self.status),
        };
        bail!(
            "`{}` {ending}\n{}{}",
            self.command,
            self.stdout,
            self.stderr
        )
    }

    /// Standard output without the white space around it.
    #[must_use]
    pub fn text(&self) -> &str {
        self.stdout.trim()
    }

    /// Standard output as JSON.
    ///
    /// # Errors
    ///
    /// When it isn't.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout)
            .with_context(|| format!("`{}` printed no JSON: {}", self.command, self.stdout))
    }
}

/// Variables of the caller's own surroundings that would change what is proved.
fn is_foreign(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("TF_") || name == "HANSE_ENDPOINTS" || name == "HANSE_CREDENTIALS"
}
