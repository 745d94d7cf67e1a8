//! Somebody who pings all the time, and tells what was lost.

use std::collections::BTreeSet;
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

    /// The numbers of the pings that got no answer while a later one did: on a slow machine an
    /// answer that is still on its way is not lost.
    ///
    /// # Errors
    ///
    /// When the log can't be read.
    pub fn lost(&self) -> Result<Vec<u32>> {
        let log = self.process.log();
        Ok(gaps(&log.context("unable to read what ping says")?))
    }

    /// How many answers came so far.
    ///
    /// # Errors
    ///
    /// When the log can't be read.
    pub fn answered(&self) -> Result<usize> {
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

/// The numbers that are missing before the last one that was answered.
fn gaps(log: &str) -> Vec<u32> {
    let answers = log.lines().filter(|line| line.contains("bytes from"));
    let numbers = answers.filter_map(|line| {
        let (_, rest) = line.split_once("icmp_seq=")?;
        rest.split_whitespace().next()?.parse().ok()
    });
    let answered: BTreeSet<u32> = numbers.collect();
    let last = answered.last().copied().unwrap_or(0);
    (1..last)
        .filter(|number| !answered.contains(number))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_is_lost_when_a_later_one_was_answered() {
        let log = "64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=0.1 ms\n\
                   no answer yet for icmp_seq=2\n\
                   no answer yet for icmp_seq=3\n\
                   64 bytes from 10.0.0.1: icmp_seq=3 ttl=64 time=210 ms\n\
                   no answer yet for icmp_seq=4\n";
        assert_eq!(gaps(log), [2]);
    }
}
