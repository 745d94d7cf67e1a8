//! What Hanse itself uses of the host: the agent's processor time and memory, and its data folder.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// So many files of a folder are looked at.
const FILES_MAX: usize = 10_000;
/// The unit of a file's size on the disk, in bytes (stat(2)).
const BLOCK_BYTES: u64 = 512;

/// The processor time that the agent has used since it began.
pub(super) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanoseconds)
}

/// The memory that the agent holds, in bytes; 0 where the kernel doesn't tell.
pub(super) fn memory_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    resident.unwrap_or(0).saturating_mul(1024)
}

/// What a folder takes on the disk, in bytes: of the first so many files.
pub(super) fn folder_size_bytes(folder: &Path) -> u64 {
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    let mut files = 0;
    let mut bytes: u64 = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            files += 1;
            if files > FILES_MAX {
                return bytes;
            }
            // Of the entry itself: a link is not followed.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            bytes = bytes.saturating_add(metadata.blocks().saturating_mul(BLOCK_BYTES));
            if metadata.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_as_large_as_what_is_in_it_and_links_lead_nowhere() {
        let parent = tempfile::tempdir().unwrap();
        let inner = parent.path().join("inner");
        fs::create_dir(&inner).unwrap();
        fs::write(inner.join("file"), vec![1; 1 << 20]).unwrap();
        std::os::unix::fs::symlink("/", inner.join("link")).unwrap();
        let size = folder_size_bytes(parent.path());
        assert!((1 << 20..4 << 20).contains(&size), "{size}");
        assert_eq!(folder_size_bytes(&parent.path().join("nowhere")), 0);
    }

    #[test]
    fn a_process_has_memory_and_uses_time() {
        assert!(memory_bytes() > 0);
        assert!(cpu_time() > Duration::ZERO);
    }
}
