//! Whether the lines of a log are those that were written: pure, one line after the other.
//!
//! A line that is no line of ours is what a crash or a full disk left, if the line after it carries
//! its hash: then it was there when that one was written.

use super::head::Head;
use super::line::{Dropped, LINE_LENGTH_MAX, Line, hash};
use super::reader::Record;

/// Follows a log line by line.
#[derive(Debug)]
pub struct Chain {
    /// Lines that are known to have been written.
    known: Vec<Head>,
    first: Option<First>,
    last: Option<Link>,
    /// Two neighbours that don't fit together; which of them was changed, the next one tells.
    misfit: Option<Misfit>,
    dropped: Option<Dropped>,
    verdict: Verdict,
}

/// What is so of a log that is whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// How many lines there are.
    pub lines: u64,
    /// The last line's number and hash: kept elsewhere, they show later that nothing was written
    /// anew.
    pub head: Option<Head>,
    /// Up to where older lines were dropped by rotation.
    pub dropped: Option<u64>,
    /// Lines that a crash or a full disk cut short.
    pub cut_short: u64,
    /// How many lines were left out, of strangers' refusals and by a full disk.
    pub left_out: u64,
}

/// The first line that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}, line {line}: {reason}")]
pub struct Broken {
    /// The file.
    pub file: String,
    /// The line in it, from 1.
    pub line: u64,
    /// What is wrong.
    pub reason: String,
}

#[derive(Debug, Clone)]
struct Link {
    file: String,
    line: u64,
    /// That of the last line that has one.
    number: u64,
    hash: String,
    is_ours: bool,
}

#[derive(Debug)]
struct First {
    link: Link,
    previous: String,
}

#[derive(Debug)]
struct Misfit {
    earlier: Link,
    later: Link,
}

impl Chain {
    /// Before the first line of a log of which some lines are known: its head, and what was noted
    /// of it elsewhere.
    #[must_use]
    pub fn new(known: Vec<Head>) -> Self {
        Self {
            known,
            first: None,
            last: None,
            misfit: None,
            dropped: None,
            verdict: Verdict::default(),
        }
    }

    /// Takes the next line.
    ///
    /// # Errors
    ///
    /// A line is not as it was written.
    pub fn push(&mut self, record: &Record) -> Result<(), Broken> {
        let line: Option<Line> = serde_json::from_slice(&record.text)
            .ok()
            .filter(|_| record.text.len() <= LINE_LENGTH_MAX);
        let link = Link {
            file: record.file.clone(),
            line: record.line,
            number: match (&line, &self.last) {
                (Some(line), _) => line.number,
                (None, last) => last.as_ref().map_or(0, |last| last.number),
            },
            hash: hash(&record.text),
            is_ours: line.is_some(),
        };
        self.settle(line.as_ref().map(|line| line.previous.as_str()))?;
        match (self.last.take(), &line) {
            (None, Some(line)) => {
                self.first = Some(First {
                    link: link.clone(),
                    previous: line.previous.clone(),
                });
            }
            (Some(last), Some(line)) => self.join(last, &link, line)?,
            (Some(_) | None, None) => {}
        }
        if let Some(line) = line {
            self.verdict.left_out += line.left_out;
            self.dropped = line.dropped.or(self.dropped.take());
        } else {
            self.verdict.cut_short += 1;
        }
        self.verdict.lines += 1;
        self.check_head(&link)?;
        self.last = Some(link);
        Ok(())
    }

    /// After the last line.
    ///
    /// # Errors
    ///
    /// A line is not as it was written, or lines are missing.
    pub fn finish(mut self) -> Result<Verdict, Broken> {
        self.settle(None)?;
        let known = self.known.iter().map(|head| head.number).max().unwrap_or(0);
        let Some(last) = self.last.take() else {
            if known == 0 {
                return Ok(self.verdict);
            }
            return Err(Broken {
                file: "audit.jsonl".to_owned(),
                line: 1,
                reason: format!("all lines are missing; the last one had the number {known}"),
            });
        };
        if last.number < known {
            if !last.is_ours {
                return Err(last.broken("it was cut short after it was written"));
            }
            let reason = format!(
                "the lines after number {} are missing; the last one had the number {known}",
                last.number
            );
            return Err(Broken {
                line: last.line + 1,
                ..last.broken(reason)
            });
        }
        self.check_begin()?;
        self.verdict.head = Some(Head {
            number: last.number,
            hash: last.hash,
        });
        Ok(self.verdict)
    }

    /// Whether a line follows the one before.
    fn join(&mut self, last: Link, link: &Link, line: &Line) -> Result<(), Broken> {
        if line.number != 0 && line.number != last.number + 1 && last.number != 0 {
            if !last.is_ours {
                return Err(last.broken("it was changed after it was written"));
            }
            let reason = format!(
                "its number is {} and that of the line before is {}: lines were taken out, put in \
                 or moved here",
                line.number, last.number
            );
            return Err(link.broken(reason));
        }
        if line.previous != last.hash {
            let later = link.clone();
            self.misfit = Some(Misfit {
                earlier: last,
                later,
            });
        }
        Ok(())
    }

    /// Of two neighbours that don't fit together, the later one is whole if its successor knows
    /// its hash: then the earlier one was changed.
    fn settle(&mut self, previous: Option<&str>) -> Result<(), Broken> {
        let Some(Misfit { earlier, later }) = self.misfit.take() else {
            return Ok(());
        };
        let known = self.known.iter().find(|head| head.number == later.number);
        let known = previous.or(known.map(|head| head.hash.as_str()));
        let changed = match known {
            Some(known) if known != later.hash => later,
            Some(_) | None => earlier,
        };
        Err(changed.broken("it was changed after it was written"))
    }

    fn check_head(&mut self, link: &Link) -> Result<(), Broken> {
        let mut heads = self.known.iter();
        let differs = heads.any(|head| {
            link.is_ours && head.number > 0 && head.number == link.number && head.hash != link.hash
        });
        // A line that doesn't fit to the one before is judged with that one.
        if differs && self.misfit.is_none() {
            return Err(link.broken(
                "it is not the line that was written under this number: it was changed or replaced",
            ));
        }
        Ok(())
    }

    /// Whether the lines before the first one went by rotation.
    fn check_begin(&mut self) -> Result<(), Broken> {
        let Some(First { link, previous }) = &self.first else {
            return Ok(());
        };
        if *previous == hash(b"") {
            return Ok(());
        }
        let fits = |dropped: &Dropped| {
            dropped.hash == *previous && dropped.number.saturating_add(1) == link.number
        };
        if self.dropped.as_ref().is_some_and(fits) {
            self.verdict.dropped = self.dropped.as_ref().map(|dropped| dropped.number);
            return Ok(());
        }
        Err(link.broken("the lines before it are missing, and no rotation dropped them"))
    }
}

impl Link {
    fn broken(&self, reason: impl Into<String>) -> Broken {
        Broken {
            file: self.file.clone(),
            line: self.line,
            reason: reason.into(),
        }
    }
}

#[cfg(test)]
mod tests;
