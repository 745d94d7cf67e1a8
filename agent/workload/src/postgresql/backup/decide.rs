//! When a backup is made, of which kind, and which ones stay: pure functions of what there is.

use std::time::Duration;

use super::repository::{Kind, Made};

/// A full backup is made at least so often, however long backups are kept: each that builds upon it
/// needs all that were made in between.
const FULL_EVERY_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Make a backup.
    Make(Kind),
    /// Nothing is due before that.
    Wait(Duration),
}

/// What to do next. `made`: by the time when they ended, the earliest first. `has_gap`: parts of the log
/// are missing since, so that nothing after them can be restored from what there is.
pub(super) fn next(
    made: &[Made],
    now_unix_s: u64,
    (interval, retention): (Duration, Duration),
    has_gap: bool,
) -> Next {
    let ago = |made: &Made| match made.ended_unix_s.checked_sub(now_unix_s) {
        // What ends later than now was made by a clock that was wrong, if it is much.
        Some(ahead_s) if Duration::from_secs(ahead_s) > interval => Duration::MAX,
        Some(_) => Duration::ZERO,
        None => Duration::from_secs(now_unix_s - made.ended_unix_s),
    };
    let full = made.iter().rfind(|made| made.kind == Kind::Full).map(ago);
    let (Some(full_ago), Some(latest_ago)) = (full, made.last().map(ago)) else {
        return Next::Make(Kind::Full);
    };
    if !has_gap && latest_ago < interval {
        return Next::Wait(interval - latest_ago);
    }
    let full_every = (retention / 2).min(FULL_EVERY_MAX).max(interval);
    Next::Make(match full_ago >= full_every {
        true => Kind::Full,
        false => Kind::Incremental,
    })
}

/// How many full backups stay, with all that builds upon them: so many that the earliest time of which
/// restores are promised can be restored.
pub(super) fn fulls_kept(made: &[Made], now_unix_s: u64, retention: Duration) -> usize {
    let horizon_unix_s = now_unix_s.saturating_sub(retention.as_secs());
    let fulls = made.iter().filter(|made| made.kind == Kind::Full);
    let fulls: Vec<u64> = fulls.map(|made| made.ended_unix_s).collect();
    let needed = fulls.iter().rposition(|ended| *ended <= horizon_unix_s);
    (fulls.len() - needed.unwrap_or(0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const NOW: u64 = 1_000_000;

    /// Backups that ended so many hours ago.
    fn made(ago_h: &[(u64, Kind)]) -> Vec<Made> {
        let one = |(ago_h, kind): &(u64, Kind)| Made {
            label: format!("{ago_h}"),
            kind: *kind,
            began_unix_s: NOW - ago_h * 3600 - 10,
            ended_unix_s: NOW - ago_h * 3600,
            size_bytes: 1,
            stored_bytes: 1,
            timeline: 1,
            log_end: None,
        };
        ago_h.iter().map(one).collect()
    }

    #[test]
    fn the_first_backup_is_a_full_one_and_later_ones_build_upon_it_for_a_while() {
        let next = |made: &[Made], has_gap| super::next(made, NOW, (6 * HOUR, 48 * HOUR), has_gap);
        let (full, incremental) = (Kind::Full, Kind::Incremental);
        assert_eq!(next(&[], false), Next::Make(full));
        assert_eq!(next(&made(&[(4, full)]), false), Next::Wait(2 * HOUR));
        assert_eq!(next(&made(&[(6, full)]), false), Next::Make(incremental));
        let chain = made(&[(24, full), (6, incremental)]);
        assert_eq!(next(&chain, false), Next::Make(full));
        let chain = made(&[(23, full), (5, incremental)]);
        assert_eq!(next(&chain, false), Next::Wait(HOUR));
        assert_eq!(
            next(&chain, true),
            Next::Make(incremental),
            "the log has a gap"
        );
        // What builds upon a backup that is gone is no backup.
        assert_eq!(next(&made(&[(1, incremental)]), false), Next::Make(full));
    }

    #[test]
    fn a_backup_of_a_clock_that_was_wrong_delays_none() {
        let mut ahead = made(&[(1, Kind::Full)]);
        ahead[0].ended_unix_s = NOW + 100 * 3600;
        let next = super::next(&ahead, NOW, (6 * HOUR, 48 * HOUR), false);
        assert_eq!(next, Next::Make(Kind::Full));
    }

    #[test]
    fn what_the_earliest_promised_time_needs_stays_and_no_more() {
        let kept = |ago_h: &[u64]| {
            let made: Vec<_> = ago_h.iter().map(|ago| (*ago, Kind::Full)).collect();
            fulls_kept(&self::made(&made), NOW, 24 * HOUR)
        };
        assert_eq!(kept(&[]), 1);
        assert_eq!(kept(&[2]), 1);
        assert_eq!(kept(&[20, 10]), 2);
        assert_eq!(kept(&[30, 10]), 2, "the time 24 h ago needs the older one");
        assert_eq!(kept(&[24, 10]), 2);
        assert_eq!(kept(&[40, 30, 10]), 2);
        assert_eq!(kept(&[50, 40, 30]), 1);
    }
}
