//! The last known time, on the disk.

use std::io;

use hanse_core::clock::Mark;

use crate::data::file::{self, MODE_PUBLIC};
use crate::data::{DataError, DataFolder};

/// The largest file that is read.
const LENGTH_MAX: u64 = 4 << 10;

/// Keeps a mark.
pub(super) fn write(folder: &DataFolder, mark: &Mark) -> Result<(), DataError> {
    let path = folder.clock();
    let text = serde_json::to_string(mark)
        .map_err(|error| DataError::Problem(format!("unable to write the time: {error}")))?;
    file::write_atomically(&path, MODE_PUBLIC, text.as_bytes())
        .map_err(DataError::io("write", &path))
}

/// The mark that was kept last. One that can't be read is as good as none: it is told and left.
pub(super) fn read(folder: &DataFolder) -> Option<Mark> {
    let path = folder.clock();
    match file::read_bounded(&path, LENGTH_MAX) {
        Ok(content) => serde_json::from_slice(&content)
            .inspect_err(|error| {
                tracing::warn!(path = %path.display(), %error, "the last known time can't be read");
            })
            .ok(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the last known time can't be read");
            None
        }
    }
}
