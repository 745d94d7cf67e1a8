//! The room that a server has for what it writes.

use std::path::Path;

use super::seed::free_bytes;

/// With less than this for the next few files of its log a server is about to stand still.
const ROOM_MIN_BYTES: u64 = 64 << 20;

/// What is wrong with it, in a sentence, for the data and for the log, which may lie elsewhere.
pub(super) fn no_room(data: &Path) -> Option<String> {
    let places = [data.to_owned(), data.join("pg_wal")];
    places.into_iter().find_map(|place| {
        let free_bytes = free_bytes(&place).ok()?;
        (free_bytes < ROOM_MIN_BYTES).then(|| sentence(&place, free_bytes))
    })
}

fn sentence(place: &Path, free_bytes: u64) -> String {
    let (place, free_mb) = (place.display(), free_bytes >> 20);
    format!("{place} has {free_mb} MB free: make room, or the server will write no more")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_stands_on_the_page_of_errors() {
        let page = include_str!("../../../../docs/dr-errors.md");
        let said = sentence(Path::new("/srv/data"), 12 << 20);
        assert!(page.contains(&format!("| {said} |")), "{said}");
    }
}
