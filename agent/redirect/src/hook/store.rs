//! A folder of events that wait: one file each, named by its place in the order.
//!
//! Every file appears whole or not at all: it is written under another name, synced, renamed, and the
//! folder synced. Whatever a killed process leaves is an event that waits, or a file that is swept away.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Event;

/// How many records of what was given up are kept.
const RECORDS_MAX: usize = 1000;
const GIVEN_UP: &str = "given-up";

/// How much may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How many events.
    pub events_max: usize,
    /// How many bytes, all together.
    pub bytes_max: u64,
    /// How long, in seconds.
    pub age_s_max: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            events_max: 10_000,
            bytes_max: 64 << 20,
            age_s_max: 7 * 24 * 3600,
        }
    }
}

/// Why an event was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The receiver will never take it.
    #[error("the receiver answered {0}, which is final")]
    Refused(u16),
    /// It waited too long.
    #[error("it waited longer than it may")]
    Expired,
    /// Newer ones needed the room.
    #[error("more events wait than may, and it was the oldest")]
    Full,
    /// Its file holds no event.
    #[error("its file was damaged")]
    Damaged,
}

/// The record of an event that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenUp {
    /// The event's id; of a damaged one, its file's name.
    pub id: String,
    /// Its sort.
    pub kind: String,
    /// Why.
    pub reason: Reason,
    /// When.
    pub at_unix_s: u64,
}

/// An event that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) place: u64,
    pub(super) id: String,
    pub(super) kind: String,
    /// Since when.
    pub(super) since_unix_s: u64,
    bytes: u64,
}

/// What a file holds.
#[derive(Serialize, Deserialize)]
struct Filed {
    since_unix_s: u64,
    id: String,
    kind: String,
    /// What is sent, the same each time.
    body: String,
}

/// The folder.
pub(super) struct Store {
    folder: PathBuf,
    bounds: Bounds,
    waiting: VecDeque<Waiting>,
    bytes: u64,
    place_next: u64,
    // Held as long as the folder is used.
    _lock: File,
}

