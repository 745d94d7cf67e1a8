//! The files that a server goes by, and what others write in them meanwhile.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::adopt::read;
use crate::file::{self, Owner};
use crate::trouble::Trouble;

/// What the archive of the log goes by.
const ARCHIVE: &str = "pgbackrest.conf";
/// Who empties a file to write it anew has done so after that.
const WRITTEN_MAX: Duration = Duration::from_secs(5);

/// All files that a server goes by.
#[derive(Debug)]
pub(crate) struct Configuration {
    pub(super) files: Vec<Written>,
    /// What there is to be no more.
    pub(super) stale: Vec<PathBuf>,
    /// What our settings are known by, once they are in effect.
    pub(crate) digest: String,
    /// Where clients may connect past the service address, in a sentence.
    pub(crate) listens_elsewhere: Option<String>,
    /// Why the log is not archived, although it is to be.
    pub(crate) archive_trouble: Option<Trouble>,
}

/// A file that a server goes by.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) path: PathBuf,
    pub(super) owner: Owner,
    pub(super) content: Vec<u8>,
    /// As it was when ours was put into it; none: nobody else writes it.
    pub(super) before: Option<Vec<u8>>,
}

impl Configuration {
    /// Whether the files are so already.
    pub(crate) fn is_written(&self) -> bool {
        let is_stale = self.stale.iter().any(|path| path.exists());
        let mut files = self.files.iter();
        !is_stale && files.all(|file| fs::read(&file.path).is_ok_and(|there| there == file.content))
    }

    /// What the archive's own file is known by.
    pub(crate) fn archive_digest(&self) -> String {
        let mut hasher = DefaultHasher::new();
        let is_archive = |path: &Path| path.file_name().is_some_and(|name| name == ARCHIVE);
        let archive = self.files.iter().find(|file| is_archive(&file.path));
        archive.map(|file| &file.content).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }

    /// Writes the files; the server's main configuration last, since it names the others.
    pub(crate) fn write(&self) -> Result<(), Trouble> {
        write_all(&self.files)?;
        for path in &self.stale {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Trouble::io("remove", path, &error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }
}

impl Written {
    /// A file that others write as well, and that stays theirs: what stood there, and what is to.
    pub(super) fn over(path: PathBuf, theirs: String, text: String) -> Result<Self, Trouble> {
        Ok(Self {
            owner: owner_of(&path)?,
            path,
            content: text.into_bytes(),
            before: Some(theirs.into_bytes()),
        })
    }
}

/// Writes files in their order. None is written while somebody else changes one: what they wrote is to
/// be read first.
pub(super) fn write_all(files: &[Written]) -> Result<(), Trouble> {
    for file in files {
        let Some(before) = &file.before else {
            continue;
        };
        let there = read(&file.path)?.into_bytes();
        if there != *before && there != file.content {
            return Err(changing(&file.path));
        }
    }
    for file in files {
        file::write_changed(&file.path, file.owner, &file.content)
            .map_err(|error| Trouble::io("write", &file.path, &error))?;
    }
    Ok(())
}

/// A file that others write as well. One that has just been emptied is being written by somebody: what
/// they write next would be lost, with all that stood there.
pub(super) fn read_whole(path: &Path) -> Result<String, Trouble> {
    let text = read(path)?;
    let changed = fs::metadata(path).and_then(|metadata| metadata.modified());
    let age = changed.ok().and_then(|changed| changed.elapsed().ok());
    match text.is_empty() && age.is_some_and(|age| age < WRITTEN_MAX) {
        true => Err(changing(path)),
        false => Ok(text),
    }
}

fn changing(path: &Path) -> Trouble {
    Trouble(format!(
        "somebody else is changing {}: it is read again, and then written",
        path.display()
    ))
}

fn owner_of(path: &Path) -> Result<Owner, Trouble> {
    let metadata: io::Result<fs::Metadata> = fs::metadata(path);
    let metadata = metadata.map_err(|error| Trouble::io("read", path, &error))?;
    Ok(Owner {
        user_id: metadata.uid(),
        group_id: metadata.gid(),
        mode: metadata.mode() & 0o777,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(path: &Path, before: &str) -> Configuration {
        let file = Written {
            path: path.to_owned(),
            owner: Owner::own(0o600),
            content: format!("{before}# ours\n").into_bytes(),
            before: Some(before.as_bytes().to_owned()),
        };
        Configuration {
            files: vec![file],
            stale: Vec::new(),
            digest: String::new(),
            listens_elsewhere: None,
            archive_trouble: None,
        }
    }

    #[test]
    fn what_somebody_else_wrote_meanwhile_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("postgresql.conf");
        fs::write(&path, "# theirs\n").unwrap();
        let configuration = configuration(&path, "# theirs\n");
        configuration.write().unwrap();
        assert_eq!(read(&path).unwrap(), "# theirs\n# ours\n");
        configuration.write().unwrap();
        assert!(configuration.is_written());

        fs::write(&path, "# theirs, mended\n").unwrap();
        let Trouble(text) = configuration.write().unwrap_err();
        assert!(text.contains("somebody else is changing"), "{text}");
        assert_eq!(read(&path).unwrap(), "# theirs, mended\n");
    }

    #[test]
    fn what_has_just_been_emptied_is_being_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pg_hba.conf");
        fs::write(&path, "").unwrap();
        read_whole(&path).unwrap_err();
        let file = fs::File::options().write(true).open(&path).unwrap();
        let before = std::time::SystemTime::now() - 2 * WRITTEN_MAX;
        file.set_modified(before).unwrap();
        assert_eq!(read_whole(&path).unwrap(), "");
    }
}
