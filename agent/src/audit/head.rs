//! Which line was the last, kept beside the log: an end that was cut off shows.
//!
//! It is written after the line is on the disk and never before, so the log may know more than its
//! head and never less.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::line::hash;
use crate::data::file::{MODE_SECRET, read_bounded};

/// The largest head that is read.
const LENGTH_MAX: u64 = 4 << 10;
/// So long every head is, padded with blanks: it is written over the one before in one go.
const LENGTH: usize = 128;

/// The last line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Its number; 0 before the first.
    pub number: u64,
    /// Its hash.
    pub hash: String,
}

/// Where the head is written.
#[derive(Debug)]
pub(super) struct HeadFile(File);

impl Head {
    /// Of a log without a line.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            number: 0,
            hash: hash(b""),
        }
    }

    /// Reads the head; none: there is none that can be understood.
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        match read_bounded(path, LENGTH_MAX) {
            Ok(content) => Ok(serde_json::from_slice(&content).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl HeadFile {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(MODE_SECRET)
            .open(path)?;
        Ok(Self(file))
    }

    pub(super) fn write(&self, head: &Head) -> io::Result<()> {
        let mut text = serde_json::to_string(head)?;
        text.push_str(&" ".repeat(LENGTH.saturating_sub(text.len() + 1)));
        text.push('\n');
        self.0.write_all_at(text.as_bytes(), 0)
    }
}
