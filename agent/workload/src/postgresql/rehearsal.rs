//! How the server of a drill's copy is configured: as the standby where data asks for it, and with no way to
//! anybody.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::alone::ALONE;

/// What the copy has to have as the standby does, or data written there would not do here.
pub(super) const SAME: &[&str] = &[
    "max_connections",
    "max_worker_processes",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
    "max_replication_slots",
    "track_commit_timestamp",
    "wal_level",
    "shared_preload_libraries",
    "timezone",
    "default_text_search_config",
];

/// What it needs beside [`ALONE`].
const BESIDE: [(&str, &str); 4] = [
    ("shared_buffers", "64MB"),
    ("huge_pages", "off"),
    ("hot_standby", "on"),
    ("restore_command", ""),
];

/// The most that PostgreSQL takes.
const SORT_KB_MAX: u64 = 2_147_483_647;

/// The whole configuration of a copy in a folder. `sort_bytes`: how much each of its processes may write
/// into files of its own.
pub(super) fn settings(folder: &Path, same: &BTreeMap<String, String>, sort_bytes: u64) -> String {
    let place = folder.display().to_string();
    let mut list: Vec<(&str, String)> = same
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect();
    let within = |name: &str| folder.join(name).display().to_string();
    list.extend([
        ("hba_file", within("hba.conf")),
        ("ident_file", within("ident.conf")),
        ("unix_socket_directories", place),
        (
            "temp_file_limit",
            format!("{}kB", (sort_bytes >> 10).clamp(1, SORT_KB_MAX)),
        ),
    ]);
    let fixed = ALONE.into_iter().chain(BESIDE);
    list.extend(fixed.map(|(name, value)| (name, value.to_owned())));
    let mut text = String::new();
    for (name, value) in list {
        // Writing to a text can't fail.
        let _ = writeln!(text, "{name} = '{}'", value.replace('\'', "''"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_has_no_way_to_anybody() {
        let same = BTreeMap::from([("timezone".to_owned(), "it's".to_owned())]);
        let text = settings(Path::new("/d"), &same, u64::MAX);
        for line in [
            "timezone = 'it''s'",
            "listen_addresses = ''",
            "primary_conninfo = ''",
            "archive_mode = 'off'",
            "temp_file_limit = '2147483647kB'",
            "synchronous_standby_names = ''",
            "unix_socket_directories = '/d'",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}: {text}");
        }
    }
}
