//! PostgreSQL's own processes and files on a host of the laboratory, whoever looks after them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::laboratory::{Host, Invocation, Laboratory, Process, check_programs, search_path};
use crate::wait::wait_until;

/// The PostgreSQL that every system under test runs: the one for which Debian builds the peers.
pub const VERSION: &str = "15";
/// The port of every server.
pub const PORT: u16 = 5432;
/// What the server's processes are called.
pub(super) const NAME: &str = "postgres";
/// Computes without ever looking whether its postmaster is still there.
const BUSY: &str = "DO $$ BEGIN LOOP PERFORM 1; END LOOP; END $$";
/// How long the busy backend may take to become busy.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// One server.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its data directory.
    pub data: PathBuf,
    /// The folder of its socket, on the host's disk; or, as libpq takes it, an address.
    pub sockets: PathBuf,
    /// Its port.
    pub port: u16,
    /// Whom clients over the socket have to be, for a server that goes by that; none: anybody.
    pub user: Option<(u32, u32)>,
}

impl Server {
    /// What a boot does for it on a host: no socket is left, and pids begin somewhere else. Hosts here
    /// boot with the same few pids each time, and a stale `postmaster.pid` would name somebody alive.
    ///
    /// # Errors
    ///
    /// When the host has no power.
    pub fn prepare(host: &Host) -> Result<Self> {
        let server = Self::of(host);
        let script = r#"
            mkdir -p "$1"; rm -f "$1"/.s.PGSQL.*
            echo $((1000 + RANDOM % 20000)) >/proc/sys/kernel/ns_last_pid"#;
        let prepare = Invocation::script(script).arg("prepare");
        host.exec(prepare.arg(&server.sockets))?
            .success()
            .with_context(|| format!("unable to prepare {} for a server", host.name()))?;
        Ok(server)
    }

    /// The one place for it on a host.
    #[must_use]
    pub fn of(host: &Host) -> Self {
        Self {
            data: host.disk().join("pg"),
            sockets: host.data_dir().join("sock"),
            port: PORT,
            user: None,
        }
    }

    /// Asks it through its socket, past every network: columns are separated by spaces.
    ///
    /// # Errors
    ///
    /// When it doesn't answer or refuses.
    pub fn ask(&self, laboratory: &Laboratory, question: &str) -> Result<String> {
        let psql = self.client(bin().join("psql"));
        let output = laboratory.exec(self.psql(psql, question))?.success()?;
        Ok(output.text().to_owned())
    }

    /// A program that talks to it over its socket.
    pub fn client(&self, program: impl AsRef<Path>) -> Invocation {
        match self.user {
            None => Invocation::new(program.as_ref()),
            Some(user) => as_user(user).arg(program.as_ref()),
        }
    }

    fn psql(&self, psql: Invocation, question: &str) -> Invocation {
        psql.arg("-h")
            .arg(&self.sockets)
            .args(["-p", &self.port.to_string()])
            .args(["-U", "postgres", "-d", "postgres"])
            .args(["-XAtq", "-F", " ", "-v", "ON_ERROR_STOP=1"])
            .args(["-c", question])
    }

    /// Kills the postmaster as `kill -9` does: the first of the server's processes, since its pid file
    /// may count pids otherwise than the host.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn kill(&self, host: &Host) -> Result<()> {
        let script = r#"
            for pid in $(cd /proc && printf '%s\n' [0-9]* | sort -n); do
                { read -r name </proc/$pid/comm; } 2>/dev/null || continue
                [ "$name" = "$1" ] && exec kill -KILL "$pid"
            done
            exit 1"#;
        let kill = Invocation::script(script).args(["kill", NAME]);
        let killed = host.exec(kill)?.success();
        killed.with_context(|| format!("no server runs on {}", host.name()))?;
        Ok(())
    }
}

/// A backend that computes and never looks up.
#[derive(Debug)]
pub struct Busy {
    /// Its client, which is killed when dropped.
    _client: Process,
    pid: String,
}

impl Busy {
    /// Makes one on the server and waits until it computes.
    ///
    /// # Errors
    ///
    /// When it doesn't.
    pub fn start(laboratory: &Laboratory, host: &Host, server: &Server) -> Result<Self> {
        let psql = match server.user {
            None => as_postgres(bin().join("psql"))?,
            Some(_) => server.client(bin().join("psql")),
        };
        let client = host.spawn("busy", server.psql(psql, BUSY))?;
        let question =
            "SELECT pid FROM pg_stat_activity WHERE query LIKE 'DO %' AND state = 'active'";
        let pid = wait_until("a backend is busy", BUSY_TIMEOUT, || {
            let pid = server.ask(laboratory, question)?;
            Ok((!pid.is_empty()).then_some(pid))
        })?;
        Ok(Self {
            _client: client,
            pid,
        })
    }

