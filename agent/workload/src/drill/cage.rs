//! Where a drill happens: namespaces without any interface, whose processes end together, and a folder
//! that goes with them.
//!
//! A process of its own keeps both. It waits for nothing but the end of whoever started it, which closes
//! its pipe however that ends; then it kills the first process of the namespace, with which the kernel
//! kills all others, and removes the folder. If it is killed itself, its own pipe closes, and the first
//! process ends by that. It stays single-threaded.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::{Signal, WaitOptions, set_parent_process_death_signal, wait};
use rustix::thread::UnshareFlags;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin};
use tokio::time::timeout;

use crate::trouble::Trouble;
use crate::user::User;

/// How long it may take until it stands, and until nothing of it is left.
const BEGIN_MAX: Duration = Duration::from_secs(10);
const END_MAX: Duration = Duration::from_secs(60);
/// The first process looks so often for those that have nobody else.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 300_000_000,
};
/// What cannot be removed is tried so often.
const REMOVALS_MAX: usize = 20;
const REMOVAL_PAUSE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};
/// Before the number of the first process.
const STANDS: &str = "stands ";

/// A cage that stands. Dropped, it goes by itself.
pub(crate) struct Cage {
    keeper: Child,
    /// Its keeper lives as long as this is open.
    pipe: Option<ChildStdin>,
    first: u32,
    folder: PathBuf,
}

/// Becomes the keeper of a cage: makes the namespaces, and waits for the end of its standard input. The
/// folder is removed in the end. `first`: the command that calls [`run_first`].
///
/// Call it in `main` before any thread is begun.
#[must_use]
pub fn run_cage(folder: &Path, first: &[String]) -> ExitCode {
    match keep(folder, first) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

/// Becomes the first process of a cage: takes in whom nobody waits for, until its standard input ends.
#[must_use]
pub fn run_first() -> ExitCode {
    // The pipe tells, too; this is faster where the keeper is killed.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let input = io::stdin();
    loop {
        let mut polled = [PollFd::new(&input, PollFlags::IN)];
        let is_told = poll(&mut polled, Some(&LOOK)).is_ok_and(|count| count > 0);
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        if is_told
            && io::stdin()
                .lock()
                .read(&mut [0; 64])
                .is_ok_and(|length| length == 0)
        {
            return ExitCode::SUCCESS;
        }
    }
}

fn keep(folder: &Path, first: &[String]) -> Result<(), Trouble> {
    enter_namespaces()?;
    let [program, arguments @ ..] = first else {
        return Err(Trouble(
            "the command of the first process is empty".to_owned(),
        ));
    };
    let failed = |error: io::Error| Trouble(format!("unable to start {program}: {error}"));
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{STANDS}{}", child.id()).and_then(|()| out.flush());
    // Nobody writes here: it returns once whoever holds the other end is gone.
    let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
    let _ = child.kill();
    let _ = child.wait();
    remove(folder)?;
    // Where this was the only one.
    let _ = folder.parent().map(fs::remove_dir);
    Ok(())
}

#[expect(
    deprecated,
    reason = "the call became unsafe for unsharing the table of descriptors, which this does not"
)]
fn enter_namespaces() -> Result<(), Trouble> {
    let flags =
        UnshareFlags::NEWPID | UnshareFlags::NEWNET | UnshareFlags::NEWNS | UnshareFlags::NEWIPC;
    rustix::thread::unshare(flags).map_err(|error| {
        Trouble(format!(
            "unable to make namespaces for a drill ({error}): an agent that holds drills runs as root"
        ))
    })?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private)
        .map_err(|error| Trouble(format!("unable to make the mounts private: {error}")))
}

/// Removes a folder with all that is in it.
pub(super) fn remove(folder: &Path) -> Result<(), Trouble> {
    let mut tried = 0;
    loop {
        match fs::remove_dir_all(folder) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if tried == REMOVALS_MAX => {
                return Err(Trouble::io("remove", folder, &error));
            }
            Err(_) => {
                tried += 1;
                // Somebody else may be at it.
                let _ = poll(&mut [], Some(&REMOVAL_PAUSE));
            }
        }
    }
}

