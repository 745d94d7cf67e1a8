//! The one writer of the file: what is queued is written in order, and told when it is safe.
//!
//! A disk that is full or fails for a while stops nothing but this: the write is tried again until
//! it succeeds, since what Raft was not told to be safe it does not count. Only a file that can't
//! be trusted any more is an error.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SendError, Sender, channel};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use crate::disk::{Disk, StoreError, Write};

/// The pause before a failed write is tried again; it doubles up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Told once writes are safe, or can never be.
pub type Done = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// Somebody else who writes, in order: the simulation, on virtual time.
pub type Delegate = Arc<dyn Fn(Vec<Write>, Done) + Send + Sync>;

/// Where writes are handed in. The writer ends with the last clone.
#[derive(Clone)]
pub struct Journal {
    path: Arc<Path>,
    writer: Writer,
    closing: Arc<AtomicBool>,
    complaint: watch::Receiver<Option<String>>,
}

#[derive(Clone)]
enum Writer {
    /// A thread that tries again.
    Thread(Sender<Job>),
    /// Somebody else.
    Delegate(Delegate),
}

enum Job {
    Write(Vec<Write>, Done),
    /// Close the file; nothing can be written any more.
    Close(oneshot::Sender<()>),
}

impl Journal {
    /// Writes on a thread of its own.
    pub fn start(disk: Disk) -> Result<Self, StoreError> {
        let (jobs, queue) = channel();
        let (complaints, complaint) = watch::channel(None);
        let closing = Arc::new(AtomicBool::new(false));
        let is_closing = closing.clone();
        let path: Arc<Path> = disk.path().into();
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || run(disk, &queue, &complaints, &is_closing))
            .map_err(|error| StoreError::Io {
                path: path.to_path_buf(),
                reason: format!("its thread can't be started: {error}"),
            })?;
        Ok(Self {
            path,
            writer: Writer::Thread(jobs),
            closing,
            complaint,
        })
    }

    /// Has somebody else write.
    #[must_use]
    pub fn delegated(path: &Path, delegate: Delegate) -> Self {
        Self {
            path: path.into(),
            writer: Writer::Delegate(delegate),
            closing: Arc::default(),
            complaint: watch::channel(None).1,
        }
    }

    /// Queues writes; `done` is told once they are safe, or can never be.
    pub fn submit(
        &self,
        writes: Vec<Write>,
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) {
        let done: Done = Box::new(done);
        match &self.writer {
            Writer::Thread(jobs) => {
                if let Err(SendError(Job::Write(_, done))) = jobs.send(Job::Write(writes, done)) {
                    done(Err(gone()));
                }
            }
            Writer::Delegate(delegate) => delegate(writes, done),
        }
    }

    /// Writes, and returns once it is safe.
    pub async fn write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let (told, answer) = oneshot::channel();
        self.submit(writes, move |result| {
            let _ = told.send(result);
        });
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Closes the file once everything that was queued is written. A disk that is full is not
    /// waited for.
    pub async fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
        if let Writer::Thread(jobs) = &self.writer {
            let (closed, told) = oneshot::channel();
            if jobs.send(Job::Close(closed)).is_ok() {
                let _ = told.await;
            }
        }
    }

    /// The file that is written.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Why nothing is being written at the moment; none: all is well.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        self.complaint.borrow().clone()
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Journal")
    }
}

fn run(
    mut disk: Disk,
    queue: &Receiver<Job>,
    complaints: &watch::Sender<Option<String>>,
    is_closing: &AtomicBool,
) {
    let gives_up = || is_closing.load(Ordering::Relaxed) || complaints.is_closed();
    while let Ok(job) = queue.recv() {
        match job {
            Job::Write(writes, done) => {
                let result = write_until_safe(&mut disk, &writes, complaints, &gives_up);
                complaints.send_if_modified(|complaint| complaint.take().is_some());
                done(result);
            }
            Job::Close(closed) => {
                drop(disk);
                let _ = closed.send(());
                return;
            }
        }
    }
}

/// Ends early when nobody waits any more: a stopping voter doesn't wait for room on its disk.
fn write_until_safe(
    disk: &mut Disk,
    writes: &[Write],
    complaints: &watch::Sender<Option<String>>,
    gives_up: &impl Fn() -> bool,
) -> Result<(), StoreError> {
    let mut pause = PAUSE_FIRST;
    loop {
        let error = match disk.write(writes) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if !error.may_pass() || gives_up() {
            return Err(error);
        }
        tracing::error!(%error, "unable to write the state; trying again");
        complaints.send_replace(Some(error.to_string()));
        loop {
            wait(pause);
            pause = (pause * 2).min(PAUSE_MAX);
            match disk.reopen() {
                Ok(()) => break,
                Err(error) if error.may_pass() && !gives_up() => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// A pause of the journal's own thread.
fn wait(pause: Duration) {
    let (_sender, never) = channel::<()>();
    let ended = never.recv_timeout(pause);
    debug_assert_eq!(ended, Err(RecvTimeoutError::Timeout));
}

fn gone() -> StoreError {
    StoreError::Io {
        path: "the state".into(),
        reason: "this voter is stopping".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::sync::atomic::{AtomicBool, Ordering};

    use redb::backends::FileBackend;
    use redb::{Database, StorageBackend};

    use super::*;
    use crate::form::VoteForm;

    /// A disk that can be full.
    #[derive(Debug)]
    struct Limited {
        file: FileBackend,
        full: Arc<AtomicBool>,
    }

    impl Limited {
        fn room(&self) -> std::io::Result<()> {
            match self.full.load(Ordering::SeqCst) {
                true => Err(std::io::ErrorKind::StorageFull.into()),
                false => Ok(()),
            }
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
    async fn a_full_disk_is_told_and_room_mends_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.redb");
        let federation = "acme".parse().unwrap();
        Disk::create(&path, &federation, 1, None).unwrap();
        let full = Arc::new(AtomicBool::new(false));
        let flag = full.clone();
        let opener = Box::new(move |path: &Path| {
            let file = OpenOptions::new().read(true).write(true).open(path)?;
            let file = FileBackend::new(file)?;
            let full = flag.clone();
            Database::builder().create_with_backend(Limited { file, full })
        });
        let (disk, _) = Disk::open_with(&path, &federation, opener).unwrap();
        let journal = Journal::start(disk).unwrap();
        let vote = |term| {
            let (candidate, won) = (1, false);
            vec![Write::Vote(VoteForm {
                term,
                candidate,
                won,
            })]
        };
        journal.write(vote(1)).await.unwrap();
        full.store(true, Ordering::SeqCst);
        let writer = journal.clone();
        let writing = tokio::spawn(async move { writer.write(vote(2)).await });
        let mut complaint = journal.complaint.clone();
        let told = complaint.wait_for(Option::is_some).await.unwrap().clone();
        assert!(told.unwrap().contains("full"));
        assert!(!writing.is_finished());
        full.store(false, Ordering::SeqCst);
        writing.await.unwrap().unwrap();
        assert_eq!(journal.complaint(), None);
        drop((journal, complaint));
        // Its thread closes the file, which nothing locks here.
        while Arc::strong_count(&full) > 1 {
            tokio::task::yield_now().await;
        }
        let (_, contents) = Disk::open(&path, &federation).unwrap();
        assert_eq!(contents.vote.map(|vote| vote.term), Some(2));
    }
}
