//! What is between the keeper and the program: PID 1 of the namespace, until it becomes the program.
//!
//! A change of user makes the kernel forget that it is to end a process with its parent, so this is
//! asked for again after it becomes the program's.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Gid, Signal, Uid, geteuid, set_parent_process_death_signal, setsid};
use rustix::thread::{set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::error::Error;
use crate::lines::Lines;
use crate::message::{Answer, line};
use crate::order::Program;

/// Becomes the program that a keeper hands over; returns only when it can't. The keeper starts it as
/// [`Config::stage`](crate::Config) says.
///
/// Call it in `main` before any thread is begun.
#[must_use]
pub fn run_stage() -> ExitCode {
    // The program's own output goes elsewhere, so what is said here needs a pipe that ends with this.
    let Ok(report) = rustix::io::fcntl_dupfd_cloexec(io::stdout(), 3) else {
        return ExitCode::FAILURE;
    };
    let mut report = std::fs::File::from(report);
    match become_program(&report) {
        Ok(()) => {}
        Err(error) => {
            let reason = error.sentence();
            let _ = report.write_all(&line(&Answer::Failed { reason }));
        }
    }
    ExitCode::FAILURE
}

fn become_program(report: &std::fs::File) -> Result<(), Error> {
    end_with_keeper()?;
    // A file that gives its program another user makes the kernel forget that, too: no such file
    // gives anything from here on.
    set_no_new_privs(true).map_err(Error::io("keep the program from becoming another user"))?;
    let pipe = io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map_err(Error::io("keep the pipe from the keeper"))?;
    let mut lines = Lines::new(pipe);
    let Some(program) = lines.wait::<Program>()? else {
        return Ok(());
    };
    // Its guard is spared when memory runs out, and this is not. Of what becomes another user's, the
    // kernel takes no such word.
    let _ = std::fs::write("/proc/self/oom_score_adj", "0");
    become_user(&program)?;
    end_with_keeper()?;
    // A keeper that ended before the kernel was asked to watch it has closed its pipe by now; one
    // that ends later takes this process along.
    let mut polled = [PollFd::new(&lines, PollFlags::empty())];
    poll(&mut polled, Some(&Timespec::default())).map_err(Error::io("look for the keeper"))?;
    if !polled[0].revents().is_empty() {
        return Ok(());
    }
    // No terminal of anybody's reaches it.
    let _ = setsid();
    execute(&program, report)
}

fn end_with_keeper() -> Result<(), Error> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(Error::io("have the kernel end the program with its keeper"))
}

/// Makes this process, which has no other thread, the program's user's for good.
fn become_user(program: &Program) -> Result<(), Error> {
    if geteuid().as_raw() == program.user_id {
        return Ok(());
    }
    let (user, group) = (
        Uid::from_raw(program.user_id),
        Gid::from_raw(program.group_id),
    );
    let groups: Vec<Gid> = program.groups.iter().copied().map(Gid::from_raw).collect();
    set_thread_groups(&groups)
        .and_then(|()| set_thread_res_gid(group, group, group))
        .and_then(|()| set_thread_res_uid(user, user, user))
        .map_err(Error::io(format!("become user {}", program.user_id)))
}

fn execute(program: &Program, mut report: &std::fs::File) -> Result<(), Error> {
    let [file, arguments @ ..] = program.command.as_slice() else {
        return Err(Error::problem("the order names no program"));
    };
    // Opened as the program's user: what that one may not write isn't written.
    let log = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(&program.log)
        .map_err(Error::io(format!("open the log {}", program.log.display())))?;
    let errors = log
        .try_clone()
        .map_err(Error::io("keep the log for errors too"))?;
    let _ = report.write_all(&line(&Answer::Running));
    let error = Command::new(file)
        .args(arguments)
        .env_clear()
        .envs(&program.environment)
        .current_dir(&program.folder)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .exec();
    Err(Error::io(format!(
        "execute {file} in {}",
        program.folder.display()
    ))(error))
}
