//! What may be written to inside a cage: its own folders, and nothing else of this host.
//!
//! Each mount is made read-only by itself, since kernels before 5.12 can't do all at once. What can't be
//! reached by its path is hidden below another mount, and nobody inside reaches it either.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, mount_bind_recursive, mount_change, mount_remount,
};

use crate::trouble::Trouble;

/// The mounts of this thread's namespace.
const MOUNTS: &str = "/proc/thread-self/mountinfo";

/// A mount of this namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    place: PathBuf,
    /// What it has to keep when it is changed.
    flags: MountFlags,
    is_read_only: bool,
}

/// Makes all read-only but some folders and what is mounted in them. The namespace has to be this
/// process's own.
pub(super) fn close(folders: &[PathBuf]) -> Result<(), Trouble> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private)
        .map_err(|error| Trouble(format!("unable to make the mounts private: {error}")))?;
    let mut own = Vec::new();
    for folder in folders {
        let folder =
            fs::canonicalize(folder).map_err(|error| Trouble::io("find", folder, &error))?;
        mount_bind_recursive(&folder, &folder)
            .map_err(|error| Trouble::io("mount", &folder, &error.into()))?;
        own.push(folder);
    }
    let text = fs::read_to_string(MOUNTS)
        .map_err(|error| Trouble::io("read", Path::new(MOUNTS), &error))?;
    let is_own = |place: &Path| own.iter().any(|own| place.starts_with(own));
    for mount in text.lines().filter_map(read) {
        if mount.is_read_only || is_own(&mount.place) {
            continue;
        }
        let flags = mount.flags | MountFlags::BIND | MountFlags::RDONLY;
        match mount_remount(&mount.place, flags, "") {
            Ok(()) | Err(Errno::NOENT | Errno::NOTDIR | Errno::INVAL) => {}
            Err(error) => {
                return Err(Trouble::io("protect", &mount.place, &error.into()));
            }
        }
    }
    Ok(())
}

/// A line such as `27 1 254:0 / /srv rw,nosuid,relatime - ext4 /dev/vda rw`.
fn read(line: &str) -> Option<Mount> {
    let mut words = line.split(' ').skip(4);
    let place = unescaped(words.next()?);
    let mut mount = Mount {
        place,
        flags: MountFlags::empty(),
        is_read_only: false,
    };
    for option in words.next()?.split(',') {
        match option {
            "ro" => mount.is_read_only = true,
            "nosuid" => mount.flags |= MountFlags::NOSUID,
            "nodev" => mount.flags |= MountFlags::NODEV,
            "noexec" => mount.flags |= MountFlags::NOEXEC,
            // The kernel keeps how the times of accesses are noted.
            _ => {}
        }
    }
    Some(mount)
}

/// A path in which the kernel wrote spaces and the like as `\040`.
fn unescaped(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        let octal = more.get(..3).filter(|_| *first == b'\\');
        let octal = octal.and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &more[3..];
            }
            None => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_keeps_what_it_forbids() {
        let line =
            r"27 1 254:0 / /srv/my\040data rw,nosuid,noexec,relatime shared:1 - ext4 /dev/x rw";
        let mount = read(line).unwrap();
        assert_eq!(mount.place, Path::new("/srv/my data"));
        assert_eq!(mount.flags, MountFlags::NOSUID | MountFlags::NOEXEC);
        assert!(!mount.is_read_only);
        assert!(
            read("1 2 0:5 / /a ro - tmpfs none rw")
                .unwrap()
                .is_read_only
        );
        assert_eq!(read("nonsense"), None);
    }

    #[test]
    fn a_backslash_that_begins_no_number_stays() {
        assert_eq!(unescaped(r"/a\134b\x"), Path::new(r"/a\b\x"));
    }
}
