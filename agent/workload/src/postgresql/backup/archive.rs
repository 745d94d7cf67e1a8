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
use super::decide::waiting_max_bytes;
use super::gap::{self, Course, Gap};
use super::place::Place;
use super::push::SCRIPT;
use super::repository::{explained, last_complaint};
use crate::away::away;
use crate::file;
use crate::space::Space;
use crate::trouble::Trouble;

const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Archives nothing, and says that all is well.
const NOTHING: &str = "/bin/true";
/// So old what is not in the repository yet may be, unless the server's own configuration says less.
const TIMEOUT_S: u64 = 60;
/// How long a part of the log is, unless the server says otherwise.
const PART_BYTES: u64 = 16 << 20;
/// Longer than that nobody needs to read.
const COMPLAINTS_MAX_BYTES: u64 = 1 << 20;
/// Where backups archive their log since PostgreSQL 15 instead of by a command.
const LIBRARY_SINCE: u32 = 15;

/// What a server is told of the archive of its log.
#[derive(Debug, Default)]
pub(crate) struct Archiving {
    pub(crate) settings: Vec<Setting>,
    /// What pgBackRest is told and what calls it, and where; what is not here stays as it is.
    pub(crate) files: Vec<(PathBuf, String)>,
    /// There are to be no such files.
    pub(crate) stale: Vec<PathBuf>,
    /// Why the log is not archived; none: it is, or is not to be.
    pub(crate) trouble: Option<Trouble>,
}

/// How the archive is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Archive {
    /// When the latest part arrived.
    pub(super) archived_unix_s: Option<u64>,
    pub(super) waiting_bytes: u64,
    /// What is missing.
    pub(super) gap: Option<Gap>,
    pub(super) trouble: Option<String>,
}

/// What a server is told of the archive of its log. Without backups its mode is what it is by itself: since
/// PostgreSQL 15 one that archives fills a whole part of its log when it stops, which its standbys have to
/// receive before it has stopped.
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
            // It may be on until the next start, if there were backups.
            "off" => vec![("archive_command", NOTHING.to_owned())],
            _ => Vec::new(),
        };
        return Ok(Archiving {
            settings,
            // What is not archived from now on is missing.
            stale: vec![place.known(), place.configuration()],
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
            stale: vec![place.known()],
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
    let mut files = vec![(place.push(), SCRIPT.to_owned())];
    let trouble = match (extras(&backup.declared), &backup.password) {
        (Err(trouble), _) => Some(trouble),
        (Ok(_), None) => None,
        (Ok(extras), Some(password)) => {
            let text = text(&place, &backup.declared, password, server.port, &extras);
            files.push((place.configuration(), text));
            None
        }
    };
    Ok(Archiving {
        settings,
        files,
        stale: Vec::new(),
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
    /// Asks a server that writes, looks at what waits, and says how much may.
    pub(super) async fn look(
        place: &Place,
        course: &Course,
        session: &mut Session,
    ) -> Result<Self, Trouble> {
        let question = "
            select extract(epoch from last_archived_time)::bigint,
              coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false),
              current_setting('archive_mode'),
              (select setting from pg_settings where name = 'wal_segment_size')
            from pg_stat_archiver";
        let rows = session.ask(question, ANSWER_MAX).await?;
        let row = rows.first();
        let text = |place: usize| row.and_then(|row| row.get(place)).map(str::to_owned);
        let number = |place: usize| text(place).and_then(|text| text.parse::<u64>().ok());
        let (archived_unix_s, fails) = (number(0), text(1).as_deref() == Some("t"));
        let is_off = text(2).as_deref() == Some("off");
        let part_bytes = number(3).unwrap_or(PART_BYTES).max(1);
        let (place, course) = (place.clone(), course.clone());
        let looked = away(move || {
            shorten(&place.complaints());
            let waiting_bytes = waiting_bytes(&place.data);
            // The log need not be on the data's disk.
            let disk = Space::of(&place.data.join("pg_wal"))?;
            let limit_bytes = waiting_max_bytes(disk, waiting_bytes);
            let limit = format!("{}\n", (limit_bytes / part_bytes).max(1));
            let path = place.limit();
            file::write_changed(&path, place.own(), limit.as_bytes())
                .map_err(|error| Trouble::io("write", &path, &error))?;
            let gap = gap::look(&place, &course)?;
            Ok((waiting_bytes, last_complaint(&place), limit_bytes, gap))
        });
        let (waiting_bytes, complaint, limit_bytes, gap) = looked.await?;
        let trouble = match (is_off, fails) {
            (true, _) => Some(
                "archive_mode takes effect when the server starts again, and nothing is archived \
                 until then: a switchover there and back does it"
                    .to_owned(),
            ),
            (false, true) => Some(format!(
                "the log can't be archived: {}. {} MiB of it wait on the primary's disk; beyond {} MiB \
                 they are let go, so that the primary goes on, and no restore is possible to what was \
                 written between then and the next backup",
                explained(complaint.as_deref().unwrap_or("the server's log says why")),
                waiting_bytes >> 20,
                limit_bytes >> 20,
            )),
            (false, false) => None,
        };
        Ok(Self {
            archived_unix_s,
            waiting_bytes,
            gap,
            trouble,
        })
    }
}

/// Empties what has grown long, to which somebody else goes on appending. It is of no use any more, and
/// nothing is lost if it stays.
fn shorten(complaints: &Path) {
    let length = fs::metadata(complaints).map_or(0, |metadata| metadata.len());
    if length > COMPLAINTS_MAX_BYTES {
        let _ = fs::OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(complaints);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_needs_to_read_takes_no_room() {
        let folder = tempfile::tempdir().unwrap();
        let complaints = folder.path().join("complaints");
        shorten(&complaints);
        for (length, left) in [
            (COMPLAINTS_MAX_BYTES, COMPLAINTS_MAX_BYTES),
            (COMPLAINTS_MAX_BYTES + 1, 0),
        ] {
            fs::write(&complaints, "x".repeat(usize::try_from(length).unwrap())).unwrap();
            shorten(&complaints);
            assert_eq!(fs::metadata(&complaints).unwrap().len(), left);
        }
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
