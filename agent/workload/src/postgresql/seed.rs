//! A copy is made from the primary: beside its place, and moved there once it is whole.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use tokio::io::AsyncReadExt as _;

use super::adopt::make_for;
use super::command::last_of;
use super::layout::Server;
use super::source::Primary;
use crate::file;
use crate::space::check_space;
use crate::trouble::Trouble;

const WORDS_MAX: usize = 8192;

impl Server {
    /// Copies the primary's data, which takes the place of whatever is here. `before`: is called once
    /// all is there, before it takes its place.
    pub(crate) async fn seed(
        &self,
        primary: &Primary,
        connection: &str,
        slot: &str,
        mut progress: impl FnMut(String),
        before: impl FnOnce() -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        self.check_unheld()?;
        self.clear_beside().await?;
        let parent = self.data.parent().unwrap_or(&self.data);
        check_space(parent, primary.size_bytes)?;
        progress("it begins to copy the primary's data".to_owned());
        let beside = self.beside("new")?;
        make_for(self, &beside)?;
        let mut command = self.program("pg_basebackup");
        command
            .arg(format!("--dbname={connection}"))
            .arg("--pgdata")
            .arg(&beside)
            .args([
                "--checkpoint=fast",
                "--wal-method=stream",
                "--progress",
                "--slot",
                slot,
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let failed = |why: &str| Trouble(format!("unable to copy the primary's data: {why}"));
        let mut child = command
            .spawn()
            .map_err(|error| failed(&error.to_string()))?;
        let mut words = String::new();
        if let Some(mut said) = child.stderr.take() {
            let mut piece = [0; 1024];
            while let Ok(length @ 1..) = said.read(&mut piece).await {
                words.push_str(&String::from_utf8_lossy(&piece[..length]));
                if let Some(told) = last_progress(&words) {
                    progress(format!("it copies the primary's data: {told}"));
                }
                while words.len() > WORDS_MAX {
                    words = words.split_off(words.ceil_char_boundary(WORDS_MAX / 2));
                }
            }
        }
        let status = child
            .wait()
            .await
            .map_err(|error| failed(&error.to_string()))?;
        if !status.success() {
            return Err(failed(&last_of(&words)));
        }
        // It never starts as one that writes.
        self.mark_standby_in(&beside)?;
        before()?;
        self.put_in_place(&beside).await
    }

    /// Has the server start as a standby.
    pub(crate) fn mark_standby(&self) -> Result<(), Trouble> {
        self.mark_standby_in(&self.data)
    }

    fn mark_standby_in(&self, data: &Path) -> Result<(), Trouble> {
        let path = data.join("standby.signal");
        file::write_changed(&path, self.own(), b"")
            .and_then(|_| File::open(data)?.sync_all())
            .map_err(|error| Trouble::io("write", &path, &error))
    }
}

/// The last that was told of how much is there: `1234/5678 kB (21%)`.
pub(super) fn last_progress(words: &str) -> Option<String> {
    let (line, _) = words.rsplit_once("%)")?;
    let line = line.rsplit(['\r', '\n']).next()?;
    Some(format!("{}%)", line.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_progress_counts() {
        let words = "waiting\n    1/100 kB (1%), 0/1 tablespace\r   55/100 kB (55%), 0/1 tabl";
        assert_eq!(last_progress(words).unwrap(), "55/100 kB (55%)");
        assert_eq!(last_progress("waiting for checkpoint"), None);
    }
}
