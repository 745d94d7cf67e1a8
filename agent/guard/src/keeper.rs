//! The keeper: a process between the guard and the workload, through which the kernel ends what a
//! guard no longer guards.
//!
//! It stays single-threaded and never waits for anything but an event: its own death is what fences.
//! The kernel kills it when the guard ends, whatever ends that, and at the moment for which its timer
//! is set, whether or not any process is scheduled then. Its only child is PID 1 of a namespace and is
//! killed with it, and with PID 1 every process of the namespace.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use nix::sys::signal::{SigEvent, SigevNotify, Signal as TimerSignal};
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
use nix::time::ClockId;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::Mode;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{
    Pid, PidfdFlags, Signal, getppid, pidfd_open, set_parent_process_death_signal, umask,
};
use rustix::thread::UnshareFlags;

use crate::error::Error;
use crate::lines::Lines;
use crate::message::{Answer, Ask, line};
use crate::order::Program;

/// What is later than 139 years after boot is as late as never.
const AT_MS_MAX: u64 = 1 << 42;

/// Becomes the keeper of a workload: its arguments are the guard's process id. The guard starts it as
/// [`Config::keeper`](crate::Config) says.
///
/// Call it in `main` before any thread is begun.
#[must_use]
pub fn run_keeper(arguments: &[String]) -> ExitCode {
    match keep(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let reason = error.sentence();
            tell(&Answer::Failed { reason });
            ExitCode::FAILURE
        }
    }
}

fn keep(arguments: &[String]) -> Result<(), Error> {
    bind_to_guard(arguments)?;
    // The program's user has to get to its seal, however private the guard's files are.
    umask(Mode::from_raw_mode(0o022));
    let mut asks = Lines::new(
        io::stdin()
            .as_fd()
            .try_clone_to_owned()
            .map_err(Error::io("keep the pipe from the guard"))?,
    );
    let Some(Ask::Prepare { program, stage }) = asks.wait()? else {
        return Err(Error::problem(
            "a keeper is started by its guard, and by nobody else",
        ));
    };
    enter_namespaces()?;
    put_seal(&program.seal)?;
    let child = prepare(&stage)?;
    Keeper::new(child, &program, asks)?.run()
}

/// From here on the kernel kills this process when the guard's main thread ends.
fn bind_to_guard(arguments: &[String]) -> Result<(), Error> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(Error::io("have the kernel end the keeper with its guard"))?;
    let guard = arguments
        .first()
        .and_then(|text| text.parse().ok())
        .and_then(Pid::from_raw);
    // It may have ended before the kernel was asked.
    if guard.is_none() || getppid() != guard {
        return Err(Error::problem("the guard that started this keeper is gone"));
    }
    Ok(())
}

#[expect(
    deprecated,
    reason = "the call became unsafe for unsharing the table of descriptors, which this does not"
)]
fn enter_namespaces() -> Result<(), Error> {
    rustix::thread::unshare(UnshareFlags::NEWPID | UnshareFlags::NEWNS).map_err(Error::io(
        "make a PID and a mount namespace: a guard runs as root",
    ))?;
    // What the host mounts later is seen here, and what is mounted here is not seen there.
    mount_change(
        "/",
        MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC,
    )
    .map_err(Error::io("keep the mounts from the host"))
}

/// Puts the seal where only this namespace sees it.
fn put_seal(seal: &Path) -> Result<(), Error> {
    let shown = seal.display();
    let folder = seal
        .parent()
        .filter(|folder| seal.is_absolute() && folder.parent().is_some())
        .ok_or_else(|| {
            Error::problem(format!(
                "the seal {shown} is not an absolute path of a file in a folder of its own"
            ))
        })?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(folder)
        .map_err(Error::io(format!("make the folder {}", folder.display())))?;
    // With a seal outside, the workload could be started past its guard.
    if fs::symlink_metadata(seal).is_ok() {
        return Err(Error::problem(format!(
            "the seal {shown} exists outside of the guard, so anybody could start the workload: \
             see that nothing of it runs, then remove the file"
        )));
    }
    mount(
        "tmpfs",
        folder,
        "tmpfs",
        MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC,
        Some(c"size=64k,mode=0755"),
    )
    .map_err(Error::io(format!("mount over {}", folder.display())))?;
    File::create(seal)
        .and_then(|file| file.set_permissions(fs::Permissions::from_mode(0o444)))
        .map_err(Error::io(format!("make the seal {shown}")))
}

/// Starts PID 1 of the namespace. It waits for the program.
fn prepare(stage: &[String]) -> Result<Child, Error> {
    let [file, arguments @ ..] = stage else {
        return Err(Error::problem(
            "the command that becomes a program is empty",
        ));
    };
    Command::new(file)
        .args(arguments)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(Error::io(format!("start {file}")))
}

