//! How long a program waits while the federation can't answer, and what it says meanwhile.
//!
//! Voters elect a new leader when theirs is gone; until then no call can end. Whoever waits is told
//! what for, and whoever waited in vain is told what each voter said. Nothing here connects.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::connect::Attempt;
use crate::error::ClientError;

/// How long a call is repeated while the federation can't answer: longer than the voters need to
/// notice that their leader is gone and to elect another, twice.
pub const PATIENCE_DEFAULT: Duration = Duration::from_secs(30);
/// How long the first connection is tried while no voter at all can be reached: as long as one
/// takes to start again. What waits longer waits for a network or an address to be mended.
pub(crate) const PATIENCE_TO_CONNECT: Duration = Duration::from_secs(10);
/// The pause before the first repetition; it doubles from there.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
/// The longest pause between two repetitions: so much may be lost once there is a leader.
const PAUSE_MAX: Duration = Duration::from_millis(250);
/// Who waits for longer is told what for.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// And again, so often.
const WORD_INTERVAL: Duration = Duration::from_secs(5);

/// Hears what a call waits for.
type Listener = Arc<dyn Fn(&str) + Send + Sync>;

/// How long to wait, and who is told what for.
#[derive(Clone)]
pub struct Patience {
    limit: Duration,
    listener: Option<Listener>,
}

/// One call, from its beginning to its end.
pub(crate) struct Waiting<'p> {
    patience: &'p Patience,
    began: Instant,
    next_word: Instant,
    pause: Duration,
    /// The last that each voter said.
    heard: BTreeMap<String, String>,
}

impl Patience {
    /// Waits for so long; zero: never.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        let listener = None;
        Self { limit, listener }
    }

    /// The same, and `listener` hears what is waited for once it takes more than two seconds.
    #[must_use]
    pub fn telling(self, listener: impl Fn(&str) + Send + Sync + 'static) -> Self {
        let listener: Option<Listener> = Some(Arc::new(listener));
        Self { listener, ..self }
    }

    /// The same, for so long.
    pub(crate) fn with_limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Begins to wait for a call that by itself may take `expected`.
    pub(crate) fn begin(&self, expected: Duration) -> Waiting<'_> {
        let began = Instant::now();
        Waiting {
            patience: self,
            began,
            next_word: began + expected + SILENCE_MAX,
            pause: PAUSE_FIRST,
            heard: BTreeMap::new(),
        }
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self::new(PATIENCE_DEFAULT)
    }
}

impl fmt::Debug for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Patience({:?})", self.limit)
    }
}

