//! Makes a server of what was restored: a configuration of its own, and its log gone through to the time.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::super::hba;
use super::super::layout::Server;
use super::super::session::Session;
use super::super::settings;
use crate::file;
use crate::trouble::Trouble;

const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How often it is asked whether it has gone through its log.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// What is remembered of what a server said.
const LINES_MAX: usize = 20;
const LINES_WAITING_MAX: usize = 64;
/// What the server is told once only, to get to the time.
const ONCE: [&str; 2] = ["restore_command", "recovery_target"];
/// What a server says when its log ends before the time.
const ENDS_EARLIER: &str = "recovery ended before configured recovery target was reached";
const LAST: &str = "last completed transaction was at log time ";

/// A folder that goes with whoever made it.
struct Passing(PathBuf);

impl Drop for Passing {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Has what was restored know nothing of the plan, nor of the folder that it came from.
pub(super) fn configure(server: &Server, into: &Path) -> Result<(), Trouble> {
    let write = |name: &str, text: String| {
        let path = into.join(name);
        file::write_changed(&path, server.own(), text.as_bytes())
            .map_err(|error| Trouble::io("write", &path, &error))
    };
    let there = |name: &str| fs::read_to_string(into.join(name)).ok();
    let quoted = |path: PathBuf| path.display().to_string().replace('\'', "''");
    let main = there("postgresql.conf").unwrap_or_else(|| {
        "# The server's own configuration is not part of its data, and was not restored.\n"
            .to_owned()
    });
    let main = format!(
        "{}\n# Restored by `hanse dr restore`: it listens to nobody else, and archives nothing.\n\
         data_directory = '{}'\nhba_file = '{}'\nident_file = '{}'\nexternal_pid_file = ''\n\
         listen_addresses = ''\narchive_mode = off\n",
        settings::plain(&main),
        quoted(into.to_owned()),
        quoted(into.join("pg_hba.conf")),
        quoted(into.join("pg_ident.conf")),
    );
    write("postgresql.conf", main)?;
    let hba = there("pg_hba.conf").unwrap_or_else(|| "local all all peer\n".to_owned());
    write("pg_hba.conf", hba::without_block(&hba))?;
    if there("pg_ident.conf").is_none() {
        write("pg_ident.conf", String::new())?;
    }
    Ok(())
}

/// Has the server go through its log to the time, and ends it in good order. Nobody can connect but its
/// own user. Yields the time of the last transaction.
pub(super) async fn recover(
    server: &Server,
    into: &Path,
    at: Option<&str>,
    mut progress: impl FnMut(&str),
) -> Result<Option<String>, Trouble> {
    let passing = passing(server)?;
    let hba = passing.0.join("hba.conf");
    let line = format!("local all {} peer\n", server.user.name);
    file::write_atomically(&hba, server.own(), line.as_bytes())
        .map_err(|error| Trouble::io("write", &hba, &error))?;
    let mut command = server.program("postgres");
    command.arg("-D").arg(into);
    for (name, value) in [
        ("hba_file", hba.display().to_string()),
        ("unix_socket_directories", passing.0.display().to_string()),
        ("listen_addresses", String::new()),
        ("port", "5432".to_owned()),
        // Nobody comes in before all is done, whatever the primary allowed.
        ("hot_standby", "off".to_owned()),
        ("archive_mode", "off".to_owned()),
        ("ssl", "off".to_owned()),
        ("logging_collector", "off".to_owned()),
        ("log_destination", "stderr".to_owned()),
        ("log_min_messages", "log".to_owned()),
        ("synchronous_standby_names", String::new()),
        ("max_wal_senders", "10".to_owned()),
    ] {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Trouble(format!("unable to start what was restored: {error}")))?;
    let mut lines = lines_of(&mut child);
    let mut said: Vec<String> = Vec::new();
    let mut last = None;
    let mut session = Session::new(into);
    loop {
        tokio::select! {
            Some(line) = lines.recv() => {
                if let Some((_, name)) = line.split_once("restored log file \"") {
                    let name = name.split('"').next().unwrap_or_default();
                    progress(&format!("went through the log up to {name}"));
                }
                if let Some((_, time)) = line.split_once(LAST) {
                    last = Some(time.trim().to_owned());
                }
                said.push(line);
                let skip = said.len().saturating_sub(LINES_MAX);
                said.drain(..skip);
            }
            status = child.wait() => {
                let status = status.map_or_else(|error| error.to_string(), |it| it.to_string());
                while let Ok(line) = lines.try_recv() {
                    said.push(line);
                }
                return Err(ended(&said.join("\n"), &status, at));
            }
            () = sleep(ASK_EVERY) => {
                let asked = session.ask("select pg_is_in_recovery()", ANSWER_MAX).await;
                let is_done = asked.is_ok_and(|rows| {
                    rows.first().and_then(|row| row.get(0)) == Some("f")
                });
                if is_done {
                    break;
                }
            }
        }
    }
    drop(session);
    end(&mut child).await?;
    while let Some(line) = lines.recv().await {
        if let Some((_, time)) = line.split_once(LAST) {
            last = Some(time.trim().to_owned());
        }
    }
    forget_target(server, into)?;
    Ok(last)
}

fn passing(server: &Server) -> Result<Passing, Trouble> {
    let number: u64 = rand::random();
    // Short: the path of a socket has hardly any room.
    let folder = Path::new("/tmp").join(format!("hanse-{number:016x}"));
    DirBuilder::new()
        .mode(0o700)
        .create(&folder)
        .and_then(|()| chown(&folder, Some(server.user.id), Some(server.user.group_id)))
        .map_err(|error| Trouble::io("make", &folder, &error))?;
    Ok(Passing(folder))
}

fn lines_of(child: &mut Child) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(LINES_WAITING_MAX);
    if let Some(pipe) = child.stderr.take() {
        tokio::spawn(async move {
            let mut lines = BufReader::new(pipe).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if sender.send(line).await.is_err() {
                    return;
                }
            }
        });
    }
    receiver
}

