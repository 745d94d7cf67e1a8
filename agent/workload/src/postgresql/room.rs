//! The room that a server has for what it writes.

use std::path::Path;

use super::seed::free_bytes;

/// With less than this for the next few files of its log a server is about to stand still.
const ROOM_MIN_BYTES: u64 = 64 << 20;

/// What is wrong with it, in a sentence, for the data and for the log, which may lie elsewhere.
pub(super) fn no_room(data: &Path) -> Option<String> {
    let places = [data.to_owned(), data.join("pg_wal")];
    let (place, free_bytes) = places.into_iter().find_map(|place| {
        let free_bytes = free_bytes(&place).ok()?;
        (free_bytes < ROOM_MIN_BYTES).then_some((place, free_bytes))
    })?;
    Some(format!(
        "{} has {} MB free: make room, or the server will write no more",
        place.display(),
        free_bytes >> 20
    ))
}
