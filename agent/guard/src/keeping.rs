//! The guard's side of a keeper: one task for each start, which ends only once nothing of it is left.

use std::os::fd::{AsFd, OwnedFd};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep_until};

use crate::error::Error;
use crate::message::{Answer, Ask, line};
use crate::order::{Program, StopSignal};

/// So long a keeper may take to tell how its program ended; then it is ended, too.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What a start tells of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// This process will be the program: nobody may forget it.
    Prepared { pid: u32 },
    /// The kernel ends it at this moment since boot; none: never.
    Armed { at_ms: Option<u64> },
    /// The program runs.
    Running { pid: u32 },
    /// It runs on without the guard.
    Released,
    /// Nothing of it is left.
    Ended { how: String },
}

/// What is asked of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Arm(Option<u64>),
    /// Its process is noted.
    Go,
    Stop(StopSignal),
    Kill,
    Release,
}

/// One start of a program.
#[derive(Debug, Clone)]
pub(crate) struct Keeping {
    wishes: UnboundedSender<Wish>,
}

impl Keeping {
    /// Starts a keeper, and through it a program that the kernel ends at a moment; none: never.
    /// The program waits for [`Self::go`].
    ///
    /// The kernel ends the keeper with the thread that calls this.
    pub(crate) fn start(
        keeper: &[String],
        stage: &[String],
        program: &Program,
        at_ms: Option<u64>,
        tell: impl Fn(Told) + Send + 'static,
    ) -> Result<Self, Error> {
        let [file, arguments @ ..] = keeper else {
            return Err(Error::problem("the command that starts a keeper is empty"));
        };
        let mut child = Command::new(file)
            .args(arguments)
            .arg(std::process::id().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(false)
            .spawn()
            .map_err(Error::io(format!("start the keeper {file}")))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::problem("the keeper has no pipes"));
        };
        let (asks, pending) = unbounded_channel();
        tokio::spawn(write(input, pending));
        let prepare = Ask::Prepare {
            program: Box::new(program.clone()),
            stage: stage.to_vec(),
        };
        let _ = asks.send(prepare);
        let (wishes, wished) = unbounded_channel();
        let task = Task {
            child,
            process: None,
            pid: 0,
            asks,
            wished,
            at_ms,
            went: false,
            reason: None,
        };
        tokio::spawn(task.run(BufReader::new(output).lines(), tell));
        Ok(Self { wishes })
    }

    /// Has the kernel end it at another moment. It is so once that is told.
    pub(crate) fn arm(&self, at_ms: Option<u64>) {
        let _ = self.wishes.send(Wish::Arm(at_ms));
    }

    /// Lets the program run, after its timer is set.
    pub(crate) fn go(&self) {
        let _ = self.wishes.send(Wish::Go);
    }

    /// Asks the program to end in good order.
    pub(crate) fn stop(&self, signal: StopSignal) {
        let _ = self.wishes.send(Wish::Stop(signal));
    }

    /// Ends all of it, now.
    pub(crate) fn kill(&self) {
        let _ = self.wishes.send(Wish::Kill);
    }

    /// Lets it run on without the guard.
    pub(crate) fn release(&self) {
        let _ = self.wishes.send(Wish::Release);
    }
}

struct Task {
    child: Child,
    process: Option<OwnedFd>,
    pid: u32,
    asks: UnboundedSender<Ask>,
    wished: UnboundedReceiver<Wish>,
    /// When the kernel is to end it at first.
    at_ms: Option<u64>,
    went: bool,
    /// Why the program could not be started.
    reason: Option<String>,
}

impl Task {
    async fn run(mut self, mut answers: Lines<BufReader<ChildStdout>>, tell: impl Fn(Told)) {
        let how = loop {
            tokio::select! {
                wish = self.wished.recv() => match wish {
                    Some(wish) => self.grant(wish),
                    // The guard ends, and the kernel ends this with it; or it was released.
                    None => return,
                },
                answer = answers.next_line() => match understood(answer) {
                    Some(Answer::Ended { how }) => break Some(how),
                    Some(answer) => self.hear(answer, &tell),
                    None => break None,
                },
                () = ended(self.process.as_ref()) => break self.last_words(&mut answers).await,
            }
        };
        self.kill();
        let status = self.child.wait().await;
        // PID 1 is gone only once all of its namespace is.
        ended_or_none(self.process.as_ref()).await;
        let how = self.reason.take().or(how).unwrap_or_else(|| match status {
            Ok(status) => format!("its keeper ended: {status}"),
            Err(error) => format!("nobody knows how its keeper ended: {error}"),
        });
        tell(Told::Ended { how });
    }

