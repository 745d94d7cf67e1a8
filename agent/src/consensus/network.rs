//! The way to the other voters: one connection each, made anew when it is lost or when this voter
//! has a new certificate.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hanse_client::{Credentials, between_voters};
use hanse_consensus::types::{VoterId, VoterNode};
use hanse_consensus::wire::{Wire, WireError};
use hanse_proto::raft::v1 as proto;
use hanse_proto::raft::v1::consensus_client::ConsensusClient;
use tokio::sync::watch;
use tonic::Status;
use tonic::transport::Channel;

use crate::clock::FederationClock;

/// Longer questions go in pieces of this length.
const PIECE_LENGTH: usize = 256 << 10;

/// Ways to all other voters.
#[derive(Clone)]
pub struct Network {
    credentials: watch::Receiver<Arc<Credentials>>,
    clock: Arc<FederationClock>,
    ways: Arc<Mutex<BTreeMap<VoterId, Way>>>,
}

/// The way to one voter, and what it was made with.
struct Way {
    endpoint: String,
    credentials: Arc<Credentials>,
    channel: Channel,
}

impl Network {
    /// Ways that are made when they are needed, with the newest of `credentials`.
    #[must_use]
    pub fn new(
        credentials: watch::Receiver<Arc<Credentials>>,
        clock: Arc<FederationClock>,
    ) -> Self {
        Self {
            credentials,
            clock,
            ways: Arc::default(),
        }
    }

    /// The way to one voter.
    pub fn channel(&self, to: VoterId, node: &VoterNode) -> Result<Channel, WireError> {
        let credentials = self.credentials.borrow().clone();
        let mut ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(way) = ways.get(&to)
            && way.endpoint == node.endpoint
            && Arc::ptr_eq(&way.credentials, &credentials)
        {
            return Ok(way.channel.clone());
        }
        let unusable = |reason: &dyn fmt::Display| {
            WireError::Unreachable(format!("the voter `{}` at {reason}", node.name))
        };
        let endpoint = node.endpoint.parse();
        let endpoint = endpoint.map_err(|_| unusable(&format!("`{}`", node.endpoint)))?;
        let channel = between_voters(&endpoint, &credentials, self.clock.clone());
        let channel = channel.map_err(|error| unusable(&error))?;
        let way = Way {
            endpoint: node.endpoint.clone(),
            credentials,
            channel: channel.clone(),
        };
        ways.insert(to, way);
        Ok(channel)
    }
}

impl Wire for Network {
    async fn ask(
        &self,
        to: VoterId,
        node: &VoterNode,
        question: Vec<u8>,
        patience: Duration,
    ) -> Result<Vec<u8>, WireError> {
        let mut client = ConsensusClient::new(self.channel(to, node)?);
        let asked = async {
            if question.len() <= PIECE_LENGTH {
                let content = question;
                return client.ask(proto::Question { content }).await;
            }
            let pieces: Vec<proto::Question> = question
                .chunks(PIECE_LENGTH)
                .map(|piece| proto::Question {
                    content: piece.to_vec(),
                })
                .collect();
            client.ask_at_length(tokio_stream::iter(pieces)).await
        };
        match tokio::time::timeout(patience, asked).await {
            Ok(Ok(answer)) => Ok(answer.into_inner().content),
            Ok(Err(status)) => Err(WireError::Unreachable(describe(&status))),
            Err(_) => Err(WireError::Late),
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Network")
    }
}

fn describe(status: &Status) -> String {
    hanse_client::client::failure(status).to_string()
}
