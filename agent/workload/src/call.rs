//! Programs that are called and end: each has a time, and nothing of its group is left after it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use hanse_core::object::dr_plan;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::cage::Cage;
use crate::trouble::Trouble;
use crate::user::User;

/// What of a program's words is told; the last ones say why it failed.
const WORDS_MAX: usize = 600;
/// What of a program's output is kept at most: the first of what it prints, the last of what it complains.
pub(crate) const OUTPUT_MAX: usize = 16 << 20;
const COMPLAINTS_MAX: usize = 16 << 10;
/// Stands for what was left out.
const CUT: &str = "[…] ";
/// What a program has left behind may hold its pipes open for so long.
const AFTERWARDS_MAX: Duration = Duration::from_secs(2);

/// A program that is about to be called.
pub(crate) struct Calling<'a> {
    /// What it is for, after "unable to".
    pub(crate) what: &'a str,
    /// The program and its arguments.
    pub(crate) command: &'a [String],
    /// How long it may take.
    pub(crate) limit: Duration,
    pub(crate) runs: Runs<'a>,
    /// What it finds in its environment, beside the least; nothing else.
    pub(crate) environment: BTreeMap<String, String>,
    /// Where it runs; none: in the root.
    pub(crate) folder: Option<&'a Path>,
    /// What installs it where it is missing.
    pub(crate) install: Option<&'a str>,
}

/// As whom a program runs, and where.
#[derive(Clone, Copy)]
pub(crate) enum Runs<'a> {
    /// As this process.
    Here,
    /// As a user, among all others.
    As(&'a User),
    /// As a user, apart from everybody.
    Apart(&'a Cage, &'a User),
}

/// What came of a call.
pub(crate) struct Called {
    status: ExitStatus,
    pub(crate) output: Vec<u8>,
    complaints: Complaints,
    is_whole: bool,
}

/// The last of what a program complained.
#[derive(Default)]
pub(crate) struct Complaints {
    bytes: Vec<u8>,
    is_cut: bool,
}

/// What becomes of what a program prints.
enum Printed {
    /// So much of it is kept.
    Kept(usize),
    Dropped,
    /// Somebody takes it as it comes, and keeps up with it.
    Sent(mpsc::Sender<Vec<u8>>),
}

/// Ends a group of processes when it is dropped.
struct Group(Option<Pid>);

