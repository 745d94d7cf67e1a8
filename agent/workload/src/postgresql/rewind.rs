//! An old primary gives up what nobody else has, and keeps it aside for a while.

use std::fs;
use std::path::{Path, PathBuf};

use super::adopt::make_for;
use super::command::words_of;
use super::control::Control;
use super::decide::Source;
use super::kept_aside::{FOLDER, UNFINISHED, size_of};
use super::layout::Server;
use super::lsn::Paging;
use crate::trouble::Trouble;

impl Server {
    /// Whether the data has to go back to where it left the primary's, and can; changes nothing.
    pub(crate) async fn must_rewind(&self, connection: &str) -> Result<bool, Trouble> {
        let words = self.run_rewind(connection, &["--dry-run"]).await?;
        Ok(!words.contains("no rewind required"))
    }

    /// Takes away what the primary doesn't have. Cut off in its midst it leaves nothing usable.
    pub(crate) async fn rewind(&self, connection: &str) -> Result<(), Trouble> {
        self.check_unheld()?;
        self.run_rewind(connection, &[]).await?;
        self.mark_standby()
    }

    async fn run_rewind(&self, connection: &str, arguments: &[&str]) -> Result<String, Trouble> {
        let mut command = self.program("pg_rewind");
        command
            .arg("--target-pgdata")
            .arg(&self.data)
            .arg(format!("--source-server={connection} dbname=postgres"))
            .arg("--no-ensure-shutdown")
            .args(arguments);
        words_of("rewind this copy", &mut command).await
    }

    /// Copies the log since the fork aside; yields its size in bytes and where it is.
    pub(crate) fn keep_divergent(
        &self,
        control: &Control,
        source: &Source,
    ) -> Result<Option<(u64, PathBuf)>, Trouble> {
        let timeline = control.latest_timeline();
        let Some((_, fork)) = source.forks.iter().find(|(number, _)| *number == timeline) else {
            return Ok(None);
        };
        let folder = self.folder()?.join(FOLDER);
        if !folder.is_dir() {
            make_for(self, &folder)?;
        }
        // The same fork is kept once, however often this is begun.
        let name = format!("{}-{timeline}-{fork:X}", control.system);
        let target = folder.join(&name);
        let files = since(&self.data.join("pg_wal"), control.paging, timeline, *fork);
        if target.is_dir() {
            return Ok(Some((size_of(&files), target)));
        }
        let beside = folder.join(format!("{name}.{UNFINISHED}"));
        let _ = fs::remove_dir_all(&beside);
        make_for(self, &beside)?;
        for file in &files {
            let name = file.file_name().unwrap_or_default();
            fs::copy(file, beside.join(name)).map_err(|error| Trouble::io("copy", file, &error))?;
        }
        fs::rename(&beside, &target).map_err(|error| Trouble::io("keep", &target, &error))?;
        Ok(Some((size_of(&files), target)))
    }
}

/// The files of a timeline that have something from a place on.
fn since(log: &Path, paging: Paging, timeline: u32, fork: u64) -> Vec<PathBuf> {
    let first = paging.file_name(timeline, fork);
    let entries = fs::read_dir(log).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.len() == first.len() && name[..8] == first[..8] && *name >= *first
        })
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_begins_with_the_file_of_the_fork() {
        let log = tempfile::tempdir().unwrap();
        let names = [
            "000000010000000000000004",
            "000000010000000000000005",
            "000000010000000000000006",
            "000000020000000000000005",
            "00000002.history",
        ];
        for name in names {
            fs::write(log.path().join(name), "1234").unwrap();
        }
        let paging = Paging {
            page_bytes: 8192,
            segment_bytes: 16 << 20,
        };
        let files = since(log.path(), paging, 1, 0x0510_0000);
        let expected = [log.path().join(names[1]), log.path().join(names[2])];
        assert_eq!(files, expected);
        assert_eq!(size_of(&files), 8);
    }
}
