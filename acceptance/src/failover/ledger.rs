//! What was acknowledged to the load, and what of it comes out as RTO and RPO.
//!
//! Times are nanoseconds of the machine's monotonic clock, which all processes of a laboratory
//! share. It reads no clock and no database itself.

use std::collections::BTreeSet;
use std::time::Duration;

/// A silence at the end that is shorter is only the time between two commits.
const SILENCE_NS_MIN: u64 = 1_000_000_000;

/// A commit that a client was told of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Commit {
    /// Whose.
    pub client: u32,
    /// Which of that client's.
    pub sequence: u64,
    /// When the client was told.
    pub acked_ns: u64,
}

/// How long nobody's commit was acknowledged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outage {
    /// From the last acknowledgement to the next.
    Over(Duration),
    /// From the last acknowledgement to the end of the trial: there was no next.
    Lasting(Duration),
}

/// All commits in the order in which they were acknowledged, from what the load wrote down. A line
/// that isn't whole is that of a load which was killed.
#[must_use]
pub fn commits(text: &str) -> Vec<Commit> {
    let mut commits: Vec<Commit> = whole_lines(text).filter_map(commit).collect();
    commits.sort_by_key(|commit| commit.acked_ns);
    commits
}

/// The longest time without an acknowledgement that ended after the fault. `commits` are in order.
#[must_use]
pub fn outage(commits: &[Commit], fault_ns: u64, end_ns: u64) -> Outage {
    let mut last_ns = None;
    let mut longest_ns = 0;
    for commit in commits {
        if commit.acked_ns > fault_ns {
            let from_ns = last_ns.unwrap_or(fault_ns);
            longest_ns = longest_ns.max(commit.acked_ns - from_ns);
        }
        last_ns = Some(commit.acked_ns);
    }
    let silence_ns = end_ns.saturating_sub(last_ns.unwrap_or(fault_ns));
    if silence_ns >= SILENCE_NS_MIN && silence_ns > longest_ns {
        Outage::Lasting(Duration::from_nanos(silence_ns))
    } else {
        Outage::Over(Duration::from_nanos(longest_ns))
    }
}

/// How many acknowledged commits are not among `present`, which are (client, sequence).
#[must_use]
pub fn lost(commits: &[Commit], present: &BTreeSet<(u32, u64)>) -> usize {
    let is_lost = |commit: &&Commit| !present.contains(&(commit.client, commit.sequence));
    commits.iter().filter(is_lost).count()
}

/// Those that were written to their end.
pub(super) fn whole_lines(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.split_inclusive('\n');
    lines.filter_map(|line| line.strip_suffix('\n'))
}

/// From `a CLIENT SEQUENCE ACKED_NS`.
fn commit(line: &str) -> Option<Commit> {
    let mut words = line.strip_prefix("a ")?.split(' ');
    Some(Commit {
        client: words.next()?.parse().ok()?,
        sequence: words.next()?.parse().ok()?,
        acked_ns: words.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn at(times_ms: &[u64]) -> Vec<Commit> {
        let commit = |(sequence, ms): (usize, &u64)| Commit {
            client: 0,
            sequence: sequence as u64,
            acked_ns: ms * MS,
        };
        times_ms.iter().enumerate().map(commit).collect()
    }

    fn over(ms: u64) -> Outage {
        Outage::Over(Duration::from_millis(ms))
    }

    #[test]
    fn the_outage_is_the_longest_silence_that_ends_after_the_fault() {
        let commits = at(&[0, 4_000, 4_010, 9_010, 9_020, 9_500]);
        assert_eq!(outage(&commits, 4_005 * MS, 9_510 * MS), over(5_000));
        // The longer silence before the fault is none of its doing.
        assert_eq!(outage(&commits, 9_011 * MS, 9_510 * MS), over(480));
    }

    #[test]
    fn what_is_still_acknowledged_after_the_fault_does_not_end_the_outage() {
        let commits = at(&[1_000, 1_020, 1_040, 31_040]);
        assert_eq!(outage(&commits, 1_010 * MS, 31_050 * MS), over(30_000));
    }

    #[test]
    fn an_outage_without_an_end_is_told_apart() {
        let commits = at(&[1_000, 1_010]);
        let lasting = Outage::Lasting(Duration::from_millis(8_990));
        assert_eq!(outage(&commits, 1_005 * MS, 10_000 * MS), lasting);
        // Nothing was ever acknowledged: it lasts from the fault on.
        let lasting = Outage::Lasting(Duration::from_millis(8_995));
        assert_eq!(outage(&[], 1_005 * MS, 10_000 * MS), lasting);
    }

    #[test]
    fn the_moment_after_the_last_commit_is_no_outage() {
        let commits = at(&[1_000, 1_010, 1_020]);
        assert_eq!(outage(&commits, 1_005 * MS, 1_900 * MS), over(10));
        assert_eq!(outage(&commits, 2_000 * MS, 1_900 * MS), over(0));
    }

    #[test]
    fn a_silence_at_the_end_that_is_not_the_longest_hides_no_outage() {
        let commits = at(&[1_000, 6_000, 6_010]);
        assert_eq!(outage(&commits, 1_005 * MS, 7_500 * MS), over(5_000));
    }

    #[test]
    fn lost_is_what_was_acknowledged_and_is_not_there() {
        let commits = at(&[1, 2, 3]);
        // What is there without an acknowledgement is no loss.
        assert_eq!(lost(&commits, &BTreeSet::from([(0, 0), (0, 2), (0, 9)])), 1);
        assert_eq!(lost(&commits, &BTreeSet::from([(1, 0), (1, 1), (1, 2)])), 3);
        assert_eq!(lost(&[], &BTreeSet::new()), 0);
    }

    #[test]
    fn half_a_line_is_no_commit() {
        let text = "a 1 7 2000\ne 1 refused\na 0 3 1000\na 1 8 30";
        let read: Vec<_> = commits(text)
            .iter()
            .map(|c| (c.client, c.sequence))
            .collect();
        assert_eq!(read, [(0, 3), (1, 7)]);
    }
}
