//! Reads the log, a bounded page at a time, while it may be written and rotated.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::files::Files;
use super::line::LINE_LENGTH_MAX;

/// The most bytes of lines on one page.
const PAGE_LENGTH_MAX: usize = 1 << 20;

/// A line as it stands, whatever it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The name of its file.
    pub file: String,
    /// Its place in there, from 1.
    pub line: u64,
    /// Its text, without the end of the line. One that is longer than any of ours is cut.
    pub text: Vec<u8>,
}

/// Where the next page begins. A file is told by its inode: its name changes as it gets older.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    inode: u64,
    offset: u64,
    line: u64,
}

/// Some lines, and where those after them begin.
#[derive(Debug)]
pub struct Page {
    /// The lines, the oldest first.
    pub records: Vec<Record>,
    /// Where to go on; none: this was the end.
    pub next: Option<Place>,
}

/// Reads up to `count` lines from a place on; none: from the oldest.
pub fn page(files: &Files, from: Option<Place>, count: usize) -> io::Result<Page> {
    let mut open = Vec::new();
    for path in files.list()? {
        open.push((File::open(&path)?, name(&path)));
    }
    let mut place = from;
    if let Some(place) = place {
        let mut at = None;
        for (index, (file, _)) in open.iter().enumerate() {
            if file.metadata()?.ino() == place.inode {
                at = Some(index);
            }
        }
        let gone = "the file that was being read was dropped meanwhile; start again";
        let at = at.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, gone))?;
        open.drain(..at);
    }
    let mut records = Vec::new();
    let mut length = 0;
    for (file, name) in open {
        let inode = file.metadata()?.ino();
        let start = place.take().unwrap_or(Place {
            inode,
            offset: 0,
            line: 0,
        });
        let mut lines = Lines::from(file, start)?;
        while let Some(text) = lines.next_line()? {
            if records.len() >= count.max(1) || length + text.len() > PAGE_LENGTH_MAX.max(1) {
                let next = Some(lines.before);
                return Ok(Page { records, next });
            }
            length += text.len();
            let line = lines.now.line;
            let file = name.clone();
            records.push(Record { file, line, text });
        }
    }
    Ok(Page {
        records,
        next: None,
    })
}

/// The last `count` lines, the oldest first.
pub fn tail(files: &Files, count: usize) -> io::Result<Vec<Record>> {
    let mut parts = Vec::new();
    let mut missing = count;
    for path in files.list()?.into_iter().rev() {
        if missing == 0 {
            break;
        }
        let file = File::open(&path)?;
        let inode = file.metadata()?.ino();
        let start = Place {
            inode,
            offset: 0,
            line: 0,
        };
        let mut lines = Lines::from(file, start)?;
        let mut last = std::collections::VecDeque::new();
        while let Some(text) = lines.next_line()? {
            if last.len() == missing {
                last.pop_front();
            }
            last.push_back(Record {
                file: name(&path),
                line: lines.now.line,
                text,
            });
        }
        missing -= last.len();
        parts.push(last);
    }
    Ok(parts.into_iter().rev().flatten().collect())
}

impl Place {
    /// As a caller hands it back.
    #[must_use]
    pub fn to_text(self) -> String {
        format!("{}.{}.{}", self.inode, self.offset, self.line)
    }

    /// What a caller handed back.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let mut numbers = text.splitn(3, '.').map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some(Self {
            inode: next()?,
            offset: next()?,
            line: next()?,
        })
    }
}

/// The lines of one file.
struct Lines {
    reader: BufReader<File>,
    /// Before the line that was read last, and after it.
    before: Place,
    now: Place,
}

impl Lines {
    fn from(mut file: File, start: Place) -> io::Result<Self> {
        file.seek(SeekFrom::Start(start.offset))?;
        Ok(Self {
            reader: BufReader::new(file),
            before: start,
            now: start,
        })
    }

    fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut text = Vec::new();
        let mut bounded = (&mut self.reader).take(LINE_LENGTH_MAX as u64 + 1);
        let mut length = bounded.read_until(b'\n', &mut text)?;
        if length == 0 {
            return Ok(None);
        }
        if text.last() == Some(&b'\n') {
            text.pop();
        } else if length > LINE_LENGTH_MAX {
            length += self.skip_line()?;
        }
        self.before = self.now;
        self.now.offset += length as u64;
        self.now.line += 1;
        Ok(Some(text))
    }

    /// Skips what is left of a line that is too long.
    fn skip_line(&mut self) -> io::Result<usize> {
        let mut skipped = 0;
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                return Ok(skipped);
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let length = end.map_or(buffer.len(), |end| end + 1);
            self.reader.consume(length);
            skipped += length;
            if end.is_some() {
                return Ok(skipped);
            }
        }
    }
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> (tempfile::TempDir, Files) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("audit.2.jsonl"), "a\nb\n").unwrap();
        std::fs::write(folder.path().join("audit.1.jsonl"), "c\n").unwrap();
        std::fs::write(folder.path().join("audit.jsonl"), "d\ncut sh").unwrap();
        let files = Files::new(folder.path());
        (folder, files)
    }

    fn text(records: &[Record]) -> String {
        let texts = records
            .iter()
            .map(|record| String::from_utf8_lossy(&record.text));
        texts.collect::<Vec<_>>().join("|")
    }

    #[test]
    fn pages_of_any_size_give_every_line_once_and_in_order() {
        let (_folder, files) = files();
        for count in 1..7 {
            let (mut from, mut all) = (None, Vec::new());
            loop {
                let page = page(&files, from, count).unwrap();
                all.extend(page.records);
                match page.next {
                    Some(next) => from = Place::from_text(&next.to_text()),
                    None => break,
                }
            }
            assert_eq!(text(&all), "a|b|c|d|cut sh");
            assert_eq!((all[1].file.as_str(), all[1].line), ("audit.2.jsonl", 2));
        }
    }

    #[test]
    fn a_rotation_between_two_pages_loses_and_repeats_nothing() {
        let (_folder, files) = files();
        let first = page(&files, None, 2).unwrap();
        files.rotate().unwrap();
        let rest = page(&files, first.next, 10).unwrap();
        assert_eq!(text(&rest.records), "c|d|cut sh");
    }

    #[test]
    fn the_last_lines_reach_back_over_files() {
        let (_folder, files) = files();
        assert_eq!(text(&tail(&files, 3).unwrap()), "c|d|cut sh");
        assert_eq!(text(&tail(&files, 99).unwrap()), "a|b|c|d|cut sh");
    }

    #[test]
    fn a_line_that_is_longer_than_any_of_ours_costs_no_memory() {
        let folder = tempfile::tempdir().unwrap();
        let long = "x".repeat(3 * LINE_LENGTH_MAX);
        std::fs::write(folder.path().join("audit.jsonl"), format!("{long}\nb\n")).unwrap();
        let page = page(&Files::new(folder.path()), None, 10).unwrap();
        assert_eq!(page.records.len(), 2);
        assert_eq!(page.records[0].text.len(), LINE_LENGTH_MAX + 1);
        assert_eq!(page.records[1].text, b"b");
    }
}
