//! The room that a server has for what it writes.

use std::path::Path;

use crate::space::Space;

/// With less than this share of the disk free it is high time to make room,
const SHARE: u64 = 50;
/// on a small one from here on, which is a few files of the log,
const ROOM_MIN_BYTES: u64 = 64 << 20;
/// and on a large one only from here on.
const ROOM_MAX_BYTES: u64 = 1 << 30;

/// What is wrong with it, in a sentence, for the data and for the log, which may lie elsewhere.
pub(super) fn no_room(data: &Path) -> Option<String> {
    let places = [data.to_owned(), data.join("pg_wal")];
    places.into_iter().find_map(|place| {
        let space = Space::of(&place).ok()?;
        is_little(space).then(|| sentence(&place, space.free_bytes))
    })
}

fn is_little(space: Space) -> bool {
    space.free_bytes < (space.total_bytes / SHARE).clamp(ROOM_MIN_BYTES, ROOM_MAX_BYTES)
}

fn sentence(place: &Path, free_bytes: u64) -> String {
    let (place, free_mb) = (place.display(), free_bytes >> 20);
    format!("{place} has {free_mb} MB free: make room, or the server will write no more")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_disk_is_full_at_a_gigabyte_and_a_small_one_at_a_few_files_of_the_log() {
        let (mb, gb, tb) = (1 << 20, 1 << 30, 1 << 40);
        for (free_bytes, total_bytes, expected) in [
            (63 * mb, gb, true),
            (65 * mb, gb, false),
            (300 * mb, 16 * gb, true),
            (400 * mb, 16 * gb, false),
            (gb - 1, 10 * tb, true),
            (gb, 10 * tb, false),
        ] {
            let space = Space {
                total_bytes,
                free_bytes,
            };
            assert_eq!(is_little(space), expected, "{free_bytes}");
        }
    }

    #[test]
    fn what_is_said_stands_on_the_page_of_errors() {
        let page = include_str!("../../../../docs/dr-errors.md");
        let said = sentence(Path::new("/srv/data"), 12 << 20);
        assert!(page.contains(&format!("| {said} |")), "{said}");
    }
}
