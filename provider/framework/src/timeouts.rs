//! The `timeouts` block that users of Terraform know: how long each operation may take.
//!
//! It sets no alarm by itself. Work that is cut off can't say how far it came, so that the
//! author's code asks for its deadline and ends in time.

use std::time::Duration;

use crate::value::Value;
use crate::{Attr, Model};

/// The name of the block.
const BLOCK: &str = "timeouts";

/// The longest time that means anything.
pub(crate) const DURATION_MAX: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

// Put it into a model as `#[block] timeouts: Option<Timeouts>`, and ask `Cx::timeout` or
// `Cx::deadline` in the verbs. What follows is what users of the provider read.
/// How long each operation may take.
#[derive(Model, Clone, PartialEq, Eq, Default)]
pub struct Timeouts {
    /// How long a create may take, like `10m` or `1h30m`.
    #[attribute(optional, validate = duration)]
    pub create: Attr<String>,
    /// How long a read may take.
    #[attribute(optional, validate = duration)]
    pub read: Attr<String>,
    /// How long an update may take.
    #[attribute(optional, validate = duration)]
    pub update: Attr<String>,
    /// How long a delete may take.
    #[attribute(optional, validate = duration)]
    pub delete: Attr<String>,
}

/// What takes time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    Read,
    Update,
    Delete,
}

impl Timeouts {
    /// How long a create may take, where that is said.
    pub fn create(&self) -> Option<Duration> {
        known(&self.create)
    }

    /// How long a read may take, where that is said.
    pub fn read(&self) -> Option<Duration> {
        known(&self.read)
    }

    /// How long an update may take, where that is said.
    pub fn update(&self) -> Option<Duration> {
        known(&self.update)
    }

    /// How long a delete may take, where that is said.
    pub fn delete(&self) -> Option<Duration> {
        known(&self.delete)
    }
}

impl Operation {
    /// What the `timeouts` block of a plan or state says about it.
    pub(crate) fn timeout(self, value: &Value) -> Option<Duration> {
        let name = match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Update => "update",
            Self::Delete => "delete",
        };
        match value.attribute(BLOCK).attribute(name) {
            Value::String(text) => parse(text).ok(),
            _ => None,
        }
    }
}

fn known(attribute: &Attr<String>) -> Option<Duration> {
    attribute.as_known().and_then(|text| parse(text).ok())
}

fn duration(text: &str) -> Result<(), String> {
    parse(text)
        .map(|_| ())
        .map_err(|why| format!("{text:?} is no duration: {why}. Write it like 30s, 10m or 1h30m."))
}

/// A duration as Go and Terraform write it: numbers, each with a unit.
fn parse(text: &str) -> Result<Duration, &'static str> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err("there is nothing");
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest
            .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
            .ok_or("the unit is missing")?;
        let (number, after) = rest.split_at(digits);
        let unit = after
            .find(|letter: char| letter.is_ascii_digit() || letter == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let number: f64 = number.parse().map_err(|_| "a number is missing")?;
        seconds += number * unit_seconds(unit).ok_or("there is no such unit")?;
        rest = after;
    }
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| *duration <= DURATION_MAX)
        .ok_or("it is too long")
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_terraform_writes_them() {
        for (text, milliseconds) in [
            ("30s", 30_000),
            ("1h30m", 5_400_000),
            ("1.5h", 5_400_000),
            ("100ms", 100),
            ("2m0.5s", 120_500),
            ("0", 0),
            ("+1s", 1000),
        ] {
            assert_eq!(
                parse(text),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_duration_says_why_and_how_to_write_one() {
        let long = "9".repeat(400);
        for text in [
            "",
            "s",
            "10",
            "-1s",
            "1d",
            "1h 30m",
            "1..5s",
            ".s",
            "1e9h",
            "NaNs",
            "infs",
            "9999999999h",
            &format!("{long}h"),
            &long,
            "1µ",
        ] {
            let error = duration(text).unwrap_err();
            assert!(
                error.ends_with("Write it like 30s, 10m or 1h30m."),
                "{error}"
            );
        }
    }
}
