//! What the guard and its keeper say to one another: a line of JSON each, over pipes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::order::Program;

/// No line between them is longer.
pub(crate) const LINE_BYTES_MAX: usize = 1 << 20;

/// What a guard asks of its keeper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ask {
    /// Make everything ready for this program, and wait.
    Prepare {
        program: Box<Program>,
        /// The command that becomes the program.
        stage: Vec<String>,
    },
    /// The kernel kills you at this moment since boot; none: never.
    Arm { at_ms: Option<u64> },
    /// Let the program run.
    Go,
    /// Stay, and let it run on without me.
    Release,
}

/// What a keeper answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// The process that will be the program waits.
    Prepared { pid: u32 },
    /// The kernel's timer is set.
    Armed { at_ms: Option<u64> },
    /// The program runs.
    Running,
    /// It could not be started.
    Failed { reason: String },
    /// It ended, and so did everything that it began.
    Ended { how: String },
    /// It runs on, whatever becomes of the guard.
    Released,
}

/// A message as a line.
pub(crate) fn line<M: Serialize>(message: &M) -> Vec<u8> {
    // What is made of text and numbers can always be written.
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    line
}

/// A moment as it travels: never later than it is.
pub(crate) fn milliseconds(moment: Duration) -> u64 {
    u64::try_from(moment.as_millis()).unwrap_or(u64::MAX)
}
