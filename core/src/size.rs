//! Sizes of memory and storage: `512MiB`, `16GiB`, `2TB`. Keeps its writer's spelling.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Units and their length in bytes: IEC 80000-13 binary and SI decimal prefixes.
const UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// An amount of bytes with its writer's spelling. Equal when equally large.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ByteSize {
    text: String,
    bytes: u64,
}

/// Why a text is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no size: write a whole number and a unit, like 512MiB, 16GiB or 2TB")]
pub struct ByteSizeError(String);

impl ByteSize {
    /// How large it is, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The writer's spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for ByteSize {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for ByteSize {}

impl FromStr for ByteSize {
    type Err = ByteSizeError;

    fn from_str(text: &str) -> Result<Self, ByteSizeError> {
        let fail = || ByteSizeError(text.chars().take(64).collect());
        let unit_start = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(fail)?;
        let (number, unit) = text.split_at(unit_start);
        let scale = UNITS
            .iter()
            .find(|(name, _)| *name == unit.trim_start())
            .ok_or_else(fail)?
            .1;
        let number: u64 = number.parse().map_err(|_| fail())?;
        let bytes = number.checked_mul(scale).ok_or_else(fail)?;
        Ok(Self {
            text: text.to_owned(),
            bytes,
        })
    }
}

impl TryFrom<String> for ByteSize {
    type Error = ByteSizeError;
    fn try_from(text: String) -> Result<Self, ByteSizeError> {
        text.parse()
    }
}

impl From<ByteSize> for String {
    fn from(size: ByteSize) -> Self {
        size.text
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_and_decimal_units_are_read() {
        for (text, bytes) in [
            ("1KiB", 1024),
            ("2 GB", 2_000_000_000),
            ("0B", 0),
            ("16GiB", 16 << 30),
        ] {
            assert_eq!(text.parse::<ByteSize>().unwrap().bytes(), bytes, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "16",
            "GiB",
            "1.5GiB",
            "-1GiB",
            "16gib",
            "99999999999TiB",
        ] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }
}
