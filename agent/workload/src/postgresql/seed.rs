//! A copy is made from the primary: beside its place, and moved there once it is whole.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use super::adopt::make_for;
use super::basebackup::attend;
use super::layout::Server;
use super::source::Primary;
use crate::file;
use crate::space::check_space;
use crate::trouble::Trouble;

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
        self.check_version(primary.version).await?;
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
        let tell = |told| progress(format!("it copies the primary's data: {told}"));
        attend(&mut command, tell)
            .await
            .map_err(|why| Trouble(format!("unable to copy the primary's data: {why}")))?;
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