impl Calling<'_> {
    /// Calls it, and yields what it printed once it ended well; more than `bytes_max` is an error.
    pub(crate) async fn ask(&self, bytes_max: usize) -> Result<Vec<u8>, Trouble> {
        let called = self.heard(Printed::Kept(bytes_max)).await?;
        self.check(&called)?;
        if !called.is_whole {
            return Err(Trouble(format!(
                "unable to {}: {} prints more than {bytes_max} bytes",
                self.what,
                self.program()
            )));
        }
        Ok(called.output)
    }

    /// Calls it until it ended well. What it prints is nobody's.
    pub(crate) async fn call(&self) -> Result<(), Trouble> {
        let called = self.heard(Printed::Dropped).await?;
        self.check(&called)
    }

    /// The same, with what it prints sent as it comes: whoever takes it has all once this returns well.
    pub(crate) async fn call_into(&self, sender: mpsc::Sender<Vec<u8>>) -> Result<(), Trouble> {
        let called = self.heard(Printed::Sent(sender)).await?;
        self.check(&called)
    }

    /// Calls it, whatever comes of it but that it doesn't end in time.
    pub(crate) async fn try_call(&self) -> Result<Called, Trouble> {
        self.heard(Printed::Kept(OUTPUT_MAX)).await
    }

    async fn heard(&self, printed: Printed) -> Result<Called, Trouble> {
        let mut command = self.prepared();
        let mut child = command.spawn().map_err(|error| {
            let (program, install) = match (self.runs, self.install) {
                (Runs::As(_) | Runs::Apart(..), _) => ("setpriv", "util-linux"),
                (Runs::Here, Some(package)) => (self.program(), package),
                (Runs::Here, None) => (self.program(), "it"),
            };
            Trouble(format!(
                "unable to {}: {program} can't be started ({error}): run `apt-get install {install}`",
                self.what
            ))
        })?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        let mut group = Group(id.and_then(Pid::from_raw));
        // Whoever takes it may be behind.
        let afterwards_max = match printed {
            Printed::Sent(_) => self.limit,
            Printed::Kept(_) | Printed::Dropped => AFTERWARDS_MAX,
        };
        let mut output = tokio::spawn(taken(child.stdout.take(), printed));
        let mut complaints = tokio::spawn(last(child.stderr.take()));
        let Ok(status) = timeout(self.limit, child.wait()).await else {
            group.end();
            let _ = child.wait().await;
            let _ = timeout(AFTERWARDS_MAX, &mut complaints).await;
            output.abort();
            complaints.abort();
            return Err(Trouble(format!(
                "unable to {}: {} did not end within {:?} and was killed: see why it hangs, or give it \
                 more time",
                self.what,
                self.program(),
                self.limit
            )));
        };
        // Whatever it left behind goes with it.
        group.end();
        let status = status.map_err(|error| {
            Trouble(format!(
                "unable to {}: how {} ended can't be told: {error}",
                self.what,
                self.program()
            ))
        })?;
        let printed = timeout(afterwards_max, &mut output).await;
        let complained = timeout(AFTERWARDS_MAX, &mut complaints).await;
        output.abort();
        complaints.abort();
        let (output, is_whole) = match printed {
            Ok(Ok(Ok(printed))) => printed,
            Ok(Ok(Err(error))) => {
                return Err(Trouble(format!(
                    "unable to {}: what {} prints can't be read: {error}",
                    self.what,
                    self.program()
                )));
            }
            Ok(Err(_)) | Err(_) => {
                return Err(Trouble(format!(
                    "unable to {}: {} ended and left something behind that holds its output: have it \
                     wait for what it starts, or redirect that",
                    self.what,
                    self.program()
                )));
            }
        };
        Ok(Called {
            status,
            output,
            complaints: complained.ok().and_then(Result::ok).unwrap_or_default(),
            is_whole,
        })
    }

    fn check(&self, called: &Called) -> Result<(), Trouble> {
        match called.is_well() {
            true => Ok(()),
            false => Err(self.failed(called)),
        }
    }

    /// What is told of a call that did not end well.
    pub(crate) fn failed(&self, called: &Called) -> Trouble {
        let why = match (called.words().as_str(), called.status.code()) {
            ("", Some(127)) => "it, or something it calls, is missing".to_owned(),
            ("", Some(126)) => "it, or something it calls, can't be executed".to_owned(),
            ("", _) => "it does not say why".to_owned(),
            (words, _) => words.to_owned(),
        };
        Trouble(format!(
            "unable to {}: {} ended with {}: {why}",
            self.what,
            self.program(),
            called.status
        ))
    }

    fn program(&self) -> &str {
        self.command.first().map_or("nothing", String::as_str)
    }

    fn prepared(&self) -> Command {
        let (mut command, home) = match self.runs {
            Runs::Apart(cage, user) => {
                let mut command = cage.program(user, Path::new(self.program()));
                command.args(self.command.iter().skip(1));
                (command, user.home.as_str())
            }
            Runs::As(user) => {
                let mut command = user.starts();
                command.args(self.command).env_clear();
                (command, user.home.as_str())
            }
            Runs::Here => {
                let mut command = Command::new(self.program());
                command.args(self.command.iter().skip(1)).env_clear();
                (command, "/")
            }
        };
        command
            .envs([("LC_ALL", "C.UTF-8"), ("PATH", PATH), ("HOME", home)])
            .envs(&self.environment)
            .current_dir(self.folder.unwrap_or(Path::new("/")))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command
    }
}

