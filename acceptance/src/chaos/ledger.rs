//! How applies ended under each fault, as a table.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::fault::Fault;

/// How applies ended.
#[derive(Clone, Debug, Default)]
pub struct Ledger(BTreeMap<Fault, Row>);

#[derive(Clone, Debug, Default)]
struct Row {
    rounds: u32,
    succeeded: u32,
    refused: u32,
    longest: Duration,
    longest_to_write: Duration,
}

impl Ledger {
    /// One more round of the fault.
    pub(super) fn note_round(&mut self, fault: Fault) {
        self.0.entry(fault).or_default().rounds += 1;
    }

    /// One apply that took so long, from its start to its end.
    pub(super) fn note_apply(&mut self, fault: Fault, succeeded: bool, took: Duration) {
        let row = self.0.entry(fault).or_default();
        row.longest = row.longest.max(took);
        if succeeded {
            row.succeeded += 1;
            row.longest_to_write = row.longest_to_write.max(took);
        } else {
            row.refused += 1;
        }
    }

    /// How many applies ended well, and how many with an error.
    #[must_use]
    pub fn totals(&self) -> (u32, u32) {
        let rows = self.0.values();
        rows.fold((0, 0), |(succeeded, refused), row| {
            (succeeded + row.succeeded, refused + row.refused)
        })
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| what | to whom | rounds | applies that succeeded | refused clearly | longest wait \
             for success, s | longest wait, s |\n|---|---|--:|--:|--:|--:|--:|"
        )?;
        for (fault, row) in &self.0 {
            writeln!(
                f,
                "| {} | {} | {} | {} | {} | {} | {} |",
                fault.act,
                fault.target,
                row.rounds,
                row.succeeded,
                row.refused,
                seconds(row.longest_to_write),
                seconds(row.longest),
            )?;
        }
        Ok(())
    }
}

fn seconds(longest: Duration) -> String {
    if longest.is_zero() {
        return "–".to_owned();
    }
    format!("{:.1}", longest.as_secs_f64())
}
