//! The archive of the log: what a server is told of it, and how it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hanse_core::dr::duty::CopyPlan;

use super::super::configure::Own;
use super::super::layout::Server;
use super::super::session::Session;
use super::super::settings::Setting;
use super::config::{extras, text};
use super::place::Place;
use super::repository::{explained, last_complaint};
use crate::trouble::Trouble;

const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Archives nothing, and says that all is well.
const NOTHING: &str = "/bin/true";
/// So old what is not in the repository yet may be, unless the server's own configuration says less.
const TIMEOUT_S: u64 = 60;
/// A log that waits for its repository takes no more than this share of the disk.
const WAITING_SHARE: u64 = 4;
const WAITING_MIN_BYTES: u64 = 256 << 20;
/// What pgBackRest says when it lets a part of the log go, so that the server goes on.
const DROPPED: &str = "dropped WAL file";
/// Longer than that nobody needs to read.
const COMPLAINTS_MAX_BYTES: u64 = 1 << 20;
/// Where backups archive their log since PostgreSQL 15 instead of by a command.
const LIBRARY_SINCE: u32 = 15;

/// What a server is told of the archive of its log.
#[derive(Debug, Default)]
pub(crate) struct Archiving {
    pub(crate) settings: Vec<Setting>,
    /// What pgBackRest is told, and where; none: it stays as it is.
    pub(crate) file: Option<(PathBuf, String)>,
    /// There is to be no such file.
    pub(crate) stale: Option<PathBuf>,
    /// Why the log is not archived; none: it is, or is not to be.
    pub(crate) trouble: Option<Trouble>,
}

/// How the archive is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Archive {
    /// When the latest part arrived.
    pub(super) archived_unix_s: Option<u64>,
    pub(super) waiting_bytes: u64,
    /// Parts are missing: they were let go, so that the server goes on.
    pub(super) has_gap: bool,
    pub(super) trouble: Option<String>,
}

/// What a server is told of the archive of its log. Its mode is on from the first start under a plan, so
/// that a backup which is declared later needs no restart.
pub(crate) async fn archiving(
    server: &Server,
    plan: &CopyPlan,
    own: &mut Own,
) -> Result<Archiving, Trouble> {
    let mode = own.get(server, "archive_mode").await?;
    let mut theirs = own.get(server, "archive_command").await?;
    if mode != "off" && theirs.is_empty() && server.version()? >= LIBRARY_SINCE {
        theirs = own.get(server, "archive_library").await?;
    }
    let place = Place::of(server, &plan.plan);
    let Some(backup) = &plan.backup else {
        let settings = match mode.as_str() {
            "off" => vec![
                ("archive_mode", "on".to_owned()),
                ("archive_command", NOTHING.to_owned()),
            ],
            _ => Vec::new(),
        };
        return Ok(Archiving {
            settings,
            stale: Some(place.configuration()),
            ..Archiving::default()
        });
    };
    if mode != "off" && !theirs.is_empty() {
        let trouble = format!(
            "the log of this server is archived by `{}` already, and a server has one archive: take \
             archive_command (or archive_library) out of its configuration, or backup out of the plan",
            theirs.chars().take(80).collect::<String>()
        );
        return Ok(Archiving {
            trouble: Some(Trouble(trouble)),
            ..Archiving::default()
        });
    }
    let mut settings = vec![
        ("archive_mode", "on".to_owned()),
        ("archive_command", place.archive_command()),
    ];
    if own.get(server, "archive_timeout").await? == "0" {
        settings.push(("archive_timeout", format!("{TIMEOUT_S}s")));
    }
    let drop_from = waiting_max_bytes(&server.data)?;
    let (file, trouble) = match (extras(&backup.declared), &backup.password) {
        (Err(trouble), _) => (None, Some(trouble)),
        (Ok(_), None) => (None, None),
        (Ok(extras), Some(password)) => {
            let limits = (server.port, drop_from);
            let text = text(&place, &backup.declared, password, limits, &extras);
            (Some((place.configuration(), text)), None)
        }
    };
    Ok(Archiving {
        settings,
        file,
        stale: None,
        trouble,
    })
}

/// What stands in the configuration of a server that runs on without its plan, until its next start: its
/// log would wait for an archive for ever.
pub(crate) async fn let_go(server: &Server) -> Result<Option<Setting>, Trouble> {
    let mode = Own::default().get(server, "archive_mode").await?;
    Ok((mode == "off").then(|| ("archive_command", NOTHING.to_owned())))
}

