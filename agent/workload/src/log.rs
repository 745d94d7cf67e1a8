//! What prints under the guard fills no disk: its log is bounded, with as much of before beside it.
//!
//! Whoever prints has the file open and goes on appending to it, whoever ends meanwhile. So its text is copied and
//! the file is emptied, as logrotate's `copytruncate` does; what is printed between the two is lost.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// A log that is longer is moved aside, in bytes.
const LENGTH_MAX: u64 = 16 << 20;

/// Where the text of before is.
fn former(log: &Path) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

/// Moves the text of a log aside if it is long. The folder may be another user's, who leads nobody to other files.
pub(crate) fn bound(log: &Path) -> io::Result<()> {
    bound_to(log, LENGTH_MAX)
}

fn bound_to(log: &Path, length_max: u64) -> io::Result<()> {
    match fs::symlink_metadata(log) {
        Ok(metadata) if metadata.len() > length_max => {}
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits());
    let flags = flags.map_err(|_| io::ErrorKind::Unsupported)?;
    let mut now = OpenOptions::new();
    let mut now = now.read(true).write(true).custom_flags(flags).open(log)?;
    let metadata = now.metadata()?;
    if !metadata.is_file() || metadata.nlink() != 1 {
        return Err(io::Error::other("it is no file of its own"));
    }
    let before = former(log);
    match fs::remove_file(&before) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut kept = OpenOptions::new();
    let mut kept: File = kept
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&before)?;
    if let Err(error) = io::copy(&mut now, &mut kept) {
        // On a disk that is full, half of it would take what room is left.
        let _ = fs::remove_file(&before);
        return Err(error);
    }
    now.set_len(0)?;
    fchown(&kept, Some(metadata.uid()), Some(metadata.gid()))?;
    kept.set_permissions(Permissions::from_mode(metadata.mode() & 0o777))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_long_log_is_moved_aside_and_whoever_prints_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("server.log");
        bound_to(&log, 10).unwrap();
        let mut printing = File::options()
            .append(true)
            .create(true)
            .open(&log)
            .unwrap();
        printing.write_all(b"short\n").unwrap();
        bound_to(&log, 10).unwrap();
        assert_eq!(fs::read(&log).unwrap(), b"short\n");
        printing.write_all(b"long enough\n").unwrap();
        bound_to(&log, 10).unwrap();
        printing.write_all(b"and on\n").unwrap();
        assert_eq!(fs::read(&log).unwrap(), b"and on\n");
        assert_eq!(fs::read(former(&log)).unwrap(), b"short\nlong enough\n");
        printing.write_all(b"and on and on\n").unwrap();
        bound_to(&log, 10).unwrap();
        assert_eq!(fs::read(former(&log)).unwrap(), b"and on\nand on and on\n");
    }

    #[test]
    fn nobodys_other_file_is_emptied() {
        let folder = tempfile::tempdir().unwrap();
        let (log, other) = (
            folder.path().join("server.log"),
            folder.path().join("other"),
        );
        fs::write(&other, "something of somebody else's").unwrap();
        symlink(&other, &log).unwrap();
        bound_to(&log, 10).unwrap_err();
        fs::remove_file(&log).unwrap();
        fs::hard_link(&other, &log).unwrap();
        bound_to(&log, 10).unwrap_err();
        fs::remove_file(&log).unwrap();
        fs::write(&log, "longer than ten").unwrap();
        symlink(&other, former(&log)).unwrap();
        bound_to(&log, 10).unwrap();
        assert_eq!(fs::read(&other).unwrap(), b"something of somebody else's");
        assert_eq!(fs::read(former(&log)).unwrap(), b"longer than ten");
    }
}
