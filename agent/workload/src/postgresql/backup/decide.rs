//! When a backup is made, of which kind, which ones stay, and what is wrong with them: pure functions of
//! what there is.

use std::time::Duration;

use super::gap::{Course, Gap, Known};
use super::repository::{Kind, Made};
use crate::space::Space;

/// A full backup is made at least so often, however long backups are kept: each that builds upon it
/// needs all that were made in between.
const FULL_EVERY_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// So much two clocks may differ.
const CLOCKS_DIFFER_MAX_S: u64 = 60;
/// A log that waits for its repository takes no more than this share of the disk, nor of what is free.
const WAITING_SHARE: u64 = 4;
const WAITING_FREE_SHARE: u64 = 2;
/// What may wait is said in steps, so that it doesn't change with each byte.
const WAITING_STEP_BYTES: u64 = 64 << 20;

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Make a backup.
    Make(Kind),
    /// Nothing is due before that.
    Wait(Duration),
}

/// What to do next. `made`: in the order in which they were made. A gap: nothing after it can be restored
/// from what there is.
pub(super) fn next(
    made: &[Made],
    now_unix_s: u64,
    (interval, retention): (Duration, Duration),
    gap: Option<Gap>,
) -> Next {
    let full = made.iter().rfind(|made| made.kind == Kind::Full);
    let (Some(full), Some(latest)) = (full, made.last()) else {
        return Next::Make(Kind::Full);
    };
    // pgBackRest makes none that would be named earlier than the latest. What builds upon one is named
    // after that one.
    let ahead = |made: &Made| Duration::from_secs(made.began_unix_s.saturating_sub(now_unix_s));
    match (ahead(full), ahead(latest)) {
        (Duration::ZERO, Duration::ZERO) => {}
        (Duration::ZERO, ahead) if ahead.as_secs() > CLOCKS_DIFFER_MAX_S => {
            return Next::Make(Kind::Full);
        }
        (full, latest) => return Next::Wait(full.max(latest)),
    }
    let ago = |made: &Made| Duration::from_secs(now_unix_s - ended(made, now_unix_s));
    let is_due = match gap {
        // The next one is damaged too as a rule: it is made when it is due.
        None | Some(Gap::Damaged) => ago(latest) >= interval,
        Some(Gap::Unproved | Gap::LetGo) => true,
    };
    if !is_due {
        return Next::Wait(interval - ago(latest));
    }
    let full_every = (retention / 2).min(FULL_EVERY_MAX).max(interval);
    Next::Make(match ago(full) >= full_every {
        true => Kind::Full,
        false => Kind::Incremental,
    })
}

/// How many full backups stay, with all that builds upon them: so many that the earliest time of which
/// restores are promised can be restored. A damaged one takes no other's place.
pub(super) fn fulls_kept(made: &[Made], now_unix_s: u64, retention: Duration) -> usize {
    let horizon_unix_s = now_unix_s.saturating_sub(retention.as_secs());
    let fulls: Vec<&Made> = made.iter().filter(|made| made.kind == Kind::Full).collect();
    let has_good = fulls.iter().any(|made| !made.is_damaged);
    let needed = fulls
        .iter()
        .rposition(|made| made.ended_unix_s <= horizon_unix_s && !(made.is_damaged && has_good));
    (fulls.len() - needed.unwrap_or(0)).max(1)
}

/// The backups to restore from: a damaged one only where there is none before it that is not.
pub(super) fn to_restore_from(mut made: Vec<Made>) -> Vec<Made> {
    let mut has_good = false;
    made.retain(|made| {
        has_good |= !made.is_damaged;
        !has_good || !made.is_damaged
    });
    made
}

/// When it ended. None ended later than now, whatever the clock said of the one who made it.
pub(super) fn ended(made: &Made, now_unix_s: u64) -> u64 {
    made.ended_unix_s.min(now_unix_s)
}

