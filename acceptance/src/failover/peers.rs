//! Where the peers' programs lie, and how they get there: into the cache, never installed, so that
//! no package starts a service or touches the machine's own PostgreSQL.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::binaries::cache;

/// The Patroni that is measured, from the Python package index: Debian 12's own is 3.0.2.
pub const PATRONI_VERSION: &str = "4.1.5";
/// What fetches them.
const INSTALL: &str = "cargo run -p hanse-acceptance --bin bench_failover -- install";
/// Debian's packages of pg_auto_failover.
const AUTO_FAILOVER_PACKAGES: [&str; 2] = ["pg-auto-failover-cli", "postgresql-15-auto-failover"];

/// A program of Patroni's.
///
/// # Errors
///
/// When it was not fetched.
pub fn patroni(program: &str) -> Result<PathBuf> {
    existing(patroni_folder()?.join("bin").join(program), "Patroni")
}

/// The folder into which pg_auto_failover was unpacked.
///
/// # Errors
///
/// When it was not fetched.
pub fn auto_failover() -> Result<PathBuf> {
    let folder = auto_failover_folder()?;
    existing(folder.join("usr/bin/pg_autoctl"), "pg_auto_failover")?;
    Ok(folder)
}

/// Fetches what is missing of both; `say` is told of each step.
///
/// # Errors
///
/// When something can't be fetched.
pub fn install(say: impl Fn(&str)) -> Result<()> {
    let (patroni, auto_failover) = (patroni_folder()?, auto_failover_folder()?);
    if patroni.is_dir() {
        say(&format!("Patroni {PATRONI_VERSION}: present"));
    } else {
        say(&format!(
            "Patroni {PATRONI_VERSION}: fetching from the Python package index"
        ));
        // The scripts of a virtual environment name its folder, so it can't be moved afterwards.
        let fetched = fetch_patroni(&patroni);
        if fetched.is_err() {
            let _ = fs::remove_dir_all(&patroni);
        }
        fetched?;
    }
    if auto_failover.is_dir() {
        say("pg_auto_failover: present");
    } else {
        say("pg_auto_failover: fetching Debian's packages");
        let fetched = fetch_auto_failover(&auto_failover);
        if fetched.is_err() {
            let _ = fs::remove_dir_all(&auto_failover);
        }
        fetched?;
    }
    crate::binaries::etcd().map(|_| say("etcd: present"))
}

fn fetch_patroni(folder: &Path) -> Result<()> {
    run(Command::new("python3").args(["-m", "venv"]).arg(folder))
        .context("unable to make a Python environment: run `sudo apt-get install python3-venv`")?;
    run(Command::new(folder.join("bin/python"))
        .args(["-m", "pip", "install", "--disable-pip-version-check"])
        .arg(format!("patroni[etcd3,psycopg3]=={PATRONI_VERSION}")))
    .context("unable to fetch Patroni: is the package index reachable?")
}

fn fetch_auto_failover(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("unable to make {}", folder.display()))?;
    let script = "apt-get download \"$@\" && for package in *.deb; do dpkg-deb -x \"$package\" .; done; rm ./*.deb";
    run(Command::new("bash")
        .args(["-euc", script, "fetch"])
        .args(AUTO_FAILOVER_PACKAGES)
        .current_dir(folder))
    .context("unable to fetch pg_auto_failover: run `sudo apt-get update`")
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_owned();
    let output = command
        .output()
        .with_context(|| format!("unable to start {}", program.display()))?;
    ensure!(
        output.status.success(),
        "{} failed: {}",
        program.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn existing(path: PathBuf, who: &str) -> Result<PathBuf> {
    if !path.is_file() {
        bail!("{who} is missing at {}: run `{INSTALL}`", path.display());
    }
    Ok(path)
}

fn patroni_folder() -> Result<PathBuf> {
    Ok(cache()?.join(format!("tools/patroni-{PATRONI_VERSION}")))
}

fn auto_failover_folder() -> Result<PathBuf> {
    Ok(cache()?.join("tools/pg-auto-failover"))
}
