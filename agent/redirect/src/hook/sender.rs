//! Sends the events of one hook, one after the other.

use std::time::Duration;

use hyper::Method;
use tokio::time::sleep;

use super::store::Waiting;
use super::{HookSecret, Queue, QueueError};
use crate::clock::Clock;
use crate::http::{Answer, Http, HttpError, HttpUrl};

/// How long to leave a receiver alone that did not take an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// At first; it doubles each time.
    pub first: Duration,
    /// At most, whatever the receiver asks for.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            max: Duration::from_secs(300),
        }
    }
}

/// Where events go.
#[derive(Debug, Clone)]
pub struct HookConfig {
    /// Its name, for logs.
    pub name: String,
    /// The receiver.
    pub url: HttpUrl,
    /// What events are signed with.
    pub secret: HookSecret,
    /// How long the receiver may take.
    pub timeout: Duration,
    /// How long it is left alone when it did not take an event.
    pub backoff: Backoff,
}

/// Sends what is in a queue.
pub struct Hook {
    config: HookConfig,
    queue: Queue,
    http: Http,
    clock: Clock,
}

/// What comes of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Taken,
    /// Final.
    Refused(u16),
    /// It is sent again, after as many seconds as the receiver asks for.
    Again {
        why: String,
        after_s: Option<u64>,
    },
}

impl Hook {
    /// A hook that sends what is in a queue.
    #[must_use]
    pub fn new(config: HookConfig, queue: Queue, http: Http, clock: Clock) -> Self {
        Self {
            config,
            queue,
            http,
            clock,
        }
    }

    /// Sends for as long as it is polled. Dropping it loses nothing; an event that was on its way may
    /// be sent again.
    pub async fn run(&self) {
        let mut failures = 0;
        loop {
            let after_s = match self.step().await {
                Ok(Verdict::Taken | Verdict::Refused(_)) => {
                    failures = 0;
                    continue;
                }
                Ok(Verdict::Again { after_s, .. }) => after_s,
                Err(error) => {
                    tracing::error!(hook = self.config.name, %error, "unable to go on with a hook");
                    self.queue.failed(&error.to_string());
                    None
                }
            };
            let pause = pause(self.config.backoff, failures, after_s, rand::random());
            failures = failures.saturating_add(1);
            sleep(pause).await;
        }
    }

    /// Sends the oldest event once.
    async fn step(&self) -> Result<Verdict, QueueError> {
        let (waiting, body) = self.queue.oldest().await?;
        let verdict = verdict(self.post(&waiting, body).await);
        let (hook, id) = (&self.config.name, &waiting.id);
        match &verdict {
            Verdict::Taken => self.queue.delivered(waiting.place).await?,
            Verdict::Refused(status) => {
                tracing::warn!(
                    hook,
                    id,
                    status,
                    "a hook's receiver refused an event for good"
                );
                self.queue.refused(waiting.place, *status).await?;
            }
            Verdict::Again { why, .. } => {
                self.queue.failed(why);
                tracing::warn!(
                    hook,
                    id,
                    why,
                    "a hook's receiver did not take an event; it is sent again"
                );
            }
        }
        Ok(verdict)
    }

    async fn post(&self, waiting: &Waiting, body: String) -> Result<Answer, HttpError> {
        let HookConfig {
            url,
            secret,
            timeout,
            ..
        } = &self.config;
        let headers = [
            ("content-type", "application/json".to_owned()),
            (
                "user-agent",
                concat!("hanse/", env!("CARGO_PKG_VERSION")).to_owned(),
            ),
            ("hanse-event-id", visible(&waiting.id)),
            ("hanse-event", visible(&waiting.kind)),
            (
                "hanse-signature",
                secret.signature(self.clock.now_unix_s(), body.as_bytes()),
            ),
        ];
        let body = body.into_bytes();
        self.http
            .ask(Method::POST, url, &headers, body, *timeout)
            .await
    }
}

/// What a header can hold, of a text that can hold anything. The body has it whole.
fn visible(text: &str) -> String {
    let is_good = |c: char| c.is_ascii_graphic();
    text.chars()
        .map(|c| if is_good(c) { c } else { '?' })
        .collect()
}

fn verdict(result: Result<Answer, HttpError>) -> Verdict {
    let again = |why: String, after_s| Verdict::Again { why, after_s };
    match result {
        Err(HttpError::Unreachable(error)) => again(format!("unable to reach it: {error}"), None),
        Err(HttpError::Cut(error)) => again(format!("it did not answer whole: {error}"), None),
        // Whoever answers so much has read the event, and its status came before.
        Err(HttpError::TooLong) => again("its answer is too long".to_owned(), None),
        Ok(answer) => match answer.status {
            200..=299 => Verdict::Taken,
            // A redirect is not followed: the event is signed for this receiver.
            300..=407 | 409..=428 | 430..=499 => Verdict::Refused(answer.status),
            status => again(format!("it answered {status}"), answer.retry_after_s),
        },
    }
}

/// How long to wait after so many failures; `random` spreads those who wait alike.
fn pause(backoff: Backoff, failures: u32, after_s: Option<u64>, random: u16) -> Duration {
    let doubled = backoff.first.saturating_mul(2u32.saturating_pow(failures));
    let doubled = doubled.min(backoff.max);
    let spread = doubled / 2 + doubled.mul_f64(f64::from(random) / f64::from(u16::MAX) / 2.0);
    let asked = Duration::from_secs(after_s.unwrap_or(0));
    spread.max(asked).min(backoff.max)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn of(status: u16) -> Verdict {
        verdict(Ok(Answer {
            reason: None,
            status,
            retry_after_s: Some(7),
            body: Vec::new(),
        }))
    }

    #[test]
    fn only_what_may_be_otherwise_later_is_sent_again() {
        for status in [200, 202, 204] {
            assert_eq!(of(status), Verdict::Taken);
        }
        for status in [
            301, 307, 400, 401, 404, 407, 409, 410, 413, 422, 428, 430, 451,
        ] {
            assert_eq!(of(status), Verdict::Refused(status));
        }
        for status in [408, 429, 500, 502, 503, 504, 599, 999] {
            let verdict = of(status);
            assert!(
                matches!(
                    verdict,
                    Verdict::Again {
                        after_s: Some(7),
                        ..
                    }
                ),
                "{status}: {verdict:?}"
            );
        }
        let cut = io::Error::other("cut");
        for error in [HttpError::Cut(cut), HttpError::TooLong] {
            assert!(matches!(verdict(Err(error)), Verdict::Again { .. }));
        }
    }

    #[test]
    fn each_failure_makes_the_pause_longer_up_to_its_bound() {
        let backoff = Backoff::default();
        let pauses =
            |random| [0, 1, 2, 8, 9, 40].map(|n| pause(backoff, n, None, random).as_secs_f64());
        assert_eq!(pauses(0), [0.5, 1.0, 2.0, 128.0, 150.0, 150.0]);
        assert_eq!(pauses(u16::MAX), [1.0, 2.0, 4.0, 256.0, 300.0, 300.0]);
        assert_eq!(pause(backoff, 0, Some(60), 0), Duration::from_secs(60));
        assert_eq!(pause(backoff, 0, Some(6000), 0), backoff.max);
    }
}
