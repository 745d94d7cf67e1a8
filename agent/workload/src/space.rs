//! Room on a disk, and whether it is enough for what is to be copied there.

use std::path::Path;

use crate::trouble::Trouble;

/// What is left free beside the data itself, for what comes meanwhile.
pub(crate) const RESERVE_BYTES: u64 = 64 << 20;

/// The room on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Space {
    pub(crate) total_bytes: u64,
    /// What can be written there still.
    pub(crate) free_bytes: u64,
}

impl Space {
    /// That of the disk which a path is on.
    pub(crate) fn of(path: &Path) -> Result<Self, Trouble> {
        let disk = rustix::fs::statvfs(path)
            .map_err(|error| Trouble::io("measure", path, &error.into()))?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        Ok(Self {
            total_bytes: bytes(disk.f_blocks),
            free_bytes: bytes(disk.f_bavail),
        })
    }
}

/// Refuses to copy so much where there is no room for it.
pub(crate) fn check_space(folder: &Path, size_bytes: u64) -> Result<(), Trouble> {
    let free_bytes = Space::of(folder)?.free_bytes;
    let needed_bytes = size_bytes
        .saturating_add(size_bytes / 20)
        .saturating_add(RESERVE_BYTES);
    if free_bytes >= needed_bytes {
        return Ok(());
    }
    Err(Trouble(format!(
        "{} has {} MB free, and a copy of the data needs {}: make room",
        folder.display(),
        free_bytes >> 20,
        needed_bytes >> 20
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_disk_holds_is_refused_before_it_is_copied() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(check_space(folder.path(), 1), Ok(()));
        for size_bytes in [1 << 60, u64::MAX] {
            let told = check_space(folder.path(), size_bytes).unwrap_err().0;
            assert!(told.ends_with("make room"), "{told}");
        }
    }
}