impl Cage {
    /// Has one made. `command`: what calls [`run_cage`]; the folder is added to it.
    pub(crate) async fn begin(command: &[String], folder: &Path) -> Result<Self, Trouble> {
        let [program, arguments @ ..] = command else {
            return Err(Trouble("the command that keeps a cage is empty".to_owned()));
        };
        let failed = |why: String| Trouble(format!("unable to make a place for the drill: {why}"));
        let mut keeper = tokio::process::Command::new(program)
            .args(arguments)
            .arg(folder)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            // It ends by its pipe, after it has cleaned up.
            .kill_on_drop(false)
            .process_group(0)
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let pipe = keeper.stdin.take();
        let output = keeper
            .stdout
            .take()
            .ok_or_else(|| failed("it has no pipe".to_owned()))?;
        let mut lines = BufReader::new(output).lines();
        let first = async {
            while let Ok(Some(line)) = lines.next_line().await {
                let told = line.trim().split_once(STANDS);
                if let Some(first) = told.and_then(|(_, number)| number.parse().ok()) {
                    return Some(first);
                }
            }
            None
        };
        let first = timeout(BEGIN_MAX, first).await.ok().flatten();
        let first = first.ok_or_else(|| {
            failed("its keeper did not make it, and the agent's log says why".to_owned())
        })?;
        Ok(Self {
            keeper,
            pipe,
            first,
            folder: folder.to_owned(),
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A program inside, as a user, out of everybody's way; it ends with whoever waits for it.
    pub(crate) fn program(&self, user: &User, program: &Path) -> tokio::process::Command {
        let mut command = self.inside();
        command
            .args(["setpriv", "--no-new-privs"])
            .arg(format!("--reuid={}", user.id))
            .arg(format!("--regid={}", user.group_id))
            .args(["--init-groups", "--pdeathsig=KILL", "--"])
            .args(["nice", "-n", "15", "ionice", "-c", "3"])
            .arg(program)
            .env("HOME", &user.home);
        command
    }

    /// What starts a program that ends with the cage and still reaches others.
    pub(crate) fn starter(&self) -> Vec<String> {
        let first = self.first.to_string();
        let words = [
            "nsenter", "--target", &first, "--pid", "--", "nice", "-n", "15",
        ];
        let words = words.iter().chain(&["ionice", "-c", "3"]);
        words.map(|word| (*word).to_owned()).collect()
    }

    /// Covers a folder: nothing inside gets to what is in there any more.
    pub(crate) async fn cover(&self, folder: &Path) -> Result<(), Trouble> {
        let mut command = self.inside();
        command
            .args(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0755", "drill"])
            .arg(folder);
        crate::postgresql::run("cover what the drill must not reach", &mut command)
            .await
            .map(|_| ())
    }

    fn inside(&self) -> tokio::process::Command {
        // The first to go when memory runs out.
        let mut command = tokio::process::Command::new("choom");
        command
            .args(["-n", "500", "--", "nsenter"])
            .args(["--target", &self.first.to_string()])
            .args(["--pid", "--net", "--mount", "--ipc", "--"])
            .env_clear()
            .envs([
                ("LC_ALL", "C.UTF-8"),
                ("PATH", crate::call::PATH),
                ("TZ", "UTC"),
            ])
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Ends all that is in it, and returns once nothing is left.
    pub(crate) async fn end(mut self) -> Result<(), Trouble> {
        drop(self.pipe.take());
        let ended = timeout(END_MAX, self.keeper.wait()).await;
        match ended {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(_) | Err(_)) => {
                let folder = self.folder.clone();
                let removed = tokio::task::spawn_blocking(move || remove(&folder)).await;
                removed.map_err(|error| Trouble(error.to_string()))?
            }
            Err(_) => Err(Trouble(format!(
                "the drill's processes did not end within {END_MAX:?}: {} stays until they do",
                self.folder.display()
            ))),
        }
    }
}
