//! Where the federation's voters are: as they were configured, and as the federation said last.
//!
//! What the federation says is kept, so that one whose voters all moved, one after the other, is
//! still found after a restart. What was configured is never forgotten.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hanse_core::endpoint::Endpoint;
use rand::seq::SliceRandom as _;

use crate::data::file::{self, MODE_PUBLIC};
use crate::data::{DataError, DataFolder};

/// More endpoints are not kept.
const LEARNED_MAX: usize = 32;
/// The largest file that is read.
const LENGTH_MAX: u64 = 64 << 10;

/// Where the federation's voters are.
#[derive(Debug)]
pub struct Voters {
    configured: Vec<Endpoint>,
    folder: DataFolder,
    learned: Mutex<Vec<Endpoint>>,
    /// Of the voter that this agent runs.
    own: Option<Own>,
}

/// The voter that an agent runs needs no network to reach.
#[derive(Debug)]
struct Own {
    endpoint: Endpoint,
    /// Whether the others are asked first for once: it could not help the last time.
    is_last: AtomicBool,
}

impl Voters {
    /// These, and those that the federation names.
    #[must_use]
    pub fn learning(folder: DataFolder, configured: Vec<Endpoint>) -> Self {
        let learned = read(&folder).unwrap_or_else(|error| {
            tracing::warn!(%error, "unable to read where the voters are; going by the settings");
            Vec::new()
        });
        Self {
            configured,
            folder,
            learned: Mutex::new(learned),
            own: None,
        }
    }

    /// The same, and before them the voter that this agent runs.
    #[must_use]
    pub fn after_own(self, endpoint: Endpoint) -> Self {
        let is_last = AtomicBool::new(false);
        let own = Some(Own { endpoint, is_last });
        Self { own, ..self }
    }

    /// Notes whether the first that was tried could help. A voter that lags or is out sends its own
    /// agent to the others, and is tried again after them.
    pub fn note(&self, was_helped: bool) {
        if let Some(own) = &self.own {
            if was_helped {
                own.is_last.store(false, Ordering::Relaxed);
            } else {
                own.is_last.fetch_xor(true, Ordering::Relaxed);
            }
        }
    }

    /// All of them in the order in which to try them: another one each time, lest all followers
    /// gather at the same voter; what was learned before what was configured.
    #[must_use]
    pub fn to_try(&self) -> Vec<Endpoint> {
        let mut all = self.learned().clone();
        let mut rest = self.configured.clone();
        rest.retain(|endpoint| !all.contains(endpoint));
        all.shuffle(&mut rand::rng());
        rest.shuffle(&mut rand::rng());
        all.extend(rest);
        if let Some(own) = &self.own {
            all.retain(|endpoint| *endpoint != own.endpoint);
            let place = if own.is_last.load(Ordering::Relaxed) {
                all.len()
            } else {
                0
            };
            all.insert(place, own.endpoint.clone());
        }
        all
    }

    /// Keeps what the federation says.
    pub fn learn(&self, endpoints: &[String]) {
        let read = endpoints.iter().filter_map(|text| text.parse().ok());
        let told: Vec<Endpoint> = read.take(LEARNED_MAX).collect();
        let mut learned = self.learned();
        if told.is_empty() || *learned == told {
            return;
        }
        *learned = told;
        if let Err(error) = write(&self.folder, &learned) {
            tracing::error!(%error, "unable to keep where the voters are for the next start");
        }
    }

    fn learned(&self) -> MutexGuard<'_, Vec<Endpoint>> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(folder: &DataFolder) -> Result<Vec<Endpoint>, DataError> {
    let path = folder.voters();
    let content = match file::read_bounded(&path, LENGTH_MAX) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(DataError::io("read", &path)(error)),
    };
    let text = String::from_utf8_lossy(&content);
    let read = text.lines().filter_map(|line| line.parse().ok());
    Ok(read.take(LEARNED_MAX).collect())
}

fn write(folder: &DataFolder, endpoints: &[Endpoint]) -> Result<(), DataError> {
    let path = folder.voters();
    let text: String = endpoints
        .iter()
        .map(|endpoint| format!("{endpoint}\n"))
        .collect();
    file::write_atomically(&path, MODE_PUBLIC, text.as_bytes())
        .map_err(DataError::io("write", &path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(texts: &[&str]) -> Vec<Endpoint> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn told(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_federation_whose_voters_moved_is_still_found_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let folder = DataFolder::new(folder.path());
        let configured = endpoints(&["192.0.2.1:1"]);
        let voters = Voters::learning(folder.clone(), configured.clone());
        voters.learn(&told(&["192.0.2.1:1", "192.0.2.2:1"]));
        voters.learn(&told(&["192.0.2.2:1", "nonsense", "192.0.2.3:1"]));
        voters.learn(&[]);
        let voters = Voters::learning(folder, configured);
        let tried = voters.to_try();
        assert_eq!(tried.len(), 3);
        assert_eq!(
            tried[2],
            endpoints(&["192.0.2.1:1"])[0],
            "what was configured stays"
        );
        assert!(tried.contains(&endpoints(&["192.0.2.3:1"])[0]));
    }

    #[test]
    fn a_damaged_file_leaves_what_was_configured() {
        let folder = tempfile::tempdir().unwrap();
        let folder = DataFolder::new(folder.path());
        std::fs::write(folder.voters(), [0xff, b'\n', 0]).unwrap();
        let configured = endpoints(&["192.0.2.1:1"]);
        assert_eq!(
            Voters::learning(folder, configured.clone()).to_try(),
            configured
        );
    }

    #[test]
    fn a_voters_own_agent_asks_it_first_and_the_others_where_it_can_not_help() {
        let folder = tempfile::tempdir().unwrap();
        let folder = DataFolder::new(folder.path());
        let own = endpoints(&["127.0.0.1:1"])[0].clone();
        let voters = Voters::learning(folder, Vec::new()).after_own(own.clone());
        voters.learn(&told(&["192.0.2.2:1", "192.0.2.3:1"]));
        assert_eq!(voters.to_try()[0], own);
        voters.note(false);
        assert_eq!(voters.to_try()[2], own);
        voters.note(false);
        assert_eq!(voters.to_try()[0], own);
        voters.note(false);
        voters.note(true);
        assert_eq!(voters.to_try()[0], own);
    }
}
