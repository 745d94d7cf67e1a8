//! The writing load: clients that commit one row after another wherever the service says that
//! writes go, and write down each commit that they were told of.
//!
//! It runs in a process of its own at the operator's place. A client trusts no connection for long:
//! whoever doesn't answer within a second is left. A commit without an answer may have
//! happened or not; its number is never used again.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use super::now_ns;

/// How long a server may take to accept a client and say whether it takes writes.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a commit may take.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(1);
/// Between two commits of a client.
const COMMIT_PAUSE: Duration = Duration::from_millis(5);
/// After a server that didn't take writes.
const TURN_PAUSE: Duration = Duration::from_millis(20);

/// Makes what the load and the observer write to.
pub const TABLES: &str = "CREATE TABLE ledger (client int, sequence bigint, \
     PRIMARY KEY (client, sequence)); \
     CREATE TABLE probe (server int, number bigint, PRIMARY KEY (server, number))";

/// Lists what the load has written.
pub const ROWS: &str = "SELECT client, sequence FROM ledger";

/// Lists what the observer has written.
pub const PROBES: &str = "SELECT server, number FROM probe";

/// Writes until it is killed. Each client tries `endpoints` in turn, as a libpq does that was given
/// many hosts and `target_session_attrs=read-write`.
///
/// # Errors
///
/// When nobody reads what it writes down.
pub fn run(endpoints: &[SocketAddr], clients: u32) -> Result<()> {
    ensure!(!endpoints.is_empty(), "the load needs an endpoint at least");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("unable to start the load's runtime")?;
    runtime.block_on(async {
        let mut all = JoinSet::new();
        for client in 0..clients {
            all.spawn(write_on(client, endpoints.to_vec()));
        }
        match all.join_next().await {
            Some(ended) => ended.context("a client of the load panicked")?,
            None => bail!("the load needs a client at least"),
        }
    })
}

/// A connection, closed when dropped, however its server is.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) client: Client,
    task: AbortHandle,
}

impl Connection {
    pub(super) async fn open(config: &Config) -> Result<Self> {
        let (client, connection) = config.connect(NoTls).await?;
        let task = tokio::spawn(async move {
            // What went wrong is what the client's calls say.
            let _ = connection.await;
        });
        let task = task.abort_handle();
        Ok(Self { client, task })
    }

    /// The first column of the first row.
    pub(super) async fn ask(&self, question: &str) -> Result<String> {
        for message in self.client.simple_query(question).await? {
            if let SimpleQueryMessage::Row(row) = message {
                return Ok(row.get(0).unwrap_or_default().to_owned());
            }
        }
        bail!("`{question}` has no answer")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Says one line to whoever counts.
pub(super) fn note(line: &str) -> Result<()> {
    let mut output = std::io::stdout().lock();
    output
        .write_all(format!("{line}\n").as_bytes())
        .and_then(|()| output.flush())
        .context("unable to write down what happened")
}

async fn write_on(client: u32, endpoints: Vec<SocketAddr>) -> Result<()> {
    let mut sequence = 0;
    for endpoint in endpoints.iter().cycle().skip(client as usize) {
        if let Ok(Ok(connection)) = timeout(CONNECT_TIMEOUT, connect(*endpoint)).await {
            commit_on(client, &mut sequence, &connection).await?;
        }
        sleep(TURN_PAUSE).await;
    }
    Ok(())
}

/// Commits until the server doesn't.
async fn commit_on(client: u32, sequence: &mut u64, connection: &Connection) -> Result<()> {
    loop {
        *sequence += 1;
        let insert = format!("INSERT INTO ledger VALUES ({client}, {sequence})");
        let commit = connection.client.batch_execute(&insert);
        match timeout(COMMIT_TIMEOUT, commit).await {
            Ok(Ok(())) => note(&format!("a {client} {sequence} {}", now_ns()))?,
            Ok(Err(error)) => return note(&format!("e {client} {}: {error}", now_ns())),
            Err(_) => return note(&format!("e {client} {}: no answer", now_ns())),
        }
        sleep(COMMIT_PAUSE).await;
    }
}

async fn connect(endpoint: SocketAddr) -> Result<Connection> {
    let mut config = Config::new();
    config
        .hostaddr(endpoint.ip())
        .port(endpoint.port())
        .user("postgres")
        .dbname("postgres")
        .tcp_user_timeout(COMMIT_TIMEOUT);
    let connection = Connection::open(&config).await?;
    let read_only = connection.ask("SHOW transaction_read_only").await?;
    ensure!(read_only == "off", "it takes no writes");
    Ok(connection)
}
