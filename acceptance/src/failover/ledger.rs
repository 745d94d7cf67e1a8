//! What was acknowledged and which server took writes when; what of it comes out as RTO, RPO and
//! writers at once.
//!
//! Times are nanoseconds of the machine's monotonic clock, which all processes of a laboratory
//! share. It reads no clock and no database itself.

use std::collections::BTreeSet;
use std::time::Duration;

/// A probe's write that took longer proves nothing: nobody knows when in between it was taken. Two
/// writes farther apart don't prove that one in between would have been taken.
const PROOF_NS_MAX: u64 = 250_000_000;

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

/// What came of asking one server to take a write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Probe {
    /// It was taken at some moment in between.
    Taken {
        /// When it was asked.
        sent_ns: u64,
        /// When it said yes.
        acked_ns: u64,
    },
    /// It was refused, or the server could not be reached.
    Refused,
}

/// How long nobody's commit was acknowledged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outage {
    /// From the last acknowledgement to the next.
    Over(Duration),
    /// From the last acknowledgement to the end of the trial: there was no next.
    Lasting(Duration),
}

/// Who took writes at the same time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Writers {
    /// The most at any moment.
    pub at_once_max: usize,
    /// For how long there were two or more.
    pub many: Duration,
}

/// All commits in the order in which they were acknowledged, from what the load wrote down. A line
/// that isn't whole is that of a load which was killed.
#[must_use]
pub fn commits(text: &str) -> Vec<Commit> {
    let mut commits: Vec<Commit> = whole_lines(text).filter_map(commit).collect();
    commits.sort_by_key(|commit| commit.acked_ns);
    commits
}

/// All probes of each of `servers` in order, from what the observer wrote down.
#[must_use]
pub fn probes(text: &str, servers: &[u8]) -> Vec<Vec<Probe>> {
    let of = |server: &u8| {
        let probes = whole_lines(text).filter_map(probe);
        let own = probes.filter(|(number, _)| number == server);
        own.map(|(_, probe)| probe).collect()
    };
    servers.iter().map(of).collect()
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

/// Who took writes at once, as far as it is proved: two did if one took a write that was begun after
/// the other had already taken one, and the other took another one after that.
#[must_use]
pub fn writers(servers: &[Vec<Probe>]) -> Writers {
    let spans: Vec<Vec<Span>> = servers.iter().map(|probes| spans(probes)).collect();
    // Each bound with what it adds: ends sort before beginnings of the same moment.
    let mut bounds: Vec<(u64, i32)> = Vec::new();
    for (place, own) in spans.iter().enumerate() {
        for span in own {
            let others = spans
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != place);
            let mut others = others.flat_map(|(_, spans)| spans);
            if span.is_sure || others.any(|other| other.is_sure && other.holds(span)) {
                bounds.extend([(span.from_ns, 1), (span.to_ns, -1)]);
            }
        }
    }
    bounds.sort_unstable();
    let (mut now, mut most, mut many_ns, mut since_ns) = (0, 0, 0, 0);
    for (at_ns, change) in bounds {
        if now >= 2 {
            many_ns += at_ns - since_ns;
        }
        now += change;
        most = most.max(now);
        since_ns = at_ns;
    }
    let any = spans.iter().any(|own| !own.is_empty());
    Writers {
        at_once_max: usize::try_from(most).unwrap_or(0).max(usize::from(any)),
        many: Duration::from_nanos(many_ns),
    }
}

/// A time in which one server took writes.
#[derive(Clone, Copy, Debug)]
struct Span {
    from_ns: u64,
    to_ns: u64,
    /// False for one write alone: it was taken at one moment, somewhere in between.
    is_sure: bool,
}

impl Span {
    fn holds(&self, other: &Self) -> bool {
        self.from_ns <= other.from_ns && other.to_ns <= self.to_ns
    }
}

/// Writes that follow one another closely: from the first's acknowledgement the server did take
/// writes, and when it was asked the last one it still did.
fn spans(probes: &[Probe]) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut run: Vec<(u64, u64)> = Vec::new();
    let mut end = |run: &mut Vec<(u64, u64)>| {
        if let (Some(first), Some(last)) = (run.first(), run.last()) {
            spans.push(if run.len() > 1 {
                Span {
                    from_ns: first.1,
                    to_ns: last.0,
                    is_sure: true,
                }
            } else {
                Span {
                    from_ns: first.0,
                    to_ns: first.1,
                    is_sure: false,
                }
            });
        }
        run.clear();
    };
    for probe in probes {
        match *probe {
            Probe::Refused => end(&mut run),
            Probe::Taken { sent_ns, acked_ns } => {
                let is_near = |last: &(u64, u64)| acked_ns.saturating_sub(last.1) <= PROOF_NS_MAX;
                if !run.last().is_none_or(is_near) {
                    end(&mut run);
                }
                if acked_ns.saturating_sub(sent_ns) <= PROOF_NS_MAX {
                    run.push((sent_ns, acked_ns));
                }
            }
        }
    }
    end(&mut run);
    spans
}

