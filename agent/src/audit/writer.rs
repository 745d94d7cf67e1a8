//! The end of the log: numbers lines, chains them, puts them on the disk, begins new files.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::files::Files;
use super::head::{Head, HeadFile};
use super::limits::AuditLimits;
use super::line::{Dropped, LINE_LENGTH_MAX, Line, hash};
use crate::data::file::MODE_SECRET;

/// Writes lines.
#[derive(Debug)]
pub(super) struct Writer {
    files: Files,
    limits: AuditLimits,
    left_out: u64,
    dropped: Option<Dropped>,
    /// None: it is unknown how the log ends.
    end: Option<End>,
}

/// Where the log ends.
#[derive(Debug)]
struct End {
    file: File,
    length: u64,
    head_file: HeadFile,
    head: Head,
}

impl Writer {
    /// The log in a folder; nothing is read or written yet.
    pub(super) fn new(folder: &Path, limits: AuditLimits) -> Self {
        Self {
            files: Files::new(folder),
            limits,
            left_out: 0,
            dropped: None,
            end: None,
        }
    }

    /// The next line counts that many more that were left out.
    pub(super) fn leave_out(&mut self, count: u64) {
        self.left_out += count;
    }

    /// Writes lines, all or as good as none: after an error it is found out anew how the log ends.
    pub(super) fn write(&mut self, lines: Vec<Line>) -> io::Result<()> {
        let count = lines.len() as u64;
        let written = self.write_through(lines);
        if written.is_err() {
            self.end = None;
            self.left_out += count;
        }
        written
    }

    fn write_through(&mut self, lines: Vec<Line>) -> io::Result<()> {
        let mut end = match self.end.take() {
            Some(end) => end,
            None => End::find(&self.files)?,
        };
        if end.length >= self.limits.file_bytes_max() {
            end = self.rotate(end)?;
        }
        let mut bytes = Vec::new();
        let mut head = end.head.clone();
        let mut left_out = self.left_out;
        let mut dropped = self.dropped.clone();
        for mut line in lines {
            line.number = head.number + 1;
            line.left_out = std::mem::take(&mut left_out);
            line.dropped = dropped.take();
            line.previous = head.hash;
            let text = serde_json::to_vec(&line)?;
            head = Head {
                number: line.number,
                hash: hash(&text),
            };
            bytes.extend(text);
            bytes.push(b'\n');
        }
        end.file.write_all(&bytes)?;
        end.file.sync_data()?;
        end.length += bytes.len() as u64;
        end.head = head;
        (self.left_out, self.dropped) = (0, None);
        // The lines are safe; a head that lags behind only knows less.
        if let Err(error) = end.head_file.write(&end.head) {
            tracing::warn!(%error, "unable to write the head of the audit log");
        }
        self.end = Some(end);
        Ok(())
    }

    /// Begins a new file and drops what is beyond the limits. A failure to do so costs room and no
    /// line: the old file is written on.
    fn rotate(&mut self, end: End) -> io::Result<End> {
        if let Err(error) = self.files.rotate() {
            tracing::warn!(%error, "unable to begin a new file of the audit log");
            return Ok(end);
        }
        if let Err(error) = self.drop_old() {
            tracing::warn!(%error, "unable to drop old files of the audit log");
        }
        let head = end.head;
        drop(end.file);
        let (file, length) = open(&self.files.current())?;
        Ok(End {
            file,
            length,
            head_file: end.head_file,
            head,
        })
    }

    fn drop_old(&mut self) -> io::Result<()> {
        while let Some(oldest) = self.files.beyond(&self.limits)? {
            let (number, hash) = last_of(&oldest)?;
            std::fs::remove_file(&oldest)?;
            let file = oldest.display();
            tracing::info!(%file, number, "an old file of the audit log was dropped");
            self.dropped = Some(Dropped { number, hash });
        }
        Ok(())
    }
}

impl End {
    /// Finds out how the log ends. A line that was cut short is ended and stays as it is.
    fn find(files: &Files) -> io::Result<Self> {
        let head_file = HeadFile::open(&files.head())?;
        let (mut file, length) = open(&files.current())?;
        if length > 0 {
            file.seek(SeekFrom::End(-1))?;
            let mut last = [0];
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
            }
        }
        let head = match files.list()?.iter().rev().map(|path| last_of(path)).find(
            |found| !matches!(found, Err(error) if error.kind() == io::ErrorKind::UnexpectedEof),
        ) {
            Some(found) => {
                let (number, hash) = found?;
                Head { number, hash }
            }
            None => Head::empty(),
        };
        let length = file.metadata()?.len();
        Ok(Self {
            file,
            length,
            head_file,
            head,
        })
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new()
        .create(true)
        .read(true)
        .append(true)
        .mode(MODE_SECRET)
        .open(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

/// The number of a file's last line that has one, and the hash of its last line.
fn last_of(path: &Path) -> io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    if length == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let tail_length = length.min(4 * LINE_LENGTH_MAX as u64);
    file.seek(SeekFrom::Start(length - tail_length))?;
    let mut tail = Vec::new();
    file.take(tail_length).read_to_end(&mut tail)?;
    if tail.last() == Some(&b'\n') {
        tail.pop();
    }
    let mut lines = tail.rsplit(|byte| *byte == b'\n');
    let last = hash(lines.clone().next().unwrap_or_default());
    let numbered = lines.find_map(|text| serde_json::from_slice::<Line>(text).ok());
    Ok((numbered.map_or(0, |line| line.number), last))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn line(object: &str) -> Line {
        Line {
            object: object.to_owned(),
            ..Line::default()
        }
    }

    #[test]
    fn a_disk_that_was_full_breaks_no_chain_and_the_loss_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let current = folder.path().join("audit.jsonl");
        let aside = folder.path().join("aside");
        let mut writer = Writer::new(folder.path(), AuditLimits::default());
        writer.write(vec![line("first")]).unwrap();
        std::fs::rename(&current, &aside).unwrap();
        symlink("/dev/full", &current).unwrap();
        writer.end = None;
        let error = writer.write(vec![line("lost"), line("too")]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        std::fs::rename(&aside, &current).unwrap();
        // What a disk leaves that has room for a part only.
        let mut file = OpenOptions::new().append(true).open(&current).unwrap();
        file.write_all(b"{\"time\":\"cut sh").unwrap();
        writer.write(vec![line("last")]).unwrap();
        let text = std::fs::read_to_string(&current).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let last: Line = serde_json::from_str(lines[2]).unwrap();
        assert_eq!(last.previous, hash(lines[1].as_bytes()));
        assert_eq!((last.number, last.left_out), (2, 2));
    }

    #[test]
    fn a_log_that_ended_between_two_files_goes_on_from_the_older_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(folder.path(), AuditLimits::default());
        writer.write(vec![line("first")]).unwrap();
        Files::new(folder.path()).rotate().unwrap();
        let mut writer = Writer::new(folder.path(), AuditLimits::default());
        writer.write(vec![line("second")]).unwrap();
        let before = std::fs::read_to_string(folder.path().join("audit.1.jsonl")).unwrap();
        let after = std::fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
        let second: Line = serde_json::from_str(after.trim_end()).unwrap();
        assert_eq!(second.number, 2);
        assert_eq!(second.previous, hash(before.trim_end().as_bytes()));
    }
}
