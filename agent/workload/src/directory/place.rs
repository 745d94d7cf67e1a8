//! The folder on this node, and what lies beside it: what is being restored, and what a former primary
//! had alone.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rustix::fs::{CWD, Mode, OFlags, RenameFlags, open, renameat_with, syncfs};

use crate::file::{self, Owner};
use crate::trouble::Trouble;

/// Where a folder is.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    /// What is of it and not in it, on the same file system.
    pub(super) beside: PathBuf,
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
        match fs::create_dir(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(Trouble::io("make", &self.path, &error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
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
        let metadata = fs::metadata(&self.path);
        let metadata = metadata.map_err(|error| Trouble::io("read", &self.path, &error))?;
        Ok(Root {
            mode: metadata.mode() & 0o7777,
            user_id: metadata.uid(),
            group_id: metadata.gid(),
        })
    }

    /// An empty folder beside it, to restore into.
    pub(super) async fn make_room(&self) -> Result<PathBuf, Trouble> {
        let new = self.beside.join("new");
        remove(&new).await?;
        let made = fs::create_dir_all(&self.beside)
            .and_then(|()| fs::DirBuilder::new().mode(0o700).create(&new));
        made.map_err(|error| Trouble::io("make", &new, &error))?;
        Ok(new)
    }

    /// Has all that was restored on the disk.
    pub(super) async fn finish(&self, new: &Path, root: &Root) -> Result<(), Trouble> {
        let (new, root) = (new.to_owned(), *root);
        let note_path = self.note_path();
        away(move || {
            let finish = || -> io::Result<()> {
                chown(&new, Some(root.user_id), Some(root.group_id))?;
                fs::set_permissions(&new, fs::Permissions::from_mode(root.mode))?;
                let folder = open(&new, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
                syncfs(folder)?;
                let note = restored_note(&fs::metadata(&new)?);
                file::write_atomically(&note_path, Owner::own(0o600), note.as_bytes())
            };
            finish().map_err(|error| Trouble::io("finish", &new, &error))
        })
        .await
    }

    /// Puts what was restored in its place. `keeps`: what is there is of that lease, and kept.
    pub(super) async fn replace(&self, keeps: Option<u64>) -> Result<(), Trouble> {
        let new = self.beside.join("new");
        let trouble = |error: io::Error| Trouble::io("replace", &self.path, &error);
        if let Some(epoch) = keeps
            && self.path.is_dir()
        {
            let kept = self.beside.join(format!("kept-{epoch}"));
            // What is there was restored since, if an earlier attempt kept it.
            if !kept.exists() {
                self.remove_kept().await?;
                tracing::warn!(kept = %kept.display(), "what only this copy had is kept");
                fs::rename(&self.path, &kept).map_err(trouble)?;
            }
        }
        match self.path.exists() {
            true => {
                renameat_with(CWD, &new, CWD, &self.path, RenameFlags::EXCHANGE)
                    .map_err(|error| trouble(error.into()))?;
            }
            false => fs::rename(&new, &self.path).map_err(trouble)?,
        }
        for folder in [self.path.parent(), Some(self.beside.as_path())] {
            let synced = folder.map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all());
            synced.map_err(trouble)?;
        }
        remove(&new).await
    }

    /// Whether this folder was restored here, even if that was cut off before anybody remembered it.
    fn is_restored(&self, folder: &fs::Metadata) -> bool {
        let note = fs::read_to_string(self.note_path());
        note.is_ok_and(|note| note == restored_note(folder))
    }

    fn note_path(&self) -> PathBuf {
        self.beside.join("restored")
    }

    async fn remove_kept(&self) -> Result<(), Trouble> {
        let entries = fs::read_dir(&self.beside);
        let entries = entries.map_err(|error| Trouble::io("read", &self.beside, &error))?;
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with("kept-") {
                remove(&entry.path()).await?;
            }
        }
        Ok(())
    }
}

/// Names a folder wherever it is moved to, and no later one that gets its number.
fn restored_note(folder: &fs::Metadata) -> String {
    let began = folder.created().ok();
    let began = began.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let began_ns = began.unwrap_or_default().as_nanos();
    format!("{} {} {began_ns}\n", folder.dev(), folder.ino())
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

/// Does what takes long on a thread of its own.
pub(super) async fn away<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Trouble> + Send + 'static,
) -> Result<T, Trouble> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Trouble(format!("work on files was ended: {error}"))),
    }
}
