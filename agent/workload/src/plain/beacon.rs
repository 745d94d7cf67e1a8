//! A file that is there while this copy is written to: by it the guard knows that, and so may users.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use hanse_core::dr::choose::SyncSet;
use hanse_guard::{Observation, Unanswered, Watch};
use serde::{Deserialize, Serialize};

use crate::file::{self, Owner};
use crate::folder;
use crate::setup::Setup;
use crate::trouble::Trouble;

const FILE: &str = "primary";

/// What it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Beacon {
    /// The lease.
    pub(super) epoch: u64,
    /// How far the copy is.
    pub(super) offset_bytes: u64,
}

/// Tells a guard whether the copy is written to, as its keeper noted.
#[derive(Debug)]
pub struct BeaconWatch(PathBuf);

impl BeaconWatch {
    /// Watches the copy whose things are there.
    #[must_use]
    pub fn new(setup: &Setup) -> Self {
        Self(path(setup))
    }

    /// The one beside which the guarded program prints.
    pub(crate) fn beside(log: &Path) -> Self {
        Self(log.with_file_name(FILE))
    }
}

#[async_trait]
impl Watch for BeaconWatch {
    async fn observe(&mut self) -> Result<Observation, Unanswered> {
        let silent = |_| Unanswered::Silent;
        // The guard's loop waits for no disk.
        let path = self.0.clone();
        let read = tokio::task::spawn_blocking(move || fs::read(path)).await;
        let beacon = match read.map_err(|_| Unanswered::Silent)? {
            Ok(content) => Some(serde_json::from_slice::<Beacon>(&content).map_err(silent)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(_) => return Err(Unanswered::Silent),
        };
        Ok(Observation {
            writes: beacon.is_some(),
            receives: false,
            offset_bytes: beacon.map_or(0, |beacon| beacon.offset_bytes),
            set: SyncSet::default(),
        })
    }
}

pub(super) fn path(setup: &Setup) -> PathBuf {
    setup.folder.join(FILE)
}

/// What it says; none: it is not there.
pub(super) fn read(path: &Path) -> Option<Beacon> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Has the folder of what is Hanse's be there. What is in it may be the workload's user's, who gets to it.
pub(super) fn own_folder(path: &Path) -> Result<OwnedFd, Trouble> {
    folder::make(path, Owner::own(0o755)).map_err(|error| Trouble::io("make", path, &error))
}

pub(super) fn light(path: &Path, beacon: &Beacon) -> Result<(), Trouble> {
    own_folder(path.parent().unwrap_or(path))?;
    let content = serde_json::to_vec(beacon)
        .map_err(|error| Trouble(format!("unable to write down who is primary: {error}")))?;
    file::write_atomically(path, Owner::own(0o644), &content)
        .map_err(|error| Trouble::io("write", path, &error))
}

pub(super) fn put_out(path: &Path) -> Result<(), Trouble> {
    folder::remove(path).map_err(|error| Trouble::io("remove", path, &error))
}
