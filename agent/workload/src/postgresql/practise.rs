//! A drill on PostgreSQL: the standby's data is copied over its socket, the copy is started in a cage,
//! promoted until it has committed a write, and asked.
//!
//! The standby is only read from, and slowly. The copy gets to nobody: it has no network, and the folders
//! of other servers' sockets are covered.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use hanse_core::dr::duty::DrillOrder;
use hanse_core::object::dr_plan::{DrillCheck, Postgresql};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};
use tokio_postgres::SimpleQueryRow;

use super::command::{last_of, run_quietly};
use super::layout::Server;
use super::rehearsal::{SAME, settings};
use super::seed::last_progress;
use super::session::{Postmaster, Session};
use super::settings::connection_value;
use crate::drill::{Cage, Findings};
use crate::file;
use crate::setup::Setup;
use crate::space::{RESERVE_BYTES, check_space};
use crate::trouble::Trouble;

/// How long the standby may take to say what it is.
const ASK_MAX: Duration = Duration::from_secs(10);
/// Copies go no faster, unless a quarter of the drill's time would not do.
const RATE_BYTES: u64 = 32 << 20;
/// What `pg_basebackup` takes at most.
const RATE_BYTES_MAX: u64 = 1 << 30;
/// How often the room on the disk is looked at while data is copied.
const SPACE_LOOK: Duration = Duration::from_secs(1);
/// How soon a copy that starts is asked again.
const START_LOOK: Duration = Duration::from_millis(100);
/// What of a program's words is read.
const WORDS_MAX: usize = 8192;
/// The longest path of a socket that the kernel takes.
const SOCKET_LENGTH_MAX: usize = 107;
/// Folders in which other servers' sockets usually are.
const RUN: &str = "/run";

const QUESTION: &str = "select pg_is_in_recovery() as follows, \
  (select sum(pg_database_size(oid)) from pg_database)::bigint as size, \
  (select pg_wal_lsn_diff(greatest(latest_end_lsn, pg_last_wal_receive_lsn()), \
    pg_last_wal_replay_lsn())::bigint \
    from pg_stat_wal_receiver) as lag, \
  (case when pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() then 0 \
    else extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000 \
    end)::bigint as lag_ms";

/// What the standby says of itself.
struct Standby {
    size_bytes: u64,
    same: BTreeMap<String, String>,
    /// Where each tablespace is, beside the data.
    tablespaces: Vec<(String, String)>,
    sockets: PathBuf,
    port: u16,
}

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
    let standby = ask(&server, findings).await?;
    check_space(cage.folder(), standby.size_bytes)?;
    let rehearsal = Rehearsal {
        server: &server,
        cage,
        data: cage.folder().join("data"),
    };
    rehearsal.copy(&standby, order, findings).await?;
    rehearsal.configure(&standby)?;
    rehearsal.cover(&standby).await?;
    let mut process = rehearsal.start(findings).await?;
    tokio::select! {
        verified = rehearsal.verify(order, findings) => verified,
        ended = process.wait() => Err(Trouble(format!(
            "the copy's server ended by itself ({}): {}",
            ended.map_or_else(|error| error.to_string(), |status| status.to_string()),
            rehearsal.log()
        ))),
    }
}

async fn ask(server: &Server, findings: &mut Findings) -> Result<Standby, Trouble> {
    let mut session = Session::new(&server.data);
    let rows = session.ask(QUESTION, ASK_MAX).await?;
    let row = rows.first();
    let text = |name: &str| row.and_then(|row| row.get(name));
    if text("follows") != Some("t") {
        return Err(Trouble(
            "the server here is no standby any more: drills are held beside one that follows"
                .to_owned(),
        ));
    }
    let number = |name: &str| text(name).and_then(|text| text.parse::<i64>().ok());
    let positive = |name: &str| number(name).map(|number| u64::try_from(number).unwrap_or(0));
    findings.lags(positive("lag"), positive("lag_ms"));
    let names: Vec<String> = SAME.iter().map(|name| format!("'{name}'")).collect();
    let question = format!(
        "select lower(name), setting from pg_settings where lower(name) in ({})",
        names.join(", ")
    );
    let same = pairs(&session.ask(&question, ASK_MAX).await?);
    let tablespaces = "select oid::text, pg_tablespace_location(oid) from pg_tablespace \
                       where pg_tablespace_location(oid) <> ''";
    let tablespaces = pairs(&session.ask(tablespaces, ASK_MAX).await?);
    let place = Postmaster::read(&server.data).map(Postmaster::place);
    let (sockets, port) =
        place.ok_or_else(|| Trouble("the standby does not run, or has no socket".to_owned()))?;
    Ok(Standby {
        size_bytes: positive("size").unwrap_or(0),
        same: same.into_iter().collect(),
        tablespaces,
        sockets,
        port,
    })
}

