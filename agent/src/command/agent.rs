//! `hanse agent`: runs the agent.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use hanse_dataplane::{Config, Dataplane};
use serde::Deserialize;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::data::{DataFolder, file};
use crate::logging::{self, LogFormat};

const EXAMPLE: &str = "\
Example:
  hanse agent --data-dir /var/lib/hanse";

/// The largest configuration that is read.
const CONFIG_LENGTH_MAX: u64 = 64 << 10;

/// Runs the agent.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct Agent {
    /// The folder that `bootstrap` or `join` made
    #[arg(long, value_name = "FOLDER", required_unless_present = "config")]
    data_dir: Option<PathBuf>,
    /// A file that holds what flags hold, such as /etc/hanse/agent.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How to write logs; by default as text on a terminal, else as JSON
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
}

/// What the configuration file may hold; a flag counts more.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    data_dir: Option<PathBuf>,
    log_format: Option<LogFormat>,
}

impl Agent {
    /// Runs the agent until it is told to stop.
    pub fn start(self, runtime: Runtime) -> anyhow::Result<()> {
        let file = self
            .config
            .as_deref()
            .map_or(Ok(ConfigFile::default()), read_config)?;
        logging::start(self.log_format.or(file.log_format), "info");
        let data_dir = self
            .data_dir
            .or(file.data_dir)
            .context("no data folder is named: add --data-dir, or data_dir in the configuration")?;
        runtime.block_on(serve(DataFolder::new(data_dir)))
    }
}

async fn serve(folder: DataFolder) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let told = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        told.cancel();
    });
    let config = Config::new(folder.path());
    let start = || async {
        let started = Dataplane::start(config).await;
        started.map_err(|error| anyhow::anyhow!(error.sentence()))
    };
    let dataplane = crate::run::run(folder, stop, start).await?;
    if let Some(dataplane) = Arc::into_inner(dataplane) {
        dataplane.shutdown().await;
    }
    Ok(())
}

fn read_config(path: &Path) -> anyhow::Result<ConfigFile> {
    let content = file::read_bounded(path, CONFIG_LENGTH_MAX)
        .with_context(|| format!("unable to read {}", path.display()))?;
    let text =
        String::from_utf8(content).with_context(|| format!("{} is no text", path.display()))?;
    toml::from_str(&text).with_context(|| format!("{} can't be understood", path.display()))
}
