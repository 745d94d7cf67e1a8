//! The unix socket, in a folder that nobody else may enter, removed with its owner.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::{env, fs, process};

use tokio::net::UnixListener;

/// How many names are tried before giving up.
const ATTEMPTS_MAX: u32 = 64;

/// A folder with the socket in it. Dropping it removes both.
pub(super) struct Socket {
    folder: PathBuf,
    path: PathBuf,
}

impl Socket {
    pub(super) fn bind(parent: Option<&Path>) -> io::Result<(Self, UnixListener)> {
        let parent = parent.map_or_else(env::temp_dir, Path::to_path_buf);
        let folder = private_folder(&parent)?;
        let path = folder.join("plugin.sock");
        let socket = Self { folder, path };
        let listener = UnixListener::bind(&socket.path).map_err(|error| {
            let path = socket.path.display();
            io::Error::new(error.kind(), format!("can't listen on {path}: {error}"))
        })?;
        Ok((socket, listener))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // What is gone already needs no removal, and a failure has nobody to be told.
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_dir(&self.folder);
    }
}

/// A new folder with mode 0700. An existing one is never used, whoever made it.
fn private_folder(parent: &Path) -> io::Result<PathBuf> {
    let process = process::id();
    for attempt in 0..ATTEMPTS_MAX {
        let folder = parent.join(format!("tfplugin-{process}-{attempt}"));
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                let parent = parent.display();
                return Err(io::Error::new(
                    error.kind(),
                    format!("can't make a folder in {parent}: {error}"),
                ));
            }
        }
    }
    Err(io::Error::other(format!(
        "no free name for a folder in {}",
        parent.display()
    )))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn the_socket_is_private_and_goes_with_its_owner() {
        let parent = tempfile::tempdir().unwrap();
        let (socket, _listener) = Socket::bind(Some(parent.path())).unwrap();
        let folder = socket.path().parent().unwrap().to_path_buf();
        assert_eq!(
            fs::metadata(&folder).unwrap().permissions().mode() & 0o777,
            0o700
        );
        drop(socket);
        assert!(!folder.exists());
    }

    #[tokio::test]
    async fn a_path_too_long_for_a_socket_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let deep = parent.path().join("d".repeat(150));
        fs::create_dir(&deep).unwrap();
        let error = Socket::bind(Some(&deep)).err().unwrap();
        assert!(error.to_string().contains("can't listen on"), "{error}");
    }
}
