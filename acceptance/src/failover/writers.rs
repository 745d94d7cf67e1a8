//! Which server took writes when, who did at once, and what of it was lost.
//!
//! Times are those of the [`ledger`](super::ledger). Only what is proved counts: a machine that is
//! slow makes it find less, never more.

use std::collections::BTreeSet;
use std::time::Duration;

use super::ledger::whole_lines;

/// A probe's write that took longer proves nothing: nobody knows when in between it was taken. Two
/// writes farther apart don't prove that one in between would have been taken.
const PROOF_NS_MAX: u64 = 250_000_000;

/// What came of asking one server to take a write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Probe {
    /// It was taken at some moment in between.
    Taken {
        /// Which of the server's.
        number: u64,
        /// When it was asked.
        sent_ns: u64,
        /// When it said yes.
        acked_ns: u64,
    },
    /// It was refused, or the server could not be reached.
    Refused,
}

/// Who took writes at the same time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Writers {
    /// The most at any moment.
    pub at_once_max: usize,
    /// For how long there were two or more.
    pub many: Duration,
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

/// How many of the writes that the observer was told of are not among `present`, which are (server,
/// number): what a client would have lost that still reached whoever took them.
#[must_use]
pub fn lost_probes(probes: &[Vec<Probe>], servers: &[u8], present: &BTreeSet<(u8, u64)>) -> usize {
    let all = servers.iter().zip(probes);
    let numbers = all.flat_map(|(server, probes)| {
        let number = |probe: &Probe| match *probe {
            Probe::Taken { number, .. } => Some((*server, number)),
            Probe::Refused => None,
        };
        probes.iter().filter_map(number)
    });
    numbers.filter(|probe| !present.contains(probe)).count()
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
            Probe::Taken {
                sent_ns, acked_ns, ..
            } => {
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

/// From `w SERVER NUMBER SENT_NS ACKED_NS` or `r SERVER`.
fn probe(line: &str) -> Option<(u8, Probe)> {
    let mut words = line.split(' ');
    let kind = words.next()?;
    let server = words.next()?.parse().ok()?;
    match kind {
        "w" => {
            let taken = Probe::Taken {
                number: words.next()?.parse().ok()?,
                sent_ns: words.next()?.parse().ok()?,
                acked_ns: words.next()?.parse().ok()?,
            };
            Some((server, taken))
        }
        "r" => Some((server, Probe::Refused)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn taken(sent_ms: u64, acked_ms: u64) -> Probe {
        Probe::Taken {
            number: sent_ms,
            sent_ns: sent_ms * MS,
            acked_ns: acked_ms * MS,
        }
    }

    /// A write of 2 ms every 20 ms.
    fn steady(from_ms: u64, to_ms: u64) -> Vec<Probe> {
        let starts = (from_ms..to_ms).step_by(20);
        starts.map(|ms| taken(ms, ms + 2)).collect()
    }

    #[test]
    fn a_write_that_only_the_old_one_has_is_lost() {
        // The second server's 30 is not the first one's.
        let probes = [
            vec![taken(10, 12), taken(30, 32), Probe::Refused],
            vec![taken(50, 52)],
        ];
        let present = BTreeSet::from([(1, 10), (2, 30), (2, 50)]);
        assert_eq!(lost_probes(&probes, &[1, 2], &present), 1);
        assert_eq!(lost_probes(&probes, &[1, 2], &BTreeSet::new()), 3);
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
    fn probes_are_told_apart_by_server() {
        let text = "w 1 7 10 20\nr 2\nw 2 8 30 40\nw 1 9 50 6";
        let first = Probe::Taken {
            number: 7,
            sent_ns: 10,
            acked_ns: 20,
        };
        let second = Probe::Taken {
            number: 8,
            sent_ns: 30,
            acked_ns: 40,
        };
        let read = probes(text, &[1, 2, 3]);
        assert_eq!(read, [vec![first], vec![Probe::Refused, second], vec![]]);
    }
}
