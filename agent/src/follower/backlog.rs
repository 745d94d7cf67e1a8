//! What changed on this node while the federation was out of reach: told in order once it is back.
//!
//! While the node reports, nothing is kept: a report says how things are. From when nobody answers,
//! each complaint that begins or ends is kept on the disk with its time. There is room for so many;
//! then the oldest goes, and it is counted.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hanse_client::{Clock, proto};
use hanse_dataplane::Observation;
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::capacity::{self, Gauge};
use super::report;
use crate::data::file::{self, MODE_SECRET};
use crate::data::{DataError, DataFolder};

/// How often it is looked while nobody answers. Shorter spells of anything are not kept.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// The largest file that is read.
const LENGTH_MAX: u64 = 16 << 20;
/// So much goes with one report.
const CHANGES_IN_REPORT_MAX: usize = hanse_core::recollection::CHANGES_MAX;

/// What changed while nobody answered.
#[derive(Debug, Clone)]
pub struct Backlog {
    folder: DataFolder,
    size_max: usize,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    stored: Stored,
    /// Whether the last report arrived.
    is_online: bool,
    /// The complaints that were told or kept last, by what they say without figures; none: since
    /// the start nothing was.
    last: Option<BTreeMap<String, String>>,
}

/// As it is on the disk.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Stored {
    /// Tells this queue from one that came before it.
    id: String,
    next_sequence: u64,
    /// How many gave way to later ones.
    dropped: u64,
    changes: VecDeque<Change>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Change {
    sequence: u64,
    at_unix_s: u64,
    sentence: String,
    #[serde(default)]
    ended: bool,
}

impl Backlog {
    /// What is kept in the folder, with room for so many changes.
    #[must_use]
    pub fn open(folder: &DataFolder, size_max: usize) -> Self {
        let stored = read(folder).unwrap_or_else(|error| {
            tracing::warn!(%error, "what changed while the federation was out of reach is lost");
            Stored::default()
        });
        let kept = Kept {
            stored,
            ..Kept::default()
        };
        Self {
            folder: folder.clone(),
            size_max,
            kept: Arc::new(Mutex::new(kept)),
        }
    }

    /// The same, with room for so many changes.
    #[must_use]
    pub fn with_room_for(self, size_max: usize) -> Self {
        Self { size_max, ..self }
    }

    /// Looks again and again, until `stop`, at what is to be kept while nobody answers.
    pub async fn run(
        self,
        mut observations: watch::Receiver<Observation>,
        gauge: Arc<Mutex<Option<Gauge>>>,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) {
        loop {
            let pause = tokio::time::sleep(LOOK_INTERVAL);
            if stop.run_until_cancelled(pause).await.is_none() {
                return;
            }
            if self.lock().is_online {
                continue;
            }
            let observation = observations.borrow_and_update().clone();
            let (backlog, gauge) = (self.clone(), gauge.clone());
            let now_unix_s = clock.reading().earliest_ms() / 1000;
            let looked = tokio::task::spawn_blocking(move || {
                let measured = capacity::lock(&gauge).as_mut().map(Gauge::measure);
                let breaches = measured.unwrap_or_default().breaches;
                backlog.look(&complaints(&observation, &breaches), now_unix_s);
            });
            let _ = looked.await;
        }
    }

    /// Nobody answers any more.
    pub fn lost(&self) {
        self.lock().is_online = false;
    }

    /// Fills in what a report tells of the past.
    pub fn fill(&self, status: &mut proto::NodeStatus) {
        let kept = self.lock();
        let stored = &kept.stored;
        let first = stored.changes.iter().take(CHANGES_IN_REPORT_MAX);
        status.past = first
            .map(|change| proto::PastChange {
                sequence: change.sequence,
                at_unix_s: change.at_unix_s,
                sentence: change.sentence.clone(),
                ended: change.ended,
            })
            .collect();
        if !status.past.is_empty() {
            status.past_id.clone_from(&stored.id);
            status.past_dropped = stored.dropped;
        }
    }

    /// A report arrived that said so, and what it told of the past is kept by the federation up to
    /// that sequence number. Yields whether there is more to tell.
    pub fn reported(&self, complaints: BTreeMap<String, String>, until: u64) -> bool {
        let mut kept = self.lock();
        kept.is_online = true;
        kept.last = Some(complaints);
        let stored = &mut kept.stored;
        let before = stored.changes.len();
        stored.changes.retain(|change| change.sequence > until);
        if stored.changes.len() == before {
            return false;
        }
        stored.dropped = 0;
        self.write(stored);
        !stored.changes.is_empty()
    }

    fn look(&self, complaints: &BTreeMap<String, String>, now_unix_s: u64) {
        let mut kept = self.lock();
        if kept.is_online {
            return;
        }
        let mut news = Vec::new();
        match &kept.last {
            None => {
                let started = "the agent started while the federation was out of reach".to_owned();
                news.push((started, false));
                news.extend(complaints.values().map(|text| (text.clone(), false)));
            }
            Some(last) => {
                let keys: BTreeSet<&String> = last.keys().chain(complaints.keys()).collect();
                for key in keys {
                    match (last.get(key), complaints.get(key)) {
                        (None, Some(text)) => news.push((text.clone(), false)),
                        (Some(text), None) => news.push((text.clone(), true)),
                        (Some(_), Some(_)) | (None, None) => {}
                    }
                }
            }
        }
        kept.last = Some(complaints.clone());
        if news.is_empty() || self.size_max == 0 {
            return;
        }
        let stored = &mut kept.stored;
        if stored.id.is_empty() {
            stored.id = format!("{:032x}", rand::rng().random::<u128>());
        }
        for (sentence, ended) in news {
            stored.next_sequence += 1;
            stored.changes.push_back(Change {
                sequence: stored.next_sequence,
                at_unix_s: now_unix_s,
                sentence,
                ended,
            });
        }
        while stored.changes.len() > self.size_max {
            stored.changes.pop_front();
            stored.dropped += 1;
        }
        self.write(stored);
    }

