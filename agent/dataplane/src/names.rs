//! Addresses of peers that are named: looked up beside the reconcile, so that a name server that
//! is slow holds nobody up, and again when a peer has fallen silent, since it may have moved.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hanse_core::endpoint::Endpoint;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, timeout};

const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer, or none, stands before the name may be looked up again.
const LOOKUP_INTERVAL_MIN: Duration = Duration::from_secs(30);
const LOOKUPS_MAX: usize = 16;

/// What is known of names. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    known: Arc<Mutex<BTreeMap<Endpoint, Entry>>>,
    lookups: Arc<Semaphore>,
    learned: Arc<Notify>,
}

/// What is known of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resolution {
    Address(SocketAddr),
    /// It is being looked up for the first time.
    Pending,
    Failed(String),
}

#[derive(Debug, Clone)]
struct Entry {
    resolution: Resolution,
    looked_up: Instant,
    in_flight: bool,
}

impl Names {
    /// `learned` is told when a name has another answer than before.
    pub(crate) fn new(learned: Arc<Notify>) -> Self {
        let lookups = Arc::new(Semaphore::new(LOOKUPS_MAX));
        Self {
            known: Arc::default(),
            lookups,
            learned,
        }
    }

    /// The endpoint's address, as far as it is known. `silent` says that the peer does not answer
    /// where it was.
    pub(crate) fn resolve(&self, endpoint: &Endpoint, silent: bool) -> Resolution {
        if let Some(address) = endpoint.socket_address() {
            return Resolution::Address(address);
        }
        let now = Instant::now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = known.entry(endpoint.clone()).or_insert_with(|| Entry {
            resolution: Resolution::Pending,
            looked_up: now,
            in_flight: false,
        });
        let stale = match entry.resolution {
            Resolution::Pending => true,
            Resolution::Failed(_) => now - entry.looked_up >= LOOKUP_INTERVAL_MIN,
            Resolution::Address(_) => silent && now - entry.looked_up >= LOOKUP_INTERVAL_MIN,
        };
        if stale && !entry.in_flight {
            entry.in_flight = true;
            tokio::spawn(self.clone().look_up(endpoint.clone()));
        }
        entry.resolution.clone()
    }

    /// Forgets names that no plan holds any more.
    pub(crate) fn keep(&self, wanted: impl Fn(&Endpoint) -> bool) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|endpoint, entry| entry.in_flight || wanted(endpoint));
    }

    async fn look_up(self, endpoint: Endpoint) {
        let permit = self.lookups.acquire().await;
        let lookup = tokio::net::lookup_host((endpoint.host(), endpoint.port()));
        let found = match timeout(LOOKUP_TIMEOUT, lookup).await {
            Ok(Ok(mut addresses)) => addresses
                .next()
                .map(Resolution::Address)
                .unwrap_or_else(|| Resolution::Failed("it has no address".to_owned())),
            Ok(Err(error)) => Resolution::Failed(error.to_string()),
            Err(_) => Resolution::Failed("no answer in 5 s".to_owned()),
        };
        drop(permit);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = known.get_mut(&endpoint) {
            let failed_again = matches!(found, Resolution::Failed(_))
                && matches!(entry.resolution, Resolution::Address(_));
            let changed = !failed_again && entry.resolution != found;
            // An address that once was right is better than none.
            if changed {
                entry.resolution = found;
            }
            entry.looked_up = Instant::now();
            entry.in_flight = false;
            if changed {
                self.learned.notify_one();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_needs_no_lookup() {
        let names = Names::new(Arc::default());
        let endpoint: Endpoint = "[::1]:7".parse().unwrap();
        let address = "[::1]:7".parse().unwrap();
        assert_eq!(names.resolve(&endpoint, true), Resolution::Address(address));
    }

    #[tokio::test]
    async fn a_name_is_pending_until_it_is_known() {
        let learned = Arc::new(Notify::new());
        let names = Names::new(learned.clone());
        let endpoint: Endpoint = "localhost:7".parse().unwrap();
        assert_eq!(names.resolve(&endpoint, false), Resolution::Pending);
        learned.notified().await;
        let Resolution::Address(address) = names.resolve(&endpoint, false) else {
            panic!("localhost has an address");
        };
        assert!(address.ip().is_loopback());
    }
}