async fn end(child: &mut Child) -> Result<(), Trouble> {
    let unable = |why: String| Trouble(format!("unable to stop what was restored: {why}"));
    let pid = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(pid) = pid.and_then(Pid::from_raw) {
        kill_process(pid, Signal::INT).map_err(|error| unable(error.to_string()))?;
    }
    let status = child.wait().await;
    let status = status.map_err(|error| unable(error.to_string()))?;
    match status.success() {
        true => Ok(()),
        false => Err(unable(format!("it ended with {status}"))),
    }
}

fn ended(said: &str, status: &str, at: Option<&str>) -> Trouble {
    match (at, said.contains(ENDS_EARLIER)) {
        (Some(at), true) => Trouble(format!(
            "nothing that is in the repository was committed at {at} or later, so that time can't be \
             told from any other: leave --at out to restore all that there is, or wait until more of \
             the log is archived"
        )),
        (_, _) => {
            let fatal = said.lines().rfind(|line| line.contains("FATAL:"));
            let words = fatal
                .or(said.lines().last())
                .unwrap_or("it does not say why");
            Trouble(format!(
                "what was restored does not start ({status}): {words}"
            ))
        }
    }
}

/// It never goes back to the archive that it came from.
fn forget_target(server: &Server, into: &Path) -> Result<(), Trouble> {
    let path = into.join("postgresql.auto.conf");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let is_once = |line: &&str| ONCE.iter().any(|name| line.trim_start().starts_with(name));
    let kept: String = text
        .split_inclusive('\n')
        .filter(|line| !is_once(line))
        .collect();
    file::write_changed(&path, server.own(), kept.as_bytes())
        .map(|_| ())
        .map_err(|error| Trouble::io("write", &path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_the_log_does_not_reach_is_told_as_that() {
        let said = format!("LOG:  x\nFATAL:  {ENDS_EARLIER}\nLOG:  y");
        let told = ended(&said, "exit status: 1", Some("2026-01-01 00:00:00+00")).0;
        assert!(told.contains("leave --at out"), "{told}");
        let told = ended("LOG:  x\nFATAL:  no room\nLOG:  y", "exit status: 1", None).0;
        assert!(told.ends_with("FATAL:  no room"), "{told}");
    }
}
