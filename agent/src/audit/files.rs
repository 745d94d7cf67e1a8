//! The files of the log, and what becomes of old ones.
//!
//! `audit.jsonl` is written; `audit.1.jsonl` was before it, `audit.2.jsonl` before that. A gap in
//! the numbers, which a crash may leave while files move up, changes nothing of their order.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::limits::AuditLimits;

/// The log's files in a folder.
#[derive(Debug, Clone)]
pub struct Files {
    folder: PathBuf,
}

impl Files {
    /// Those of a data folder.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// The one that is written.
    #[must_use]
    pub fn current(&self) -> PathBuf {
        self.folder.join("audit.jsonl")
    }

    /// The head.
    #[must_use]
    pub fn head(&self) -> PathBuf {
        self.folder.join("audit.head")
    }

    /// All that there are, the oldest first.
    pub fn list(&self) -> io::Result<Vec<PathBuf>> {
        let mut numbers = self.numbers()?;
        numbers.reverse();
        let mut files: Vec<PathBuf> = numbers.into_iter().map(|n| self.older(n)).collect();
        if self.current().exists() {
            files.push(self.current());
        }
        Ok(files)
    }

    /// Moves the current file out of the way and every older one up by one.
    pub(super) fn rotate(&self) -> io::Result<()> {
        let numbers = self.numbers()?;
        let free = (1..).find(|number| !numbers.contains(number)).unwrap_or(1);
        for number in (1..free).rev() {
            fs::rename(self.older(number), self.older(number + 1))?;
        }
        if self.current().exists() {
            fs::rename(self.current(), self.older(1))?;
        }
        File::open(&self.folder)?.sync_all()
    }

    /// The oldest file that is beyond the limits, while there is one; never the newest of the old.
    pub(super) fn beyond(&self, limits: &AuditLimits) -> io::Result<Option<PathBuf>> {
        let numbers = self.numbers()?;
        let Some(last) = numbers.last().filter(|_| numbers.len() > 1) else {
            return Ok(None);
        };
        let oldest = self.older(*last);
        if numbers.len() + 1 > limits.files_max() {
            return Ok(Some(oldest));
        }
        let Some(age_max) = &limits.age_max else {
            return Ok(None);
        };
        let written = fs::metadata(&oldest)?.modified()?;
        let is_old = written.elapsed().is_ok_and(|age| age > age_max.value());
        Ok(is_old.then_some(oldest))
    }

    fn older(&self, number: u64) -> PathBuf {
        self.folder.join(format!("audit.{number}.jsonl"))
    }

    /// The numbers of the older files, the newest first.
    fn numbers(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let number: Option<u64> = name
                .to_str()
                .and_then(|name| name.strip_prefix("audit.")?.strip_suffix(".jsonl"))
                .and_then(|number| number.parse().ok());
            numbers.extend(number.filter(|number| *number > 0));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_move_up_and_a_gap_that_a_crash_left_is_filled() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(folder.path());
        for (name, content) in [("audit.jsonl", "d"), ("audit.1.jsonl", "c")] {
            fs::write(folder.path().join(name), content).unwrap();
        }
        for (name, content) in [("audit.3.jsonl", "b"), ("audit.4.jsonl", "a")] {
            fs::write(folder.path().join(name), content).unwrap();
        }
        files.rotate().unwrap();
        let contents = files.list().unwrap().into_iter().map(fs::read_to_string);
        assert_eq!(contents.collect::<Result<String, _>>().unwrap(), "abcd");
        assert!(!files.current().exists());
        assert!(folder.path().join("audit.2.jsonl").exists());
    }
}