impl Archive {
    /// Asks a server that writes, and looks at what waits.
    pub(super) async fn look(place: &Place, session: &mut Session) -> Result<Self, Trouble> {
        let question = "
            select extract(epoch from last_archived_time)::bigint,
              extract(epoch from last_failed_time)::bigint,
              coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false),
              current_setting('archive_mode')
            from pg_stat_archiver";
        let rows = session.ask(question, ANSWER_MAX).await?;
        let row = rows.first();
        let text = |place: usize| row.and_then(|row| row.get(place)).map(str::to_owned);
        let number = |place: usize| text(place).and_then(|text| text.parse::<u64>().ok());
        let (archived_unix_s, fails) = (number(0), text(2).as_deref() == Some("t"));
        let is_off = text(3).as_deref() == Some("off");
        let place = place.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let waiting_bytes = waiting_bytes(&place.data);
            let complaint = last_complaint(&place);
            let limit = waiting_max_bytes(&place.data).unwrap_or(u64::MAX);
            (
                waiting_bytes,
                complaint,
                limit,
                has_gap(&place.complaints()),
            )
        });
        let (waiting_bytes, complaint, limit, has_gap) = looked
            .await
            .map_err(|error| Trouble(format!("unable to look at the log's archive: {error}")))?;
        let trouble = match (is_off, fails, has_gap) {
            (true, _, _) => Some(
                "archive_mode takes effect when the server starts again, and nothing is archived \
                 until then: a switchover there and back does it"
                    .to_owned(),
            ),
            (false, true, _) => Some(format!(
                "the log can't be archived: {}. {} MiB of it wait on the primary's disk; beyond {} MiB \
                 they are let go, so that the primary goes on, and no restore is possible to what was \
                 written between then and the next backup",
                explained(complaint.as_deref().unwrap_or("the server's log says why")),
                waiting_bytes >> 20,
                limit >> 20,
            )),
            (false, false, true) => Some(
                "parts of the log were let go, since the repository was away for too long: what was \
                 written between the last backup and the next can't be restored"
                    .to_owned(),
            ),
            (false, false, false) => None,
        };
        Ok(Self {
            archived_unix_s,
            waiting_bytes,
            has_gap,
            trouble,
        })
    }
}

/// Forgets a gap: a backup was made since.
pub(super) fn forget_gap(place: &Place) -> Result<(), Trouble> {
    clear(&place.complaints())
}

/// Empties a file that somebody else goes on appending to.
fn clear(path: &Path) -> Result<(), Trouble> {
    match fs::OpenOptions::new().write(true).truncate(true).open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Trouble::io("empty", path, &error))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

fn has_gap(complaints: &Path) -> bool {
    let text = fs::read(complaints).unwrap_or_default();
    let has_gap = String::from_utf8_lossy(&text).contains(DROPPED);
    let is_long = text.len() as u64 > COMPLAINTS_MAX_BYTES;
    if is_long && !has_gap {
        // It is of no use any more, and nothing is lost if it stays.
        let _ = clear(complaints);
    }
    has_gap
}

/// How much of a log waits to be archived.
fn waiting_bytes(data: &Path) -> u64 {
    let log = data.join("pg_wal");
    let entries = fs::read_dir(log.join("archive_status"));
    let entries = entries.into_iter().flatten().flatten();
    let waiting = entries.filter_map(|entry| {
        let name = entry
            .file_name()
            .to_str()?
            .strip_suffix(".ready")?
            .to_owned();
        fs::metadata(log.join(name)).ok()
    });
    waiting.map(|metadata| metadata.len()).sum()
}

fn waiting_max_bytes(data: &Path) -> Result<u64, Trouble> {
    let disk =
        rustix::fs::statvfs(data).map_err(|error| Trouble::io("measure", data, &error.into()))?;
    let disk_bytes = disk.f_blocks * disk.f_frsize;
    Ok((disk_bytes / WAITING_SHARE).max(WAITING_MIN_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_log_that_was_let_go_is_known_until_a_backup_was_made() {
        let folder = tempfile::tempdir().unwrap();
        let complaints = folder.path().join("complaints");
        assert!(!has_gap(&complaints));
        fs::write(&complaints, "ERROR: [103]: unable to find a repository\n").unwrap();
        assert!(!has_gap(&complaints));
        let dropped = "WARN: dropped WAL file '000000010000000000000001' because archive queue \
                       exceeded 38.1MB\nERROR: [103]: x\n";
        fs::write(&complaints, dropped).unwrap();
        assert!(has_gap(&complaints));
        clear(&complaints).unwrap();
        assert!(!has_gap(&complaints));
        let long = "x".repeat(usize::try_from(COMPLAINTS_MAX_BYTES).unwrap() + 1);
        fs::write(&complaints, long).unwrap();
        assert!(!has_gap(&complaints));
        assert_eq!(
            fs::metadata(&complaints).unwrap().len(),
            0,
            "it takes no more room"
        );
    }

    #[test]
    fn what_waits_is_counted_and_what_is_archived_is_not() {
        let data = tempfile::tempdir().unwrap();
        let status = data.path().join("pg_wal/archive_status");
        fs::create_dir_all(&status).unwrap();
        for (name, state) in [("1", "ready"), ("2", "done"), ("3", "ready")] {
            fs::write(data.path().join("pg_wal").join(name), "1234").unwrap();
            fs::write(status.join(format!("{name}.{state}")), "").unwrap();
        }
        assert_eq!(waiting_bytes(data.path()), 8);
        assert_eq!(waiting_bytes(Path::new("/nowhere")), 0);
    }
}
