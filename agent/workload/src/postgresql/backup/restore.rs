//! Restores a plan's server into a folder of its own, as it was at a time.
//!
//! It never touches the copy that runs: not its data, not its tablespaces, not its archive. All that is
//! started runs in a cage, which writes to that folder alone. What comes of it was started once, so it
//! starts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::AsyncRead;

use super::super::layout::Server;
use super::BackedCopy;
use super::finish;
use super::folder::{beside, check_apart, check_empty, check_room, make};
use super::passing::Passing;
use super::place::Place;
use super::recover::Recovery;
use super::repository::{Made, Repository, explained};
use super::timelines::{self, Chosen, Descent};
use crate::cage::{Cage, Caging};
use crate::call::last;
use crate::file;
use crate::said::Lines;
use crate::trouble::Trouble;

/// What is restored, and to where.
#[derive(Debug)]
pub struct Restoring<'a> {
    /// The copy whose backups they are.
    pub copy: BackedCopy<'a>,
    /// The command that calls [`crate::run_cage`].
    pub cage: &'a [String],
    /// Whether the repository is reached over the network.
    pub is_remote: bool,
    /// An empty folder, or one that is to be made.
    pub into: &'a Path,
    /// To which time, in seconds since 1970 and as PostgreSQL reads it; none: as late as there is.
    pub at: Option<(u64, String)>,
    /// Along which of PostgreSQL's timelines; none: along the one that the plan is on.
    pub timeline: Option<u32>,
    /// Folders that nothing is restored into: data directories of plans.
    pub taken: &'a [PathBuf],
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Where the server's programs are.
    pub bin: PathBuf,
    /// Whose it is.
    pub user: String,
    /// The time of the last transaction that it has, as PostgreSQL says it; none: there was none since
    /// the backup.
    pub last: Option<String>,
    /// What somebody should know of the timeline that was followed.
    pub note: Option<String>,
}

/// Backups that there are, the earliest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stock {
    /// Those that what the plan has now came from.
    pub made: Vec<Made>,
    /// Those of timelines that the plan has left.
    pub others: Vec<Made>,
    /// What somebody should know of how they were told apart.
    pub note: Option<String>,
}

/// What is done in a cage.
struct Work<'a> {
    server: &'a Server,
    place: &'a Place,
    cage: &'a Cage,
    into: &'a Path,
    tablespaces: &'a Path,
    at: Option<&'a str>,
    from: &'a Made,
    chosen: &'a Chosen,
}

/// The backups of a plan that there are.
///
/// # Errors
///
/// Why the repository can't be read.
pub async fn backups(copy: &BackedCopy<'_>) -> Result<Stock, Trouble> {
    let server = Server::find(copy.setup, copy.postgresql, None)?;
    let place = Place::of(&server, copy.plan);
    place.check()?;
    let made = Repository(&place).backups().await?;
    let (descent, note) = match timelines::choose(copy, &server, &made, None).await {
        Ok(Chosen { descent, note, .. }) => (Some(descent), note),
        // Whoever is to choose one sees all of them.
        Err(trouble) => (None, Some(trouble.0)),
    };
    let is_ours = |made: &Made| descent.as_ref().is_some_and(|descent| descent.has(made));
    let (made, others) = made.into_iter().partition(is_ours);
    Ok(Stock { made, others, note })
}

/// Restores a server and has it go through its log to the time. `progress`: how far it is.
///
/// # Errors
///
/// What could not be done, and what to do next. What was written by then lies in the folder.
pub async fn restore(
    restoring: &Restoring<'_>,
    mut progress: impl FnMut(&str),
) -> Result<Restored, Trouble> {
    let Restoring { copy, into, at, .. } = restoring;
    let server = Server::find(copy.setup, copy.postgresql, None)?;
    let place = Place::of(&server, copy.plan);
    place.check()?;
    let tablespaces = beside(into)?;
    for folder in [into, &tablespaces.as_path()] {
        check_empty(folder)?;
    }
    check_apart(into, restoring.taken)?;
    let made = Repository(&place).backups().await?;
    let chosen = timelines::choose(copy, &server, &made, restoring.timeline).await?;
    let from = set_for(&made, &chosen.descent, at.as_ref());
    let from = from.ok_or_else(|| nothing_from(restoring, &made, &chosen.descent))?;
    for folder in [into, &tablespaces.as_path()] {
        make(folder, &server)?;
    }
    check_room(into, from.size_bytes)?;
    let passing = Passing::make(&server.user)?;
    let cage = Cage::begin(&Caging {
        command: restoring.cage,
        folder: passing.folder(),
        others: &[into.to_path_buf(), tablespaces.clone()],
        has_network: restoring.is_remote,
        is_gentle: false,
    })
    .await?;
    let work = Work {
        server: &server,
        place: &place,
        cage: &cage,
        into,
        tablespaces: &tablespaces,
        at: at.as_ref().map(|(_, at)| at.as_str()),
        from,
        chosen: &chosen,
    };
    let done = work.run(&mut progress).await;
    if let Err(trouble) = cage.end().await {
        progress(&trouble.0);
    }
    // There are none, as a rule.
    let _ = fs::remove_dir(&tablespaces);
    Ok(Restored {
        last: done?,
        bin: server.bin,
        user: server.user.name,
        note: chosen.note,
    })
}

