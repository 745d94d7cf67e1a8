//! Propose, read, wait for changes: the one way to the state, behind which consensus comes.
//!
//! One thread admits, appends, applies and answers, in that order. Proposals that wait together
//! share one write to the disk. A retry finds its request id in the state: nothing happens twice.

use std::sync::Arc;

use hanse_core::admission::{self, Admission, Refusal};
use hanse_core::command::Request;
use hanse_core::finding::Finding;
use hanse_core::state::FederationState;
use tokio::sync::{mpsc, oneshot, watch};

use super::disk::{Disk, StoreError};

/// Proposals that may wait.
const QUEUE_LENGTH: usize = 256;
/// Proposals that share one write.
const BATCH_LENGTH_MAX: usize = 64;
/// So many entries make a snapshot worth while.
const SNAPSHOT_INTERVAL: u64 = 1024;

/// What time it is for the federation, in seconds since 1970.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// A proposal that stands.
#[derive(Debug, Clone)]
pub struct Committed {
    /// The revision that carries it.
    pub revision: u64,
    /// The state at that revision or a later one.
    pub state: Arc<FederationState>,
    /// What is worth saying.
    pub warnings: Vec<Finding>,
    /// Whether it is new, and no repetition.
    pub is_new: bool,
}

/// A proposal that doesn't stand.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProposeError {
    /// The rules refuse it.
    #[error("refused")]
    Refused(Refusal),
    /// It can't be kept now; the same request id may be proposed again.
    #[error("{0}")]
    Failed(String),
}

/// The state on this voter.
#[derive(Debug, Clone)]
pub struct Replica {
    proposals: mpsc::Sender<Proposal>,
    state: watch::Receiver<Arc<FederationState>>,
}

struct Proposal {
    request_id: String,
    request: Request,
    answer: oneshot::Sender<Result<Committed, ProposeError>>,
}

struct Writer {
    clock: Clock,
    disk: Disk,
    state: Arc<FederationState>,
    published: watch::Sender<Arc<FederationState>>,
}

/// What will be answered once the disk has it.
type Pending = (
    oneshot::Sender<Result<Committed, ProposeError>>,
    u64,
    Vec<Finding>,
    bool,
);

impl Replica {
    /// Starts the writer on a thread of its own; it ends with the last clone of this handle.
    pub fn start(disk: Disk, state: FederationState, clock: Clock) -> Result<Self, StoreError> {
        let (proposals, queue) = mpsc::channel(QUEUE_LENGTH);
        let state = Arc::new(state);
        let (published, watched) = watch::channel(state.clone());
        let writer = Writer {
            clock,
            disk,
            state,
            published,
        };
        std::thread::Builder::new()
            .name("state-writer".to_owned())
            .spawn(move || writer.run(queue))
            .map_err(|error| StoreError::Io {
                path: "the writer's thread".into(),
                reason: error.to_string(),
            })?;
        Ok(Self {
            proposals,
            state: watched,
        })
    }

    /// Asks for a change; on return it is safe on the disk, or it is refused, or it may be tried
    /// again under the same id.
    pub async fn propose(
        &self,
        request_id: String,
        request: Request,
    ) -> Result<Committed, ProposeError> {
        let gone = || ProposeError::Failed("the voter is stopping; try again".to_owned());
        let (answer, answered) = oneshot::channel();
        let proposal = Proposal {
            request_id,
            request,
            answer,
        };
        self.proposals.send(proposal).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// The committed state.
    #[must_use]
    pub fn read(&self) -> Arc<FederationState> {
        self.state.borrow().clone()
    }

    /// The committed state, now and whenever it changes.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Arc<FederationState>> {
        self.state.clone()
    }
}

impl Writer {
    fn run(mut self, mut queue: mpsc::Receiver<Proposal>) {
        let mut batch = Vec::new();
        while queue.blocking_recv_many(&mut batch, BATCH_LENGTH_MAX) > 0 {
            self.commit(std::mem::take(&mut batch));
            if self.disk.is_open()
                && self.disk.log_length() >= SNAPSHOT_INTERVAL
                && let Err(error) = self.disk.snapshot(&self.state)
            {
                tracing::error!(%error, "unable to take a snapshot of the state");
            }
        }
    }

    fn commit(&mut self, batch: Vec<Proposal>) {
        if !self.disk.is_open()
            && let Err(reason) = self.recover()
        {
            for proposal in batch {
                let _ = proposal
                    .answer
                    .send(Err(ProposeError::Failed(reason.clone())));
            }
            return;
        }
        let mut next = (*self.state).clone();
        let mut entries = Vec::new();
        let mut pending: Vec<Pending> = Vec::new();
        for Proposal {
            request_id,
            request,
            answer,
        } in batch
        {
            match admission::admit(&next, &request_id, (self.clock)(), request) {
                Err(refusal) => {
                    let _ = answer.send(Err(ProposeError::Refused(refusal)));
                }
                Ok(Admission::Already { revision }) => {
                    pending.push((answer, revision, Vec::new(), false));
                }
                Ok(Admission::Commit { entry, warnings }) => {
                    next.apply(&entry);
                    entries.push(*entry);
                    pending.push((answer, next.revision(), warnings, true));
                }
            }
        }
        let revision_first = self.state.revision() + 1;
        if !entries.is_empty() {
            if let Err(error) = self.disk.append(revision_first, &entries) {
                tracing::error!(%error, "unable to keep a change of the state");
                let reason = error.to_string();
                for (answer, ..) in pending {
                    let _ = answer.send(Err(ProposeError::Failed(reason.clone())));
                }
                return;
            }
            self.state = Arc::new(next);
            self.published.send_replace(self.state.clone());
        }
        for (answer, revision, warnings, is_new) in pending {
            let state = self.state.clone();
            let _ = answer.send(Ok(Committed {
                revision,
                state,
                warnings,
                is_new,
            }));
        }
    }

