//! Reading what a guest reports, without waiting for ever.

use std::io::BufRead;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::report::Report;

/// Lines that wait to be read; a guest that says more is made to wait itself.
const LINES_MAX: usize = 64;

/// How long a guest may say nothing: emulation is slow, a hang is for ever.
const SILENCE_MAX: Duration = Duration::from_secs(300);

/// How long a guest may take for everything.
const TIME_LIMIT: Duration = Duration::from_secs(1200);

/// The reports of a guest, one after another.
#[derive(Debug)]
pub struct Console {
    lines: Receiver<std::io::Result<String>>,
    deadline: Instant,
}

impl Console {
    pub(super) fn new(output: impl BufRead + Send + 'static) -> Self {
        let (sender, lines) = sync_channel(LINES_MAX);
        std::thread::spawn(move || {
            // Nobody listens any more once the test is over.
            output.lines().try_for_each(|line| sender.send(line))
        });
        Self {
            lines,
            deadline: Instant::now() + TIME_LIMIT,
        }
    }

    /// The next report.
    ///
    /// # Errors
    ///
    /// When the guest ended, said nothing for too long, or runs for too long altogether.
    pub fn next(&self) -> Result<Report> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left.min(SILENCE_MAX)) {
            Ok(line) => Report::of_line(&line.context("unable to read from the guest")?),
            Err(RecvTimeoutError::Disconnected) => bail!("the guest ended"),
            Err(RecvTimeoutError::Timeout) if left < SILENCE_MAX => {
                bail!("the guest was not done within {} s", TIME_LIMIT.as_secs())
            }
            Err(RecvTimeoutError::Timeout) => {
                bail!("the guest said nothing for {} s", SILENCE_MAX.as_secs())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_that_ends_without_being_done_is_noticed() -> Result<()> {
        let console = Console::new(&b"{\"kernel\":\"6.1\"}\r\n"[..]);
        assert_eq!(console.next()?, Report::Kernel("6.1".to_owned()));
        let error = console.next().unwrap_err();
        assert!(error.to_string().contains("ended"), "{error}");
        Ok(())
    }
}
