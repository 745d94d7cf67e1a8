//! DNS by dynamic updates: RFC 2136, signed with TSIG, over TCP.
//!
//! The record, its mark and what must be so before they change go in one update, which a server does
//! whole or not at all. What a server says counts only with the key's signature.

mod message;
mod tsig;
mod wire;

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub use tsig::{TsigAlgorithm, TsigKey};

use self::message::{Names, Updated};
use self::tsig::Verdict;
use self::wire::{Message, Opcode, kind};
use crate::clock::Clock;
use crate::decide::{Change, RecordSet, Sight};
use crate::error::{ConfigError, DnsProblem, RedirectError};
use crate::lead::{Spread, Written, Zone};
use crate::name::DnsName;

/// What a TTL may be at most, in seconds (RFC 2181).
const TTL_S_MAX: u32 = i32::MAX as u32;

/// A record in a zone, and the server that changes it.
#[derive(Debug, Clone)]
pub struct DnsConfig {
    /// The zone's primary server, as host:port.
    pub server: String,
    /// The zone.
    pub zone: DnsName,
    /// The record: its A and AAAA lead clients.
    pub record: DnsName,
    /// For how long resolvers may keep it, in seconds.
    pub ttl_s: u32,
    /// What messages are signed with.
    pub key: TsigKey,
    /// How long the server may take to accept a connection, and to answer each message.
    pub timeout: Duration,
}

/// Leads clients by a DNS server.
#[derive(Debug, Clone)]
pub struct Dns {
    config: DnsConfig,
    names: Names,
    clock: Clock,
}

impl Dns {
    /// A record as it was declared.
    ///
    /// # Errors
    ///
    /// The record is not in the zone, or a value can't be.
    pub fn try_new(config: DnsConfig, clock: Clock) -> Result<Self, ConfigError> {
        if !config.record.is_within(&config.zone) {
            return Err(ConfigError::OutsideZone {
                record: config.record.to_string(),
                zone: config.zone.to_string(),
            });
        }
        if config.ttl_s > TTL_S_MAX {
            let what = format!("a TTL of {} s is too long: give less", config.ttl_s);
            return Err(ConfigError::Value { what });
        }
        let (_, port) = config.server.rsplit_once(':').unwrap_or_default();
        if port.parse::<u16>().is_err() {
            let what = format!(
                "the DNS server {:?} has no port: give it as host:port, such as 192.0.2.53:53",
                config.server
            );
            return Err(ConfigError::Value { what });
        }
        let names = Names {
            zone: config.zone.clone(),
            record: config.record.clone(),
            mark: config.record.mark()?,
        };
        Ok(Self {
            config,
            names,
            clock,
        })
    }

    async fn connect(&self) -> Result<Connection<'_>, RedirectError> {
        let server = &self.config.server;
        let connecting = timeout(self.config.timeout, TcpStream::connect(server)).await;
        let source = match connecting {
            Ok(Ok(stream)) => return Ok(Connection { dns: self, stream }),
            Ok(Err(source)) => source,
            Err(_) => io::Error::new(io::ErrorKind::TimedOut, "it takes no connection"),
        };
        Err(RedirectError::Unreachable {
            server: server.clone(),
            source,
        })
    }

    fn error(&self, problem: DnsProblem) -> RedirectError {
        RedirectError::Dns {
            server: self.config.server.clone(),
            problem,
        }
    }

    async fn update(&self, message: Vec<u8>) -> Result<Written, RedirectError> {
        let mut connection = self.connect().await?;
        let answer = connection.ask(Opcode::Update, message).await?;
        match message::updated(&self.names, &answer) {
            Ok(Updated::Done) => Ok(Written::Done(Spread::Primary)),
            Ok(Updated::Raced(code)) => Ok(Written::Raced(code.to_owned())),
            Err(problem) => Err(self.error(problem)),
        }
    }
}

impl Zone for Dns {
    fn record(&self) -> &DnsName {
        &self.config.record
    }

    fn ttl_s(&self) -> u32 {
        self.config.ttl_s
    }

    async fn read(&self) -> Result<Sight, RedirectError> {
        let mut connection = self.connect().await?;
        // The mark first: what is read after it belongs to this epoch or to a later one.
        let mark = connection.records(&self.names.mark, kind::TXT).await?;
        let v4 = connection.records(&self.names.record, kind::A).await?;
        let v6 = connection.records(&self.names.record, kind::AAAA).await?;
        Ok(Sight { mark, v4, v6 })
    }

    fn write(
        &self,
        change: &Change,
    ) -> impl Future<Output = Result<Written, RedirectError>> + Send {
        self.update(message::update(rand::random(), &self.names, change))
    }

    fn probe(&self, sight: &Sight) -> impl Future<Output = Result<Written, RedirectError>> + Send {
        self.update(message::probe(rand::random(), &self.names, sight))
    }
}

/// A connection to the server: one message after the other.
struct Connection<'a> {
    dns: &'a Dns,
    stream: TcpStream,
}

impl Connection<'_> {
    async fn records(
        &mut self,
        name: &DnsName,
        kind: u16,
    ) -> Result<Option<RecordSet>, RedirectError> {
        let query = message::query(rand::random(), name, kind);
        let answer = self.ask(Opcode::Query, query).await?;
        let answered = message::answered(name, kind, &answer);
        let found = answered.map_err(|problem| self.dns.error(problem))?;
        found.map_err(|what| RedirectError::Occupied {
            name: name.to_string(),
            what: what.to_owned(),
        })
    }

    /// Asks, and believes only what answers this with the key's signature.
    async fn ask(&mut self, opcode: Opcode, message: Vec<u8>) -> Result<Message, RedirectError> {
        let DnsConfig { key, server, .. } = &self.dns.config;
        let id = u16::from_be_bytes([message[0], message[1]]);
        let (signed, mac) = key.sign(&message, self.dns.clock.now_unix_s());
        let exchange = timeout(self.dns.config.timeout, exchange(&mut self.stream, &signed));
        let silence = || io::Error::new(io::ErrorKind::TimedOut, "no answer came in time");
        let bytes = exchange
            .await
            .unwrap_or_else(|_| Err(silence()))
            .map_err(|source| RedirectError::Cut {
                server: server.clone(),
                source,
            })?;
        let malformed = |what: &str| RedirectError::Malformed {
            server: server.clone(),
            what: what.to_owned(),
        };
        let answer = Message::parse(&bytes).map_err(malformed)?;
        if !answer.answers(id, opcode) {
            return Err(malformed("it answers another question"));
        }
        let now_unix_s = self.dns.clock.now_unix_s();
        match key.verify(&mac, &bytes, &answer, now_unix_s) {
            Ok(()) => Ok(answer),
            Err(Verdict::Malformed(what)) => Err(malformed(what)),
            Err(Verdict::Problem(problem)) => Err(self.dns.error(problem)),
            Err(Verdict::Unsigned) => Err(self.dns.error(DnsProblem::Unsigned {
                code: message::code_name(answer.code()),
                key: key.name().to_string(),
                advice: message::unsigned_advice(&self.dns.names, key.name(), answer.code()),
            })),
        }
    }
}

/// A message and its answer, each with its length before it.
async fn exchange(stream: &mut TcpStream, message: &[u8]) -> io::Result<Vec<u8>> {
    let length = u16::try_from(message.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the message is too long"))?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend(message);
    stream.write_all(&framed).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}
