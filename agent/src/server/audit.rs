//! The audit log: every mutation and every refusal, one JSON line each, chained by hashes.
//!
//! Each line carries the SHA-256 of the line before, so that a line that was changed or taken out
//! shows. What a stranger can cause is bounded: of refusals without credentials only some are
//! written, and the next line counts those that weren't.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::mpsc;

use super::authorize::Call;
use super::caller::Caller;

/// Lines that may wait to be written.
const QUEUE_LENGTH: usize = 1024;
/// The longest line, and so how far back the last one is sought.
const LINE_LENGTH_MAX: usize = 16 << 10;
/// The longest outcome that is written.
const OUTCOME_LENGTH_MAX: usize = 1024;
/// Refusals of strangers: one for each such span.
const ANONYMOUS_PAUSE: Duration = Duration::from_secs(1);

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When, by RFC 3339.
    pub time: String,
    /// Who.
    pub caller: String,
    /// What.
    pub call: String,
    /// On which object.
    pub object: String,
    /// With what result.
    pub outcome: String,
    /// How many lines were left out before this one: refusals of strangers, and what a full disk
    /// did not take.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u64,
    /// SHA-256 of the line before, hexadecimal; of nothing for the first.
    pub previous: String,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// It did what was asked, as the text says.
    Done(&'a str),
    /// It was refused or failed, as the text says.
    Refused(&'a str),
}

/// Where lines are handed in.
#[derive(Debug, Clone)]
pub struct Audit {
    lines: mpsc::Sender<Note>,
}

/// A line on its way.
#[derive(Debug)]
struct Note {
    line: Line,
    /// A stranger can cause as many of these as they like.
    is_strangers_refusal: bool,
}

struct Writer {
    file: File,
    previous: String,
    anonymous_last: Option<Instant>,
    left_out: u64,
    /// Whether the last write failed, so that it is unknown how the file ends.
    is_in_doubt: bool,
}

impl Audit {
    /// Opens the log and goes on where it ended.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .mode(0o600)
            .open(path)?;
        let mut writer = Writer::new(file)?;
        let (lines, mut queue) = mpsc::channel(QUEUE_LENGTH);
        std::thread::Builder::new()
            .name("audit-writer".to_owned())
            .spawn(move || {
                while let Some(note) = queue.blocking_recv() {
                    if let Err(error) = writer.write(note) {
                        tracing::error!(%error, "unable to write to the audit log");
                    }
                }
            })?;
        Ok(Self { lines })
    }

    /// Notes a call. Waits when the disk is slow: nothing goes unnoted.
    pub async fn note(&self, caller: &Caller, call: Call, object: &str, outcome: Outcome<'_>) {
        let (words, is_refusal) = match outcome {
            Outcome::Done(words) => (words.to_owned(), false),
            Outcome::Refused(reason) => (format!("refused: {reason}"), true),
        };
        let time = OffsetDateTime::now_utc()
            .format(&Rfc3339)
            .unwrap_or_default();
        let line = Line {
            time,
            caller: caller.to_string(),
            call: call.as_str().to_owned(),
            object: object.chars().take(OUTCOME_LENGTH_MAX).collect(),
            outcome: words.chars().take(OUTCOME_LENGTH_MAX).collect(),
            left_out: 0,
            previous: String::new(),
        };
        let is_strangers_refusal = is_refusal && *caller == Caller::Anonymous;
        let _ = self
            .lines
            .send(Note {
                line,
                is_strangers_refusal,
            })
            .await;
    }
}

impl Writer {
    fn new(mut file: File) -> io::Result<Self> {
        let last = last_line(&mut file)?;
        Ok(Self {
            file,
            previous: hash(&last),
            anonymous_last: None,
            left_out: 0,
            is_in_doubt: false,
        })
    }