/// The keeper once its child waits.
struct Keeper {
    child: Child,
    process: OwnedFd,
    /// What the child has to say until it is the program; it closes then.
    report: Option<Lines>,
    asks: Option<Lines>,
    program: Vec<u8>,
    timer: Timer,
    went: bool,
    released: bool,
}

impl Keeper {
    fn new(mut child: Child, program: &Program, asks: Lines) -> Result<Self, Error> {
        let pid = child.id();
        let process = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or_else(|| Error::problem("the kernel gave no process id"))
            .and_then(|pid| {
                pidfd_open(pid, PidfdFlags::empty()).map_err(Error::io("watch the program"))
            })?;
        let report = child.stdout.take().map(|pipe| Lines::new(pipe.into()));
        let kill = SigevNotify::SigevSignal {
            signal: TimerSignal::SIGKILL,
            si_value: 0,
        };
        let timer = Timer::new(ClockId::CLOCK_BOOTTIME, SigEvent::new(kill))
            .map_err(Error::io("make the kernel's timer"))?;
        tell(&Answer::Prepared { pid });
        Ok(Self {
            child,
            process,
            report,
            asks: Some(asks),
            program: line(program),
            timer,
            went: false,
            released: false,
        })
    }

    fn run(mut self) -> Result<(), Error> {
        loop {
            while let Some(ask) = self.asks.as_mut().and_then(Lines::next) {
                self.obey(ask?)?;
            }
            let [asks, report, process] = self.wait()?;
            if asks && self.asks.as_mut().is_some_and(|asks| !asks.fill()) {
                // The guard is gone. A keeper that it released stays; of any other the kernel has
                // taken care, and it ends here if not.
                self.asks = None;
                if !self.released {
                    return Ok(());
                }
            }
            if report {
                self.hear();
            }
            // Not before the guard has let it go: until then it holds the number of the process.
            if process && self.went {
                return self.end();
            }
        }
    }

    fn wait(&self) -> Result<[bool; 3], Error> {
        let all = [
            self.asks.as_ref().map(AsFd::as_fd),
            self.report.as_ref().map(AsFd::as_fd),
            self.went.then(|| self.process.as_fd()),
        ];
        let mut polled: Vec<_> = all
            .iter()
            .flatten()
            .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
            .collect();
        match poll(&mut polled, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Error::io("wait for events")(error)),
        }
        let mut events = polled.iter().map(|fd| !fd.revents().is_empty());
        Ok(all.map(|fd| fd.is_some() && events.next().unwrap_or(false)))
    }

    fn obey(&mut self, ask: Ask) -> Result<(), Error> {
        match ask {
            Ask::Prepare { .. } => return Err(Error::problem("a keeper keeps one program")),
            Ask::Arm { at_ms } => {
                self.arm(at_ms)?;
                tell(&Answer::Armed { at_ms });
            }
            Ask::Go => {
                self.went = true;
                // If it is gone already, its end says so. Its pipe stays open: that is how it
                // knows that this process lives.
                if let Some(pipe) = &mut self.child.stdin {
                    let _ = pipe.write_all(&self.program);
                }
            }
            Ask::Release => {
                set_parent_process_death_signal(None).map_err(Error::io("outlive the guard"))?;
                self.arm(None)?;
                self.released = true;
                tell(&Answer::Released);
            }
        }
        Ok(())
    }

    fn arm(&mut self, at_ms: Option<u64>) -> Result<(), Error> {
        // Zero disarms a timer, and a moment that is past fires at once.
        let at = at_ms.map_or(0, |at| at.clamp(1, AT_MS_MAX));
        let at = i64::try_from(at).unwrap_or(i64::MAX);
        self.timer
            .set(
                Expiration::OneShot(TimeSpec::milliseconds(at)),
                TimerSetTimeFlags::TFD_TIMER_ABSTIME,
            )
            .map_err(Error::io("set the kernel's timer"))
    }

    fn hear(&mut self) {
        let Some(report) = &mut self.report else {
            return;
        };
        let is_open = report.fill();
        while let Some(answer) = report.next::<Answer>() {
            if let Ok(answer) = answer {
                tell(&answer);
            }
        }
        if !is_open {
            // It closes as the program begins, or with the process.
            self.report = None;
        }
    }

    /// PID 1 ended, which it does only once nothing else is in its namespace.
    fn end(mut self) -> Result<(), Error> {
        while self.report.is_some() {
            self.hear();
        }
        let status = self
            .child
            .wait()
            .map_err(Error::io("hear how the program ended"))?;
        let how = status.to_string();
        tell(&Answer::Ended { how });
        Ok(())
    }
}

/// Whoever listened may be gone.
fn tell(answer: &Answer) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(&line(answer)).and_then(|()| out.flush());
}
