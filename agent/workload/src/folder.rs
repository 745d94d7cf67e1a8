//! Folders that are opened step by step and then held: nobody who may rename what is on the way leads
//! elsewhere what is done in them.
//!
//! This process is root, and works beside data whose user may do there what it likes. So a link on the way
//! is followed only if it is root's, and what is made, changed or removed goes by the folder that was
//! opened, never by its path again.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, fchmod, fchown, fstat, mkdirat, openat, readlinkat,
    unlinkat,
};
use rustix::io::Errno;
use rustix::process::{Gid, Uid, geteuid};

use crate::file::Owner;

/// As many as the kernel follows.
const LINKS_MAX: usize = 40;
/// Of folders that lead to one that is made here: whoever is to get there does.
const WAY: Mode = Mode::from_raw_mode(0o755);

/// Opens a folder.
pub(crate) fn open(path: &Path) -> io::Result<OwnedFd> {
    let there = walk(path, false)?;
    Ok(openat(
        &there,
        ".",
        reading() | OFlags::DIRECTORY,
        Mode::empty(),
    )?)
}

/// Has a folder be there, of this owner and mode whatever this process makes else, with those that lead
/// to it.
pub(crate) fn make(path: &Path, owner: Owner) -> io::Result<OwnedFd> {
    let there = walk(path, true)?;
    let folder = openat(&there, ".", reading() | OFlags::DIRECTORY, Mode::empty())?;
    give(&folder, owner)?;
    Ok(folder)
}

/// Makes a folder that is not there yet.
pub(crate) fn make_new(path: &Path, owner: Owner) -> io::Result<OwnedFd> {
    let (parent, name) = parted(path)?;
    let parent = open(parent)?;
    mkdirat(&parent, name, Mode::RWXU)?;
    let flags = reading() | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let folder = openat(&parent, name, flags, Mode::empty())?;
    give(&folder, owner)?;
    Ok(folder)
}

/// What a file says, and no pipe or device.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let there = walk(path, false)?;
    if FileType::from_raw_mode(fstat(&there)?.st_mode) != FileType::RegularFile {
        return Err(io::Error::other("it is no file"));
    }
    // The very one that was looked at.
    let mut content = Vec::new();
    File::open(held(&there))?.read_to_end(&mut content)?;
    Ok(content)
}

/// Removes a file; one that is not there is removed.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let (parent, name) = parted(path)?;
    let removed = open(parent).and_then(|parent| Ok(unlinkat(parent, name, AtFlags::empty())?));
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Gives what was opened its owner and its mode.
pub(crate) fn give(what: &OwnedFd, owner: Owner) -> io::Result<()> {
    let (user, group) = (Uid::from_raw(owner.user_id), Gid::from_raw(owner.group_id));
    fchown(what, Some(user), Some(group))?;
    Ok(fchmod(what, Mode::from_raw_mode(owner.mode))?)
}

/// Where what was opened is found for as long as it is open, whatever becomes of its path; by other
/// programs of this user's, too.
pub(crate) fn held(what: &OwnedFd) -> PathBuf {
    format!("/proc/{}/fd/{}", std::process::id(), what.as_raw_fd()).into()
}

/// A path's folder, and its name there.
pub(crate) fn parted(path: &Path) -> io::Result<(&Path, &OsStr)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    Ok((path.parent().unwrap_or(Path::new("/")), name))
}