impl Waiting<'_> {
    /// Runs one try at `endpoint`, and tells who waits while it lasts.
    pub(crate) async fn during<T>(&mut self, endpoint: &str, tried: impl Future<Output = T>) -> T {
        let Some(listener) = self.patience.listener.clone() else {
            return tried.await;
        };
        tokio::pin!(tried);
        loop {
            tokio::select! {
                answer = &mut tried => return answer,
                () = tokio::time::sleep_until(self.next_word) => {
                    listener(&self.word(endpoint));
                    self.next_word = Instant::now() + WORD_INTERVAL;
                }
            }
        }
    }

    /// Notes that these could not be reached.
    pub(crate) fn miss(&mut self, missed: Vec<Attempt>) {
        let missed = missed.into_iter();
        self.heard
            .extend(missed.map(|one| (one.endpoint, one.reason)));
    }

    /// After a failure at `endpoint`: returns when it is time to try again, or with what to say.
    pub(crate) async fn after(
        &mut self,
        endpoint: &str,
        error: ClientError,
    ) -> Result<(), ClientError> {
        if !error.is_transient() || self.patience.limit.is_zero() {
            return Err(error);
        }
        tracing::debug!(%error, pause = ?self.pause, "the call is repeated");
        self.hear(endpoint, &error);
        if self.began.elapsed() + self.pause > self.patience.limit {
            let said = std::mem::take(&mut self.heard).into_iter();
            let said = said.map(|(endpoint, reason)| Attempt { endpoint, reason });
            return Err(ClientError::GaveUp {
                waited: self.began.elapsed(),
                said: said.collect(),
            });
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSE_MAX);
        self.during(endpoint, tokio::time::sleep(pause)).await;
        Ok(())
    }

    fn hear(&mut self, endpoint: &str, error: &ClientError) {
        match error {
            ClientError::Unreachable { tried } => {
                let tried = tried.iter();
                self.heard
                    .extend(tried.map(|one| (one.endpoint.clone(), one.reason.clone())));
            }
            ClientError::Unavailable { reason } => {
                self.heard.insert(endpoint.to_owned(), reason.clone());
            }
            other => {
                self.heard.insert(endpoint.to_owned(), other.to_string());
            }
        }
    }

    fn word(&self, endpoint: &str) -> String {
        let waited = self.began.elapsed().as_secs();
        if self.heard.is_empty() {
            return format!("waiting for {endpoint} to answer ({waited} s)");
        }
        let said = self.heard.iter();
        let said: Vec<String> = said
            .map(|(endpoint, reason)| format!("{endpoint}: {reason}"))
            .collect();
        format!(
            "waiting for the voters to answer or to elect a leader ({waited} s): {}",
            said.join("; ")
        )
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn unavailable(reason: &str) -> ClientError {
        let reason = reason.to_owned();
        ClientError::Unavailable { reason }
    }

    /// Ends once so many words were heard.
    async fn until(words: &Mutex<Vec<String>>, count: usize) {
        while words.lock().unwrap().len() < count {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn who_waited_in_vain_hears_what_each_voter_said_and_what_to_do() {
        let patience = Patience::new(Duration::from_millis(400));
        let mut waiting = patience.begin(Duration::ZERO);
        let mut tries = 0;
        let error = loop {
            tries += 1;
            let endpoint = ["10.0.0.1:7443", "10.0.0.2:7443"][tries % 2];
            if let Err(error) = waiting.after(endpoint, unavailable("no voter leads")).await {
                break error;
            }
        };
        let said = error.to_string();
        for words in [
            "10.0.0.1:7443: no voter leads",
            "10.0.0.2:7443",
            "try again",
        ] {
            assert!(said.contains(words), "{said}");
        }
        assert!(error.is_transient());
    }

    #[tokio::test]
    async fn who_has_no_patience_hears_the_failure_itself() {
        let patience = Patience::new(Duration::ZERO);
        let mut waiting = patience.begin(Duration::ZERO);
        let error = waiting.after("a:1", unavailable("busy")).await.unwrap_err();
        assert!(matches!(error, ClientError::Unavailable { .. }));
    }

    #[tokio::test]
    async fn what_does_not_pass_is_said_at_once() {
        let patience = Patience::default();
        let mut waiting = patience.begin(Duration::ZERO);
        let reason = "viewers may not".to_owned();
        let refused = ClientError::Forbidden { reason };
        let error = waiting.after("a:1", refused).await.unwrap_err();
        assert!(matches!(error, ClientError::Forbidden { .. }));
    }

    #[tokio::test]
    async fn who_waits_is_told_what_for_and_not_too_soon() {
        let words = Arc::new(Mutex::new(Vec::new()));
        let heard = words.clone();
        let patience = Patience::default().telling(move |word| {
            heard.lock().unwrap().push(word.to_owned());
        });
        let mut waiting = patience.begin(Duration::ZERO);
        waiting.during("a:1", std::future::ready(())).await;
        assert!(words.lock().unwrap().is_empty());
        // As if two seconds had passed.
        waiting.next_word = Instant::now();
        waiting.during("a:1", until(&words, 1)).await;
        assert_eq!(words.lock().unwrap()[0], "waiting for a:1 to answer (0 s)");
        let busy = unavailable("no voter leads");
        waiting.after("a:1", busy).await.unwrap();
        waiting.next_word = Instant::now();
        waiting.during("b:1", until(&words, 2)).await;
        let words = words.lock().unwrap();
        assert!(words[1].contains("a:1: no voter leads"), "{words:?}");
    }
}
