//! What one run has shown.

use std::time::Duration;

use crate::federation::Shape;
use crate::process::{Look, Span};

/// A change that all followers have acknowledged.
#[derive(Debug)]
pub(crate) struct Acknowledged {
    /// From asking to the answer.
    pub(crate) commit: Duration,
    /// From asking to the last acknowledgement.
    pub(crate) last: Duration,
    /// From asking to each one's.
    pub(crate) delays: Vec<Duration>,
}

/// What one run has shown.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) shape: Shape,
    pub(crate) followers: usize,
    pub(crate) changes: Vec<Acknowledged>,
    /// The voter before anybody came.
    pub(crate) bare: Look,
    /// The voter while nothing changed.
    pub(crate) idle: Span,
    pub(crate) idle_own: Span,
    pub(crate) at_idle: Look,
    /// The voter during the changes.
    pub(crate) busy: Span,
    pub(crate) busy_own: Span,
    pub(crate) at_end: Look,
}

impl Figures {
    /// The delay of the last acknowledgement that so many percent of the changes stay within.
    pub(crate) fn last_ms(&self, percent: usize) -> f64 {
        percentile_ms(self.changes.iter().map(|change| change.last), percent)
    }

    /// The same of every single acknowledgement.
    pub(crate) fn each_ms(&self, percent: usize) -> f64 {
        let each = self.changes.iter().flat_map(|change| &change.delays);
        percentile_ms(each.copied(), percent)
    }

    /// The same of the commits.
    pub(crate) fn commit_ms(&self, percent: usize) -> f64 {
        percentile_ms(self.changes.iter().map(|change| change.commit), percent)
    }

    /// What one change takes of a processor, in milliseconds: beyond what idling takes.
    pub(crate) fn change_cpu_ms(&self, busy: &Span, idle: &Span) -> f64 {
        let idling = idle.cpu.as_secs_f64() / idle.wall.as_secs_f64() * busy.wall.as_secs_f64();
        let changing = (busy.cpu.as_secs_f64() - idling).max(0.0);
        let changes = u32::try_from(self.changes.len()).unwrap_or(u32::MAX);
        changing * 1000.0 / f64::from(changes)
    }
}

/// By the nearest rank.
fn percentile_ms(delays: impl Iterator<Item = Duration>, percent: usize) -> f64 {
    let mut sorted: Vec<Duration> = delays.collect();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted
        .get(rank)
        .map_or(f64::NAN, |it| it.as_secs_f64() * 1000.0)
}
