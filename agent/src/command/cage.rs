//! `hanse cage`: keeps the place of a drill or of a restore, where nothing else of this host is changed.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

/// Keeps the place of a drill or of a restore; the agent, or `hanse dr restore`, starts it.
#[derive(Debug, Args)]
pub struct Cage {
    /// What is removed in the end
    folder: PathBuf,
    /// What else is written to, and stays
    others: Vec<PathBuf>,
    /// What runs there reaches others
    #[arg(long)]
    with_network: bool,
}

impl Cage {
    /// Before there are threads.
    #[must_use]
    pub fn run(&self) -> ExitCode {
        let first = ["/proc/self/exe", "cage-first"].map(ToOwned::to_owned);
        hanse_workload::run_cage(&self.folder, &self.others, self.with_network, &first)
    }
}
