//! Where something may be restored into: an empty folder that nobody uses, with room.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::path::{Path, PathBuf};

use super::super::layout::Server;
use crate::space::Space;
use crate::trouble::Trouble;

/// Where the tablespaces go, which the running server has elsewhere.
pub(super) fn beside(into: &Path) -> Result<PathBuf, Trouble> {
    let odd = || {
        Trouble(format!(
            "unable to restore into {}: write the absolute path of a folder",
            into.display()
        ))
    };
    let name = into.file_name().filter(|_| into.is_absolute());
    let mut name = name.ok_or_else(odd)?.to_owned();
    name.push(".tablespaces");
    Ok(into.with_file_name(name))
}

pub(super) fn check_empty(folder: &Path) -> Result<(), Trouble> {
    match fs::read_dir(folder) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(Trouble(format!(
                "unable to restore into {}: something is in it; name a folder that is empty, or none yet",
                folder.display()
            ))),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Trouble::io("read", folder, &error)),
    }
}

/// Nothing is restored into what a plan keeps, nor around it.
pub(super) fn check_apart(into: &Path, taken: &[PathBuf]) -> Result<(), Trouble> {
    let real = |path: &Path| {
        let mut known = path.ancestors();
        let there = known.find_map(|known| Some((known, fs::canonicalize(known).ok()?)));
        match there {
            Some((known, real)) => {
                let rest = path.strip_prefix(known).unwrap_or(Path::new(""));
                real.join(rest)
            }
            None => path.to_owned(),
        }
    };
    let into = real(into);
    let clash = taken.iter().find(|taken| {
        let taken = real(taken);
        into.starts_with(&taken) || taken.starts_with(&into)
    });
    match clash {
        None => Ok(()),
        Some(taken) => Err(Trouble(format!(
            "unable to restore into {}: {} belongs to a DR plan, and no restore touches what is in use",
            into.display(),
            taken.display()
        ))),
    }
}

pub(super) fn make(folder: &Path, server: &Server) -> Result<(), Trouble> {
    let made = fs::DirBuilder::new().mode(0o700).create(folder);
    let made = match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => chown(folder, Some(server.user.id), Some(server.user.group_id)),
    };
    made.map_err(|error| Trouble::io("make", folder, &error))
}

pub(super) fn check_room(into: &Path, needed_bytes: u64) -> Result<(), Trouble> {
    let Space { free_bytes, .. } = Space::of(into)?;
    match free_bytes >= needed_bytes {
        true => Ok(()),
        false => Err(Trouble(format!(
            "unable to restore into {}: the data takes {} MiB, and {} MiB are free there",
            into.display(),
            needed_bytes >> 20,
            free_bytes >> 20
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_restored_into_what_is_there_or_in_use() {
        let root = tempfile::tempdir().unwrap();
        let data = root.path().join("data");
        fs::create_dir(&data).unwrap();
        std::os::unix::fs::symlink(&data, root.path().join("link")).unwrap();
        let taken = [data.clone()];
        for into in ["data", "data/inner", "link/inner", "."] {
            assert!(
                check_apart(&root.path().join(into), &taken).is_err(),
                "{into}"
            );
        }
        check_apart(&root.path().join("elsewhere"), &taken).unwrap();
        check_apart(&root.path().join("data-2"), &taken).unwrap();
        fs::write(data.join("file"), "").unwrap();
        check_empty(&data).unwrap_err();
        check_empty(&root.path().join("none")).unwrap();
        assert!(beside(Path::new("relative")).is_err());
    }
}
