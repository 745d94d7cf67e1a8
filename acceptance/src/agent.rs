//! The agent `hanse` on a host: enrolled once, then started, killed and started again.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::binaries;
use crate::laboratory::{Host, Invocation, Laboratory, Output, Process, last_lines};
use crate::operator::Operator;
use crate::wait::wait_until_true;

/// The API's port on voters in the laboratory.
pub const API_PORT: u16 = 7443;

/// How long an agent may take to end by itself.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a voter that was removed may take to notice.
const RETIRED_TIMEOUT: Duration = Duration::from_secs(60);

/// How much of its log an agent's failure tells; the whole stays in the laboratory's folder.
const STORY_LINES_MAX: usize = 30;

/// An enrolled node; its process is killed when dropped, its mesh is not.
#[derive(Debug)]
pub struct Agent<'l> {
    host: &'l Host,
    node: String,
    program: PathBuf,
    environment: Vec<(String, OsString)>,
    process: Option<Process>,
}

impl<'l> Agent<'l> {
    /// Founds `federation` on the host, whose node is called as the host is; the returned operator
    /// holds the first credentials. Nothing runs yet.
    ///
    /// # Errors
    ///
    /// When `hanse bootstrap` fails.
    pub fn bootstrap(
        laboratory: &'l Laboratory,
        host: &'l Host,
        federation: &str,
        member_cluster: &str,
    ) -> Result<(Self, Operator<'l>)> {
        Self::bootstrap_with(
            laboratory,
            host,
            federation,
            member_cluster,
            binaries::hanse()?,
        )
    }

    /// The same with another version of the program, for whatever is started later too.
    ///
    /// # Errors
    ///
    /// When `hanse bootstrap` fails.
    pub fn bootstrap_with(
        laboratory: &'l Laboratory,
        host: &'l Host,
        federation: &str,
        member_cluster: &str,
        program: PathBuf,
    ) -> Result<(Self, Operator<'l>)> {
        let agent = Self {
            host,
            node: host.name().to_owned(),
            program,
            environment: Vec::new(),
            process: None,
        };
        let address = format!("{}:{API_PORT}", host.ipv4());
        let credentials = laboratory.folder().join(format!("{}.pem", host.name()));
        agent
            .run(
                Invocation::new(&agent.program)
                    .args([
                        "bootstrap",
                        "--federation",
                        federation,
                        "--cluster",
                        member_cluster,
                    ])
                    .args(["--node", &agent.node, "--listen", &address])
                    .arg("--data-dir")
                    .arg(agent.data_dir())
                    .arg("--credentials-out")
                    .arg(&credentials),
            )?
            .success()
            .context("unable to bootstrap the federation")?;
        Ok((agent, Operator::new(laboratory, &address, &credentials)))
    }

    /// Makes a new federation of the backup on the host, whose node is called as the host is. The
    /// returned operator holds the first credentials. Nothing runs yet.
    ///
    /// # Errors
    ///
    /// When `hanse restore` fails.
    pub fn restore(
        laboratory: &'l Laboratory,
        host: &'l Host,
        backup: &Path,
        arguments: &[&str],
    ) -> Result<(Self, Operator<'l>)> {
        let agent = Self {
            host,
            node: host.name().to_owned(),
            program: binaries::hanse()?,
            environment: Vec::new(),
            process: None,
        };
        let address = format!("{}:{API_PORT}", host.ipv4());
        let credentials = laboratory
            .folder()
            .join(format!("restored-{}.pem", host.name()));
        agent
            .run(
                Invocation::new(&agent.program)
                    .arg("restore")
                    .arg(backup)
                    .args(["--node", &agent.node, "--listen", &address])
                    .arg("--data-dir")
                    .arg(agent.data_dir())
                    .arg("--credentials-out")
                    .arg(&credentials)
                    .args(arguments.iter().copied()),
            )?
            .success()
            .context("unable to restore the federation")?;
        Ok((agent, Operator::new(laboratory, &address, &credentials)))
    }

    /// Enrols the node anew, on the folder that it has.
    ///
    /// # Errors
    ///
    /// When `hanse join` can't be started; how it ended is in the output.
    pub fn rejoin(&self, token: &str) -> Result<Output> {
        self.run(
            Invocation::new(binaries::hanse()?)
                .args(["join", "--token", token, "--data-dir"])
                .arg(self.data_dir()),
        )
    }

    /// Enrols the host with `token`; the node is called as the host is. Nothing runs yet.
    ///
    /// # Errors
    ///
    /// When `hanse join` fails.
    pub fn join(host: &'l Host, token: &str) -> Result<Self> {
        Self::join_with(host, token, Vec::new())
    }

    /// Waits until nothing of the federation's state is on the host.
    ///
    /// # Errors
    ///
    /// When it stays.
    pub fn wait_until_follower(&self) -> Result<()> {
        wait_until_true("the voter becomes a follower", RETIRED_TIMEOUT, || {
            let state = self.data_dir().join("state.redb");
            Ok(!state.exists())
        })
    }

