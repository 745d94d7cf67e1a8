//! The process that keeps a cage, and the first one in it.
//!
//! Both stay single-threaded.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Signal, WaitOptions, set_parent_process_death_signal, wait};
use rustix::thread::UnshareFlags;

use super::{STANDS, mounts};
use crate::trouble::Trouble;

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

/// A folder by a way that no mount of this process's changes.
struct Outside {
    grandparent: File,
    rest: PathBuf,
}

/// Becomes the keeper of a cage: makes the namespaces, and waits for the end of its standard input. The
/// folder is removed in the end; `others` can be written to as well, and stay. `first`: the command that
/// calls [`run_first`].
///
/// Call it in `main` before any thread is begun.
#[must_use]
pub fn run_cage(
    folder: &Path,
    others: &[PathBuf],
    has_network: bool,
    first: &[String],
) -> ExitCode {
    match keep(folder, others, has_network, first) {
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

fn keep(
    folder: &Path,
    others: &[PathBuf],
    has_network: bool,
    first: &[String],
) -> Result<(), Trouble> {
    let outside = Outside::of(folder)?;
    enter_namespaces(has_network)?;
    let own = [&[folder.to_owned()], others].concat();
    mounts::close(&own)?;
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
    // A folder that something is mounted on here can't be removed from here.
    let _ = unmount(folder, UnmountFlags::DETACH);
    let place = outside.path();
    remove(&place).map_err(|Trouble(why)| {
        let way = place.display().to_string();
        Trouble(why.replace(&way, &folder.display().to_string()))
    })?;
    // Where this was the only one.
    let _ = place.parent().map(fs::remove_dir);
    Ok(())
}

#[expect(
    deprecated,
    reason = "the call became unsafe for unsharing the table of descriptors, which this does not"
)]
fn enter_namespaces(has_network: bool) -> Result<(), Trouble> {
    let mut flags = UnshareFlags::NEWPID | UnshareFlags::NEWNS | UnshareFlags::NEWIPC;
    if !has_network {
        flags |= UnshareFlags::NEWNET;
    }
    rustix::thread::unshare(flags).map_err(|error| {
        Trouble(format!(
            "unable to make namespaces for a drill or a restore ({error}): run it as root"
        ))
    })
}

/// Removes a folder with all that is in it.
pub(crate) fn remove(folder: &Path) -> Result<(), Trouble> {
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

impl Outside {
    fn of(folder: &Path) -> Result<Self, Trouble> {
        let grandparent = folder.parent().and_then(Path::parent);
        let grandparent = grandparent.ok_or_else(|| {
            Trouble(format!(
                "{} has no place for what goes with it",
                folder.display()
            ))
        })?;
        let rest = folder.strip_prefix(grandparent).unwrap_or(folder);
        Ok(Self {
            grandparent: File::open(grandparent)
                .map_err(|error| Trouble::io("open", grandparent, &error))?,
            rest: rest.to_owned(),
        })
    }

    fn path(&self) -> PathBuf {
        let number = self.grandparent.as_raw_fd().to_string();
        Path::new("/proc/thread-self/fd")
            .join(number)
            .join(&self.rest)
    }
}