    fn grant(&mut self, wish: Wish) {
        match wish {
            Wish::Arm(at_ms) => {
                self.at_ms = at_ms;
                if self.went {
                    let _ = self.asks.send(Ask::Arm { at_ms });
                }
            }
            Wish::Go => {
                self.went = true;
                let at_ms = self.at_ms;
                if at_ms.is_some() {
                    // The keeper takes its lines in order: its timer is set before the program runs.
                    let _ = self.asks.send(Ask::Arm { at_ms });
                }
                let _ = self.asks.send(Ask::Go);
            }
            Wish::Stop(signal) => {
                let signal = match signal {
                    StopSignal::Terminate => Signal::TERM,
                    StopSignal::Interrupt => Signal::INT,
                };
                if let Some(process) = &self.process {
                    let _ = pidfd_send_signal(process, signal);
                }
            }
            Wish::Kill => self.kill(),
            Wish::Release => {
                let _ = self.asks.send(Ask::Release);
            }
        }
    }

    fn hear(&mut self, answer: Answer, tell: &impl Fn(Told)) {
        match answer {
            Answer::Prepared { pid } => {
                // The keeper lets nobody have this number before it heard `Go`.
                let opened = i32::try_from(pid)
                    .ok()
                    .and_then(Pid::from_raw)
                    .and_then(|pid| pidfd_open(pid, PidfdFlags::NONBLOCK).ok());
                // A keeper that still lives has not forgotten it, so the number was its own.
                if opened.is_none() || !matches!(self.child.try_wait(), Ok(None)) {
                    self.reason = Some("the kernel shows no process of the program".to_owned());
                    self.kill();
                    return;
                }
                self.process = opened;
                self.pid = pid;
                tell(Told::Prepared { pid });
            }
            Answer::Armed { at_ms } => tell(Told::Armed { at_ms }),
            Answer::Running => tell(Told::Running { pid: self.pid }),
            Answer::Failed { reason } => self.reason = Some(reason),
            Answer::Released => tell(Told::Released),
            // Taken before this is called.
            Answer::Ended { .. } => {}
        }
    }

    /// PID 1 first: the whole namespace ends with it, however the keeper fares.
    fn kill(&mut self) {
        if let Some(process) = &self.process {
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
        let _ = self.child.start_kill();
    }

    async fn last_words(&mut self, answers: &mut Lines<BufReader<ChildStdout>>) -> Option<String> {
        let until = Instant::now() + LAST_WORDS;
        loop {
            tokio::select! {
                answer = answers.next_line() => match understood(answer)? {
                    Answer::Ended { how } => return Some(how),
                    Answer::Failed { reason } => self.reason = Some(reason),
                    Answer::Prepared { .. } | Answer::Armed { .. } | Answer::Running
                    | Answer::Released => {}
                },
                () = sleep_until(until) => return None,
            }
        }
    }
}

/// Writes in a task of its own: a keeper that reads nothing must not keep its guard from killing it.
async fn write(mut pipe: ChildStdin, mut asks: UnboundedReceiver<Ask>) {
    while let Some(ask) = asks.recv().await {
        if pipe.write_all(&line(&ask)).await.is_err() || pipe.flush().await.is_err() {
            return;
        }
    }
}

fn understood(answer: std::io::Result<Option<String>>) -> Option<Answer> {
    serde_json::from_str(&answer.ok()??).ok()
}

/// Returns once a process has ended; never without one.
async fn ended(process: Option<&OwnedFd>) {
    match process {
        Some(process) => wait_readable(process).await,
        None => std::future::pending().await,
    }
}

async fn ended_or_none(process: Option<&OwnedFd>) {
    if let Some(process) = process {
        wait_readable(process).await;
    }
}

/// Waits until a process, as a file, has ended.
#[expect(
    deprecated,
    reason = "the call became unsafe for types that lend a descriptor they don't own, unlike this one"
)]
pub(crate) async fn wait_readable(process: &OwnedFd) {
    loop {
        let Ok(file) = AsyncFd::with_interest(process.as_fd(), tokio::io::Interest::READABLE)
        else {
            // It can't be watched, so it is never taken for ended.
            std::future::pending::<()>().await;
            return;
        };
        if file.readable().await.is_ok() {
            return;
        }
    }
}
