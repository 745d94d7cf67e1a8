//! The emulator's own control, as it speaks it on a socket: one JSON object on a line each.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

/// How long the emulator may take for an answer. One that stands still still answers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection to an emulator. It takes one at a time, and others wait.
#[derive(Debug)]
pub(super) struct Qmp {
    lines: BufReader<UnixStream>,
}

impl Qmp {
    /// Connects and is ready to ask.
    pub(super) fn connect(socket: &Path) -> Result<Self> {
        let unable = || format!("unable to reach the emulator at {}", socket.display());
        let stream = UnixStream::connect(socket).with_context(unable)?;
        stream
            .set_read_timeout(Some(ANSWER_TIMEOUT))
            .with_context(unable)?;
        let mut qmp = Self {
            lines: BufReader::new(stream),
        };
        qmp.next()?.context("the emulator ended without a word")?;
        qmp.ask("qmp_capabilities")?;
        Ok(qmp)
    }

    /// Has it do something that takes no arguments.
    pub(super) fn ask(&mut self, command: &str) -> Result<Value> {
        let line = format!("{}\n", json!({ "execute": command }));
        let stream = self.lines.get_mut();
        stream
            .write_all(line.as_bytes())
            .with_context(|| format!("unable to ask the emulator to {command}"))?;
        loop {
            let Some(said) = self.next()? else {
                bail!("the emulator ended before it answered to {command}");
            };
            if said["error"].is_object() {
                bail!("the emulator refuses to {command}: {said}");
            }
            if !said["return"].is_null() {
                return Ok(said["return"].clone());
            }
        }
    }

    /// Waits for what it says by itself, for as long as it takes.
    pub(super) fn listens(self) -> Result<Self> {
        let stream = self.lines.get_ref();
        stream
            .set_read_timeout(None)
            .context("unable to wait for the emulator")?;
        Ok(self)
    }

    /// What it says next; none: it ended.
    pub(super) fn next(&mut self) -> Result<Option<Value>> {
        let mut line = String::new();
        match self.lines.read_line(&mut line) {
            Ok(0) => return Ok(None),
            // It ended before it had read all that it was told.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
            read => read.context("unable to read from the emulator")?,
        };
        let said = serde_json::from_str(&line);
        Ok(Some(said.with_context(|| {
            format!("the emulator said something that is no JSON: {line}")
        })?))
    }
}

/// Takes the power of the machine behind `socket` away, and returns once there is no such machine any
/// more: whatever it was about to do, it never goes on. One that is off already is.
///
/// # Errors
///
/// When it can't be told, or is still there.
pub fn power_off(socket: &Path) -> Result<()> {
    ensure!(
        socket.parent().is_some_and(Path::is_dir),
        "there never was an emulator at {}",
        socket.display()
    );
    let mut qmp = match Qmp::connect(socket) {
        Ok(qmp) => qmp,
        Err(error) if is_gone(&error) => return Ok(()),
        Err(error) => return Err(error),
    };
    qmp.ask("quit")?;
    while qmp.next()?.is_some() {}
    Ok(())
}

/// Nobody listens any more: the emulator ended, and removed its socket if it still could.
fn is_gone(error: &anyhow::Error) -> bool {
    let cause = error.root_cause().downcast_ref::<std::io::Error>();
    let kind = cause.map(std::io::Error::kind);
    matches!(
        kind,
        Some(ErrorKind::ConnectionRefused | ErrorKind::NotFound)
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;

    /// An emulator that says these lines, one for each that it is told, and ends.
    fn emulator(socket: &Path, answers: &'static [&'static str]) -> thread::JoinHandle<Result<()>> {
        let listener = UnixListener::bind(socket).unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept()?;
            let mut told = BufReader::new(stream.try_clone()?);
            stream.write_all(b"{\"QMP\":{}}\n")?;
            for answer in answers {
                told.read_line(&mut String::new())?;
                stream.write_all(answer.as_bytes())?;
            }
            Ok(())
        })
    }

    #[test]
    fn a_machine_is_off_once_its_emulator_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("control");
        let answers = &[
            "{\"return\":{}}\n",
            "{\"return\":{}}\n{\"event\":\"SHUTDOWN\"}\n",
        ];
        let emulator = emulator(&socket, answers);
        power_off(&socket).unwrap();
        emulator.join().unwrap().unwrap();
        // Its socket is there, and nobody behind it; then not even that.
        power_off(&socket).unwrap();
        std::fs::remove_file(&socket).unwrap();
        power_off(&socket).unwrap();
    }

    #[test]
    fn a_refusal_or_a_place_where_none_ever_was_is_no_end() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("control");
        let answers = &["{\"return\":{}}\n", "{\"error\":{\"desc\":\"no\"}}\n"];
        let emulator = emulator(&socket, answers);
        assert!(power_off(&socket).is_err());
        emulator.join().unwrap().unwrap();
        assert!(power_off(&folder.path().join("elsewhere/control")).is_err());
    }
}
