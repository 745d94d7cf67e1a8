//! A folder that goes with whoever made it.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use crate::trouble::Trouble;
use crate::user::User;

/// Short: the path of a socket has hardly any room.
const ROOT: &str = "/tmp";

/// A folder of a user's, in one that others pass.
pub(super) struct Passing {
    outer: PathBuf,
    folder: PathBuf,
}

impl Passing {
    pub(super) fn make(user: &User) -> Result<Self, Trouble> {
        let number: u64 = rand::random();
        let outer = Path::new(ROOT).join(format!("hanse-{number:016x}"));
        let folder = outer.join("own");
        let unable = |error: std::io::Error| Trouble::io("make", &outer, &error);
        DirBuilder::new()
            .mode(0o711)
            .create(&outer)
            .map_err(unable)?;
        // From here on it goes with this.
        let passing = Self {
            outer: outer.clone(),
            folder,
        };
        // However private this process's files are.
        fs::set_permissions(&outer, fs::Permissions::from_mode(0o711))
            .and_then(|()| DirBuilder::new().mode(0o700).create(&passing.folder))
            .and_then(|()| chown(&passing.folder, Some(user.id), Some(user.group_id)))
            .map_err(unable)?;
        Ok(passing)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.outer);
    }
}