    /// Opens the file again after a failure. What it holds counts, whether or not its writing was
    /// seen to succeed.
    fn recover(&mut self) -> Result<(), String> {
        let state = self.disk.reopen().map_err(|error| error.to_string())?;
        if state.revision() < self.state.revision() {
            return Err(
                "the state on the disk is older than what was acknowledged; \
                 stop this voter and restore its data folder"
                    .to_owned(),
            );
        }
        if state != *self.state {
            self.state = Arc::new(state);
            self.published.send_replace(self.state.clone());
        }
        tracing::info!(
            revision = self.state.revision(),
            "the state can be written again"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use hanse_core::name::FederationName;
    use redb::backends::FileBackend;
    use redb::{Database, StorageBackend};

    use super::*;

    fn acme() -> FederationName {
        "acme".parse().unwrap()
    }

    fn enroll(node: &str) -> Request {
        Request::Enroll {
            node: node.parse().unwrap(),
            cluster: "home".parse().unwrap(),
            voter: false,
            advertise: None,
            identity_key: None,
            token: None,
            sealing_key: None,
            boxes: Vec::new(),
        }
    }

    /// A disk that can be full.
    #[derive(Debug)]
    struct Limited {
        file: FileBackend,
        full: Arc<AtomicBool>,
    }

    impl Limited {
        fn room(&self) -> std::io::Result<()> {
            if self.full.load(Ordering::SeqCst) {
                return Err(std::io::ErrorKind::StorageFull.into());
            }
            Ok(())
        }
    }

    impl StorageBackend for Limited {
        fn len(&self) -> std::io::Result<u64> {
            self.file.len()
        }
        fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
            self.file.read(offset, out)
        }
        fn set_len(&self, len: u64) -> std::io::Result<()> {
            self.room()?;
            self.file.set_len(len)
        }
        fn sync_data(&self) -> std::io::Result<()> {
            self.file.sync_data()
        }
        fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
            self.room()?;
            self.file.write(offset, data)
        }
    }

    #[tokio::test]
    async fn what_was_acknowledged_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.redb");
        Disk::create(&path, &acme()).unwrap();
        let (disk, state) = Disk::open(&path, &acme()).unwrap();
        let replica = Replica::start(disk, state, Arc::new(|| 0)).unwrap();
        // Enough for a snapshot and a log after it.
        for number in 0..SNAPSHOT_INTERVAL + 10 {
            replica
                .propose(number.to_string(), enroll(&format!("n{number}")))
                .await
                .unwrap();
        }
        let before = replica.read();
        let mut changes = replica.changes();
        drop(replica);
        while changes.changed().await.is_ok() {}
        let (disk, after) = Disk::open(&path, &acme()).unwrap();
        assert_eq!(after, *before);
        assert!(disk.log_length() < SNAPSHOT_INTERVAL);
    }

    #[tokio::test]
    async fn a_repeated_request_happens_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.redb");
        Disk::create(&path, &acme()).unwrap();
        let (disk, state) = Disk::open(&path, &acme()).unwrap();
        let replica = Replica::start(disk, state, Arc::new(|| 0)).unwrap();
        let first = replica.propose("id".to_owned(), enroll("a")).await.unwrap();
        let second = replica.propose("id".to_owned(), enroll("a")).await.unwrap();
        assert!(first.is_new && !second.is_new);
        assert_eq!((first.revision, second.revision), (1, 1));
        let other = replica.propose("other".to_owned(), enroll("a")).await;
        assert!(matches!(other, Err(ProposeError::Refused(_))));
    }

    #[tokio::test]
    async fn a_full_disk_loses_nothing_and_room_mends_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.redb");
        Disk::create(&path, &acme()).unwrap();
        let full = Arc::new(AtomicBool::new(false));
        let flag = full.clone();
        let opener = Box::new(move |path: &std::path::Path| {
            let file = std::fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open(path)?;
            let backend = Limited {
                file: FileBackend::new(file)?,
                full: flag.clone(),
            };
            Database::builder().create_with_backend(backend)
        });
        let (disk, state) = Disk::open_with(&path, &acme(), opener).unwrap();
        let replica = Replica::start(disk, state, Arc::new(|| 0)).unwrap();
        replica.propose("1".to_owned(), enroll("a")).await.unwrap();
        full.store(true, Ordering::SeqCst);
        for _ in 0..3 {
            let error = replica
                .propose("2".to_owned(), enroll("b"))
                .await
                .unwrap_err();
            assert!(error.to_string().contains("full"), "{error}");
            assert_eq!(replica.read().revision(), 1);
        }
        full.store(false, Ordering::SeqCst);
        let committed = replica.propose("2".to_owned(), enroll("b")).await.unwrap();
        assert_eq!(committed.revision, 2);
        assert_eq!(replica.read().inventory().nodes.len(), 2);
    }
}
