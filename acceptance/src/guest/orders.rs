//! The line on which a guest that is a host is told what to do: its second serial port, which no fault
//! of a network reaches.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How long an order may take, and a little longer than the guest lets it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// The line.
#[derive(Debug)]
pub(super) struct Orders {
    lines: BufReader<UnixStream>,
    number: u64,
}

impl Orders {
    pub(super) fn connect(socket: &Path) -> Result<Self> {
        let unable = || format!("unable to reach the guest at {}", socket.display());
        let stream = UnixStream::connect(socket).with_context(unable)?;
        stream
            .set_read_timeout(Some(ANSWER_TIMEOUT))
            .with_context(unable)?;
        Ok(Self {
            lines: BufReader::new(stream),
            number: 0,
        })
    }

    /// Runs a script in bash, which ends at the first command that fails; yields all that it said.
    pub(super) fn run(&mut self, script: &str) -> Result<String> {
        self.number += 1;
        let order = format!("{} {}\n", self.number, STANDARD.encode(script));
        let stream = self.lines.get_mut();
        stream
            .write_all(order.as_bytes())
            .context("unable to tell the guest anything")?;
        loop {
            let mut line = String::new();
            let read = self.lines.read_line(&mut line);
            ensure!(
                read.context("the guest does not answer")? > 0,
                "the guest ended"
            );
            // The answer to an order that nobody waited for may come first.
            let mut words = line.trim().splitn(3, ' ');
            if words.next() != Some(&self.number.to_string()) {
                continue;
            }
            let status = words.next().unwrap_or_default();
            let said = STANDARD
                .decode(words.next().unwrap_or_default())
                .context("the guest said something that is no answer")?;
            let said = String::from_utf8_lossy(&said);
            if status != "0" {
                bail!("in the guest, `{script}` ended with {status}: {said}");
            }
            return Ok(said.trim().to_owned());
        }
    }
}
