//! The folder on this node, and what lies beside it: what is being restored, and what a former primary
//! had alone.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rustix::fs::{AtFlags, RenameFlags, fsync, renameat, renameat_with, statat, syncfs};

use crate::away::away;
use crate::file::{self, Owner};
use crate::folder;
use crate::trouble::Trouble;

/// What is being restored, beside the folder.
const NEW: &str = "new";
/// Begins the name of what a former primary had alone.
const KEPT: &str = "kept-";

/// Where a folder is.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    /// Whose one is that is made here.
    pub(super) owner: Owner,
    /// What copies of it are told from others by.
    pub(super) of: String,
    /// What is of it and not in it, on the same file system.
    pub(super) beside: PathBuf,
}

/// A folder to restore into.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) path: PathBuf,
    pub(super) new: OwnedFd,
}

/// Whose a folder is, and who may what: restic keeps that of what is in it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Root {
    pub(super) mode: u32,
    pub(super) user_id: u32,
    pub(super) group_id: u32,
}

impl Place {
    /// Makes an empty one, where there is none.
    pub(super) fn make(&self) -> Result<(), Trouble> {
        self.check(true)?;
        match folder::make_new(&self.path, self.owner) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(Trouble::io("make", &self.path, &error))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// The folder itself, whatever becomes of its path.
    pub(super) fn open(&self) -> Result<OwnedFd, Trouble> {
        folder::open(&self.path).map_err(|error| Trouble::io("open", &self.path, &error))
    }

    /// Checks that it can be replaced; `is_own`: what is there is a copy of the plan's.
    pub(super) fn check(&self, is_own: bool) -> Result<(), Trouble> {
        let Some(parent) = self.path.parent().filter(|parent| parent.is_dir()) else {
            return Err(Trouble(format!(
                "{} is to be in a folder that is not there: make it, or mount what belongs there",
                self.path.display()
            )));
        };
        let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev());
        match (fs::symlink_metadata(&self.path), device(parent)) {
            (Err(error), _) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            (Err(error), _) | (_, Err(error)) => Err(Trouble::io("read", &self.path, &error)),
            (Ok(metadata), _) if !metadata.is_dir() => Err(Trouble(format!(
                "{} is no folder: name a folder itself, and no link to it",
                self.path.display()
            ))),
            (Ok(metadata), Ok(device)) if metadata.dev() != device => Err(Trouble(format!(
                "{} is where a file system is mounted, and can't be replaced: name a folder within it",
                self.path.display()
            ))),
            (Ok(metadata), Ok(_))
                if !is_own && !self.is_restored(&metadata) && !is_empty(&self.path)? =>
            {
                Err(Trouble(format!(
                    "{} has something in it that is no copy of this plan's: move it away",
                    self.path.display()
                )))
            }
            (Ok(_), Ok(_)) => Ok(()),
        }
    }

    pub(super) fn root(&self) -> Result<Root, Trouble> {
        let metadata = fs::metadata(folder::held(&self.open()?));
        let metadata = metadata.map_err(|error| Trouble::io("read", &self.path, &error))?;
        Ok(Root {
            mode: metadata.mode() & 0o7777,
            user_id: metadata.uid(),
            group_id: metadata.gid(),
        })
    }

    /// An empty folder beside it, to restore into.
    pub(super) async fn make_room(&self) -> Result<Room, Trouble> {
        let path = self.beside.join(NEW);
        let failed = |error: io::Error| Trouble::io("make", &path, &error);
        let beside = folder::make(&self.beside, Owner::own(0o755)).map_err(failed)?;
        remove(&folder::held(&beside).join(NEW)).await?;
        let new = folder::make_new(&path, Owner::own(0o700)).map_err(failed)?;
        Ok(Room { path, new })
    }

    /// Has all that was restored on the disk.
    pub(super) async fn finish(&self, room: Room, root: &Root) -> Result<(), Trouble> {
        let owner = Owner {
            user_id: root.user_id,
            group_id: root.group_id,
            mode: root.mode,
        };
        let (note_path, of) = (self.note_path(), self.of.clone());
        away(move || {
            let finish = || -> io::Result<()> {
                folder::give(&room.new, owner)?;
                syncfs(&room.new)?;
                let note = restored_note(&of, &fs::metadata(folder::held(&room.new))?);
                file::write_atomically(&note_path, Owner::own(0o600), note.as_bytes())
            };
            finish().map_err(|error| Trouble::io("finish", &room.path, &error))
        })
        .await
    }

    /// Puts what was restored in its place. `keeps`: what is there is of that lease, and kept.
    pub(super) async fn replace(&self, keeps: Option<u64>) -> Result<(), Trouble> {
        let failed = |error: io::Error| Trouble::io("replace", &self.path, &error);
        let (parent, name) = folder::parted(&self.path).map_err(failed)?;
        let parent = folder::open(parent).map_err(failed)?;
        let beside = folder::open(&self.beside).map_err(failed)?;
        let is_there = |folder: &OwnedFd, name: &OsStr| {
            statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
        };
        if let Some(epoch) = keeps
            && is_there(&parent, name)
        {
            let kept = format!("{KEPT}{epoch}");
            // What is there was restored since, if an earlier attempt kept it.
            if !is_there(&beside, kept.as_ref()) {
                remove_kept(&folder::held(&beside)).await?;
                let path = self.beside.join(&kept);
                tracing::warn!(kept = %path.display(), "what only this copy had is kept");
                renameat(&parent, name, &beside, &kept).map_err(|error| failed(error.into()))?;
            }
        }
        let flags = match is_there(&parent, name) {
            true => RenameFlags::EXCHANGE,
            false => RenameFlags::empty(),
        };
        renameat_with(&beside, NEW, &parent, name, flags)
            .and_then(|()| fsync(&parent))
            .and_then(|()| fsync(&beside))
            .map_err(|error| failed(error.into()))?;
        remove(&folder::held(&beside).join(NEW)).await
    }

    /// Whether this folder was restored here, even if that was cut off before anybody remembered it.
    fn is_restored(&self, metadata: &fs::Metadata) -> bool {
        let note = folder::read(&self.note_path());
        note.is_ok_and(|note| note == restored_note(&self.of, metadata).into_bytes())
    }

    fn note_path(&self) -> PathBuf {
        self.beside.join("restored")
    }
}

async fn remove_kept(beside: &Path) -> Result<(), Trouble> {
    let entries = fs::read_dir(beside);
    let entries = entries.map_err(|error| Trouble::io("read", beside, &error))?;
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(KEPT) {
            remove(&entry.path()).await?;
        }
    }
    Ok(())
}

/// Names a folder wherever it is moved to, and no later one that gets its number.
fn restored_note(of: &str, folder: &fs::Metadata) -> String {
    let began = folder.created().ok();
    let began = began.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let began_ns = began.unwrap_or_default().as_nanos();
    format!("{} {} {began_ns} {of}\n", folder.dev(), folder.ino())
}

fn is_empty(path: &Path) -> Result<bool, Trouble> {
    let entries = fs::read_dir(path).map_err(|error| Trouble::io("read", path, &error))?;
    Ok(entries.count() == 0)
}

async fn remove(path: &Path) -> Result<(), Trouble> {
    let path = path.to_owned();
    away(move || match fs::remove_dir_all(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Trouble::io("remove", &path, &error))
        }
        Ok(()) | Err(_) => Ok(()),
    })
    .await
}
