//! The observer: asks each server itself, again and again, to take a write, and writes down which
//! one did.
//!
//! It speaks to the servers through their unix sockets, which lie on the hosts' disks, from the
//! operator's place: no cut of a link and no frost of a host reaches it, and it sees what a server
//! does that nobody else can reach. A server in a guest has no socket here: it is asked at its host's own
//! address, past the mesh.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_postgres::Config;

use super::load::{Connection, note};
use super::now_ns;

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(20);
/// A connection is let go after so long: a server that stops politely waits for those who stay.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(1);
/// How long a server may keep an answer, longer than any frost: then another backend is asked.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Where one server is asked.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The number of its host.
    pub server: u8,
    /// The folder of its socket, or its address.
    pub sockets: PathBuf,
    /// The port that the socket is named after.
    pub port: u16,
}

/// Asks until it is killed.
///
/// # Errors
///
/// When nobody reads what it writes down.
pub fn run(servers: &[Observed]) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("unable to start the observer's runtime")?;
    runtime.block_on(async {
        let mut all = JoinSet::new();
        for server in servers {
            all.spawn(observe(server.clone()));
        }
        match all.join_next().await {
            Some(ended) => ended.context("the observer of a server panicked")?,
            None => bail!("the observer needs a server at least"),
        }
    })
}

/// What was noted last: a refusal is noted once.
struct Notes {
    server: u8,
    refused: bool,
    /// Of the last write that was asked for.
    number: u64,
}

impl Notes {
    fn taken(&mut self, sent_ns: u64) -> Result<()> {
        self.refused = false;
        let (server, number) = (self.server, self.number);
        note(&format!("w {server} {number} {sent_ns} {}", now_ns()))
    }

    fn refused(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.refused, true) {
            return Ok(());
        }
        note(&format!("r {}", self.server))
    }
}

async fn observe(observed: Observed) -> Result<()> {
    let mut notes = Notes {
        server: observed.server,
        refused: false,
        number: 0,
    };
    loop {
        let opened = timeout(ANSWER_TIMEOUT, open(&observed.sockets, observed.port)).await;
        let Ok(Ok(connection)) = opened else {
            notes.refused()?;
            sleep(PAUSE).await;
            continue;
        };
        let until = Instant::now() + CONNECTION_AGE_MAX;
        while Instant::now() < until {
            notes.number += 1;
            let write = format!(
                "INSERT INTO probe VALUES ({}, {})",
                notes.server, notes.number
            );
            match timeout(ANSWER_TIMEOUT, probe(&connection, &write)).await {
                Ok(Ok(Some(sent_ns))) => notes.taken(sent_ns)?,
                Ok(Ok(None)) => notes.refused()?,
                Ok(Err(_)) | Err(_) => {
                    notes.refused()?;
                    break;
                }
            }
            sleep(PAUSE).await;
        }
    }
}

/// When the write was sent, if it was taken. A standby is not asked: it would fill its log.
async fn probe(connection: &Connection, write: &str) -> Result<Option<u64>> {
    if connection.ask("SELECT pg_is_in_recovery()").await? == "t" {
        return Ok(None);
    }
    let sent_ns = now_ns();
    connection.client.batch_execute(write).await?;
    Ok(Some(sent_ns))
}

async fn open(sockets: &Path, port: u16) -> Result<Connection> {
    let mut config = Config::new();
    config
        .host(sockets.to_string_lossy())
        .port(port)
        .user("postgres")
        .dbname("postgres");
    Connection::open(&config).await
}
