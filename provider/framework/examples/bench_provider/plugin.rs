//! One run of a provider, from the spawn on, and what `/proc` says of it.
//!
//! The provider is killed when it is dropped, so that no run leaves a process to the next.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::Result;
use crate::connection::{Identity, Offer};
use crate::wire::Provider;

const COOKIE: (&str, &str) = (
    "TF_PLUGIN_MAGIC_COOKIE",
    "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
);

/// Longer lines are no handshake.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// The variables that set the levels of a provider written in Go, and of ours.
const LOG_KEYS: [&str; 5] = [
    "TF_LOG",
    "TF_LOG_PROVIDER",
    "TF_LOG_SDK",
    "TF_LOG_SDK_FRAMEWORK",
    "TF_LOG_SDK_PROTO",
];

/// What a provider logs to the standard error that Terraform reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Logs {
    /// What it logs when nobody says anything, as Terraform runs it by default.
    Default,
    Off,
}

/// A provider that runs, and how to talk to it.
pub(crate) struct Plugin {
    process: Child,
    spawned: Instant,
    /// From the spawn to the handshake line.
    pub(crate) handshake: Duration,
    pub(crate) provider: Provider,
    _folder: TempDir,
}

/// What the provider weighs, in MiB.
pub(crate) struct Memory {
    pub(crate) resident: f64,
    /// A page that several processes share counts by its share.
    pub(crate) proportional: f64,
    pub(crate) anonymous: f64,
}

impl Plugin {
    pub(crate) async fn start(program: &Path, logs: Logs, identity: &Identity) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut command = command(program, logs, identity, folder.path());
        let spawned = Instant::now();
        let mut process = command.spawn()?;
        let line = handshake_line(&mut process).await?;
        let handshake = spawned.elapsed();
        let offer = Offer::parse(&line)?;
        let channel = offer.connect(identity).await?;
        Ok(Self {
            process,
            spawned,
            handshake,
            provider: Provider::new(channel, offer.protocol),
            _folder: folder,
        })
    }

    /// How long ago it was spawned.
    pub(crate) fn age(&self) -> Duration {
        self.spawned.elapsed()
    }

    pub(crate) fn memory(&self) -> Result<Memory> {
        let rollup = self.proc("smaps_rollup")?;
        Ok(Memory {
            resident: mebibytes(&rollup, "Rss:")?,
            proportional: mebibytes(&rollup, "Pss:")?,
            anonymous: mebibytes(&rollup, "Anonymous:")?,
        })
    }

    /// The processor time of all its threads so far, in ms. Those that have ended are left out, but
    /// none ends within the seconds of a run; in return it is exact, where `utime` and `stime` of
    /// the whole process count in steps of 10 ms.
    pub(crate) fn threads_time_ms(&self) -> Result<f64> {
        let mut sum_ns = 0.0;
        for thread in std::fs::read_dir(self.folder()?.join("task"))? {
            let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            let time = text.split_whitespace().next();
            sum_ns += time.ok_or("/proc tells no time")?.parse::<f64>()?;
        }
        Ok(sum_ns / 1e6)
    }

    pub(crate) async fn kill(mut self) -> Result<()> {
        Ok(self.process.kill().await?)
    }

    fn proc(&self, file: &str) -> Result<String> {
        Ok(std::fs::read_to_string(self.folder()?.join(file))?)
    }

    fn folder(&self) -> Result<std::path::PathBuf> {
        let pid = self.process.id().ok_or("the provider has ended")?;
        Ok(Path::new("/proc").join(pid.to_string()))
    }
}

fn command(program: &Path, logs: Logs, identity: &Identity, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env(COOKIE.0, COOKIE.1)
        .env("PLUGIN_CLIENT_CERT", &identity.pem)
        .env("PLUGIN_PROTOCOL_VERSIONS", "5,6")
        .env("PLUGIN_UNIX_SOCKET_DIR", folder)
        .env("TMPDIR", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    if logs == Logs::Off {
        command.envs(LOG_KEYS.map(|key| (key, "off")));
    }
    command
}

async fn handshake_line(process: &mut Child) -> Result<String> {
    // Lent only: a provider may write on, and must not die of a closed pipe.
    let output = process
        .stdout
        .as_mut()
        .ok_or("the provider has no output")?;
    let mut line = String::new();
    BufReader::new(output.take(LINE_BYTES_MAX))
        .read_line(&mut line)
        .await?;
    Ok(line)
}

fn mebibytes(rollup: &str, field: &str) -> Result<f64> {
    let rest = rollup.lines().find_map(|line| line.strip_prefix(field));
    let number = rest.and_then(|rest| rest.split_whitespace().next());
    let kib: f64 = number
        .ok_or_else(|| format!("/proc names no {field}"))?
        .parse()?;
    Ok(kib / 1024.0)
}
