//! A folder, kept in a repository of restic's: the primary puts it there, and standbys restore from it
//! beside their own and exchange the two.
//!
//! How far a copy is counts the bytes that were new to the repository, over all snapshots, and is a tag
//! of each: it grows with every change whatever the clocks of the sites say, goes on where a promoted
//! copy was, and a difference of two is about what a standby lacks in bytes, which is what
//! `max_lag_on_failover` bounds.
//!
//! Never: a snapshot that was not finished is restored; a folder that is no copy of the plan's is
//! replaced; what a former primary had alone is deleted before the next such.

mod place;
mod practise;
mod restic;
mod tree;

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use hanse_core::dr::duty::CopyPlan;
use hanse_core::object::dr_plan::{Directory, Workload};

pub(crate) use self::practise::practise;
use crate::file::Owner;
use crate::folder;
use crate::plain::{Of, Received, Situation, Works, Writer, user};
use crate::setup::Setup;
use crate::space::check_space;
use crate::trouble::Trouble;

use self::place::Place;
use self::restic::{Restic, Snapshot};
use self::tree::List;

/// A folder of one plan on this node.
pub(crate) struct Folder {
    directory: Directory,
    place: Place,
    restic: Restic,
    /// Where a snapshot's list is while that is restored.
    list: PathBuf,
    writer: Option<Writer>,
}

#[async_trait]
impl Works for Folder {
    fn find(setup: &Setup, plan: &CopyPlan) -> Result<Self, Trouble> {
        let Workload::Directory(directory) = &plan.workload else {
            return Err(Trouble(format!(
                "the DR plan `{}` protected a folder, and protects something else now: declare a plan \
                 of another name for it",
                plan.plan
            )));
        };
        let writer = match &directory.run {
            None => None,
            Some(run) => Some(Writer {
                command: run.command.clone(),
                stop_max: run.timeout.value(),
                user: user(directory.user.as_deref().unwrap_or("root"))?,
            }),
        };
        Ok(Self {
            directory: directory.clone(),
            place: Place {
                path: PathBuf::from(&directory.path),
                owner: owner(writer.as_ref()),
                of: format!("{} {}", plan.plan, directory.repository),
                beside: setup.folder.clone(),
            },
            restic: Restic::find(setup, &plan.plan, directory)?,
            list: setup.memory.join("list"),
            writer,
        })
    }

    fn of(&self) -> Of {
        Of {
            path: self.directory.path.clone(),
            repository: self.directory.repository.clone(),
        }
    }

    fn writer(&self) -> Option<&Writer> {
        self.writer.as_ref()
    }

    fn interval(&self) -> Duration {
        self.directory.interval.value()
    }

    async fn prepare(&self, _: &Situation<'_>) -> Result<(), Trouble> {
        self.place.make()?;
        self.restic.make().await?;
        match self.restic.snapshots().await?.is_empty() {
            true => Ok(()),
            // The leases that those were made under are another federation's.
            false => Err(Trouble(format!(
                "{} has snapshots already of a DR plan of this name: take another repository, \
                 or give the plan another name",
                self.directory.repository
            ))),
        }
    }

    async fn receive(&self, at: &Situation<'_>) -> Result<Received, Trouble> {
        let memory = at.memory;
        self.place.check(memory.is_whole)?;
        let snapshots = self.restic.snapshots().await?;
        let of_lease = snapshots.into_iter().filter(|it| it.epoch == at.epoch());
        let Some(newest) = of_lease.max_by_key(|it| it.offset_bytes) else {
            return Err(Trouble(format!(
                "{} has no snapshot that was made under lease {} yet",
                self.directory.repository,
                at.epoch()
            )));
        };
        let received = Received {
            branch: newest.epoch,
            offset_bytes: newest.offset_bytes,
        };
        let has_it = memory.is_whole
            && !memory.may_diverge
            && (memory.branch, memory.offset_bytes) == (newest.epoch, newest.offset_bytes);
        if !has_it || !self.place.path.is_dir() {
            self.restore(&newest).await?;
            let keeps = memory.may_diverge.then_some(memory.epoch);
            self.place.replace(keeps).await?;
        }
        Ok(received)
    }

    async fn publish(&self, at: &Situation<'_>) -> Result<u64, Trouble> {
        let earlier = self.restic.snapshots().await?;
        let own = earlier.into_iter().filter(|it| it.epoch == at.memory.epoch);
        let latest = own.max_by_key(|it| it.offset_bytes);
        let held = self.place.open()?;
        let path = &self.place.path;
        let begun = self.restic.back_up(path, &folder::held(&held)).await?;
        let known = latest.as_ref().map_or(0, |it| it.offset_bytes);
        let known = known.max(at.memory.offset_bytes);
        let offset_bytes = match latest.is_some_and(|it| it.tree == begun.tree) {
            true => known,
            // What was only deleted adds nothing, and is a change.
            false => known.saturating_add(begun.added_bytes).saturating_add(1),
        };
        let root = self.place.root()?;
        let finished = self
            .restic
            .finish(&begun, at.memory.epoch, offset_bytes, root);
        finished.await?;
        if let Err(trouble) = self.restic.tidy(&self.directory.keep()).await {
            tracing::warn!(%trouble, "old snapshots stay for now");
        }
        Ok(offset_bytes)
    }

    async fn measure(&self, at: &Situation<'_>) -> Result<u64, Trouble> {
        self.place.check(true)?;
        Ok(at.memory.offset_bytes)
    }

    async fn promote(&self, _: &Situation<'_>) -> Result<(), Trouble> {
        match self.place.path.is_dir() {
            true => Ok(()),
            false => Err(Trouble(format!(
                "this copy is to lead and {} is no folder: bring it back",
                self.place.path.display()
            ))),
        }
    }

    /// What wrote has ended with its guard, and nothing reaches a folder but by its keeper.
    async fn demote(&self, _: &Situation<'_>) -> Result<(), Trouble> {
        Ok(())
    }
}

/// Whose a folder is that is made here: that of what writes to it. Others get there, as to any.
fn owner(writer: Option<&Writer>) -> Owner {
    let mut owner = Owner::own(0o755);
    if let Some(writer) = writer {
        (owner.user_id, owner.group_id) = (writer.user.id, writer.user.group_id);
    }
    owner
}

impl Folder {
    /// Restores a snapshot beside the folder: restic compares each file with what the repository has,
    /// and then all names, kinds and sizes are compared with the snapshot's list.
    async fn restore(&self, snapshot: &Snapshot) -> Result<(), Trouble> {
        let room = self.place.make_room().await?;
        let new = folder::held(&room.new);
        let list = List::keep(&self.restic, snapshot, &self.list).await?;
        let list = list.ok_or_else(|| {
            Trouble(format!(
                "snapshot {} was forgotten meanwhile: the next one is taken",
                snapshot.id
            ))
        })?;
        if !snapshot.is_empty() {
            check_space(&new, self.restic.size_of(snapshot).await?)?;
            self.restic.restore(snapshot, &new).await?;
        }
        if let Some(difference) = list.difference(&new).await? {
            return Err(Trouble(format!(
                "what was restored into {} is not snapshot {}: {difference}; run `restic check`",
                room.path.display(),
                snapshot.id
            )));
        }
        self.place.finish(room, &snapshot.root).await
    }
}
