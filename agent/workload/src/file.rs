//! Files that are either as before or as after, whatever instant the power fails at.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, fsync, openat, renameat, unlinkat};
use rustix::io::Errno;

use crate::folder;

/// Whose a file is, and who reads it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner {
    pub(crate) user_id: u32,
    pub(crate) group_id: u32,
    pub(crate) mode: u32,
}

impl Owner {
    /// This process's own.
    pub(crate) fn own(mode: u32) -> Self {
        Self {
            user_id: rustix::process::getuid().as_raw(),
            group_id: rustix::process::getgid().as_raw(),
            mode,
        }
    }
}

/// Writes a file in one step: beside it, synced, renamed, its folder synced. No link leads it elsewhere.
pub(crate) fn write_atomically(path: &Path, owner: Owner, content: &[u8]) -> io::Result<()> {
    let (parent, name) = folder::parted(path)?;
    let mut beside = name.to_owned();
    beside.push(".hanse-new");
    let parent = folder::open(parent)?;
    match unlinkat(&parent, &beside, AtFlags::empty()) {
        Err(Errno::NOENT) | Ok(()) => {}
        Err(error) => return Err(error.into()),
    }
    let private = Mode::RUSR | Mode::WUSR;
    let file = openat(&parent, &beside, folder::creating(), private)?;
    folder::give(&file, owner)?;
    let mut file = File::from(file);
    file.write_all(content)?;
    file.sync_all()?;
    renameat(&parent, &beside, &parent, name)?;
    Ok(fsync(&parent)?)
}

/// The same, unless it is so already; yields whether anything changed.
pub(crate) fn write_changed(path: &Path, owner: Owner, content: &[u8]) -> io::Result<bool> {
    // What is no file, or can't be read, is replaced; if its folder is another's, that fails.
    match folder::read(path) {
        Ok(old) if old == content => Ok(false),
        Ok(_) | Err(_) => write_atomically(path, owner, content).map(|()| true),
    }
}

/// Has what happened to a folder's entries survive a loss of power.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
