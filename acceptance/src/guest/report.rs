//! What the program in a guest says to the test outside: one JSON object on a line each.
//!
//! Both ends use these types, so that they can't disagree.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// One line of the report.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// The guest is up and has this kernel.
    Kernel(String),
    /// Something was proved.
    Proved(Proof),
    /// Something could not be proved, and nothing comes after it.
    Failed(String),
    /// Everything was.
    Done,
}

/// One thing that was proved.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Proof {
    /// What.
    pub what: String,
    /// How long it took in the guest.
    pub elapsed_ms: u64,
    /// What was seen, in a few words.
    pub seen: String,
}

impl Report {
    /// The line, without its end.
    ///
    /// # Errors
    ///
    /// Never, in practice: every value is text or a number.
    pub fn to_line(&self) -> Result<String> {
        serde_json::to_string(self).context("unable to write the report")
    }

    /// Reads a line.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn of_line(line: &str) -> Result<Self> {
        serde_json::from_str(line.trim())
            .with_context(|| format!("the guest said something that is no report: {line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reported_arrives_in_one_line() -> Result<()> {
        let report = Report::Failed("no\nmesh".to_owned());
        let line = report.to_line()?;
        assert!(!line.contains('\n'), "{line}");
        // A serial port ends lines as terminals do.
        assert_eq!(Report::of_line(&format!("{line}\r"))?, report);
        Ok(())
    }
}
