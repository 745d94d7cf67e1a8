//! What the primary before may not have archived: a standby has it as a rule, and PostgreSQL takes all that a
//! standby received for archived.

use std::fs;
use std::io;
use std::path::Path;

use crate::trouble::Trouble;

/// Has a standby that is about to be promoted archive the parts of the log that it still has. A part that
/// is in the repository already stays there as it is.
pub(crate) fn inherit(data: &Path) -> Result<usize, Trouble> {
    let log = data.join("pg_wal");
    let status = log.join("archive_status");
    let entries = fs::read_dir(&status).map_err(|error| Trouble::io("read", &status, &error))?;
    let mut inherited = 0;
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(part) = name.to_str().and_then(|name| name.strip_suffix(".done")) else {
            continue;
        };
        if !is_part(part) || !log.join(part).is_file() {
            continue;
        }
        match fs::rename(entry.path(), status.join(format!("{part}.ready"))) {
            Ok(()) => inherited += 1,
            // The server removed it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Trouble::io("rename", &entry.path(), &error)),
        }
    }
    Ok(inherited)
}

/// Whether it is a whole part of the log, or says where a timeline began.
fn is_part(name: &str) -> bool {
    let is_number = |text: &str, length| {
        text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    match name.strip_suffix(".history") {
        Some(timeline) => is_number(timeline, 8),
        None => is_number(name, 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_standby_still_has_is_archived_and_what_it_has_not_is_not() {
        let data = tempfile::tempdir().unwrap();
        let log = data.path().join("pg_wal");
        let status = log.join("archive_status");
        fs::create_dir_all(&status).unwrap();
        let (here, gone) = ("000000010000000000000002", "000000010000000000000001");
        let partial = "000000010000000000000003.partial";
        for name in [here, "00000002.history", partial] {
            fs::write(log.join(name), "").unwrap();
        }
        for name in [here, gone, "00000002.history", partial] {
            fs::write(status.join(format!("{name}.done")), "").unwrap();
        }
        assert_eq!(inherit(data.path()), Ok(2));
        let is_ready = |name: &str| status.join(format!("{name}.ready")).exists();
        assert!(is_ready(here) && is_ready("00000002.history"));
        assert!(!is_ready(gone) && !is_ready(partial));
        inherit(Path::new("/nowhere")).unwrap_err();
    }
}
