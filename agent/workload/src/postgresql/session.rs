//! A connection to the server over its socket, as the server's own user: no password is needed.
//!
//! The kernel tells the server whose thread connected. Users belong to threads, so one thread takes
//! the server's user for that one call, and ends.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage, SimpleQueryRow};

use super::command::last_of;
use super::measured::{ANSWER_LENGTH_MAX, Measure};
use crate::trouble::Trouble;

const CONNECT_MAX: Duration = Duration::from_millis(900);

/// A connection that is made anew when it broke.
#[derive(Debug)]
pub(crate) struct Session {
    data: PathBuf,
    database: String,
    client: Option<Client>,
    is_starting: bool,
    measure: Measure,
}

/// What a server writes about itself into its `postmaster.pid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Postmaster {
    port: u16,
    sockets: PathBuf,
}

impl Postmaster {
    pub(crate) fn read(data: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(data.join("postmaster.pid")).ok()?)
    }

    /// Where it listens: the folder of its socket, and the number in the socket's name.
    pub(crate) fn place(self) -> (PathBuf, u16) {
        (self.sockets, self.port)
    }

    fn parse(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        // The number of a process of its own namespace, which is of no use here.
        lines.first()?.parse::<i32>().ok()?;
        let sockets = PathBuf::from(lines.get(4).copied().unwrap_or_default());
        Some(Self {
            port: lines.get(3).and_then(|port| port.parse().ok()).unwrap_or(0),
            sockets,
        })
    }
}

impl Session {
    pub(crate) fn new(data: &Path) -> Self {
        Self::of(data, "postgres")
    }

    /// One with another database.
    pub(crate) fn of(data: &Path, database: &str) -> Self {
        Self {
            data: data.to_owned(),
            database: database.to_owned(),
            client: None,
            is_starting: false,
            measure: Measure::default(),
        }
    }

    /// Whether the server last let nobody in since it is still starting.
    pub(crate) fn is_starting(&self) -> bool {
        self.is_starting
    }

    /// What the server answers to this, in rows of text, within a time.
    pub(crate) async fn ask(
        &mut self,
        sql: &str,
        within: Duration,
    ) -> Result<Vec<SimpleQueryRow>, Trouble> {
        let client = match self.client.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => {
                // An earlier connection may still read.
                self.measure = Measure::default();
                self.connect().await?
            }
        };
        self.measure.begin();
        match timeout(within, client.simple_query(sql)).await {
            Ok(Ok(messages)) => {
                self.client = Some(client);
                let row = |message| match message {
                    SimpleQueryMessage::Row(row) => Some(row),
                    _ => None,
                };
                Ok(messages.into_iter().filter_map(row).collect())
            }
            Ok(Err(_)) if self.measure.is_exceeded() => Err(Trouble(format!(
                "the server answers with more than {} MiB, and the rest was cut: ask for less",
                ANSWER_LENGTH_MAX >> 20
            ))),
            Ok(Err(error)) => {
                if !client.is_closed() {
                    self.client = Some(client);
                }
                Err(refused(&error))
            }
            // What was asked may be going on: the next question has its own connection.
            Err(_) => Err(Trouble("the server did not answer in time".to_owned())),
        }
    }

    async fn connect(&mut self) -> Result<Client, Trouble> {
        self.is_starting = false;
        let (stream, user) = reach(&self.data).await?;
        let mut config = Config::new();
        config
            .user(user_name(user)?)
            .dbname(&self.database)
            .application_name("hanse")
            .options("-c synchronous_commit=local -c statement_timeout=0");
        let opened = timeout(
            CONNECT_MAX,
            config.connect_raw(self.measure.of(stream), NoTls),
        )
        .await;
        let opened =
            opened.map_err(|_| Trouble("the server did not let us in in time".to_owned()))?;
        let (client, connection) = opened.map_err(|error| {
            self.is_starting = error.code() == Some(&SqlState::CANNOT_CONNECT_NOW);
            refused(&error)
        })?;
        // It ends with its client.
        tokio::spawn(connection);
        Ok(client)
    }
}

fn refused(error: &tokio_postgres::Error) -> Trouble {
    match error.as_db_error() {
        Some(refusal) => Trouble(format!(
            "the server refused: {}",
            last_of(refusal.message())
        )),
        None => Trouble(format!("the server can't be asked: {error}")),
    }
}

/// A connection to the server's socket, as the server's own user, and that user's id.
async fn reach(data: &Path) -> Result<(tokio::net::UnixStream, u32), Trouble> {
    let postmaster = Postmaster::read(data)
        .filter(|postmaster| postmaster.sockets.is_absolute())
        .ok_or_else(|| Trouble("the server does not run, or has no socket".to_owned()))?;
    let owner = fs::metadata(data).map_err(|error| Trouble::io("read", data, &error))?;
    let socket = postmaster
        .sockets
        .join(format!(".s.PGSQL.{}", postmaster.port));
    let stream = connect_as(&socket, owner.uid(), owner.gid())
        .await
        .and_then(|stream| {
            stream.set_nonblocking(true)?;
            tokio::net::UnixStream::from_std(stream)
        })
        .map_err(|error| Trouble::io("connect to", &socket, &error))?;
    Ok((stream, owner.uid()))
}

/// Connects as a user of the system.
async fn connect_as(socket: &Path, user_id: u32, group_id: u32) -> io::Result<UnixStream> {
    let (sender, receiver) = oneshot::channel();
    let socket = socket.to_owned();
    thread::Builder::new()
        .name("hanse-socket".to_owned())
        .spawn(move || {
            // Nobody waits any more if this fails.
            let _ = sender
                .send(become_user(user_id, group_id).and_then(|()| UnixStream::connect(&socket)));
        })?;
    let answer = timeout(CONNECT_MAX, receiver).await;
    answer
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
        .map_err(io::Error::other)?
}

/// Makes the calling thread another user's, for good.
fn become_user(user_id: u32, group_id: u32) -> io::Result<()> {
    if rustix::process::geteuid().as_raw() == user_id {
        return Ok(());
    }
    let (user, group) = (Uid::from_raw(user_id), Gid::from_raw(group_id));
    set_thread_groups(&[])?;
    set_thread_res_gid(group, group, group)?;
    set_thread_res_uid(user, user, user)?;
    Ok(())
}

/// The name of a user of the system, under which PostgreSQL knows who connects.
fn user_name(id: u32) -> Result<String, Trouble> {
    super::layout::user(&id.to_string()).map(|user| user.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_server_listens_is_read_from_what_it_wrote() {
        let text = "4711\n/data\n1700000000\n5433\n/run/postgresql\nlocalhost\n  1 2\nready   \n";
        let postmaster = Postmaster::parse(text).unwrap();
        assert_eq!(postmaster.port, 5433);
        assert_eq!(postmaster.sockets, Path::new("/run/postgresql"));
        assert_eq!(Postmaster::parse(""), None);
        assert!(Postmaster::parse("-4711\n/data\n").is_some());
    }
}
