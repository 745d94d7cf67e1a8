//! Small files, written whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Only the owner reads and writes.
pub const MODE_SECRET: u32 = 0o600;
/// Everybody may read.
pub const MODE_PUBLIC: u32 = 0o644;

/// Writes a file so that after a crash it holds either all of the new content or all of the old.
/// Replaces nothing but an ordinary file: /dev/stdout would be gone for everybody.
pub fn write_atomically(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|present| !present.is_file()) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no ordinary file; choose a path where there is none yet",
        ));
    }
    let mut name = path
        .file_name()
        .ok_or(io::ErrorKind::InvalidFilename)?
        .to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    let written = write_new(&beside, mode, content).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // What is left beside is of no use, and on a full disk it is in the way.
        let _ = fs::remove_file(&beside);
    }
    written?;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        Some(_) | None => File::open(".")?.sync_all(),
    }
}

/// Reads a file of at most `length_max` bytes.
pub fn read_bounded(path: &Path, length_max: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?
        .take(length_max + 1)
        .read_to_end(&mut content)?;
    if content.len() as u64 > length_max {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is larger than {length_max} bytes"),
        ));
    }
    Ok(content)
}

fn write_new(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_is_its_owners_alone_even_when_it_was_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        write_atomically(&path, MODE_SECRET, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn a_failed_write_leaves_the_old_content_and_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("occupied");
        fs::create_dir_all(path.join("inside")).unwrap();
        write_atomically(&path, MODE_SECRET, b"new").unwrap_err();
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(names.len(), 1);
    }

    #[test]
    fn what_is_no_ordinary_file_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        let link = folder.path().join("stdout");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let error = write_atomically(&link, MODE_SECRET, b"new").unwrap_err();
        assert!(error.to_string().contains("no ordinary file"), "{error}");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(!target.exists());
    }

    #[test]
    fn a_file_beyond_the_bound_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        fs::write(&path, vec![0; 11]).unwrap();
        assert!(read_bounded(&path, 10).is_err());
        assert_eq!(read_bounded(&path, 11).unwrap().len(), 11);
    }
}