impl Work<'_> {
    /// Yields the time of the last transaction.
    async fn run(&self, progress: &mut impl FnMut(&str)) -> Result<Option<String>, Trouble> {
        let timeline = self.chosen.descent.timeline;
        let mut options = vec![
            format!("--set={}", self.from.label),
            format!("--pg1-path={}", self.into.display()),
            format!("--tablespace-map-all={}", self.tablespaces.display()),
            format!("--target-timeline={timeline}"),
            // Of the cage's own, which alone can be written to.
            format!("--lock-path={}", self.cage.folder().join("lock").display()),
            "--log-level-console=detail".to_owned(),
        ];
        if let Some(at) = self.at {
            options.push("--type=time".to_owned());
            options.push(format!("--target={at}"));
            options.push("--target-action=promote".to_owned());
        }
        self.copy(&self.place.call("restore", &options), progress)
            .await?;
        if let Some((name, history)) = &self.chosen.lacking {
            let path = self.into.join("pg_wal").join(name);
            file::write_atomically(&path, self.server.own(), history)
                .map_err(|error| Trouble::io("write", &path, &error))?;
        }
        finish::configure(self.server, self.into)?;
        let recovery = Recovery {
            server: self.server,
            cage: self.cage,
            into: self.into,
            tablespaces: self.tablespaces,
            at: self.at,
            from: self.from,
            descent: &self.chosen.descent,
        };
        let last = recovery.run(progress).await?;
        finish::forget_target(self.server, self.into)?;
        Ok(last)
    }

    /// Runs pgBackRest, which tells each file that it restored and how much of all that is.
    async fn copy(&self, words: &[String], progress: &mut impl FnMut(&str)) -> Result<(), Trouble> {
        let unable = |why: &str| Trouble(format!("unable to restore: {}", explained(why)));
        let (program, arguments) = words
            .split_first()
            .ok_or_else(|| unable("nothing to run"))?;
        let mut child = self
            .cage
            .program(&self.server.user, Path::new(program))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| unable(&format!("choom can't be started ({error})")))?;
        let complaints = last(child.stderr.take());
        let told = tell(child.stdout.take(), progress);
        let (complaints, (), status) = tokio::join!(complaints, told, child.wait());
        let status = status
            .map_err(|error| unable(&format!("how pgBackRest ended can't be told ({error})")))?;
        match status.success() {
            true => Ok(()),
            false => Err(unable(&complaints.words())),
        }
    }
}

/// Tells how far pgBackRest is.
async fn tell(output: Option<impl AsyncRead + Unpin>, progress: &mut impl FnMut(&str)) {
    let Some(output) = output else {
        return;
    };
    let mut lines = Lines::of(output);
    let mut told = String::new();
    while let Some(line) = lines.next().await {
        if let Some(percent) = percent(&line).filter(|percent| *percent != told) {
            progress(&format!("{percent} % of the data is restored"));
            told = percent;
        }
    }
}

/// The latest backup from which a time of a timeline can be restored.
fn set_for<'a>(
    made: &'a [Made],
    descent: &Descent,
    at: Option<&(u64, String)>,
) -> Option<&'a Made> {
    let fits = |made: &&Made| {
        descent.has(made) && at.is_none_or(|(at, _)| made.restorable_from_unix_s() <= *at)
    };
    made.iter().rfind(fits)
}

/// Why there is nothing to restore from.
fn nothing_from(restoring: &Restoring<'_>, made: &[Made], descent: &Descent) -> Trouble {
    let plan = restoring.copy.plan;
    let timeline = descent.timeline;
    Trouble(match &restoring.at {
        _ if made.is_empty() => format!(
            "there is no backup of `{plan}` to restore from: see `hanse dr {plan}` for what is wrong \
             with them"
        ),
        Some((_, at)) if made.iter().any(|made| descent.has(made)) => format!(
            "{at} is before the first backup that there is: see `hanse dr backups {plan}` for the \
             earliest time that can be restored"
        ),
        Some(_) | None => format!(
            "no backup is of timeline {timeline}, or of what that came from: see `hanse dr backups \
             {plan}` for those that there are, and name the timeline of one with --timeline"
        ),
    })
}

/// Whole percents, of a line such as `restore file /x (8KB, 12.34%) checksum …`.
fn percent(line: &str) -> Option<String> {
    let (before, _) = line.split_once("%)")?;
    let (_, number) = before.rsplit_once(", ")?;
    let whole = number.split('.').next()?;
    whole.parse::<u8>().ok().map(|whole| whole.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_a_restore_is_is_read() {
        let line = "P01 DETAIL: restore file /a b, c/base/5/1255 (768KB, 13.42%) checksum 46";
        assert_eq!(percent(line).as_deref(), Some("13"));
        assert_eq!(percent("P00 INFO: restore command begin"), None);
    }

    #[test]
    fn the_latest_backup_before_a_time_is_restored_from() {
        use super::super::repository::Kind;
        let made = |ended_unix_s: u64| Made {
            label: ended_unix_s.to_string(),
            kind: Kind::Full,
            began_unix_s: ended_unix_s,
            ended_unix_s,
            size_bytes: 1,
            stored_bytes: 1,
            timeline: 1,
            log_end: None,
            is_damaged: false,
        };
        let made = [made(10), made(20)];
        let descent = Descent::first();
        let set = |at: Option<u64>| {
            let at = at.map(|at| (at, String::new()));
            set_for(&made, &descent, at.as_ref()).map(|made| made.ended_unix_s)
        };
        assert_eq!(set(None), Some(20));
        assert_eq!(set(Some(21)), Some(20));
        assert_eq!(set(Some(20)), Some(10), "its end is known by the second");
        assert_eq!(set(Some(11)), Some(10));
        assert_eq!(set(Some(10)), None);
    }
}