/// What is wrong with the latest backup.
pub(super) fn flaw(made: &[Made], now_unix_s: u64) -> Option<String> {
    let latest = made.last()?;
    let ahead_s = latest.began_unix_s.saturating_sub(now_unix_s);
    if ahead_s > CLOCKS_DIFFER_MAX_S {
        return Some(format!(
            "the backup {} is dated {ahead_s} s later than now, and no other may be made before that: a \
             clock was wrong, that of the node that made it or this one's. Set it; to go on at once, name \
             a repository that is empty",
            latest.label
        ));
    }
    latest.is_damaged.then(|| {
        format!(
            "the backup {} does not count, since pages of the primary are damaged: their checksums are \
             wrong. The server's log, or `pg_amcheck`, says of which tables; move to a standby, which as a \
             rule has them whole",
            latest.label
        )
    })
}

/// Whether the log has a gap. `has_dropped`: parts of it were let go since a backup last began to end one.
pub(super) fn gap(known: Option<&Known>, course: &Course, has_dropped: bool) -> Option<Gap> {
    match known.filter(|known| known.course == *course) {
        None => Some(Gap::Unproved),
        Some(known) if known.gap == Some(Gap::Unproved) => known.gap,
        Some(_) if has_dropped => Some(Gap::LetGo),
        Some(known) => known.gap,
    }
}

