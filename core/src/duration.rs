//! Durations as Go and Terraform users write them: `30s`, `5m`, `1h30m`.
//!
//! A duration keeps its writer's spelling, so that what comes back is what was written and
//! Terraform sees no drift between `90s` and `1m30s`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The units of a duration and their length in nanoseconds, as in Go's `time.ParseDuration`.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// The longest text that is read at all, in bytes.
const TEXT_LENGTH_MAX: usize = 64;

/// A length of time with its writer's spelling. Equal when equally long.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span {
    text: String,
    value: Duration,
}

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no duration: {reason}; write it like 30s, 5m or 1h30m")]
pub struct SpanError {
    text: String,
    reason: &'static str,
}

impl Span {
    /// A span of whole seconds.
    #[must_use]
    pub fn from_secs(seconds: u64) -> Self {
        Self {
            text: format!("{seconds}s"),
            value: Duration::from_secs(seconds),
        }
    }

    /// A span of milliseconds.
    #[must_use]
    pub fn from_milliseconds(milliseconds: u64) -> Self {
        Self {
            text: format!("{milliseconds}ms"),
            value: Duration::from_millis(milliseconds),
        }
    }

    /// How long it is.
    #[must_use]
    pub fn value(&self) -> Duration {
        self.value
    }

    /// The writer's spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Span {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for Span {}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let fail = |reason| SpanError {
            text: text.chars().take(TEXT_LENGTH_MAX).collect(),
            reason,
        };
        if text.len() > TEXT_LENGTH_MAX {
            return Err(fail("it is too long"));
        }
        if text.is_empty() {
            return Err(fail("it is empty"));
        }
        if text.starts_with('-') {
            return Err(fail("it is negative"));
        }
        let mut nanoseconds: u128 = 0;
        let mut rest = text;
        if rest == "0" {
            return Ok(Self {
                text: text.to_owned(),
                value: Duration::ZERO,
            });
        }
        while !rest.is_empty() {
            let (part, after) = take_part(rest).map_err(fail)?;
            nanoseconds += part;
            rest = after;
        }
        let value = u64::try_from(nanoseconds).map_err(|_| fail("it is longer than 584 years"))?;
        Ok(Self {
            text: text.to_owned(),
            value: Duration::from_nanos(value),
        })
    }
}

impl TryFrom<String> for Span {
    type Error = SpanError;
    fn try_from(text: String) -> Result<Self, SpanError> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.text
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// Reads one number with its unit; returns its nanoseconds and what follows.
fn take_part(text: &str) -> Result<(u128, &str), &'static str> {
    let number_end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .ok_or("a number has no unit (ns, us, ms, s, m or h)")?;
    let (number, rest) = text.split_at(number_end);
    let unit_end = rest
        .find(|c: char| c.is_ascii_digit() || c == '.')
        .unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_end);
    let scale = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, scale)| u128::from(*scale))
        .ok_or("it has a unit other than ns, us, ms, s, m and h")?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return Err("a unit has no number");
    }
    if fraction.contains('.') || whole.len() > 20 || fraction.len() > 18 {
        return Err("it has a malformed number");
    }
    let parse = |digits: &str| -> Result<u128, &'static str> {
        if digits.is_empty() {
            Ok(0)
        } else {
            digits.parse().map_err(|_| "it has a malformed number")
        }
    };
    let power =
        10_u128.pow(u32::try_from(fraction.len()).map_err(|_| "it has a malformed number")?);
    Ok((
        parse(whole)? * scale + parse(fraction)? * scale / power,
        rest,
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spellings_of_go_are_read() {
        for (text, milliseconds) in [
            ("30s", 30_000),
            ("1h30m", 5_400_000),
            ("1.5h", 5_400_000),
            ("250ms", 250),
            ("0", 0),
            ("0s", 0),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.value(), Duration::from_millis(milliseconds), "{text}");
            assert_eq!(span.to_string(), text);
        }
    }

    #[test]
    fn other_spellings_are_refused_with_a_reason() {
        for text in [
            "",
            "30",
            "-5s",
            "5 s",
            "5d",
            "s",
            ".s",
            "1.2.3s",
            "99999999999999999999h",
            "１s",
        ] {
            let error = text.parse::<Span>().unwrap_err().to_string();
            assert!(error.contains("write it like"), "{text}: {error}");
        }
    }

    #[test]
    fn two_spellings_of_one_length_are_equal() {
        assert_eq!(
            "90s".parse::<Span>().unwrap(),
            "1m30s".parse::<Span>().unwrap()
        );
    }

    proptest! {
        #[test]
        fn any_text_gives_a_span_or_an_error(text in ".*") {
            let _ = text.parse::<Span>();
        }
    }
}
