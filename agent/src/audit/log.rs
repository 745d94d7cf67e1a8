//! Writes the log: one thread, lines that wait together share one write to the disk.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::{mpsc, oneshot};

use super::limits::AuditLimits;
use super::line::{Line, TEXT_LENGTH_MAX};
use super::writer::Writer;
use crate::server::authorize::Call;
use crate::server::caller::{Caller, Standing};

/// Lines that may wait to be written.
const QUEUE_LENGTH: usize = 1024;
/// Lines that share one write.
const BATCH_LENGTH_MAX: usize = 64;
/// Refusals of strangers: one for each such span.
const STRANGERS_PAUSE: Duration = Duration::from_secs(1);
/// Who speaks where nobody called.
const AGENT: &str = "agent";

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// It did what was asked, as the text says.
    Done(&'a str),
    /// It was refused or failed, as the text says.
    Refused(&'a str),
}

/// The log can't be written.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "the audit log of this voter can't be written ({0}); make room where its data folder is. Until \
     then nothing is changed through this voter"
)]
pub struct AuditError(String);

/// Where lines are handed in.
#[derive(Debug, Clone)]
pub struct Audit {
    notes: mpsc::Sender<Note>,
    is_writable: Arc<AtomicBool>,
}

/// A line on its way.
#[derive(Debug)]
struct Note {
    line: Line,
    /// A stranger can cause as many of these as they like.
    is_strangers: bool,
    written: Option<oneshot::Sender<Result<(), AuditError>>>,
}

impl Audit {
    /// Opens the log in a data folder and goes on where it ended. A log that can't be written is
    /// no reason not to serve: reads and plans don't need it.
    pub fn open(folder: &Path, limits: AuditLimits) -> std::io::Result<Self> {
        let (notes, queue) = mpsc::channel(QUEUE_LENGTH);
        let is_writable = Arc::new(AtomicBool::new(true));
        let flag = is_writable.clone();
        let mut writer = Writer::new(folder, limits);
        let start = line(AGENT, "start", "", env!("CARGO_PKG_VERSION"));
        if let Err(error) = writer.write(vec![start]) {
            tracing::error!(%error, "unable to write to the audit log; nothing can be changed");
            flag.store(false, Ordering::Release);
        }
        std::thread::Builder::new()
            .name("audit-writer".to_owned())
            .spawn(move || serve(writer, queue, &flag))?;
        Ok(Self { notes, is_writable })
    }

    /// Notes what was done, and returns once that is on the disk.
    pub async fn note(
        &self,
        caller: &Caller,
        call: Call,
        object: &str,
        outcome: Outcome<'_>,
    ) -> Result<(), AuditError> {
        let words = match outcome {
            Outcome::Done(words) => words.to_owned(),
            Outcome::Refused(reason) => refused(reason),
        };
        let line = line(&caller.to_string(), call.as_str(), object, &words);
        self.write(line).await
    }

    /// Notes a refusal, and doesn't wait for the disk.
    pub async fn note_refusal(
        &self,
        caller: &Caller,
        standing: Standing,
        call: Call,
        object: &str,
        reason: &str,
    ) {
        let line = line(&caller.to_string(), call.as_str(), object, &refused(reason));
        let is_strangers = match standing {
            Standing::Anonymous | Standing::ExpiredNode | Standing::Refused(_) => true,
            Standing::Node | Standing::Voter | Standing::User(_) => false,
        };
        let note = Note {
            line,
            is_strangers,
            written: None,
        };
        let _ = self.notes.send(note).await;
    }

    /// Whether lines can be written; tries, if the last one couldn't.
    pub async fn require_writable(&self) -> Result<(), AuditError> {
        if self.is_writable.load(Ordering::Acquire) {
            return Ok(());
        }
        let words = "lines can be written again";
        self.write(line(AGENT, "resume", "", words)).await
    }

    async fn write(&self, line: Line) -> Result<(), AuditError> {
        let stopping = || AuditError("the voter is stopping".to_owned());
        let (written, answer) = oneshot::channel();
        let note = Note {
            line,
            is_strangers: false,
            written: Some(written),
        };
        self.notes.send(note).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }
}

fn serve(mut writer: Writer, mut queue: mpsc::Receiver<Note>, is_writable: &AtomicBool) {
    let mut strangers_last: Option<Instant> = None;
    let mut notes = Vec::new();
    while queue.blocking_recv_many(&mut notes, BATCH_LENGTH_MAX) > 0 {
        let (mut lines, mut answers) = (Vec::new(), Vec::new());
        for note in notes.drain(..) {
            if note.is_strangers {
                let now = Instant::now();
                if strangers_last.is_some_and(|last| now.duration_since(last) < STRANGERS_PAUSE) {
                    writer.leave_out(1);
                    continue;
                }
                strangers_last = Some(now);
            }
            lines.push(note.line);
            answers.extend(note.written);
        }
        if lines.is_empty() {
            continue;
        }
        let written = writer
            .write(lines)
            .map_err(|error| AuditError(error.to_string()));
        if let Err(error) = &written {
            tracing::error!(%error, "unable to write to the audit log");
        }
        is_writable.store(written.is_ok(), Ordering::Release);
        for answer in answers {
            let _ = answer.send(written.clone());
        }
    }
}

fn line(caller: &str, call: &str, object: &str, outcome: &str) -> Line {
    let cut = |text: &str| text.chars().take(TEXT_LENGTH_MAX).collect();
    let now = OffsetDateTime::now_utc();
    Line {
        time: now.format(&Rfc3339).unwrap_or_default(),
        caller: cut(caller),
        call: call.to_owned(),
        object: cut(object),
        outcome: cut(outcome),
        ..Line::default()
    }
}

fn refused(reason: &str) -> String {
    format!("refused: {reason}")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[tokio::test]
    async fn what_is_noted_is_on_the_disk_and_a_stranger_cannot_fill_it() {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::open(folder.path(), AuditLimits::default()).unwrap();
        let (stranger, standing) = (Caller::Anonymous, Standing::Anonymous);
        for _ in 0..1000 {
            let refused = audit.note_refusal(&stranger, standing, Call::Join, "", "no");
            refused.await;
        }
        for _ in 0..3 {
            let done = Outcome::Done("joined");
            audit
                .note(&stranger, Call::Join, "node", done)
                .await
                .unwrap();
        }
        let text = std::fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
        let joined = text.lines().filter(|line| line.contains("joined"));
        assert_eq!(joined.count(), 3);
        assert!(text.lines().count() < 100);
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<Line>(line).unwrap());
        let refused = text.lines().filter(|line| line.contains("refused")).count() as u64;
        assert_eq!(refused + lines.map(|line| line.left_out).sum::<u64>(), 1000);
    }

    #[tokio::test]
    async fn a_log_that_cannot_be_written_says_so_until_it_can() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        symlink("/dev/full", &path).unwrap();
        let audit = Audit::open(folder.path(), AuditLimits::default()).unwrap();
        let error = audit.require_writable().await.unwrap_err().to_string();
        assert!(error.contains("make room"), "{error}");
        std::fs::remove_file(&path).unwrap();
        audit.require_writable().await.unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("can be written again"), "{text}");
    }
}