/// How much of the log may wait for its repository before it is let go. `waiting_bytes`: so much does.
pub(super) fn waiting_max_bytes(disk: Space, waiting_bytes: u64) -> u64 {
    let room_bytes = disk.free_bytes.saturating_add(waiting_bytes) / WAITING_FREE_SHARE;
    let max_bytes = (disk.total_bytes / WAITING_SHARE).min(room_bytes);
    (max_bytes / WAITING_STEP_BYTES).max(1) * WAITING_STEP_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const NOW: u64 = 1_000_000;
    const SPANS: (Duration, Duration) = (
        Duration::from_secs(6 * 3600),
        Duration::from_secs(48 * 3600),
    );

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
            is_damaged: false,
        };
        ago_h.iter().map(one).collect()
    }

    #[test]
    fn the_first_backup_is_a_full_one_and_later_ones_build_upon_it_for_a_while() {
        let next = |made: &[Made], gap| super::next(made, NOW, SPANS, gap);
        let (full, incremental) = (Kind::Full, Kind::Incremental);
        assert_eq!(next(&[], None), Next::Make(full));
        assert_eq!(next(&made(&[(4, full)]), None), Next::Wait(2 * HOUR));
        assert_eq!(next(&made(&[(6, full)]), None), Next::Make(incremental));
        let chain = made(&[(24, full), (6, incremental)]);
        assert_eq!(next(&chain, None), Next::Make(full));
        let chain = made(&[(23, full), (5, incremental)]);
        assert_eq!(next(&chain, None), Next::Wait(HOUR));
        assert_eq!(
            next(&chain, Some(Gap::LetGo)),
            Next::Make(incremental),
            "the log has a gap"
        );
        assert_eq!(
            next(&chain, Some(Gap::Unproved)),
            Next::Make(incremental),
            "whoever was promoted begins with one"
        );
        assert_eq!(
            next(&chain, Some(Gap::Damaged)),
            Next::Wait(HOUR),
            "a damaged one follows no damaged one at once"
        );
        // What builds upon a backup that is gone is no backup.
        assert_eq!(next(&made(&[(1, incremental)]), None), Next::Make(full));
    }

    #[test]
    fn a_backup_of_a_clock_that_was_wrong_is_told_and_delays_no_more_than_it_must() {
        let next = |made: &[Made]| super::next(made, NOW, SPANS, None);
        let ahead = |made: &mut Made, by_s| {
            (made.began_unix_s, made.ended_unix_s) = (NOW + by_s, NOW + by_s + 10);
        };
        let mut chain = made(&[(2, Kind::Full), (1, Kind::Incremental)]);
        ahead(&mut chain[1], 3600);
        assert!(flaw(&chain, NOW).unwrap().contains("3600 s later than now"));
        assert_eq!(
            next(&chain),
            Next::Make(Kind::Full),
            "one that is named later"
        );
        chain.extend(made(&[(0, Kind::Full)]));
        assert_eq!(
            (next(&chain), flaw(&chain, NOW)),
            (Next::Wait(6 * HOUR), None)
        );

        let mut full = made(&[(1, Kind::Full)]);
        ahead(&mut full[0], 3600);
        assert_eq!(next(&full), Next::Wait(HOUR), "pgBackRest would refuse");
        assert!(flaw(&full, NOW).is_some());
        ahead(&mut full[0], 5);
        assert_eq!(
            (next(&full), flaw(&full, NOW)),
            (Next::Wait(Duration::from_secs(5)), None)
        );
        // It began before now and ended after: it is from now at the latest.
        full[0].began_unix_s = NOW - 1;
        full[0].ended_unix_s = NOW + 100 * 3600;
        assert_eq!(ended(&full[0], NOW), NOW);
        assert_eq!(next(&full), Next::Wait(6 * HOUR));
    }

    #[test]
    fn a_damaged_backup_is_told_and_no_other_goes_for_it() {
        let mut chain = made(&[(50, Kind::Full), (30, Kind::Full), (1, Kind::Full)]);
        chain[1].is_damaged = true;
        assert_eq!(flaw(&chain, NOW), None, "the latest one is good");
        assert_eq!(fulls_kept(&chain, NOW, 24 * HOUR), 3);
        let labels = |made: Vec<Made>| -> Vec<String> {
            to_restore_from(made)
                .into_iter()
                .map(|made| made.label)
                .collect()
        };
        assert_eq!(labels(chain.clone()), ["50", "1"]);
        chain[2].is_damaged = true;
        assert!(flaw(&chain, NOW).unwrap().contains("damaged"));
        assert_eq!(
            fulls_kept(&chain, NOW, HOUR / 2),
            3,
            "the only good one stays"
        );
        assert_eq!(super::next(&chain, NOW, SPANS, None), Next::Wait(5 * HOUR));
        chain[0].is_damaged = true;
        assert_eq!(
            labels(chain.clone()),
            ["50", "30", "1"],
            "better than nothing"
        );
        assert_eq!(fulls_kept(&chain, NOW, HOUR / 2), 1);
    }

    #[test]
    fn a_log_has_a_gap_until_a_backup_was_made_of_the_same_course() {
        let course = |epoch, repository: &str| Course {
            epoch,
            repository: repository.to_owned(),
        };
        let here = course(5, "/backups");
        let known = |gap| Known {
            course: here.clone(),
            gap,
        };
        let of = |known: &Known, has_dropped| gap(Some(known), &here, has_dropped);
        assert_eq!(gap(None, &here, false), Some(Gap::Unproved));
        assert_eq!(of(&known(None), false), None);
        for other in [course(9, "/backups"), course(5, "/elsewhere")] {
            assert_eq!(gap(Some(&known(None)), &other, false), Some(Gap::Unproved));
        }
        assert_eq!(of(&known(None), true), Some(Gap::LetGo));
        let damaged = known(Some(Gap::Damaged));
        assert_eq!(of(&damaged, false), Some(Gap::Damaged));
        assert_eq!(of(&damaged, true), Some(Gap::LetGo));
        let unproved = known(Some(Gap::Unproved));
        assert_eq!(of(&unproved, true), Some(Gap::Unproved));
        let let_go = known(Some(Gap::LetGo));
        assert_eq!(of(&let_go, false), Some(Gap::LetGo), "a backup began");
    }

    #[test]
    fn a_log_waits_in_no_more_room_than_the_server_can_spare() {
        const GIB: u64 = 1 << 30;
        let max = |total_bytes, free_bytes, waiting_bytes| {
            let disk = Space {
                total_bytes,
                free_bytes,
            };
            waiting_max_bytes(disk, waiting_bytes)
        };
        assert_eq!(max(100 * GIB, 90 * GIB, 0), 25 * GIB);
        assert_eq!(max(100 * GIB, 10 * GIB, 0), 5 * GIB, "half of what is free");
        assert_eq!(
            max(100 * GIB, 6 * GIB, 4 * GIB),
            5 * GIB,
            "what waits is not lost"
        );
        assert_eq!(
            max(100 * GIB, 10 * GIB + 4096, 0),
            5 * GIB,
            "not with each byte"
        );
        assert_eq!(max(GIB, 0, 0), WAITING_STEP_BYTES);
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
