//! Files that are either as before or as after, whatever instant the power fails at.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, chown};
use std::path::Path;

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

/// Writes a file in one step: beside it, synced, renamed, its folder synced.
pub(crate) fn write_atomically(path: &Path, owner: Owner, content: &[u8]) -> io::Result<()> {
    let mut name = path
        .file_name()
        .ok_or(io::ErrorKind::InvalidFilename)?
        .to_owned();
    name.push(".hanse-new");
    let beside = path.with_file_name(name);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(owner.mode)
        .open(&beside)?;
    chown(&beside, Some(owner.user_id), Some(owner.group_id))?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    sync_folder_of(path)
}

/// The same, unless it is so already; yields whether anything changed.
pub(crate) fn write_changed(path: &Path, owner: Owner, content: &[u8]) -> io::Result<bool> {
    match fs::read(path) {
        Ok(old) if old == content => Ok(false),
        Ok(_) => write_atomically(path, owner, content).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write_atomically(path, owner, content).map(|()| true)
        }
        Err(error) => Err(error),
    }
}

/// Has what happened to a folder's entries survive a loss of power.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
