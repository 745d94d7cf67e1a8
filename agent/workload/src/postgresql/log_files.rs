//! What the files of a server's own log tell, which lie there before anything else does.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::control::Control;

/// How long the name of a file of the log is: eight digits of its timeline, and its number.
const NAME_LENGTH: usize = 24;

/// The latest timeline that any of the log here is of.
pub(super) fn log_timeline(log: &Path) -> u32 {
    let Ok(entries) = fs::read_dir(log) else {
        return u32::MAX;
    };
    let timeline = |entry: std::io::Result<fs::DirEntry>| {
        let name = entry.ok()?.file_name();
        let name = name.to_str()?;
        let digits = name
            .get(..NAME_LENGTH)
            .filter(|_| name.len() == NAME_LENGTH || name.ends_with(".partial"))?;
        u64::from_str_radix(&digits[8..], 16).ok()?;
        u32::from_str_radix(&digits[..8], 16).ok()
    };
    entries.filter_map(timeline).max().unwrap_or(0)
}

/// Where the first file begins that a server lacks, of the log that it has to go through before it lets
/// anybody in. None: it has all of them, or nobody can tell.
pub(super) fn hole(log: &Path, control: &Control) -> Option<u64> {
    let entries = fs::read_dir(log).ok()?.flatten();
    let there: BTreeSet<String> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let is_file = name.len() == NAME_LENGTH && name.is_ascii();
            is_file.then(|| name[8..].to_owned())
        })
        .collect();
    let paging = control.paging;
    let numbers = control.redo / paging.segment_bytes..=control.recovery_end / paging.segment_bytes;
    numbers
        .map(|number| number * paging.segment_bytes)
        .take_while(|begin| *begin < control.recovery_end)
        .find(|begin| !there.contains(&paging.file_name(0, *begin)[8..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgresql::control::State;
    use crate::postgresql::lsn::Paging;

    const SEGMENT: u64 = 16 << 20;

    fn control(redo: u64, recovery_end: u64) -> Control {
        Control {
            system: 1,
            state: State::Running,
            checkpoint: redo,
            redo,
            timeline: 1,
            recovery_timeline: 2,
            recovery_end,
            paging: Paging {
                page_bytes: 8192,
                segment_bytes: SEGMENT,
            },
            is_rewindable: true,
        }
    }

    #[test]
    fn the_first_file_that_is_missing_on_the_way_is_found() {
        let log = tempfile::tempdir().unwrap();
        for name in [
            "000000010000000000000004",
            "000000020000000000000005",
            "000000020000000000000007",
            "00000002.history",
            "000000010000000000000006.partial",
        ] {
            fs::write(log.path().join(name), "1234").unwrap();
        }
        let hole = |redo, end| hole(log.path(), &control(redo, end));
        let within = |number: u64| number * SEGMENT + 40;
        for (what, redo, end, expected) in [
            ("all are there", within(4), within(5), None),
            ("one is not", within(4), within(7), Some(6 * SEGMENT)),
            ("nothing of it is needed", within(4), 6 * SEGMENT, None),
            ("the first", within(3), within(7), Some(3 * SEGMENT)),
            ("a server that was no standby", within(4), 0, None),
            ("one that is past that", within(7), within(6), None),
        ] {
            assert_eq!(hole(redo, end), expected, "{what}");
        }
        assert_eq!(
            super::hole(Path::new("/nowhere"), &control(1, 2)),
            None,
            "nobody can tell"
        );
    }

    #[test]
    fn the_latest_timeline_is_that_of_any_file() {
        let log = tempfile::tempdir().unwrap();
        assert_eq!(log_timeline(log.path()), 0);
        fs::write(log.path().join("000000010000000000000004"), "").unwrap();
        let partial = "000000030000000000000004.partial";
        fs::write(log.path().join(partial), "").unwrap();
        fs::write(log.path().join("00000007.history"), "").unwrap();
        assert_eq!(log_timeline(log.path()), 3);
        assert_eq!(log_timeline(Path::new("/nowhere")), u32::MAX);
    }
}
