//! One connection to a voter, made again whenever it is lost.

use std::sync::Arc;
use std::time::Duration;

use hanse_client::{Client, Clock};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::voters::Voters;
use crate::clock::FollowerClock;
use crate::data::{DataFolder, Settings};
use crate::identity::NodeIdentity;

/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How soon it is tried again.
const RETRY: Duration = Duration::from_millis(200);
/// How often a connection is made anew, since the node's certificate is renewed by the agent.
const LIFE_MAX: Duration = Duration::from_secs(600);

/// One connection.
pub(super) struct Line {
    client: watch::Receiver<Option<Connection>>,
    /// The latest connection that does not serve.
    broken: watch::Sender<u64>,
}

/// A connection, and which one it is.
type Connection = (u64, Client);

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
        let (broken, told) = watch::channel(0);
        tokio::spawn(connector.run(sender, told));
        Ok(Self { client, broken })
    }

    /// The connection; an error: there is none just now.
    pub(super) fn client(&self) -> Result<Connection, String> {
        let client = self.client.borrow().clone();
        client.ok_or_else(|| "no voter can be reached".to_owned())
    }

    /// That connection does not serve.
    pub(super) fn is_broken(&self, connection: u64) {
        self.broken
            .send_modify(|broken| *broken = connection.max(*broken));
    }
}

impl Connector {
    async fn run(
        self,
        client: watch::Sender<Option<Connection>>,
        mut broken: watch::Receiver<u64>,
    ) {
        for number in 1.. {
            match timeout(CONNECT_MAX, self.connect()).await {
                Ok(Ok(connected)) => {
                    client.send_replace(Some((number, connected)));
                    let is_this = broken.wait_for(|broken| *broken >= number);
                    if let Ok(ended) = timeout(LIFE_MAX, is_this).await {
                        if ended.is_err() {
                            return;
                        }
                        client.send_replace(None);
                        continue;
                    }
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