/// Where programs are looked for.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a plan says of a call, for [`Calling`].
pub(crate) fn of_plan<'a>(
    what: &'a str,
    call: &'a dr_plan::Call,
    user: &'a User,
    environment: BTreeMap<String, String>,
) -> Calling<'a> {
    Calling {
        what,
        command: &call.command,
        limit: call.timeout.value(),
        runs: Runs::As(user),
        environment,
        folder: None,
        install: None,
    }
}

impl Called {
    pub(crate) fn is_well(&self) -> bool {
        self.status.success()
    }

    /// The last of what it complained, in one line.
    pub(crate) fn words(&self) -> String {
        self.complaints.words()
    }
}

impl Complaints {
    /// The last of them, as they are.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The last of them, in one line that says whether it is all.
    pub(crate) fn words(&self) -> String {
        in_one_line(&String::from_utf8_lossy(&self.bytes), self.is_cut)
    }
}

/// The last of many words, in one line that says whether it is all.
pub(crate) fn in_one_line(words: &str, is_cut: bool) -> String {
    // A word may be long; what is far from the end is of no interest.
    let from = words.floor_char_boundary(words.len().saturating_sub(WORDS_MAX * 8));
    let plain = |char: char| if char.is_control() { ' ' } else { char };
    let last: String = words[from..].chars().map(plain).collect();
    let last = last.split_whitespace().collect::<Vec<_>>().join(" ");
    let skip = last.chars().count().saturating_sub(WORDS_MAX);
    let last: String = last.chars().skip(skip).collect();
    match is_cut || from > 0 || skip > 0 {
        true => format!("{CUT}{last}"),
        false => last,
    }
}

impl Group {
    fn end(&mut self) {
        if let Some(group) = self.0.take() {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

/// Takes what is printed; yields what of it was kept, and whether that is all. The rest is read too, so
/// that nobody waits.
async fn taken(
    pipe: Option<impl AsyncRead + Unpin>,
    printed: Printed,
) -> io::Result<(Vec<u8>, bool)> {
    match printed {
        Printed::Kept(bytes_max) => first(pipe, bytes_max).await,
        Printed::Dropped => {
            read(pipe, |_| ()).await?;
            Ok((Vec::new(), true))
        }
        Printed::Sent(sender) => {
            send(pipe, &sender).await?;
            Ok((Vec::new(), true))
        }
    }
}

/// The first of what is read, and whether that is all.
pub(crate) async fn first(
    pipe: Option<impl AsyncRead + Unpin>,
    bytes_max: usize,
) -> io::Result<(Vec<u8>, bool)> {
    let mut kept = Vec::new();
    let mut is_whole = true;
    read(pipe, |bytes| {
        let room = bytes_max - kept.len();
        is_whole &= bytes.len() <= room;
        kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    })
    .await?;
    Ok((kept, is_whole))
}

/// The last of what is read, as far as it can be.
pub(crate) async fn last(pipe: Option<impl AsyncRead + Unpin>) -> Complaints {
    let mut kept = Complaints::default();
    let _ = read(pipe, |bytes| {
        kept.bytes.extend_from_slice(bytes);
        let surplus = kept.bytes.len().saturating_sub(COMPLAINTS_MAX);
        kept.is_cut |= surplus > 0;
        kept.bytes.drain(..surplus);
    })
    .await;
    kept
}

async fn send(
    pipe: Option<impl AsyncRead + Unpin>,
    sender: &mpsc::Sender<Vec<u8>>,
) -> io::Result<()> {
    let Some(mut pipe) = pipe else {
        return Ok(());
    };
    let mut bytes = vec![0; 16 << 10];
    while let length @ 1.. = pipe.read(&mut bytes).await? {
        // Whoever has heard enough is gone; the program ends as it would.
        let _ = sender.send(bytes[..length].to_vec()).await;
    }
    Ok(())
}

async fn read(pipe: Option<impl AsyncRead + Unpin>, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let Some(mut pipe) = pipe else {
        return Ok(());
    };
    let mut bytes = vec![0; 16 << 10];
    while let length @ 1.. = pipe.read(&mut bytes).await? {
        take(&bytes[..length]);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
