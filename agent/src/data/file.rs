//! Small files, written whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use aws_lc_rs::rand;
use hanse_core::hexadecimal;

/// Only the owner reads and writes.
pub const MODE_SECRET: u32 = 0o600;
/// Everybody may read.
pub const MODE_PUBLIC: u32 = 0o644;

/// Writes a file so that after a crash it holds either all of the new content or all of the old.
/// Replaces nothing but an ordinary file: /dev/stdout would be gone for everybody.
pub fn write_atomically(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    let mut name = path
        .file_name()
        .ok_or(io::ErrorKind::InvalidFilename)?
        .to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    replace(path, &beside, mode, content)
}

/// The same in a folder that is not ours: what is there under any other name is left alone.
pub fn write_beside_others(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    let mut unlike_any = [0; 16];
    rand::fill(&mut unlike_any)
        .map_err(|_| io::Error::other("the system's random generator failed"))?;
    let name = format!(".hanse-{}.new", hexadecimal::encode(&unlike_any));
    replace(path, &path.with_file_name(name), mode, content)
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

/// Reads the last `length_max` bytes of a file, or all of it.
pub fn read_end(path: &Path, length_max: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    if length > length_max {
        file.seek(SeekFrom::Start(length - length_max))?;
    }
    let mut content = Vec::new();
    // Whoever writes to it goes on while it is read.
    file.take(length_max).read_to_end(&mut content)?;
    Ok(content)
}

/// Writes all of it under a name that nothing has, and then gives it the right one.
fn replace(path: &Path, beside: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|present| !present.is_file()) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no ordinary file; choose a path where there is none yet",
        ));
    }
    let written = write_new(beside, mode, content).and_then(|()| fs::rename(beside, path));
    if let Err(error) = written {
        if error.kind() != io::ErrorKind::AlreadyExists {
            // What is left beside is of no use, and on a full disk it is in the way.
            let _ = fs::remove_file(beside);
        }
        return Err(error);
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        Some(_) | None => File::open(".")?.sync_all(),
    }
}

fn write_new(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
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
    fn a_file_in_somebodys_folder_costs_none_of_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backup");
        let other = folder.path().join("backup.new");
        fs::write(&path, "old").unwrap();
        fs::write(&other, "somebody's").unwrap();
        write_beside_others(&path, MODE_SECRET, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read(&other).unwrap(), b"somebody's");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
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
