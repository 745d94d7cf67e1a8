//! Several connections to voters at once, for what can't wait until the end of one is noticed: a voter
//! that is gone, slow or frozen keeps the caller from no other.

use std::sync::atomic::{AtomicUsize, Ordering};

use hanse_client::{Client, ClientError};

use super::line::Line;
use crate::data::DataFolder;

/// So many voters are asked in turn: one may be gone and another slow.
const LINES: usize = 3;

/// Connections to voters.
pub struct Lines {
    lines: Vec<Line>,
    turns: Turns,
}

/// Whose turn it is.
#[derive(Debug, Default)]
struct Turns {
    next: AtomicUsize,
    /// How many questions wait for an answer, by place.
    open: [AtomicUsize; LINES],
}

/// Until it is put down, a question that is given up counts as one that nobody heard.
struct Asked<'a> {
    lines: &'a Lines,
    place: usize,
    connection: u64,
    end: End,
}

/// How a question ends.
#[derive(Clone, Copy)]
enum End {
    Answered,
    /// The voter can't help now. Its client goes to another by itself.
    Turned,
    /// It was given up: the connection may be dead.
    Unheard,
}

impl Turns {
    /// The voter that answered last; another one while that has an earlier question still.
    fn take(&self) -> usize {
        let first = self.next.load(Ordering::Relaxed);
        let mut places = (0..LINES).map(|step| (first + step) % LINES);
        let is_free = |place: &usize| self.open[*place].load(Ordering::Relaxed) == 0;
        let place = places.find(is_free).unwrap_or(first);
        self.open[place].fetch_add(1, Ordering::Relaxed);
        place
    }

    /// A question came to its end.
    fn put_down(&self, place: usize, is_answered: bool) {
        self.open[place].fetch_sub(1, Ordering::Relaxed);
        if is_answered {
            return self.next.store(place, Ordering::Relaxed);
        }
        // Whoever answered meanwhile keeps its turn.
        let after = (place + 1) % LINES;
        let _ = self
            .next
            .compare_exchange(place, after, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if matches!(self.end, End::Unheard) {
            self.lines.lines[self.place].is_broken(self.connection);
        }
        let is_answered = matches!(self.end, End::Answered);
        self.lines.turns.put_down(self.place, is_answered);
    }
}

impl Lines {
    /// Connects to voters, and again whenever a connection is lost, for as long as this lives.
    pub fn start(folder: &DataFolder) -> anyhow::Result<Self> {
        let lines: anyhow::Result<_> = (0..LINES).map(|place| Line::start(folder, place)).collect();
        Ok(Self {
            lines: lines?,
            turns: Turns::default(),
        })
    }

    /// Asks the voter that answered last. One that can't help, or is given up, is left for another the
    /// next time; so is one that has not answered yet. Only a question that is given up costs its
    /// connection: while the voters are slow, whoever connects again and again never gets an answer.
    pub async fn ask<T, F>(&self, question: impl FnOnce(Client) -> F) -> Result<T, String>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let mut asked = Asked {
            lines: self,
            place: self.turns.take(),
            connection: 0,
            end: End::Unheard,
        };
        let client;
        (asked.connection, client) = self.lines[asked.place].client()?;
        match question(client).await {
            Ok(answer) => {
                asked.end = End::Answered;
                Ok(answer)
            }
            Err(error) => {
                // Whoever refuses is there.
                asked.end = match error.is_transient() {
                    true => End::Turned,
                    false => End::Answered,
                };
                Err(error.to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_answered_last_is_asked_and_another_while_it_has_not_answered() {
        let turns = Turns::default();
        let first = turns.take();
        turns.put_down(first, true);
        assert_eq!(turns.take(), first);
        let other = turns.take();
        assert_ne!(other, first);
        let third = turns.take();
        assert!(![first, other].contains(&third));
        // Nobody is free: the first one has its turn still.
        let fourth = turns.take();
        assert_eq!(fourth, first);
        turns.put_down(other, true);
        for unheard in [first, third, fourth] {
            turns.put_down(unheard, false);
        }
        assert_eq!(turns.take(), other, "what answered keeps its turn");
        turns.put_down(other, false);
        assert_eq!(turns.take(), third);
    }
}
