//! `hanse guard`: guards the copy of a DR plan's workload.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use hanse_core::name::PlanName;
use hanse_guard::Ended;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::data::DataFolder;
use crate::logging;

/// How a guard ends whose workload runs on without it: its unit is not started again.
const RELEASED: u8 = 75;

const EXAMPLE: &str = "\
Example:
  hanse guard --plan orders

The agent starts the guards of the copies that its node has, or has systemd start them. A guard that
ends, however it ends, takes the workload with it.";

/// Guards the copy of a DR plan's workload.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct Guard {
    /// The agent's folder
    #[arg(long, value_name = "FOLDER", default_value = "/var/lib/hanse")]
    data_dir: PathBuf,
    /// The DR plan
    #[arg(long, value_name = "PLAN")]
    plan: PlanName,
    /// The watchdog that resets the host, for plans whose fencing here is `watchdog`
    #[arg(long, value_name = "DEVICE", default_value = crate::guard::WATCHDOG)]
    watchdog: PathBuf,
}

/// Becomes the keeper of a workload; the guard starts it.
#[derive(Debug, Args)]
pub struct Keeper {
    /// What the guard says
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Guard {
    /// Guards until it is told to stop.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        logging::start(None, "info");
        // The kernel ends the workload with the thread that started it: there is this one alone.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(self.guard())
    }

    async fn guard(self) -> anyhow::Result<ExitCode> {
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
        let folder = DataFolder::new(&self.data_dir);
        let ended = crate::guard::run(&folder, &self.plan, &self.watchdog, stop).await;
        match ended.with_context(|| format!("unable to guard the DR plan `{}`", self.plan))? {
            Ended::Stopped => {
                tracing::info!("stopped; nothing runs");
                Ok(ExitCode::SUCCESS)
            }
            Ended::Released => {
                tracing::info!("the workload runs on without a guard");
                Ok(ExitCode::from(RELEASED))
            }
        }
    }
}

impl Keeper {
    /// Before there are threads.
    pub fn run(&self) -> anyhow::Result<()> {
        ended(hanse_guard::run_keeper(&self.arguments))
    }
}

/// Becomes the workload; the keeper starts it.
pub fn become_workload() -> anyhow::Result<()> {
    ended(hanse_guard::run_stage())
}

fn ended(code: ExitCode) -> anyhow::Result<()> {
    match code == ExitCode::SUCCESS {
        true => Ok(()),
        false => anyhow::bail!("the workload's keeper failed; its guard says why"),
    }
}