    fn write(&mut self, note: Note) -> io::Result<()> {
        let Note {
            mut line,
            is_strangers_refusal,
        } = note;
        if is_strangers_refusal {
            let now = Instant::now();
            if self
                .anonymous_last
                .is_some_and(|last| now.duration_since(last) < ANONYMOUS_PAUSE)
            {
                self.left_out += 1;
                return Ok(());
            }
            self.anonymous_last = Some(now);
        }
        if self.is_in_doubt {
            // A full disk may have taken a part of the last line: it counts as it stands.
            self.previous = hash(&last_line(&mut self.file)?);
            self.is_in_doubt = false;
        }
        line.left_out = self.left_out;
        line.previous.clone_from(&self.previous);
        let text = serde_json::to_string(&line)?;
        let bytes = format!("{text}\n");
        let written = self.file.write_all(bytes.as_bytes());
        if let Err(error) = written.and_then(|()| self.file.sync_data()) {
            self.is_in_doubt = true;
            self.left_out += 1;
            return Err(error);
        }
        self.previous = hash(text.as_bytes());
        self.left_out = 0;
        Ok(())
    }
}

/// The last line without its end. A line that a crash cut short is ended here and stays as it is.
fn last_line(file: &mut File) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    let start = length.saturating_sub(LINE_LENGTH_MAX as u64 + 2);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.take(LINE_LENGTH_MAX as u64 + 2)
        .read_to_end(&mut tail)?;
    if tail.is_empty() {
        return Ok(tail);
    }
    if tail.last() == Some(&b'\n') {
        tail.pop();
    } else {
        file.write_all(b"\n")?;
    }
    let begin = tail
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    Ok(tail.split_off(begin))
}

fn hash(line: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, line);
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is serde's"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn write(path: &Path, count: usize, caller: &Caller, outcome: Outcome<'_>) {
        let audit = Audit::open(path).unwrap();
        for _ in 0..count {
            audit.note(caller, Call::Apply, "mesh", outcome).await;
        }
        let lines = audit.lines.downgrade();
        drop(audit);
        while lines.upgrade().is_some() {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until the log has that many lines: the writer is a thread of its own.
    async fn lines(path: &Path, count: usize) -> Vec<String> {
        loop {
            let text = std::fs::read_to_string(path).unwrap();
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            if lines.len() >= count && text.ends_with('\n') {
                return lines;
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn every_line_carries_the_hash_of_the_one_before_across_restarts_and_crashes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        write(&path, 2, &Caller::Local, Outcome::Done("committed")).await;
        lines(&path, 2).await;
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"time\":\"cut sh").unwrap();
        write(&path, 2, &Caller::Local, Outcome::Done("committed")).await;
        let lines = lines(&path, 5).await;
        let mut previous = hash(b"");
        for (number, line) in lines.iter().enumerate() {
            if number != 2 {
                let read: Line = serde_json::from_str(line).unwrap();
                assert_eq!(read.previous, previous, "line {number}");
            }
            previous = hash(line.as_bytes());
        }
    }

    #[test]
    fn a_line_that_a_full_disk_cut_short_breaks_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let open = |append| {
            let mut options = OpenOptions::new();
            options.read(true).append(append).create(append);
            options.open(&path).unwrap()
        };
        let mut writer = Writer::new(open(true)).unwrap();
        writer.write(note("first")).unwrap();
        // What a disk leaves that has room for a part only.
        open(true).write_all(b"{\"time\":\"cut sh").unwrap();
        writer.file = open(false);
        writer.write(note("lost")).unwrap_err();
        writer.file = open(true);
        writer.write(note("last")).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let last: Line = serde_json::from_str(lines[2]).unwrap();
        assert_eq!(last.previous, hash(lines[1].as_bytes()));
        assert_eq!(last.left_out, 1, "the lost line is counted");
    }

    fn note(object: &str) -> Note {
        let line = Line {
            time: String::new(),
            caller: String::new(),
            call: String::new(),
            object: object.to_owned(),
            outcome: String::new(),
            left_out: 0,
            previous: String::new(),
        };
        Note {
            line,
            is_strangers_refusal: false,
        }
    }

    #[tokio::test]
    async fn a_stranger_cannot_fill_the_log_and_no_join_goes_unnoted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        write(&path, 1000, &Caller::Anonymous, Outcome::Refused("no")).await;
        write(&path, 3, &Caller::Anonymous, Outcome::Done("joined")).await;
        let lines = lines(&path, 4).await;
        assert_eq!(
            lines.iter().filter(|line| line.contains("joined")).count(),
            3
        );
        assert!(lines.len() < 100, "{}", lines.len());
    }
}
