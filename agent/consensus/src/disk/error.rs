//! Why a file can't be read or written, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use hanse_core::level::FeatureLevel;
use hanse_core::name::FederationName;

use crate::record;

/// Why the state can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no file.
    #[error(
        "{0} is missing: without it this voter would forget what it promised; remove this voter, empty its folder and join it again, or restore the folder"
    )]
    Missing(PathBuf),
    /// The file is no state, or not a whole one.
    #[error(
        "{path} is damaged ({reason}): restore the folder; or, where other voters are alive, remove this voter, empty its folder and join it again"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A later version of this program wrote it.
    #[error("{path} was written at {}; nothing was changed", record::too_new(*level, program.as_deref()))]
    Newer {
        /// The file.
        path: PathBuf,
        /// At which level.
        level: FeatureLevel,
        /// The version that wrote it, where that is known.
        program: Option<String>,
    },
    /// The file belongs to another federation.
    #[error(
        "{path} holds the state of the federation `{found}` and not of `{expected}`: restore the right file"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: FederationName,
    },
    /// Another process has it open.
    #[error("{0} is in use by another process; stop it first")]
    Busy(PathBuf),
    /// The disk has no room.
    #[error("the disk that holds {0} is full; make room and try again")]
    Full(PathBuf),
    /// The system refused otherwise.
    #[error("unable to write {path}: {reason}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl StoreError {
    /// Whether the same write may succeed later, without anybody repairing the file.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Full(_) | Self::Io { .. } | Self::Busy(_) => true,
            Self::Missing(_) | Self::Damaged { .. } | Self::Newer { .. } | Self::Foreign { .. } => {
                false
            }
        }
    }
}

pub(super) fn damaged(path: &Path, reason: &dyn std::fmt::Display) -> StoreError {
    StoreError::Damaged {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

pub(super) fn from_redb(path: &Path, error: &redb::Error) -> StoreError {
    let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
    let torn = [io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof];
    match error {
        redb::Error::DatabaseAlreadyOpen => StoreError::Busy(path.to_owned()),
        redb::Error::Io(error) if full.contains(&error.kind()) => StoreError::Full(path.to_owned()),
        redb::Error::Io(error) if torn.contains(&error.kind()) => damaged(path, error),
        redb::Error::Io(error) => StoreError::Io {
            path: path.to_owned(),
            reason: error.to_string(),
        },
        other => damaged(path, other),
    }
}
