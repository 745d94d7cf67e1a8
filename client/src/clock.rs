//! By which clock a caller judges certificates, and how the federation tells it the time.
//!
//! People's tools go by the system's clock. An agent brings a clock of its own, which every answer
//! over an authenticated connection tells the federation's time.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use hanse_core::clock::Reading;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::transport::Channel;

/// The header of every answer that tells the federation's time, in milliseconds since 1970.
pub const TIME_HEADER: &str = "hanse-time-ms";

/// A clock that certificates are judged by.
pub trait Clock: fmt::Debug + Send + Sync {
    /// What is known of the time.
    fn reading(&self) -> Reading;

    /// A voter told the time; `round_trip` is how long question and answer took together.
    fn learn(&self, unix_ms: u64, round_trip: Duration);

    /// What is wrong with the machine's own clock, in a sentence; none: nothing that is known.
    fn problem(&self) -> Option<String> {
        None
    }
}

/// The system's clock.
#[derive(Debug, Clone, Copy)]
pub struct WallClock;

/// A connection whose answers set a clock.
#[derive(Debug, Clone)]
pub struct Timed {
    channel: Channel,
    clock: Arc<dyn Clock>,
}

impl Clock for WallClock {
    fn reading(&self) -> Reading {
        let age = SystemTime::now().duration_since(UNIX_EPOCH);
        Reading::Now(age.map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)))
    }

    fn learn(&self, _: u64, _: Duration) {}
}

impl Timed {
    pub(crate) fn new(channel: Channel, clock: Arc<dyn Clock>) -> Self {
        Self { channel, clock }
    }
}

impl Service<http::Request<Body>> for Timed {
    type Response = http::Response<Body>;
    type Error = tonic::transport::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.channel.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let asked = Instant::now();
        let clock = self.clock.clone();
        let answer = self.channel.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            if let Some(unix_ms) = told(answer.headers()) {
                clock.learn(unix_ms, asked.elapsed());
            }
            Ok(answer)
        })
    }
}

fn told(headers: &http::HeaderMap) -> Option<u64> {
    headers.get(TIME_HEADER)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_tells_the_time() {
        let mut headers = http::HeaderMap::new();
        assert_eq!(told(&headers), None);
        for (text, expected) in [("17", Some(17)), ("-1", None), ("", None), ("\u{7f}", None)] {
            let Ok(value) = text.parse() else { continue };
            headers.insert(TIME_HEADER, value);
            assert_eq!(told(&headers), expected, "{text}");
        }
    }
}
