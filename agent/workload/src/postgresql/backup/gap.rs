//! Whether the log in the repository has a gap, on the disk, so that no restart forgets one.
//!
//! Never: a log that counts as whole because nobody knows better.

use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

use super::decide::gap;
use super::place::Place;
use crate::file::{self, Owner};
use crate::trouble::Trouble;

/// Why a restore to what was written since the last backup may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Gap {
    /// No backup was made yet since this copy leads, or since they are declared.
    Unproved,
    /// Parts of the log were let go, so that the server goes on.
    LetGo,
    /// As before, and the backup that was made since is damaged.
    Damaged,
}

/// Under which lease the log is written, and into which repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Course {
    pub(super) epoch: u64,
    /// Its place, and which password it is encrypted with.
    pub(super) repository: String,
}

/// What was known last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    pub(super) course: Course,
    pub(super) gap: Option<Gap>,
}

/// Looks whether there is a gap, and keeps it.
pub(super) fn look(place: &Place, course: &Course) -> Result<Option<Gap>, Trouble> {
    let path = place.known();
    let known = match fs::read(&path) {
        // What can't be read proves nothing.
        Ok(content) => serde_json::from_slice::<Known>(&content).ok(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(Trouble::io("read", &path, &error)),
    };
    let gap = gap(known.as_ref(), course, place.dropped().exists());
    let now = Known {
        course: course.clone(),
        gap,
    };
    if known.as_ref() != Some(&now) {
        keep(place, &now)?;
    }
    Ok(gap)
}

/// A backup is about to be made that may end a gap: what is let go from now on is another one.
pub(super) fn begin(place: &Place) -> Result<(), Trouble> {
    let path = place.dropped();
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Trouble::io("remove", &path, &error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The backup was made.
pub(super) fn end(place: &Place, course: &Course, is_damaged: bool) -> Result<(), Trouble> {
    let course = course.clone();
    let gap = is_damaged.then_some(Gap::Damaged);
    keep(place, &Known { course, gap })
}

fn keep(place: &Place, known: &Known) -> Result<(), Trouble> {
    let path = place.known();
    let content = serde_json::to_vec_pretty(known)
        .map_err(|error| Trouble(format!("unable to write down what is archived: {error}")))?;
    file::write_atomically(&path, Owner::own(0o600), &content)
        .map_err(|error| Trouble::io("write", &path, &error))
}
