//! A drill on PostgreSQL: the standby's data is copied over its socket, the copy is started in a cage,
//! promoted until it has committed a write, and asked.
//!
//! The standby is only read from, and slowly. The copy gets to nobody and changes nothing: it has no network,
//! the folders of other servers' sockets are covered, and it writes to its own folder alone.

mod room;
mod standby;
mod verify;

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use hanse_core::dr::duty::DrillOrder;
use hanse_core::object::dr_plan::Postgresql;
use tokio::process::{Child, Command};
use tokio_postgres::SimpleQueryRow;

use self::standby::Standby;
use super::basebackup::attend;
use super::command::last_of;
use super::layout::Server;
use super::rehearsal::settings;
use super::session::Session;
use super::settings::connection_value;
use super::tablespaces::Tablespaces;
use crate::cage::Cage;
use crate::drill::Findings;
use crate::file;
use crate::setup::Setup;
use crate::space::check_space;
use crate::trouble::Trouble;

/// How long a copy that starts may take to answer.
const ASK_MAX: Duration = Duration::from_secs(10);
/// Copies go no faster, unless a quarter of the drill's time would not do.
const RATE_BYTES: u64 = 32 << 20;
/// What `pg_basebackup` takes at most.
const RATE_BYTES_MAX: u64 = 1 << 30;
/// How soon a copy that starts is asked again.
const START_LOOK: Duration = Duration::from_millis(100);
/// The longest path of a socket that the kernel takes.
const SOCKET_LENGTH_MAX: usize = 107;

/// The copy, and where it listens.
struct Rehearsal<'a> {
    server: &'a Server,
    cage: &'a Cage,
    data: PathBuf,
}

/// Holds a drill; what it finds is in the findings even if it does not come to its end.
pub(crate) async fn practise(
    setup: &Setup,
    cage: &Cage,
    (order, postgresql): (&DrillOrder, &Postgresql),
    findings: &mut Findings,
) -> Result<(), Trouble> {
    let server = Server::find(setup, postgresql, None)?;
    let standby = standby::ask(&server, findings).await?;
    check_space(cage.folder(), standby.size_bytes)?;
    let rehearsal = Rehearsal {
        server: &server,
        cage,
        data: cage.folder().join("data"),
    };
    rehearsal.copy(&standby, order, findings).await?;
    rehearsal.configure(&standby)?;
    cage.cover_sockets(&[&standby.sockets]).await?;
    let proves = async {
        let mut process = rehearsal.start(findings).await?;
        tokio::select! {
            verified = rehearsal.verify(order, findings) => verified,
            ended = process.wait() => Err(Trouble(format!(
                "the copy's server ended by itself ({}): {}",
                ended.map_or_else(|error| error.to_string(), |status| status.to_string()),
                last_of(&rehearsal.log())
            ))),
        }
    };
    tokio::select! {
        proved = proves => proved,
        full = room::fills_up(cage.folder()) => Err(full),
    }
}

