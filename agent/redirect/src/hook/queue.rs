//! The events of one hook, for whoever pushes and for the one who sends.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::task::spawn_blocking;

use super::Event;
use super::store::{Bounds, GivenUp, Reason, Store, Waiting};
use crate::clock::Clock;
use crate::decide::shortened;

/// Why a queue can't be used.
#[derive(Debug, thiserror::Error)]
#[error("unable to {operation} in {}: {source}", folder.display())]
pub struct QueueError {
    operation: &'static str,
    folder: PathBuf,
    source: io::Error,
}

/// What came of pushing an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It is on the disk, and so many of the oldest were given up for it.
    Kept {
        /// How many.
        dropped: u64,
    },
    /// It waits already.
    Already,
}

/// What a queue has done since it was opened, and what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// How many events wait.
    pub waiting: usize,
    /// How many bytes they have.
    pub waiting_bytes: u64,
    /// Since when the oldest waits.
    pub oldest_unix_s: Option<u64>,
    /// How many were taken.
    pub delivered: u64,
    /// How many attempts came to nothing and are made again.
    pub failed: u64,
    /// How many were refused for good.
    pub refused: u64,
    /// How many waited too long.
    pub expired: u64,
    /// How many gave way to newer ones.
    pub dropped: u64,
    /// How many were damaged.
    pub damaged: u64,
    /// Why the latest event was given up; none: the latest was taken, or none was sent yet.
    pub given_up_last: Option<Reason>,
}

/// Why nothing is taken now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// How many attempts came to nothing, one after the other.
    pub attempts: u64,
    /// When the first of them did.
    pub since_unix_s: u64,
    /// Why the latest did.
    pub why: String,
}

/// The events of one hook. Clones are the same queue.
#[derive(Clone)]
pub struct Queue {
    folder: PathBuf,
    clock: Clock,
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    /// There is something to send.
    pushed: Notify,
}

struct State {
    store: Store,
    tally: Tally,
    /// None: the latest attempt was answered for good.
    failing: Option<Failing>,
}

impl Queue {
    /// Opens a hook's folder, with what an earlier life left there.
    ///
    /// # Errors
    ///
    /// The folder can't be used, or another process uses it.
    pub async fn open(folder: &Path, bounds: Bounds, clock: Clock) -> Result<Self, QueueError> {
        let folder = folder.to_owned();
        let now_unix_s = clock.now_unix_s();
        let opening = folder.clone();
        let opened = spawn_blocking(move || Store::open(&opening, bounds, now_unix_s)).await;
        let (store, damaged) = opened
            .map_err(io::Error::other)
            .flatten()
            .map_err(failed("open the queue of a hook", &folder))?;
        if damaged > 0 {
            tracing::warn!(folder = %folder.display(), damaged, "events of a hook are damaged and were given up");
        }
        let tally = Tally {
            damaged,
            given_up_last: (damaged > 0).then_some(Reason::Damaged),
            ..Tally::default()
        };
        let state = State {
            store,
            tally,
            failing: None,
        };
        let inner = Arc::new(Inner {
            state: Mutex::new(state),
            pushed: Notify::new(),
        });
        Ok(Self {
            folder,
            clock,
            inner,
        })
    }

    /// Keeps an event: it is on the disk when this returns, and will be sent.
    ///
    /// # Errors
    ///
    /// It can't be written, or is larger than all that may wait.
    pub async fn push(&self, event: Event) -> Result<Pushed, QueueError> {
        let now_unix_s = self.clock.now_unix_s();
        let pushed = self
            .with("keep an event", move |state| {
                let mut waiting = state.store.waiting().iter();
                if waiting.any(|waiting| waiting.id == event.id) {
                    return Ok(Pushed::Already);
                }
                let dropped = state.store.push(&event, now_unix_s)?;
                state.tally.dropped += dropped;
                if dropped > 0 {
                    state.tally.given_up_last = Some(Reason::Full);
                }
                Ok(Pushed::Kept { dropped })
            })
            .await?;
        if let Pushed::Kept { dropped: 1.. } = pushed {
            tracing::warn!(folder = %self.folder.display(), "more events wait than may: the oldest were given up");
        }
        self.inner.pushed.notify_one();
        Ok(pushed)
    }

