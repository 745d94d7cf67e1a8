//! Reads values and collects what is wrong with them.

use std::fmt::Display;
use std::str::FromStr;

use hanse_core::finding::{Finding, Path};
use hanse_core::key::PublicKey;

/// So many findings are kept; a message may hold millions of faults.
const FINDINGS_MAX: usize = 100;

/// The findings so far.
#[derive(Default)]
pub(crate) struct Collector {
    findings: Vec<Finding>,
    dropped: usize,
}

impl Collector {
    /// Notes one fault.
    pub(crate) fn fault(&mut self, path: Path, summary: String, detail: String) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding::error(path, summary, detail));
        } else {
            self.dropped += 1;
        }
    }

    /// A value that must be there.
    pub(crate) fn parse<T>(&mut self, path: Path, noun: &str, text: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(path, format!("Invalid {noun}"), format!("{error}."));
                None
            }
        }
    }

    /// A value whose absence, an empty text, means `default`.
    pub(crate) fn parse_or<T>(
        &mut self,
        path: Path,
        noun: &str,
        text: &str,
        default: T,
    ) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        if text.is_empty() {
            Some(default)
        } else {
            self.parse(path, noun, text)
        }
    }

    /// A value whose absence, an empty text, means none.
    pub(crate) fn optional<T>(&mut self, path: Path, noun: &str, text: &str) -> Option<Option<T>>
    where
        T: FromStr,
        T::Err: Display,
    {
        if text.is_empty() {
            Some(None)
        } else {
            self.parse(path, noun, text).map(Some)
        }
    }

    /// A list of values, each with the path of its position.
    pub(crate) fn list<T>(&mut self, path: &Path, noun: &str, texts: &[String]) -> Option<Vec<T>>
    where
        T: FromStr,
        T::Err: Display,
    {
        let read: Vec<Option<T>> = texts
            .iter()
            .enumerate()
            .map(|(index, text)| self.parse(path.clone().index(index), noun, text))
            .collect();
        read.into_iter().collect()
    }

    /// A number that must fit into 16 bits.
    pub(crate) fn number_u16(&mut self, path: Path, noun: &str, number: u32) -> Option<u16> {
        u16::try_from(number)
            .map_err(|_| {
                let detail = format!("{number} is too large: write a number up to 65535.");
                self.fault(path, format!("Invalid {noun}"), detail);
            })
            .ok()
    }

    /// A WireGuard public key.
    pub(crate) fn public_key(&mut self, path: Path, bytes: &[u8]) -> Option<PublicKey> {
        PublicKey::try_from(bytes)
            .map_err(|error| self.fault(path, "Invalid public key".to_owned(), format!("{error}.")))
            .ok()
    }

    /// The value, if everything was in order.
    pub(crate) fn finish<T>(mut self, value: Option<T>) -> Result<T, Vec<Finding>> {
        if self.dropped > 0 {
            let summary = format!("{} more findings", self.dropped);
            let detail = "There are too many to show at once: mend these first.";
            self.findings
                .push(Finding::error(Path::root(), summary, detail));
        }
        match value {
            Some(value) if self.findings.is_empty() => Ok(value),
            Some(_) | None => Err(self.findings),
        }
    }
}
