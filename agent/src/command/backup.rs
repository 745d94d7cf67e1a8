//! `hanse backup`: writes the replicated state into a file that the federation signed.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use super::connection::Connection;
use super::output;
use crate::data::file::{self, MODE_SECRET};
use crate::identity::Backup;
use crate::identity::backup;

const EXAMPLE: &str = "\
Keep the fingerprint that it prints elsewhere: `hanse restore --expect` proves with it who signed.

Example:
  hanse backup acme-2026-11-21.hanse
  hanse backup - | ssh vault 'cat > acme.hanse'";

/// Writes the federation's state into a signed file.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct BackupCommand {
    /// Where to write it; `-` is standard output
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace a file that is there already
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    connection: Connection,
}

impl BackupCommand {
    /// Runs the command.
    pub async fn run(self) -> anyhow::Result<()> {
        let is_stdout = self.file.as_os_str() == "-";
        if !is_stdout && !self.force {
            refuse_existing(&self.file)?;
        }
        let client = self.connection.open().await?;
        let bytes = client
            .backup(backup::LENGTH_MAX)
            .await
            .context("unable to make a backup")?;
        // What can't be restored is no backup: better to know it now.
        let read = Backup::read(&bytes).context("the backup that came can't be used")?;
        if is_stdout {
            let mut stdout = std::io::stdout().lock();
            stdout
                .write_all(&bytes)
                .and_then(|()| stdout.flush())
                .context("unable to print the backup")?;
        } else {
            file::write_beside_others(&self.file, MODE_SECRET, &bytes)
                .with_context(|| format!("unable to write {}", self.file.display()))?;
        }
        let name = if is_stdout {
            "The backup".to_owned()
        } else {
            self.file.display().to_string()
        };
        output::progress(&format!(
            "{name} holds {read}. It was signed by the authority\n    {}",
            read.authority()
        ));
        Ok(())
    }
}

/// Nobody's file is overwritten by mistake.
pub(super) fn refuse_existing(path: &Path) -> anyhow::Result<()> {
    if std::fs::symlink_metadata(path).is_ok() {
        anyhow::bail!(
            "{} is there already: choose another name, or add --force to replace it",
            path.display()
        );
    }
    Ok(())
}
