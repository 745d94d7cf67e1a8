//! A system clock that a test sets while programs run, for those programs alone.
//!
//! Debian's `faketime` answers what a program asks the C library for the time of day. What a
//! program asks the kernel, and the time since boot, stay what they are: as on a machine whose
//! clock somebody set.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Where Debian puts the library, below a folder for each architecture.
const LIBRARIES: &str = "/usr/lib";
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// A clock that can be set.
#[derive(Clone, Debug)]
pub struct FakeClock {
    library: PathBuf,
    file: PathBuf,
}

impl FakeClock {
    /// A clock that is right, kept in `folder` under a name of its own.
    ///
    /// # Errors
    ///
    /// When the library is not installed, or the folder can't be written.
    pub fn new(folder: &Path, name: &str) -> Result<Self> {
        let clock = Self {
            library: library()?,
            file: folder.join(format!("{name}.clock")),
        };
        clock.set("+0")?;
        Ok(clock)
    }

    /// Sets it ahead (`+1d`) or back (`-1d`), for running programs too.
    ///
    /// # Errors
    ///
    /// When it can't be written.
    pub fn set(&self, offset: &str) -> Result<()> {
        let beside = self.file.with_extension("new");
        fs::write(&beside, offset)
            .and_then(|()| fs::rename(&beside, &self.file))
            .with_context(|| format!("unable to set the clock {}", self.file.display()))
    }

    /// What a program needs in its environment to go by it.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, OsString)> {
        let pairs: [(&str, OsString); 5] = [
            ("LD_PRELOAD", self.library.clone().into()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.clone().into()),
            ("FAKETIME_NO_CACHE", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
            ("NO_FAKE_STAT", "1".into()),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

fn library() -> Result<PathBuf> {
    let folders = fs::read_dir(LIBRARIES).with_context(|| format!("unable to read {LIBRARIES}"))?;
    let found = folders
        .filter_map(|entry| Some(entry.ok()?.path().join(LIBRARY)))
        .find(|path| path.is_file());
    found.context("the Debian package `faketime` is missing: run `scripts/tools`")
}
