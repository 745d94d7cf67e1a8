//! Several connections to voters at once, for what can't wait until the end of one is noticed: a voter
//! that is gone, slow or frozen keeps the caller from no other.

use std::sync::atomic::{AtomicUsize, Ordering};

use hanse_client::{Client, ClientError};

use super::line::Line;
use crate::data::DataFolder;

/// So many voters are asked in turn.
const LINES: usize = 2;

/// Connections to voters.
pub struct Lines {
    lines: Vec<Line>,
    next: AtomicUsize,
}

/// Until it is put down, a question that is given up counts as one without an answer.
struct Asked<'a> {
    lines: Option<&'a Lines>,
    line: &'a Line,
    connection: u64,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if let Some(lines) = self.lines {
            self.line.is_broken(self.connection);
            lines.next.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Lines {
    /// Connects to voters, and again whenever a connection is lost, for as long as this lives.
    pub fn start(folder: &DataFolder) -> anyhow::Result<Self> {
        let lines: anyhow::Result<_> = (0..LINES).map(|place| Line::start(folder, place)).collect();
        Ok(Self {
            lines: lines?,
            next: AtomicUsize::new(0),
        })
    }

    /// Asks the voter that answered last. One that does not answer, or is given up, is left for
    /// another the next time.
    pub async fn ask<T, F>(&self, question: impl FnOnce(Client) -> F) -> Result<T, String>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let place = self.next.load(Ordering::Relaxed) % self.lines.len();
        let mut asked = Asked {
            lines: Some(self),
            line: &self.lines[place],
            connection: 0,
        };
        let client;
        (asked.connection, client) = asked.line.client()?;
        match question(client).await {
            Ok(answer) => {
                asked.lines = None;
                Ok(answer)
            }
            Err(error) => {
                // Whoever refuses is there.
                if !error.is_transient() {
                    asked.lines = None;
                }
                Err(error.to_string())
            }
        }
    }
}