fn whole_lines(text: &str) -> impl Iterator<Item = &str> {
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

/// From `w SERVER SENT_NS ACKED_NS` or `r SERVER`.
fn probe(line: &str) -> Option<(u8, Probe)> {
    let mut words = line.split(' ');
    let kind = words.next()?;
    let server = words.next()?.parse().ok()?;
    match kind {
        "w" => {
            let sent_ns = words.next()?.parse().ok()?;
            let acked_ns = words.next()?.parse().ok()?;
            Some((server, Probe::Taken { sent_ns, acked_ns }))
        }
        "r" => Some((server, Probe::Refused)),
        _ => None,
    }
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

    fn taken(sent_ms: u64, acked_ms: u64) -> Probe {
        Probe::Taken {
            sent_ns: sent_ms * MS,
            acked_ns: acked_ms * MS,
        }
    }

    /// A write of 2 ms every 20 ms.
    fn steady(from_ms: u64, to_ms: u64) -> Vec<Probe> {
        let starts = (from_ms..to_ms).step_by(20);
        starts.map(|ms| taken(ms, ms + 2)).collect()
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
    fn one_after_the_other_is_one_writer() {
        let found = writers(&[steady(0, 1_000), steady(1_000, 2_000), Vec::new()]);
        let one = Writers {
            at_once_max: 1,
            many: Duration::ZERO,
        };
        assert_eq!(found, one);
        assert_eq!(writers(&[Vec::new(), Vec::new()]), Writers::default());
    }

    #[test]
    fn a_handover_within_one_write_is_no_overlap() {
        // The new one was asked before the old one's last answer, and answered after it.
        let old = vec![taken(0, 2), taken(20, 22), Probe::Refused];
        let new = vec![Probe::Refused, taken(21, 24), taken(41, 43)];
        assert_eq!(writers(&[old.clone(), new]).at_once_max, 1);
        // The old one was asked for the last time at the very moment of the new one's first answer.
        let new = vec![taken(18, 20), taken(40, 42)];
        assert_eq!(writers(&[old, new]).at_once_max, 1);
    }

    #[test]
    fn a_write_that_reaches_beyond_anothers_time_proves_nothing() {
        let old = vec![taken(0, 2), taken(20, 22), taken(40, 42)];
        for alone in [taken(1, 10), taken(30, 41), taken(0, 60)] {
            assert_eq!(writers(&[old.clone(), vec![alone]]).at_once_max, 1);
        }
        assert_eq!(writers(&[old, vec![taken(3, 39)]]).at_once_max, 2);
        // Nor do two alone: both may have come before either answer.
        let alone = || vec![taken(10, 20)];
        assert_eq!(writers(&[alone(), alone()]).at_once_max, 1);
    }

    #[test]
    fn two_at_once_are_counted_and_timed() {
        let found = writers(&[steady(0, 1_000), steady(600, 2_000)]);
        assert_eq!(found.at_once_max, 2);
        // From the second's first acknowledgement, 602, to the first's last question, 980.
        assert_eq!(found.many, Duration::from_millis(378));
        let three = [steady(0, 1_000), steady(0, 1_000), steady(500, 700)];
        assert_eq!(writers(&three).at_once_max, 3);
    }

    #[test]
    fn one_stray_write_amid_anothers_is_two_writers() {
        let stray = vec![Probe::Refused, taken(505, 510), Probe::Refused];
        let found = writers(&[steady(0, 1_000), stray]);
        assert_eq!(found.at_once_max, 2);
        assert_eq!(found.many, Duration::from_millis(5));
    }

    #[test]
    fn a_write_that_was_frozen_on_its_way_proves_nothing() {
        let mut old = steady(0, 1_000);
        old.extend([taken(1_000, 31_000), Probe::Refused]);
        let new = steady(20_000, 40_000);
        assert_eq!(writers(&[old.clone(), new.clone()]).at_once_max, 1);
        // One more, asked after the thaw, does; and the time of the frost is no part of it.
        old.pop();
        old.extend([taken(31_010, 31_012), taken(31_030, 31_032), Probe::Refused]);
        let found = writers(&[old, new]);
        assert_eq!(found.at_once_max, 2);
        assert_eq!(found.many, Duration::from_millis(18));
    }

    #[test]
    fn a_refusal_in_between_ends_the_proof() {
        let old = vec![taken(0, 2), Probe::Refused, taken(100, 102)];
        assert_eq!(writers(&[old, vec![taken(50, 52)]]).at_once_max, 1);
        // Without it, the first took writes before and after the other one's.
        let old = vec![taken(0, 2), taken(100, 102)];
        assert_eq!(writers(&[old, vec![taken(50, 52)]]).at_once_max, 2);
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

    #[test]
    fn probes_are_told_apart_by_server() {
        let text = "w 1 10 20\nr 2\nw 2 30 40\nw 1 50 6";
        let first = Probe::Taken {
            sent_ns: 10,
            acked_ns: 20,
        };
        let second = Probe::Taken {
            sent_ns: 30,
            acked_ns: 40,
        };
        let read = probes(text, &[1, 2, 3]);
        assert_eq!(read, [vec![first], vec![Probe::Refused, second], vec![]]);
    }
}