/// What a new file is opened with, which is nothing else's.
pub(crate) fn creating() -> OFlags {
    OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

fn reading() -> OFlags {
    OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC
}

/// Goes to what a path leads to, and holds it. `makes`: with the folders that are missing.
fn walk(path: &Path, makes: bool) -> io::Result<OwnedFd> {
    let looking = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = || openat(CWD, "/", looking, Mode::empty());
    let mut at = match path.is_absolute() {
        true => root()?,
        false => openat(CWD, ".", looking, Mode::empty())?,
    };
    let mut names = names(path);
    let mut links = 0;
    while let Some(name) = names.pop_front() {
        let next = match openat(&at, &name, looking, Mode::empty()) {
            Err(Errno::NOENT) if makes => {
                make_way(&at, &name)?;
                openat(&at, &name, looking, Mode::empty())?
            }
            next => next?,
        };
        let found = fstat(&next)?;
        if FileType::from_raw_mode(found.st_mode) != FileType::Symlink {
            at = next;
            continue;
        }
        links += 1;
        if links > LINKS_MAX {
            return Err(Errno::LOOP.into());
        }
        if found.st_uid != 0 && found.st_uid != geteuid().as_raw() {
            return Err(io::Error::other(format!(
                "`{}` is a link that user {} made, and may lead anywhere: remove it, or make it root's \
                 by `chown -h root`",
                name.display(),
                found.st_uid
            )));
        }
        let aim = OsString::from_vec(readlinkat(&next, "", Vec::new())?.into_bytes());
        let aim = Path::new(&aim);
        if aim.is_absolute() {
            at = root()?;
        }
        for name in self::names(aim).into_iter().rev() {
            names.push_front(name);
        }
    }
    Ok(at)
}

fn make_way(at: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match mkdirat(at, name, Mode::RWXU) {
        Ok(()) => {}
        // Somebody else was faster, and said who gets there.
        Err(Errno::EXIST) => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    let flags = reading() | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let made = openat(at, name, flags, Mode::empty())?;
    Ok(fchmod(made, WAY)?)
}

fn names(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, lchown, symlink};

    use super::*;
    use crate::file;

    const NOBODY: u32 = 65534;

    fn owner(mode: u32) -> Owner {
        Owner {
            user_id: NOBODY,
            group_id: NOBODY,
            mode,
        }
    }

    #[test]
    fn folders_are_made_for_whoever_is_to_get_there_whatever_the_umask() {
        let root = tempfile::tempdir().unwrap();
        let mask = rustix::process::umask(Mode::from_raw_mode(0o077));
        let made = make(&root.path().join("a/b/c"), owner(0o750));
        rustix::process::umask(mask);
        made.unwrap();
        let is = |name: &str| {
            let metadata = fs::metadata(root.path().join(name)).unwrap();
            (metadata.uid(), metadata.mode() & 0o7777)
        };
        let own = geteuid().as_raw();
        assert_eq!(is("a"), (own, 0o755));
        assert_eq!(is("a/b"), (own, 0o755));
        assert_eq!(is("a/b/c"), (NOBODY, 0o750));
    }

    #[test]
    fn a_link_is_followed_if_it_is_roots_and_refused_if_it_is_somebody_elses() {
        let root = tempfile::tempdir().unwrap();
        let (secret, link) = (root.path().join("secret"), root.path().join("link"));
        fs::create_dir(&secret).unwrap();
        symlink("secret", &link).unwrap();
        let file = link.join("file");
        file::write_changed(&file, owner(0o600), b"1").unwrap();
        assert_eq!(read(&file).unwrap(), b"1");
        lchown(&link, Some(NOBODY), Some(NOBODY)).unwrap();
        let refused: [io::Result<()>; 6] = [
            make(&link, owner(0o700)).map(|_| ()),
            make(&link.join("inner"), owner(0o700)).map(|_| ()),
            make_new(&link.join("inner"), owner(0o700)).map(|_| ()),
            file::write_changed(&file, owner(0o600), b"2").map(|_| ()),
            read(&file).map(|_| ()),
            remove(&file),
        ];
        for refused in refused {
            let told = refused.unwrap_err().to_string();
            assert!(told.contains("`link` is a link that user 65534"), "{told}");
        }
        assert_eq!(fs::read(secret.join("file")).unwrap(), b"1");
        assert_eq!(fs::metadata(&secret).unwrap().uid(), geteuid().as_raw());
    }

    #[test]
    fn a_link_in_the_place_of_a_file_is_replaced_and_what_it_led_to_stays() {
        let root = tempfile::tempdir().unwrap();
        let (aim, path) = (root.path().join("shadow"), root.path().join("file"));
        fs::write(&aim, "1").unwrap();
        symlink(&aim, &path).unwrap();
        lchown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        assert!(file::write_changed(&path, owner(0o600), b"1").unwrap());
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
        assert_eq!(fs::metadata(&aim).unwrap().uid(), geteuid().as_raw());
        assert!(!file::write_changed(&path, owner(0o600), b"1").unwrap());
    }

    #[test]
    fn a_pipe_is_no_file_and_links_in_a_circle_end() {
        let root = tempfile::tempdir().unwrap();
        let pipe = root.path().join("pipe");
        let kind = FileType::Fifo;
        rustix::fs::mknodat(CWD, &pipe, kind, Mode::RWXU, 0).unwrap();
        assert!(read(&pipe).unwrap_err().to_string().contains("no file"));
        assert!(file::write_changed(&pipe, owner(0o600), b"1").unwrap());
        symlink("circle", root.path().join("circle")).unwrap();
        assert!(open(&root.path().join("circle")).is_err());
    }
}