    /// The same, with `environment` for this and whatever is started later.
    ///
    /// # Errors
    ///
    /// When `hanse join` fails.
    pub fn join_with(
        host: &'l Host,
        token: &str,
        environment: Vec<(String, OsString)>,
    ) -> Result<Self> {
        Self::join_as(host, token, environment, &[], binaries::hanse()?)
    }

    /// Enrols the host as one more voter. Nothing runs yet.
    ///
    /// # Errors
    ///
    /// When `hanse join` fails.
    pub fn join_voter(host: &'l Host, token: &str) -> Result<Self> {
        Self::join_voter_with(host, token, binaries::hanse()?)
    }

    /// The same with another version of the program, for whatever is started later too.
    ///
    /// # Errors
    ///
    /// When `hanse join` fails.
    pub fn join_voter_with(host: &'l Host, token: &str, program: PathBuf) -> Result<Self> {
        let address = format!("{}:{API_PORT}", host.ipv4());
        let arguments = ["--voter", "--listen", &address];
        Self::join_as(host, token, Vec::new(), &arguments, program)
    }

    fn join_as(
        host: &'l Host,
        token: &str,
        environment: Vec<(String, OsString)>,
        arguments: &[&str],
        program: PathBuf,
    ) -> Result<Self> {
        let agent = Self {
            host,
            node: host.name().to_owned(),
            program,
            environment,
            process: None,
        };
        agent
            .run(
                Invocation::new(&agent.program)
                    .args([
                        "join",
                        "--token",
                        token,
                        "--node",
                        &agent.node,
                        "--data-dir",
                    ])
                    .arg(agent.data_dir())
                    .args(arguments.iter().copied()),
            )?
            .success()
            .with_context(|| format!("unable to enrol {}", agent.node))?;
        Ok(agent)
    }

    /// Gives whatever is started from now on this environment.
    pub fn set_environment(&mut self, environment: Vec<(String, OsString)>) {
        self.environment = environment;
    }

    /// Has another version of the program run from the next start on.
    pub fn set_program(&mut self, program: PathBuf) {
        self.program = program;
    }

    /// Starts the agent; a running one is killed first.
    ///
    /// # Errors
    ///
    /// When it can't be started.
    pub fn start(&mut self) -> Result<()> {
        self.kill()?;
        let invocation = Invocation::new(&self.program)
            .args(["agent", "--data-dir"])
            .arg(self.data_dir());
        self.process = Some(self.host.spawn("agent", self.equip(invocation))?);
        Ok(())
    }

    /// Kills the agent as `kill -9` does.
    ///
    /// # Errors
    ///
    /// When it can't be killed.
    pub fn kill(&mut self) -> Result<()> {
        match self.process.take() {
            Some(mut process) => process.kill().map(|_| ()),
            None => Ok(()),
        }
    }

    /// Asks the agent to end, and waits for it.
    ///
    /// # Errors
    ///
    /// When it does not run, or does not end.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.stop_and_tell().map(|(status, _)| status)
    }

    /// The same, and what its log says.
    ///
    /// # Errors
    ///
    /// When it doesn't run, or does not end.
    pub fn stop_and_tell(&mut self) -> Result<(ExitStatus, String)> {
        let mut process = self.process.take().context("the agent does not run")?;
        process.terminate()?;
        Ok((process.wait(STOP_TIMEOUT)?, process.log()?))
    }

    /// Waits until the federation calls this node live.
    ///
    /// # Errors
    ///
    /// When it does not for a minute; the message holds the agent's log.
    pub fn wait_until_live(&self, operator: &Operator) -> Result<()> {
        operator
            .wait_until_live(&self.node)
            .with_context(|| self.story())
    }

    /// Waits until this voter answers.
    ///
    /// # Errors
    ///
    /// When it does not for a minute; the message holds the agent's log.
    pub fn wait_until_answered(&self, operator: &Operator) -> Result<()> {
        operator.wait_until_answered().with_context(|| self.story())
    }

    /// Runs `hanse` on the node, as an administrator who logged in there would.
    ///
    /// # Errors
    ///
    /// When it can't be started; how it ended is in the output.
    pub fn hanse<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result<Output> {
        self.run(Invocation::new(&self.program).args(arguments))
    }

    /// The agent's process, while it runs.
    pub fn process(&mut self) -> Option<&mut Process> {
        self.process.as_mut()
    }

    /// The node's name.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The host that it runs on.
    #[must_use]
    pub fn host(&self) -> &'l Host {
        self.host
    }

    /// The agent's data folder.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.host.data_dir().join("hanse")
    }

    fn equip(&self, invocation: Invocation) -> Invocation {
        let environment = self.environment.iter();
        environment.fold(invocation, |invocation, (name, value)| {
            invocation.env(name, value)
        })
    }

    fn run(&self, invocation: Invocation) -> Result<Output> {
        self.host.exec(self.equip(invocation))
    }

    fn story(&self) -> String {
        let log = self.process.as_ref().and_then(|process| process.log().ok());
        let log = log.unwrap_or_else(|| "(it does not run)".to_owned());
        let last = last_lines(&log, STORY_LINES_MAX);
        format!("the agent on {} said last:\n{last}", self.host.name())
    }
}