    /// What it has and has done.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let state = self.inner.lock();
        let waiting = state.store.waiting();
        Tally {
            waiting: waiting.len(),
            waiting_bytes: state.store.bytes(),
            oldest_unix_s: waiting.front().map(|oldest| oldest.since_unix_s),
            ..state.tally
        }
    }

    /// Why the oldest event is not taken; none: nothing waits, or it was not tried in vain.
    #[must_use]
    pub fn failing(&self) -> Option<Failing> {
        let state = self.inner.lock();
        let waits = !state.store.waiting().is_empty();
        state.failing.clone().filter(|_| waits)
    }

    /// What was given up, oldest first; the latest thousand of it, those of earlier lives too.
    ///
    /// # Errors
    ///
    /// The folder can't be read.
    pub async fn given_up(&self) -> Result<Vec<GivenUp>, QueueError> {
        self.with("read what was given up", |state| state.store.given_up())
            .await
    }

    /// The oldest event and what is sent of it, once there is one.
    pub(super) async fn oldest(&self) -> Result<(Waiting, String), QueueError> {
        loop {
            let now_unix_s = self.clock.now_unix_s();
            let found = self
                .with("read an event", move |state| state.oldest(now_unix_s))
                .await?;
            match found {
                Some(found) => return Ok(found),
                None => self.inner.pushed.notified().await,
            }
        }
    }

    /// The receiver took an event.
    pub(super) async fn delivered(&self, place: u64) -> Result<(), QueueError> {
        self.with("remove an event that was taken", move |state| {
            state.store.done(place)?;
            state.tally.delivered += 1;
            state.tally.given_up_last = None;
            state.failing = None;
            Ok(())
        })
        .await
    }

    /// An attempt came to nothing.
    pub(super) fn failed(&self, why: &str) {
        let now_unix_s = self.clock.now_unix_s();
        let mut state = self.inner.lock();
        state.tally.failed += 1;
        let attempts = state.failing.as_ref().map_or(0, |it| it.attempts);
        let since_unix_s = state.failing.as_ref().map(|it| it.since_unix_s);
        state.failing = Some(Failing {
            attempts: attempts + 1,
            since_unix_s: since_unix_s.unwrap_or(now_unix_s),
            why: shortened(why),
        });
    }

    /// The receiver will never take it.
    pub(super) async fn refused(&self, place: u64, status: u16) -> Result<(), QueueError> {
        let now_unix_s = self.clock.now_unix_s();
        self.with("record an event that was refused", move |state| {
            let reason = Reason::Refused(status);
            state.store.give_up(place, reason, now_unix_s)?;
            state.tally.refused += 1;
            state.tally.given_up_last = Some(reason);
            state.failing = None;
            Ok(())
        })
        .await
    }

    async fn with<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut State) -> io::Result<T> + Send + 'static,
    ) -> Result<T, QueueError> {
        let inner = Arc::clone(&self.inner);
        spawn_blocking(move || work(&mut inner.lock()))
            .await
            .map_err(io::Error::other)
            .flatten()
            .map_err(failed(operation, &self.folder))
    }
}

impl Inner {
    /// What a panic left is as good as what a kill leaves: the files are the truth.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn oldest(&mut self, now_unix_s: u64) -> io::Result<Option<(Waiting, String)>> {
        while let Some(oldest) = self.store.waiting().front().cloned() {
            let age_s = now_unix_s.saturating_sub(oldest.since_unix_s);
            if age_s <= self.store.bounds().age_s_max {
                let body = self.store.body(oldest.place)?;
                return Ok(Some((oldest, body)));
            }
            self.store
                .give_up(oldest.place, Reason::Expired, now_unix_s)?;
            self.tally.expired += 1;
            self.tally.given_up_last = Some(Reason::Expired);
            tracing::warn!(
                id = oldest.id,
                "an event waited too long for its hook and was given up"
            );
        }
        Ok(None)
    }
}

fn failed(operation: &'static str, folder: &Path) -> impl FnOnce(io::Error) -> QueueError {
    let folder = folder.to_owned();
    move |source| QueueError {
        operation,
        folder,
        source,
    }
}
