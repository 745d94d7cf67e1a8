//! The way to a federation: one connection to one voter, and another one when that doesn't do.
//!
//! A voter that answers "not now" is left for the next: it may be cut off from the others while the
//! next one isn't.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tonic::transport::Channel;

use crate::clock::{Clock, Timed};
use crate::connect::{Attempt, MESSAGE_LIMIT_BYTES, Route};
use crate::error::ClientError;
use crate::proto::api_client::ApiClient;

/// The way that all clones of a client share.
pub(crate) struct Ways {
    route: Route,
    clock: Arc<dyn Clock>,
    current: Mutex<Way>,
}

/// One connection, which is made again when it is lost.
#[derive(Clone)]
pub(crate) struct Way {
    number: u64,
    pub(crate) api: ApiClient<Timed>,
}

impl Ways {
    /// Connects to the first voter that answers.
    pub(crate) async fn open(route: Route, clock: Arc<dyn Clock>) -> Result<Self, ClientError> {
        let channel = route.connect().await?;
        let api = api(channel, clock.clone());
        let current = Mutex::new(Way { number: 0, api });
        Ok(Self {
            route,
            clock,
            current,
        })
    }

    /// The way to take now.
    pub(crate) fn current(&self) -> Way {
        self.lock().clone()
    }

    /// Where that leads, as the user wrote it.
    pub(crate) fn endpoint(&self) -> String {
        self.route.endpoint()
    }

    /// The voters that could not be reached when they were last tried.
    pub(crate) fn missed(&self) -> Vec<Attempt> {
        self.route.missed()
    }

    /// Takes the way to another voter from now on, unless somebody did already.
    pub(crate) fn leave(&self, way: &Way) {
        let mut current = self.lock();
        if current.number == way.number && self.route.turn() {
            *current = Way {
                number: way.number + 1,
                api: api(self.route.connect_lazily(), self.clock.clone()),
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Way> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Ways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ways({})", self.endpoint())
    }
}

fn api(channel: Channel, clock: Arc<dyn Clock>) -> ApiClient<Timed> {
    ApiClient::new(Timed::new(channel, clock)).max_decoding_message_size(MESSAGE_LIMIT_BYTES)
}
