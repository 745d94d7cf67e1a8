//! The log, as Raft reads and writes it: in memory to read, in the journal to be safe.
//!
//! The log is short, since snapshots cut it; so all of it is held. An append is acknowledged only
//! once the journal says that it is safe.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{AsyncRuntime, OptionalSend, RaftLogReader};

use crate::disk::{Contents, StoreError, Write};
use crate::form::EntryForm;
use crate::journal::Journal;
use crate::record;
use crate::types::{LogEntry, LogId, Types, Vote};

/// So many bytes of entries go into one message, or one entry alone.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// The log of one voter.
#[derive(Debug, Clone)]
pub struct Log {
    held: Arc<Mutex<Held>>,
    journal: Journal,
}

#[derive(Debug, Default)]
struct Held {
    entries: BTreeMap<u64, Sized>,
    vote: Option<Vote>,
    purged: Option<LogId>,
    committed: Option<LogId>,
}

/// An entry and how long it is when written.
#[derive(Debug, Clone)]
struct Sized {
    entry: LogEntry,
    length: usize,
}

impl Log {
    /// The log that a file holds.
    pub fn new(contents: &Contents, journal: Journal) -> Result<Self, StoreError> {
        let mut entries = BTreeMap::new();
        for form in &contents.log {
            let index = form.log_id.index;
            let entry = LogEntry::try_from(form.clone()).map_err(|error| StoreError::Damaged {
                path: "the log".into(),
                reason: error.to_string(),
            })?;
            let length = record::encode(form).map_or(0, |record| record.len());
            entries.insert(index, Sized { entry, length });
        }
        let held = Held {
            entries,
            vote: contents.vote.map(Vote::from),
            purged: contents.purged.map(LogId::from),
            committed: contents.committed.map(LogId::from),
        };
        Ok(Self {
            held: Arc::new(Mutex::new(held)),
            journal,
        })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: AsyncRuntime> RaftLogReader<Types<R>> for Log {
    async fn try_get_log_entries<B: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: B,
    ) -> Result<Vec<LogEntry>, io::Error> {
        if is_empty(&range) {
            return Ok(Vec::new());
        }
        let held = self.held();
        let entries = held.entries.range(range).map(|(_, sized)| &sized.entry);
        Ok(entries.cloned().collect())
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<LogEntry>, io::Error> {
        let held = self.held();
        let mut length = 0;
        let entries = held
            .entries
            .range(start..end.max(start))
            .map(|(_, sized)| sized);
        let taken = entries.take_while(|sized| {
            let is_first = length == 0;
            length += sized.length;
            is_first || length <= MESSAGE_BYTES_MAX
        });
        Ok(taken.map(|sized| sized.entry.clone()).collect())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.held().vote)
    }
}

impl<R: AsyncRuntime> RaftLogStorage<Types<R>> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types<R>>, io::Error> {
        let held = self.held();
        let last = held.entries.last_key_value();
        Ok(LogState {
            last_purged_log_id: held.purged,
            last_log_id: last.map(|(_, sized)| sized.entry.log_id).or(held.purged),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        // Held before it is safe: Raft waits for the answer before it acts on the vote.
        self.held().vote = Some(*vote);
        let written = self.journal.write(vec![Write::Vote((*vote).into())]).await;
        written.map_err(io::Error::other)
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        // It goes along with the next append: worth having, not worth a write.
        self.held().committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        Ok(self.held().committed)
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: IOFlushed<Types<R>>,
    ) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = LogEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut records = Vec::new();
        let mut writes = Vec::new();
        {
            let mut held = self.held();
            for entry in entries {
                let record = record::encode(&EntryForm::from(&entry)).map_err(io::Error::other)?;
                let index = entry.log_id.index;
                let length = record.len();
                held.entries.insert(index, Sized { entry, length });
                records.push((index, record));
            }
            writes.push(Write::Entries(records));
            writes.extend(
                held.committed
                    .map(|committed| Write::Committed(committed.into())),
            );
        }
        self.journal.submit(writes, move |result| {
            callback.io_completed(result.map_err(io::Error::other));
        });
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> Result<(), io::Error> {
        let first = last.map_or(0, |last| last.index + 1);
        self.held().entries.split_off(&first);
        let written = self.journal.write(vec![Write::Truncate(first)]).await;
        written.map_err(io::Error::other)
    }

    async fn purge(&mut self, last: LogId) -> Result<(), io::Error> {
        {
            let mut held = self.held();
            held.entries = held.entries.split_off(&(last.index + 1));
            held.purged = Some(last);
        }
        let written = self.journal.write(vec![Write::Purge(last.into())]).await;
        written.map_err(io::Error::other)
    }
}

/// Whether a range holds nothing: the map panics at one whose end comes before its start.
fn is_empty(range: &impl RangeBounds<u64>) -> bool {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(start) => start.saturating_add(1),
        Bound::Unbounded => 0,
    };
    match range.end_bound() {
        Bound::Included(end) => *end < start,
        Bound::Excluded(end) => *end <= start,
        Bound::Unbounded => false,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use hanse_core::state::FederationState;
    use openraft_rt_tokio::TokioRuntime;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;
    use crate::form::SnapshotForm;
    use crate::journal::Done;

    type Jobs = UnboundedReceiver<(Vec<Write>, Done)>;

    /// A log whose writes are safe when the test says so.
    fn log() -> (Log, Jobs) {
        let (sender, jobs) = unbounded_channel();
        let delegate = Arc::new(move |writes, done| drop(sender.send((writes, done))));
        let contents = Contents {
            voter: 1,
            vote: None,
            purged: None,
            committed: None,
            log: Vec::new(),
            snapshot: SnapshotForm::default(),
            state: FederationState::new("acme".parse().unwrap()),
        };
        let journal = Journal::delegated(Path::new("test"), delegate);
        (Log::new(&contents, journal).unwrap(), jobs)
    }

    #[tokio::test]
    async fn a_vote_is_given_only_once_it_is_safe() {
        let (mut log, mut jobs) = log();
        let saving = tokio::spawn(async move {
            RaftLogStorage::<Types<TokioRuntime>>::save_vote(&mut log, &Vote::new(5, 2)).await
        });
        let (writes, done) = jobs.recv().await.unwrap();
        assert!(matches!(writes[..], [Write::Vote(_)]));
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(!saving.is_finished());
        done(Ok(()));
        saving.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn what_is_cut_off_or_purged_is_gone_only_once_it_is_safe() {
        let (log, mut jobs) = log();
        let mut cutting = log.clone();
        let cutting = tokio::spawn(async move {
            RaftLogStorage::<Types<TokioRuntime>>::truncate_after(&mut cutting, None).await
        });
        let (_, done) = jobs.recv().await.unwrap();
        assert!(!cutting.is_finished());
        done(Err(StoreError::Full("test".into())));
        cutting.await.unwrap().unwrap_err();
    }
}
