//! restic, as this crate calls it.
//!
//! Nothing that is needed for a failover takes the repository for itself alone, and what only reads
//! takes no lock: neither a standby that restores nor one that died keeps a primary from its backup.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hanse_core::name::PlanName;
use hanse_core::object::dr_plan::{Directory, Keep};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::place::Root;
use crate::call::{Called, Calling, OUTPUT_MAX, Runs};
use crate::environment::variables;
use crate::setup::Setup;
use crate::trouble::Trouble;

/// What only asks may take so long.
const ASK_MAX: Duration = Duration::from_secs(60);
/// What copies data may take so long; another duty ends it sooner.
const COPY_MAX: Duration = Duration::from_secs(24 * 3600);
/// What no snapshot needs any more is taken out of the repository so often.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);
/// All copies count as one host: a promoted one goes on where the other was.
const HOST: &str = "hanse";

/// Stands for a snapshot of nothing.
const EMPTY: &str = "empty";

/// A repository, as one plan uses it.
pub(super) struct Restic {
    plan: PlanName,
    repository: String,
    exclude: Vec<String>,
    environment: BTreeMap<String, String>,
    pruned: PathBuf,
    finished: PathBuf,
    /// What starts it; nothing: nobody.
    starter: Vec<String>,
}

/// A snapshot that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) id: String,
    /// What is in it, by its content.
    pub(super) tree: String,
    pub(super) epoch: u64,
    pub(super) offset_bytes: u64,
    pub(super) root: Root,
}

/// A snapshot that nobody may restore yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Begun {
    id: String,
    pub(super) tree: String,
    /// What was new to the repository.
    pub(super) added_bytes: u64,
}

#[derive(Deserialize)]
struct Summary {
    message_type: String,
    #[serde(default)]
    snapshot_id: String,
    #[serde(default)]
    data_added: u64,
}

#[derive(Deserialize)]
struct Size {
    total_size: u64,
}

#[derive(Deserialize)]
struct Told {
    id: String,
    tree: String,
    #[serde(default)]
    tags: Vec<String>,
}

impl Snapshot {
    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.id == EMPTY
    }
}