    /// Ends it if it is still there.
    ///
    /// # Errors
    ///
    /// When the host can't be entered.
    pub fn end(self, host: &Host) -> Result<()> {
        host.exec(["kill", "-KILL", &self.pid])?;
        Ok(())
    }
}

/// Sends a signal to all processes with one of `names` on a host, those first that came first.
///
/// # Errors
///
/// When the host can't be entered or nobody has such a name.
pub fn signal(host: &Host, names: &[&str], signal: &str) -> Result<()> {
    let script = r#"
        signal=$1 found=0; shift
        for pid in $(cd /proc && printf '%s\n' [0-9]* | sort -n); do
            { read -r name </proc/$pid/comm; } 2>/dev/null || continue
            for wanted; do
                if [ "$name" = "$wanted" ]; then kill "-$signal" "$pid" && found=1 || :; fi
            done
        done
        [ $found = 1 ]"#;
    let told = Invocation::script(script)
        .args(["signal", signal])
        .args(names);
    host.exec(told)?
        .success()
        .with_context(|| format!("no {} on {}", names.join(" or "), host.name()))?;
    Ok(())
}

/// Sends a signal to all processes of the server.
///
/// # Errors
///
/// As [`signal`].
pub fn signal_server(host: &Host, name: &str) -> Result<()> {
    signal(host, &[NAME], name)
}

/// Where the server's programs lie.
#[must_use]
pub fn bin() -> PathBuf {
    Path::new("/usr/lib/postgresql").join(VERSION).join("bin")
}

/// Its version, as it says itself.
///
/// # Errors
///
/// When it is not installed; the message names the command that mends it.
pub fn version(laboratory: &Laboratory) -> Result<String> {
    check()?;
    let said = laboratory.exec(Invocation::new(bin().join("postgres")).arg("--version"))?;
    let said = said.success()?;
    // `postgres (PostgreSQL) 15.18 (Debian …)`
    let version = said
        .text()
        .split(' ')
        .nth(2)
        .unwrap_or("unknown")
        .to_owned();
    Ok(version)
}

/// Checks that the server is installed.
///
/// # Errors
///
/// When it is not; the message names the command that mends it.
pub fn check() -> Result<()> {
    check_programs("the failover bench", &[("curl", "curl")])?;
    ensure!(
        bin().join("postgres").is_file(),
        "the failover bench needs PostgreSQL {VERSION}: run `sudo sh -c 'apt-get install -y \
         postgresql-common && echo create_main_cluster=false >>/etc/postgresql-common/createcluster.conf \
         && apt-get install -y --no-install-recommends postgresql-{VERSION}'` (the setting keeps \
         Debian from making and starting a server of its own)"
    );
    Ok(())
}

/// Runs what follows as somebody else of this machine, in a laboratory that has others.
pub fn as_user((user, group): (u32, u32)) -> Invocation {
    Invocation::new("setpriv")
        .args([&format!("--reuid={user}"), &format!("--regid={group}")])
        .args(["--clear-groups", "--"])
}

/// The user and the group `postgres` of this machine.
///
/// # Errors
///
/// When there is no such user.
pub fn postgres_ids() -> Result<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").context("unable to read /etc/passwd")?;
    let ids = users.lines().find_map(|line| {
        let mut fields = line.strip_prefix("postgres:")?.split(':').skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    });
    ids.context("there is no user postgres: is PostgreSQL installed?")
}

/// Runs `program` as the user `postgres`: the server refuses to run as root, and what is root in a
/// laboratory is the caller, in a namespace of one user. In a namespace within, the same is postgres.
///
/// # Errors
///
/// When there is no such user.
pub fn as_postgres(program: impl AsRef<Path>) -> Result<Invocation> {
    let (user, group) = postgres_ids()?;
    let mut path = bin().into_os_string();
    path.push(":");
    path.push(search_path());
    Ok(Invocation::new("unshare")
        .arg("--user")
        .arg(format!("--map-user={user}"))
        .arg(format!("--map-group={group}"))
        .arg("--")
        .arg(program.as_ref())
        .env("PATH", path)
        .env("LC_ALL", "C.UTF-8"))
}