impl Rehearsal<'_> {
    fn folder(&self) -> &Path {
        self.cage.folder()
    }

    fn program(&self, name: &str) -> Command {
        let program = self.server.bin.join(name);
        self.cage.program(&self.server.user, &program)
    }

    /// Copies the standby's data over its socket, without a slot or anything else that it would keep.
    async fn copy(
        &self,
        standby: &Standby,
        order: &DrillOrder,
        findings: &mut Findings,
    ) -> Result<(), Trouble> {
        let began = Instant::now();
        findings.say("it copies the standby's data");
        let (user, group) = (self.server.user.id, self.server.user.group_id);
        chown(self.folder(), Some(user), Some(group))
            .map_err(|error| Trouble::io("hand over", self.folder(), &error))?;
        let connection = format!(
            "host={} port={} user={} dbname=replication application_name=hanse_drill",
            connection_value(&standby.sockets.display().to_string()),
            standby.port,
            connection_value(&self.server.user.name)
        );
        let rate = rate(standby.size_bytes, order.timeout);
        let mut command = self.program("pg_basebackup");
        command
            .arg(format!("--dbname={connection}"))
            .arg("--pgdata")
            .arg(&self.data)
            .arg(format!("--max-rate={}k", rate >> 10))
            .args(["--checkpoint=fast", "--wal-method=stream", "--no-slot"])
            .args(["--no-manifest", "--no-sync", "--progress"])
            .stderr(Stdio::piped());
        for (oid, location) in &standby.tablespaces {
            let new = self.folder().join(format!("tablespace-{oid}"));
            let escaped = location.replace('=', "\\=");
            command.arg(format!("--tablespace-mapping={escaped}={}", new.display()));
        }
        let tell = |told| findings.say(&format!("it copies the standby's data: {told}"));
        let copied = tokio::select! {
            copied = attend(&mut command, tell) => copied,
            full = room::fills_up(self.folder()) => Err(full.0),
        };
        copied.map_err(|why| Trouble(format!("unable to copy the standby's data: {why}")))?;
        findings.copied(standby.size_bytes, began.elapsed());
        Ok(())
    }

    /// Has the copy start by itself alone, as one that follows nobody.
    fn configure(&self, standby: &Standby) -> Result<(), Trouble> {
        let socket = self.folder().join(".s.PGSQL.5432");
        let length = socket.as_os_str().len();
        if length > SOCKET_LENGTH_MAX {
            return Err(Trouble(format!(
                "{} is too long for the path of a socket: a drill needs a data directory whose path is \
                 {} characters shorter",
                socket.display(),
                length - SOCKET_LENGTH_MAX
            )));
        }
        let user = &self.server.user.name;
        let access = format!("local all {user} peer\n");
        let sort_bytes = room::sort_bytes(self.folder())?;
        let settings = settings(self.folder(), &standby.same, sort_bytes);
        for (name, text) in [
            ("data/postgresql.auto.conf", String::new()),
            ("data/standby.signal", String::new()),
            ("hba.conf", access),
            ("ident.conf", String::new()),
            ("postgresql.conf", settings),
        ] {
            let path = self.folder().join(name);
            file::write_changed(&path, self.server.own(), text.as_bytes())
                .map_err(|error| Trouble::io("write", &path, &error))?;
        }
        // What would have it recover from elsewhere, or to somewhere.
        let signal = self.data.join("recovery.signal");
        match fs::remove_file(&signal) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Trouble::io("remove", &signal, &error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Starts the copy's server, and waits until it answers as a standby.
    async fn start(&self, findings: &mut Findings) -> Result<Child, Trouble> {
        findings.say("the copy starts");
        let user = &self.server.user;
        let mut tablespaces = Tablespaces::new(self.cage, user, &self.data, self.folder());
        loop {
            let mut process = self.spawn()?;
            let Some(status) = self.ends_before_it_answers(&mut process).await? else {
                return Ok(process);
            };
            let log = self.log();
            if !tablespaces.give(&log).await? {
                return Err(Trouble(format!(
                    "unable to start the copy: its server ended with {status}: {}",
                    last_of(&log)
                )));
            }
        }
    }

    fn spawn(&self) -> Result<Child, Trouble> {
        let log = self.folder().join("server.log");
        let log = fs::File::create(&log).map_err(|error| Trouble::io("make", &log, &error))?;
        let errors = log
            .try_clone()
            .map_err(|error| Trouble(format!("unable to keep the copy's log: {error}")))?;
        let mut command = self.program("postgres");
        command
            .arg("-D")
            .arg(&self.data)
            .arg(format!(
                "--config_file={}",
                self.folder().join("postgresql.conf").display()
            ))
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(|error| Trouble(format!("unable to start the copy: {error}")))
    }

    /// How the server ended; none: it answers as a standby.
    async fn ends_before_it_answers(
        &self,
        process: &mut Child,
    ) -> Result<Option<ExitStatus>, Trouble> {
        let mut session = Session::new(&self.data);
        loop {
            let answer = session.ask("select pg_is_in_recovery()", ASK_MAX).await;
            match answer.as_deref().map(<[SimpleQueryRow]>::first) {
                Ok(Some(row)) if row.get(0) == Some("t") => return Ok(None),
                Ok(_) => {
                    let why = "the copy is no standby, so nothing can be promoted";
                    return Err(Trouble(why.to_owned()));
                }
                Err(_) => {}
            }
            if let Ok(Some(status)) = process.try_wait() {
                return Ok(Some(status));
            }
            tokio::time::sleep(START_LOOK).await;
        }
    }

    fn log(&self) -> String {
        room::end_of(&self.folder().join("server.log"))
    }
}

/// How many bytes may be copied in a second: few, unless a quarter of the time would not do.
fn rate(size_bytes: u64, timeout: Duration) -> u64 {
    let needed = size_bytes / (timeout.as_secs() / 4).max(1);
    needed.clamp(RATE_BYTES, RATE_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_database_is_copied_gently_and_a_large_one_within_a_quarter_of_the_time() {
        let hour = Duration::from_secs(3600);
        assert_eq!(rate(1 << 30, hour), RATE_BYTES);
        assert_eq!(rate(90_000 << 20, hour), 100 << 20);
        assert_eq!(rate(u64::MAX, hour), RATE_BYTES_MAX);
        assert_eq!(rate(0, Duration::ZERO), RATE_BYTES);
    }
}
