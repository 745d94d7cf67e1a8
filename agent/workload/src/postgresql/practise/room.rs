//! The room that a drill leaves to the standby beside it.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

use crate::space::{RESERVE_BYTES, Space};
use crate::trouble::Trouble;

/// How often the room on the disk is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// A part of the room that is left, which one process of the copy's server may take for its sorts.
const SORT_PART: u64 = 4;
/// What of a log is read.
const LOG_MAX: u64 = 64 << 10;

/// Returns once the disk has little room left, which the standby needs.
pub(super) async fn fills_up(folder: &Path) -> Trouble {
    loop {
        tokio::time::sleep(LOOK).await;
        let Ok(Space { free_bytes, .. }) = Space::of(folder) else {
            continue;
        };
        if free_bytes < RESERVE_BYTES {
            return Trouble(format!(
                "{} has only {} MB free, which the standby itself may need: make room",
                folder.display(),
                free_bytes >> 20
            ));
        }
    }
}

/// How many bytes one process of the copy's server may write into files of its own.
pub(super) fn sort_bytes(folder: &Path) -> Result<u64, Trouble> {
    let Space { free_bytes, .. } = Space::of(folder)?;
    Ok(free_bytes.saturating_sub(RESERVE_BYTES) / SORT_PART)
}

/// The last of a log.
pub(super) fn end_of(path: &Path) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_MAX)))?;
        let mut bytes = Vec::new();
        file.take(LOG_MAX).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}
