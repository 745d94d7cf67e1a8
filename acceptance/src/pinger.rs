//! Somebody who pings all the time, and tells what was lost.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::laboratory::{Host, Process};
use crate::wait::wait_until_true;

/// How long answers may take to begin, or to go on.
const PATIENCE: Duration = Duration::from_secs(60);

/// A `ping` that runs until it is asked what it saw.
#[derive(Debug)]
pub struct Pinger {
    process: Process,
    address: String,
}

impl Pinger {
    /// Pings ten times a second, from now on; returns once the first answer came.
    ///
    /// # Errors
    ///
    /// When no answer comes.
    pub fn start(from: &Host, address: &str) -> Result<Self> {
        let name = format!("ping-{}", address.replace(['.', ':'], "-"));
        let process = from.spawn(&name, ["ping", "-O", "-n", "-i", "0.1", address])?;
        let pinger = Self {
            process,
            address: address.to_owned(),
        };
        pinger.wait_for_more(1)?;
        Ok(pinger)
    }

    /// Waits until `count` more answers came.
    ///
    /// # Errors
    ///
    /// When they don't come.
    pub fn wait_for_more(&self, count: usize) -> Result<()> {
        let wanted = self.answered()? + count;
        let what = format!("{count} more answers from {}", self.address);
        wait_until_true(&what, PATIENCE, || Ok(self.answered()? >= wanted))
    }

    /// The numbers of the pings that got no answer in time.
    ///
    /// # Errors
    ///
    /// When the log can't be read.
    pub fn lost(&self) -> Result<Vec<String>> {
        let log = self
            .process
            .log()
            .context("unable to read what ping says")?;
        let lost = log.lines().filter(|line| {
            line.contains("no answer yet")
                || line.contains("nreachable")
                || line.contains("sendmsg")
        });
        Ok(lost.map(str::to_owned).collect())
    }

    fn answered(&self) -> Result<usize> {
        let log = self
            .process
            .log()
            .context("unable to read what ping says")?;
        Ok(log
            .lines()
            .filter(|line| line.contains("bytes from"))
            .count())
    }
}