impl Store {
    /// Opens the folder, makes it where it is missing, and reads what waits. Returns how many files
    /// were damaged, too.
    pub(super) fn open(folder: &Path, bounds: Bounds, now_unix_s: u64) -> io::Result<(Self, u64)> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(folder.join(GIVEN_UP))?;
        let lock = private().truncate(false).open(folder.join("lock"))?;
        lock.try_lock().map_err(|_| {
            let what = "another process uses it: only one agent may run in a data folder";
            io::Error::new(io::ErrorKind::ResourceBusy, what)
        })?;
        let mut store = Self {
            folder: folder.to_owned(),
            bounds,
            waiting: VecDeque::new(),
            bytes: 0,
            place_next: 1,
            _lock: lock,
        };
        let damaged = store.read(now_unix_s)?;
        Ok((store, damaged))
    }

    fn read(&mut self, now_unix_s: u64) -> io::Result<u64> {
        let mut damaged = 0;
        for (place, path) in places(&self.folder)? {
            let content = fs::read(&path)?;
            let Ok(filed) = serde_json::from_slice::<Filed>(&content) else {
                let record = GivenUp {
                    id: path.display().to_string(),
                    kind: String::new(),
                    reason: Reason::Damaged,
                    at_unix_s: now_unix_s,
                };
                self.record(place, &record)?;
                fs::remove_file(&path)?;
                damaged += 1;
                continue;
            };
            let bytes = content.len() as u64;
            self.bytes += bytes;
            self.waiting.push_back(Waiting {
                place,
                id: filed.id,
                kind: filed.kind,
                since_unix_s: filed.since_unix_s,
                bytes,
            });
        }
        let last = self.waiting.back().map_or(0, |waiting| waiting.place);
        let records = places(&self.folder.join(GIVEN_UP))?;
        let last = records.last().map_or(last, |(place, _)| last.max(*place));
        self.place_next = last.saturating_add(1);
        Ok(damaged)
    }

    pub(super) fn waiting(&self) -> &VecDeque<Waiting> {
        &self.waiting
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Keeps an event. Returns how many of the oldest were given up for it.
    pub(super) fn push(&mut self, event: &Event, now_unix_s: u64) -> io::Result<u64> {
        let filed = Filed {
            since_unix_s: now_unix_s,
            id: event.id.clone(),
            kind: event.kind.clone(),
            body: serde_json::to_string(event)?,
        };
        let content = serde_json::to_vec(&filed)?;
        let bytes = content.len() as u64;
        if bytes > self.bounds.bytes_max || self.bounds.events_max == 0 {
            let what = format!(
                "the event has {bytes} bytes, and all that wait may have {}",
                self.bounds.bytes_max
            );
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
        }
        let mut dropped = 0;
        while self.waiting.len() >= self.bounds.events_max
            || self.bytes + bytes > self.bounds.bytes_max
        {
            let Some(oldest) = self.waiting.front() else {
                break;
            };
            self.give_up(oldest.place, Reason::Full, now_unix_s)?;
            dropped += 1;
        }
        let place = self.place_next;
        write_whole(&self.folder, place, &content)?;
        self.place_next += 1;
        self.bytes += bytes;
        self.waiting.push_back(Waiting {
            place,
            id: filed.id,
            kind: filed.kind,
            since_unix_s: filed.since_unix_s,
            bytes,
        });
        Ok(dropped)
    }

    /// What is sent of an event.
    pub(super) fn body(&self, place: u64) -> io::Result<String> {
        let content = fs::read(file(&self.folder, place))?;
        let filed: Filed = serde_json::from_slice(&content)?;
        Ok(filed.body)
    }

    /// Its receiver took it. Whoever asks twice, or after it was given up, changes nothing.
    pub(super) fn done(&mut self, place: u64) -> io::Result<()> {
        let found = self
            .waiting
            .iter()
            .position(|waiting| waiting.place == place);
        let Some(index) = found else {
            return Ok(());
        };
        fs::remove_file(file(&self.folder, place))?;
        sync(&self.folder)?;
        if let Some(waiting) = self.waiting.remove(index) {
            self.bytes -= waiting.bytes;
        }
        Ok(())
    }

    /// Nobody will send it any more. Its record is on the disk before it goes.
    pub(super) fn give_up(&mut self, place: u64, reason: Reason, at: u64) -> io::Result<()> {
        let found = self.waiting.iter().find(|waiting| waiting.place == place);
        let Some(waiting) = found else {
            return Ok(());
        };
        let record = GivenUp {
            id: waiting.id.clone(),
            kind: waiting.kind.clone(),
            reason,
            at_unix_s: at,
        };
        self.record(place, &record)?;
        self.done(place)
    }

    fn record(&self, place: u64, record: &GivenUp) -> io::Result<()> {
        let folder = self.folder.join(GIVEN_UP);
        write_whole(&folder, place, &serde_json::to_vec(record)?)?;
        let records = places(&folder)?;
        for (_, path) in records.iter().rev().skip(RECORDS_MAX) {
            fs::remove_file(path)?;
        }
        Ok(())
    }

    /// What was given up, oldest first; the latest thousand of it.
    pub(super) fn given_up(&self) -> io::Result<Vec<GivenUp>> {
        let places = places(&self.folder.join(GIVEN_UP))?;
        let read = |(_, path): &(u64, PathBuf)| {
            let content = fs::read(path).ok()?;
            serde_json::from_slice(&content).ok()
        };
        Ok(places.iter().filter_map(read).collect())
    }
}

/// The files of a folder by their places, in order. What a killed process left behind goes.
fn places(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) = name else { continue };
        if name.ends_with(".new") {
            fs::remove_file(&path)?;
        } else if let Some(place) = name.strip_suffix(".json").and_then(|n| n.parse().ok()) {
            found.push((place, path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn file(folder: &Path, place: u64) -> PathBuf {
    folder.join(format!("{place:020}.json"))
}

/// Nobody else reads events: they may tell of anything.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options
}

fn write_whole(folder: &Path, place: u64, content: &[u8]) -> io::Result<()> {
    let new = folder.join(format!("{place:020}.new"));
    let mut written = private().open(&new)?;
    written.write_all(content)?;
    written.sync_all()?;
    fs::rename(&new, file(folder, place))?;
    sync(folder)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