impl Restic {
    pub(super) fn find(
        setup: &Setup,
        plan: &PlanName,
        directory: &Directory,
    ) -> Result<Self, Trouble> {
        let mut environment = match &directory.environment_file {
            None => BTreeMap::new(),
            Some(path) => variables(Path::new(path))?,
        };
        let cache = setup.memory.join("restic-cache");
        environment.extend(
            [
                ("RESTIC_REPOSITORY", directory.repository.clone()),
                ("RESTIC_PASSWORD_FILE", directory.password_file.clone()),
                ("RESTIC_CACHE_DIR", cache.display().to_string()),
                ("HOME", "/root".to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        Ok(Self {
            plan: plan.clone(),
            repository: directory.repository.clone(),
            exclude: directory.exclude.clone(),
            environment,
            pruned: setup.memory.join("pruned"),
            finished: setup.memory.join("finished"),
            starter: Vec::new(),
        })
    }

    /// The same, started by another program.
    pub(super) fn started_by(mut self, starter: Vec<String>) -> Self {
        self.starter = starter;
        self
    }

    /// The tag of what says that one of the plan's snapshots is whole.
    pub(super) fn tag(&self) -> String {
        format!("hanse-plan={}", self.plan)
    }

    /// The tag of all of the plan's snapshots, whole or not.
    fn data_tag(&self) -> String {
        format!("hanse-data={}", self.plan)
    }

    /// Makes the repository, where there is none.
    pub(super) async fn make(&self) -> Result<(), Trouble> {
        let asked = self.try_ask("open the repository", &["cat", "--no-lock", "config"]);
        let (called, failed) = asked.await?;
        if called.is_well() {
            return Ok(());
        }
        // The only words by which every version tells this from a wrong password.
        match called
            .words()
            .contains("Is there a repository at the following")
        {
            true => self.ask("make the repository", &["init"]).await.map(|_| ()),
            false => Err(failed),
        }
    }

    /// The plan's snapshots that are whole.
    pub(super) async fn snapshots(&self) -> Result<Vec<Snapshot>, Trouble> {
        let told = self.told(&["--tag", &self.tag()]).await?;
        Ok(told.iter().filter_map(snapshot).collect())
    }

    /// Puts a folder into the repository, as a snapshot that nobody restores yet.
    /// `held`: where it is, whatever becomes of its path.
    pub(super) async fn back_up(&self, folder: &Path, held: &Path) -> Result<Begun, Trouble> {
        // One that was killed on this node left a lock, which would keep this one out.
        self.ask("clear old locks", &["unlock"]).await?;
        let tag = self.data_tag();
        let mut arguments = vec!["backup", "--json", "--host", HOST, "--tag", &tag];
        for pattern in &self.exclude {
            arguments.extend(["--exclude", pattern.as_str()]);
        }
        arguments.push(".");
        let what = format!("back up {}", folder.display());
        let printed = match self.call(&what, &arguments, COPY_MAX, held).await {
            Ok(printed) => printed,
            // restic keeps no folder in which there is nothing, so what says that it is whole says that.
            Err(trouble) if trouble.0.contains("snapshot is empty") => {
                return Ok(Begun {
                    id: EMPTY.to_owned(),
                    tree: EMPTY.to_owned(),
                    added_bytes: 0,
                });
            }
            Err(trouble) => return Err(trouble),
        };
        let lines = printed.split(|byte| *byte == b'\n');
        let mut summaries = lines.filter_map(|line| serde_json::from_slice::<Summary>(line).ok());
        let summary = summaries.find(|summary| summary.message_type == "summary");
        let unknown = || {
            Trouble(format!(
                "unable to {what}: restic does not tell what it did"
            ))
        };
        let summary = summary.ok_or_else(unknown)?;
        let told = self.told(&[&summary.snapshot_id]).await?;
        let told = told.into_iter().next().ok_or_else(unknown)?;
        Ok(Begun {
            id: told.id,
            tree: told.tree,
            added_bytes: summary.data_added,
        })
    }

    /// Says how far the folder was in a snapshot; from here on it is restored. What says so is a
    /// snapshot of a few words with tags: to change those of another, nobody else could restore meanwhile.
    pub(super) async fn finish(
        &self,
        begun: &Begun,
        epoch: u64,
        offset_bytes: u64,
        root: Root,
    ) -> Result<(), Trouble> {
        let tags = [
            self.tag(),
            format!("hanse-epoch={epoch}"),
            format!("hanse-offset={offset_bytes}"),
            format!(
                "hanse-root={:o}:{}:{}",
                root.mode, root.user_id, root.group_id
            ),
            format!("hanse-of={}", begun.id),
            format!("hanse-tree={}", begun.tree),
        ];
        let tags = tags.join(",");
        // restic keeps no file of nothing either.
        fs::write(&self.finished, &tags)
            .map_err(|error| Trouble::io("write", &self.finished, &error))?;
        let path = self.finished.display().to_string();
        let arguments = ["backup", "--host", HOST, "--tag", &tags, &path];
        self.ask("finish a snapshot", &arguments).await.map(|_| ())
    }

    pub(super) async fn restore(&self, snapshot: &Snapshot, into: &Path) -> Result<(), Trouble> {
        let target = into.display().to_string();
        let arguments = [
            "restore",
            "--no-lock",
            "--verify",
            "--target",
            &target,
            &snapshot.id,
        ];
        let what = format!("restore snapshot {}", snapshot.id);
        let restored = self.call(&what, &arguments, COPY_MAX, Path::new("/"));
        restored.await.map(|_| ())
    }

    /// Sends what is in a snapshot, a line of JSON for each entry.
    pub(super) async fn list(
        &self,
        snapshot: &Snapshot,
        sender: mpsc::Sender<Vec<u8>>,
    ) -> Result<(), Trouble> {
        let what = format!("list snapshot {}", snapshot.id);
        let command = self.command(&["ls", "--no-lock", "--json", &snapshot.id]);
        let calling = self.calling(&what, &command, COPY_MAX, Path::new("/"));
        calling.call_into(sender).await
    }

    /// How many bytes a snapshot has once it is restored.
    pub(super) async fn size_of(&self, snapshot: &Snapshot) -> Result<u64, Trouble> {
        let what = format!("measure snapshot {}", snapshot.id);
        let mode = "--mode=restore-size";
        let arguments = ["stats", "--no-lock", "--json", mode, &snapshot.id];
        let printed = self
            .call(&what, &arguments, COPY_MAX, Path::new("/"))
            .await?;
        let size: Size = serde_json::from_slice(&printed).map_err(|error| {
            Trouble(format!(
                "unable to {what} of {}: restic answers in words that are not known ({error})",
                self.repository
            ))
        })?;
        Ok(size.total_size)
    }

    /// Takes out what is not to stay.
    pub(super) async fn tidy(&self, keep: &Keep) -> Result<(), Trouble> {
        let numbers = [
            ("--keep-last", keep.last.max(1)),
            ("--keep-hourly", keep.hourly),
            ("--keep-daily", keep.daily),
            ("--keep-weekly", keep.weekly),
        ];
        let numbers = numbers.map(|(name, number)| (name, number.to_string()));
        for tag in [self.tag(), self.data_tag()] {
            let mut arguments = vec!["forget", "--tag", &tag, "--group-by", ""];
            for (name, number) in numbers.iter().filter(|(_, number)| number != "0") {
                arguments.extend([name, number.as_str()]);
            }
            self.ask("forget old snapshots", &arguments).await?;
        }
        let age = fs::metadata(&self.pruned).and_then(|it| it.modified());
        let age = age.map(|at| SystemTime::now().duration_since(at).unwrap_or_default());
        if age.is_ok_and(|age| age < PRUNE_EVERY) {
            return Ok(());
        }
        let what = "prune the repository";
        self.call(what, &["prune"], COPY_MAX, Path::new("/"))
            .await?;
        fs::write(&self.pruned, "").map_err(|error| Trouble::io("write", &self.pruned, &error))
    }

    async fn told(&self, arguments: &[&str]) -> Result<Vec<Told>, Trouble> {
        let what = "list the snapshots";
        let arguments = [&["snapshots", "--no-lock", "--json"], arguments].concat();
        let printed = self.ask(what, &arguments).await?;
        let told: Option<Vec<Told>> = serde_json::from_slice(&printed).map_err(|error| {
            Trouble(format!(
                "unable to {what} of {}: restic answers in words that are not known ({error})",
                self.repository
            ))
        })?;
        Ok(told.unwrap_or_default())
    }

    async fn ask(&self, what: &str, arguments: &[&str]) -> Result<Vec<u8>, Trouble> {
        self.call(what, arguments, ASK_MAX, Path::new("/")).await
    }

    async fn try_ask(&self, what: &str, arguments: &[&str]) -> Result<(Called, Trouble), Trouble> {
        let command = self.command(arguments);
        let calling = self.calling(what, &command, ASK_MAX, Path::new("/"));
        let called = calling.try_call().await?;
        let failed = calling.failed(&called);
        Ok((called, failed))
    }

    async fn call(
        &self,
        what: &str,
        arguments: &[&str],
        limit: Duration,
        folder: &Path,
    ) -> Result<Vec<u8>, Trouble> {
        let command = self.command(arguments);
        let calling = self.calling(what, &command, limit, folder);
        calling.ask(OUTPUT_MAX).await
    }

    fn command(&self, arguments: &[&str]) -> Vec<String> {
        let words = ["restic", "--quiet"].iter().chain(arguments);
        let words = words.map(|word| (*word).to_owned());
        self.starter.iter().cloned().chain(words).collect()
    }

    fn calling<'a>(
        &self,
        what: &'a str,
        command: &'a [String],
        limit: Duration,
        folder: &'a Path,
    ) -> Calling<'a> {
        Calling {
            what,
            command,
            limit,
            runs: Runs::Here,
            environment: self.environment.clone(),
            folder: Some(folder),
            install: Some("restic"),
        }
    }
}

/// A snapshot by its tags; none: it is not whole, or is somebody else's.
fn snapshot(told: &Told) -> Option<Snapshot> {
    let tag = |name: &str| {
        let mut values = told.tags.iter().filter_map(|tag| tag.strip_prefix(name));
        values.next()
    };
    let mut root = tag("hanse-root=")?.split(':');
    let root = Root {
        mode: u32::from_str_radix(root.next()?, 8).ok()? & 0o7777,
        user_id: root.next()?.parse().ok()?,
        group_id: root.next()?.parse().ok()?,
    };
    Some(Snapshot {
        epoch: tag("hanse-epoch=")?.parse().ok()?,
        offset_bytes: tag("hanse-offset=")?.parse().ok()?,
        root,
        id: tag("hanse-of=")?.to_owned(),
        tree: tag("hanse-tree=")?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(tags: &[&str]) -> Option<Snapshot> {
        snapshot(&Told {
            id: "1".to_owned(),
            tree: "2".to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        })
    }

    #[test]
    fn a_snapshot_that_lacks_a_tag_is_none() {
        let all = [
            "hanse-epoch=3",
            "hanse-offset=7",
            "hanse-root=750:1:2",
            "hanse-of=ab",
            "hanse-tree=cd",
        ];
        let whole = told(&all).unwrap();
        assert_eq!((whole.epoch, whole.offset_bytes), (3, 7));
        assert_eq!((whole.id.as_str(), whole.tree.as_str()), ("ab", "cd"));
        assert_eq!(whole.root.mode, 0o750);
        for lacks in 0..all.len() {
            let mut some = all.to_vec();
            some.remove(lacks);
            assert_eq!(told(&some), None);
        }
        assert_eq!(
            told(&["hanse-epoch=x", all[1], all[2], all[3], all[4]]),
            None
        );
    }
}
