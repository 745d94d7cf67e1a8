//! One connection of a guard to a voter, made again whenever it is lost.

use std::sync::Arc;
use std::time::Duration;

use hanse_client::{Client, Clock};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use crate::clock::FollowerClock;
use crate::data::{DataFolder, Settings};
use crate::follower::Voters;
use crate::identity::NodeIdentity;

/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How soon it is tried again.
const RETRY: Duration = Duration::from_millis(200);
/// How often a connection is made anew, since the node's certificate is renewed by the agent.
const LIFE_MAX: Duration = Duration::from_secs(600);

/// One connection.
pub(super) struct Line {
    client: watch::Receiver<Option<Client>>,
    broken: Arc<Notify>,
}

/// What a connection is made from.
struct Connector {
    folder: DataFolder,
    voters: Voters,
    clock: Arc<dyn Clock>,
    place: usize,
}

impl Line {
    /// Connects and stays connected; `place` tells it from the others.
    pub(super) fn start(folder: &DataFolder, place: usize) -> anyhow::Result<Self> {
        let settings = Settings::read(folder)?;
        let connector = Connector {
            folder: folder.clone(),
            voters: Voters::learning(folder.clone(), settings.endpoints),
            clock: Arc::new(FollowerClock::start(folder, 0)),
            place,
        };
        let (sender, client) = watch::channel(None);
        let broken = Arc::new(Notify::new());
        tokio::spawn(connector.run(sender, broken.clone()));
        Ok(Self { client, broken })
    }

    /// The connection; an error: there is none just now.
    pub(super) fn client(&self) -> Result<Client, String> {
        let client = self.client.borrow().clone();
        client.ok_or_else(|| "no voter can be reached".to_owned())
    }

    /// It does not serve.
    pub(super) fn is_broken(&self) {
        self.broken.notify_one();
    }
}

impl Connector {
    async fn run(self, client: watch::Sender<Option<Client>>, broken: Arc<Notify>) {
        loop {
            match timeout(CONNECT_MAX, self.connect()).await {
                Ok(Ok(connected)) => {
                    client.send_replace(Some(connected));
                    let _ = timeout(LIFE_MAX, broken.notified()).await;
                }
                Ok(Err(error)) => tracing::debug!(error = format!("{error:#}"), "no connection"),
                Err(_) => tracing::debug!("no connection within {CONNECT_MAX:?}"),
            }
            if client.is_closed() {
                return;
            }
            sleep(RETRY).await;
        }
    }

    async fn connect(&self) -> anyhow::Result<Client> {
        let credentials = NodeIdentity::open(&self.folder)?.credentials()?;
        let mut endpoints = self.voters.to_try();
        endpoints.sort();
        let places = endpoints.len().max(1);
        endpoints.rotate_left(self.place % places);
        let client = Client::connect_by(&endpoints, &credentials, self.clock.clone()).await?;
        Ok(client.with_patience(Duration::ZERO))
    }
}