fn pairs(rows: &[SimpleQueryRow]) -> Vec<(String, String)> {
    let pair = |row: &SimpleQueryRow| Some((row.get(0)?.to_owned(), row.get(1)?.to_owned()));
    rows.iter().filter_map(pair).collect()
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
        let copied = tokio::select! {
            copied = attend(command, findings) => copied,
            full = self.fills_up() => Err(full),
        };
        copied.map_err(|trouble| {
            Trouble(format!("unable to copy the standby's data: {}", trouble.0))
        })?;
        findings.copied(standby.size_bytes, began.elapsed());
        Ok(())
    }

    /// Returns once the disk has little room left: the standby needs it.
    async fn fills_up(&self) -> Trouble {
        loop {
            tokio::time::sleep(SPACE_LOOK).await;
            let Ok(disk) = rustix::fs::statvfs(self.folder()) else {
                continue;
            };
            let free_bytes = disk.f_bavail * disk.f_frsize;
            if free_bytes < RESERVE_BYTES {
                return Trouble(format!(
                    "{} has only {} MB free, which the standby itself may need: make room",
                    self.folder().display(),
                    free_bytes >> 20
                ));
            }
        }
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
        for (name, text) in [
            ("data/postgresql.auto.conf", String::new()),
            ("data/standby.signal", String::new()),
            ("hba.conf", access),
            ("ident.conf", String::new()),
            ("postgresql.conf", settings(self.folder(), &standby.same)),
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

    /// From here on nothing inside gets to any server of this host.
    async fn cover(&self, standby: &Standby) -> Result<(), Trouble> {
        for folder in [standby.sockets.as_path(), Path::new(RUN), Path::new("/tmp")] {
            if folder.is_dir() && !self.folder().starts_with(folder) {
                self.cage.cover(folder).await?;
            }
        }
        Ok(())
    }

    /// Starts the copy's server, and waits until it answers as a standby.
    async fn start(&self, findings: &mut Findings) -> Result<Child, Trouble> {
        findings.say("the copy starts");
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
            .stderr(errors);
        let mut process = command
            .spawn()
            .map_err(|error| Trouble(format!("unable to start the copy: {error}")))?;
        let mut session = Session::new(&self.data);
        loop {
            let answer = session.ask("select pg_is_in_recovery()", ASK_MAX).await;
            match answer.as_deref().map(<[SimpleQueryRow]>::first) {
                Ok(Some(row)) if row.get(0) == Some("t") => return Ok(process),
                Ok(_) => {
                    let why = "the copy is no standby, so nothing can be promoted";
                    return Err(Trouble(why.to_owned()));
                }
                Err(_) => {}
            }
            if let Ok(Some(status)) = process.try_wait() {
                return Err(Trouble(format!(
                    "unable to start the copy: its server ended with {status}: {}",
                    self.log()
                )));
            }
            tokio::time::sleep(START_LOOK).await;
        }
    }

    /// Promotes the copy, and asks it all that is to be verified.
    async fn verify(&self, order: &DrillOrder, findings: &mut Findings) -> Result<(), Trouble> {
        findings.say("the copy is promoted");
        let began = Instant::now();
        let mut session = Session::new(&self.data);
        let seconds = order.timeout.as_secs();
        let promote = format!("select pg_promote(true, {seconds})");
        let rows = session.ask(&promote, order.timeout).await?;
        if rows.first().and_then(|row| row.get(0)) != Some("t") {
            return Err(Trouble(format!(
                "the copy could not be promoted: {}",
                self.log()
            )));
        }
        // What counts is a write on the disk.
        let write = "set synchronous_commit = on; create schema hanse_drill; \
                     create table hanse_drill.written as select clock_timestamp() as at";
        session.ask(write, order.timeout).await?;
        findings.promoted(order, began.elapsed());
        self.amcheck(findings).await;
        for (place, check) in order.checks.iter().enumerate() {
            findings.say(&format!(
                "it asks `{}` ({} of {})",
                check.name,
                place + 1,
                order.checks.len()
            ));
            let since = Instant::now();
            let answered = self.question(check, order.timeout).await;
            findings.checked(&check.name, since, answered);
        }
        if let [program, arguments @ ..] = order.command.as_slice() {
            findings.say(&format!("{program} verifies it"));
            let since = Instant::now();
            let mut command = self.cage.program(&self.server.user, Path::new(program));
            command
                .args(arguments)
                .envs(self.environment())
                .env("HANSE_DRILL", order.number.to_string())
                .env("HANSE_DRILL_COPY", &self.data);
            let ended = run_quietly("have the copy verified", &mut command).await;
            findings.checked(program, since, ended);
        }
        Ok(())
    }

    /// Every relation of every database, as far as PostgreSQL can tell that it is whole.
    async fn amcheck(&self, findings: &mut Findings) {
        const NAME: &str = "pg_amcheck";
        findings.say("pg_amcheck reads all tables and indexes");
        if !self.server.bin.join(NAME).is_file() {
            let why = "it is not installed: run `apt-get install postgresql-client-NN`, NN being the \
                       server's version";
            return findings.skipped(NAME, why);
        }
        let since = Instant::now();
        let mut command = self.program(NAME);
        command
            .args(["--all", "--install-missing"])
            .envs(self.environment());
        let checked = run_quietly("verify all relations", &mut command).await;
        match checked {
            Err(trouble) if trouble.0.contains("could not open extension control file") => {
                let why =
                    "the server has no extension amcheck: run `apt-get install postgresql-contrib`";
                findings.skipped(NAME, why);
            }
            checked => findings.checked(NAME, since, checked),
        }
    }

    async fn question(&self, check: &DrillCheck, within: Duration) -> Result<(), Trouble> {
        let mut session = Session::of(&self.data, &check.database);
        let rows = session.ask(&check.sql, within).await?;
        match rows.as_slice() {
            [row] => match row.try_get(0) {
                Ok(Some("t" | "true")) => Ok(()),
                Ok(Some(other)) => {
                    let other: String = other.chars().take(80).collect();
                    Err(Trouble(format!("it answers `{other}`, and not true")))
                }
                Ok(None) => Err(Trouble("it answers null, and not true".to_owned())),
                Err(_) => Err(Trouble("it yields no column".to_owned())),
            },
            rows => Err(Trouble(format!(
                "it yields {} rows, and not one",
                rows.len()
            ))),
        }
    }

    fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("PGHOST", self.folder().display().to_string()),
            ("PGPORT", "5432".to_owned()),
            ("PGUSER", self.server.user.name.clone()),
            ("PGDATABASE", "postgres".to_owned()),
        ]
    }

    fn log(&self) -> String {
        let log = fs::read_to_string(self.folder().join("server.log")).unwrap_or_default();
        last_of(&log)
    }
}

/// Waits for the end of a copying program, and tells how far it is.
async fn attend(mut command: Command, findings: &mut Findings) -> Result<(), Trouble> {
    let mut child = command.spawn().map_err(|error| {
        Trouble(format!(
            "choom can't be started ({error}): run `apt-get install util-linux`"
        ))
    })?;
    let mut words = String::new();
    if let Some(mut said) = child.stderr.take() {
        let mut piece = [0; 1024];
        while let Ok(length @ 1..) = said.read(&mut piece).await {
            words.push_str(&String::from_utf8_lossy(&piece[..length]));
            if let Some(told) = last_progress(&words) {
                findings.say(&format!("it copies the standby's data: {told}"));
            }
            while words.len() > WORDS_MAX {
                words = words.split_off(words.ceil_char_boundary(WORDS_MAX / 2));
            }
        }
    }
    let status = child
        .wait()
        .await
        .map_err(|error| Trouble(error.to_string()))?;
    match status.success() {
        true => Ok(()),
        false => Err(Trouble(last_of(&words))),
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