    fn write(&self, stored: &Stored) {
        let path = self.folder.backlog();
        let written = serde_json::to_vec(stored)
            .map_err(io::Error::other)
            .and_then(|bytes| file::write_atomically(&path, MODE_SECRET, &bytes));
        if let Err(error) = written {
            tracing::warn!(path = %path.display(), %error, "unable to keep what changed");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the node complains about, by what it says without its figures: a complaint whose figures
/// change is the same one.
#[must_use]
pub fn complaints(observation: &Observation, breaches: &[String]) -> BTreeMap<String, String> {
    let of_meshes = observation.meshes.iter().flat_map(|mesh| {
        let of_peers = mesh.peers.iter().filter_map(|peer| {
            let problem = peer.problem.as_ref()?;
            Some(format!("{} in {}: {problem}", peer.node, mesh.mesh))
        });
        mesh.problems.iter().cloned().chain(of_peers)
    });
    let all = observation.problems.iter().chain(breaches).cloned();
    let key = |text: &String| text.replace(|c: char| c.is_ascii_digit() || c == '.', "");
    all.chain(of_meshes)
        .take(report::PROBLEMS_MAX)
        .map(|text| (key(&text), text))
        .collect()
}

fn read(folder: &DataFolder) -> Result<Stored, DataError> {
    let path = folder.backlog();
    let bytes = match file::read_bounded(&path, LENGTH_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Stored::default()),
        Err(error) => return Err(DataError::io("read", &path)(error)),
    };
    serde_json::from_slice(&bytes).map_err(|error| {
        DataError::Problem(format!("{} can't be understood: {error}", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, DataFolder) {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::new(parent.path());
        (parent, folder)
    }

    fn saying(texts: &[&str]) -> BTreeMap<String, String> {
        let observation = Observation {
            problems: texts.iter().map(ToString::to_string).collect(),
            ..Observation::default()
        };
        complaints(&observation, &[])
    }

    fn told(backlog: &Backlog) -> Vec<(u64, String, bool)> {
        let mut status = proto::NodeStatus::default();
        backlog.fill(&mut status);
        let past = status.past.into_iter();
        past.map(|one| (one.sequence, one.sentence, one.ended))
            .collect()
    }

    #[test]
    fn what_begins_and_ends_while_nobody_answers_is_told_in_order_after_a_restart() {
        let (_parent, folder) = folder();
        let backlog = Backlog::open(&folder, 10);
        backlog.reported(saying(&["the disk is full"]), 0);
        backlog.look(&saying(&["never told: it is online"]), 1);
        backlog.lost();
        backlog.look(&saying(&["the disk is full", "h2: no proof for 3 s"]), 2);
        backlog.look(&saying(&["the disk is full", "h2: no proof for 9 s"]), 3);
        backlog.look(&saying(&["h2: no proof for 12 s"]), 4);
        let backlog = Backlog::open(&folder, 10);
        let first = (1, "h2: no proof for 3 s".to_owned(), false);
        let second = (2, "the disk is full".to_owned(), true);
        assert_eq!(told(&backlog), [first, second.clone()]);
        assert!(backlog.reported(saying(&[]), 1), "there is more");
        assert_eq!(told(&backlog), [second]);
        assert!(!backlog.reported(saying(&[]), 2));
        assert_eq!(told(&Backlog::open(&folder, 10)), []);
    }

    #[test]
    fn the_oldest_gives_way_and_is_counted() {
        let (_parent, folder) = folder();
        let backlog = Backlog::open(&folder, 3);
        backlog.reported(saying(&[]), 0);
        backlog.lost();
        for (at, text) in ["a", "b", "c"].into_iter().enumerate() {
            backlog.look(&saying(&[text]), at as u64);
        }
        let sequences: Vec<u64> = told(&backlog).into_iter().map(|(n, ..)| n).collect();
        assert_eq!(sequences, [3, 4, 5]);
        let mut status = proto::NodeStatus::default();
        backlog.fill(&mut status);
        assert_eq!(status.past_dropped, 2);
    }

    #[test]
    fn an_agent_that_starts_alone_says_so_and_how_things_are() {
        let (_parent, folder) = folder();
        let backlog = Backlog::open(&folder, 10);
        backlog.look(&saying(&["the disk is full"]), 7);
        let told: Vec<String> = told(&backlog)
            .into_iter()
            .map(|(_, text, _)| text)
            .collect();
        assert!(told[0].contains("started"), "{told:?}");
        assert_eq!(told[1], "the disk is full");
    }

    #[test]
    fn a_damaged_file_is_given_up_and_the_agent_goes_on() {
        let (_parent, folder) = folder();
        std::fs::write(folder.backlog(), "{").unwrap();
        let backlog = Backlog::open(&folder, 10);
        backlog.look(&saying(&[]), 7);
        assert_eq!(told(&Backlog::open(&folder, 10)).len(), 1);
    }
}
