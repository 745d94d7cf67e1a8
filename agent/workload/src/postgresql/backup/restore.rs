//! Restores a plan's server into a folder of its own, as it was at a time.
//!
//! It never touches the copy that runs: not its data, not its tablespaces, not its archive. What comes of
//! it was started once, so it starts.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use hanse_core::name::PlanName;
use hanse_core::object::dr_plan::Postgresql;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use super::super::command::last_of;
use super::super::layout::Server;
use super::finish;
use super::place::Place;
use super::repository::{Made, Repository, explained};
use crate::setup::Setup;
use crate::trouble::Trouble;

/// What is restored, and to where.
#[derive(Debug)]
pub struct Restoring<'a> {
    /// Where things of the copy are.
    pub setup: &'a Setup,
    /// The server.
    pub postgresql: &'a Postgresql,
    /// The plan.
    pub plan: &'a PlanName,
    /// An empty folder, or one that is to be made.
    pub into: &'a Path,
    /// To which time, in seconds since 1970 and as PostgreSQL reads it; none: as late as there is.
    pub at: Option<(u64, String)>,
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
}

/// The backups of a plan that there are, the earliest first.
///
/// # Errors
///
/// Why the repository can't be read.
pub async fn backups(
    setup: &Setup,
    postgresql: &Postgresql,
    plan: &PlanName,
) -> Result<Vec<Made>, Trouble> {
    let server = Server::find(setup, postgresql, None)?;
    let place = Place::of(&server, plan);
    place.check()?;
    Repository(&place).backups().await
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
    let Restoring {
        setup,
        postgresql,
        plan,
        into,
        at,
        taken,
    } = restoring;
    let server = Server::find(setup, postgresql, None)?;
    let place = Place::of(&server, plan);
    place.check()?;
    let tablespaces = beside(into)?;
    for folder in [into, &tablespaces.as_path()] {
        check_empty(folder)?;
    }
    check_apart(into, taken)?;
    let made = Repository(&place).backups().await?;
    let from = set_for(&made, at.as_ref()).ok_or_else(|| {
        Trouble(match at {
            None => format!(
                "there is no backup of `{plan}` to restore from: see `hanse dr {plan}` for what is \
                 wrong with them"
            ),
            Some((_, at)) => format!(
                "{at} is before the first backup that there is: see `hanse dr backups {plan}` for the \
                 earliest time that can be restored"
            ),
        })
    })?;
    for folder in [into, &tablespaces.as_path()] {
        make(folder, &server)?;
    }
    check_room(into, from.size_bytes)?;
    let mut options = vec![
        format!("--set={}", from.label),
        format!("--pg1-path={}", into.display()),
        format!("--tablespace-map-all={}", tablespaces.display()),
        "--log-level-console=detail".to_owned(),
    ];
    if let Some((_, at)) = at {
        options.push("--type=time".to_owned());
        options.push(format!("--target={at}"));
        options.push("--target-action=promote".to_owned());
    }
    copy(&server, &place.call("restore", &options), &mut progress).await?;
    // There are none, as a rule.
    let _ = fs::remove_dir(&tablespaces);
    finish::configure(&server, into)?;
    let last = finish::recover(
        &server,
        into,
        at.as_ref().map(|(_, at)| at.as_str()),
        progress,
    );
    Ok(Restored {
        last: last.await?,
        bin: server.bin,
        user: server.user.name,
    })
}

/// The latest backup from which a time can be restored.
fn set_for<'a>(made: &'a [Made], at: Option<&(u64, String)>) -> Option<&'a Made> {
    let fits = |made: &&Made| at.is_none_or(|(at, _)| made.restorable_from_unix_s() <= *at);
    made.iter().rfind(fits)
}

/// Where the tablespaces go, which the running server has elsewhere.
fn beside(into: &Path) -> Result<PathBuf, Trouble> {
    let odd = || {
        Trouble(format!(
            "unable to restore into {}: write the absolute path of a folder",
            into.display()
        ))
    };
    let name = into.file_name().filter(|_| into.is_absolute());
    let mut name = name.ok_or_else(odd)?.to_owned();
    name.push(".tablespaces");
    Ok(into.with_file_name(name))
}

fn check_empty(folder: &Path) -> Result<(), Trouble> {
    match fs::read_dir(folder) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(Trouble(format!(
                "unable to restore into {}: something is in it; name a folder that is empty, or none yet",
                folder.display()
            ))),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Trouble::io("read", folder, &error)),
    }
}

/// Nothing is restored into what a plan keeps, nor around it.
fn check_apart(into: &Path, taken: &[PathBuf]) -> Result<(), Trouble> {
    let real = |path: &Path| {
        let mut known = path.ancestors();
        let there = known.find_map(|known| Some((known, fs::canonicalize(known).ok()?)));
        match there {
            Some((known, real)) => {
                let rest = path.strip_prefix(known).unwrap_or(Path::new(""));
                real.join(rest)
            }
            None => path.to_owned(),
        }
    };
    let into = real(into);
    let clash = taken.iter().find(|taken| {
        let taken = real(taken);
        into.starts_with(&taken) || taken.starts_with(&into)
    });
    match clash {
        None => Ok(()),
        Some(taken) => Err(Trouble(format!(
            "unable to restore into {}: {} belongs to a DR plan, and no restore touches what is in use",
            into.display(),
            taken.display()
        ))),
    }
}

fn make(folder: &Path, server: &Server) -> Result<(), Trouble> {
    let made = fs::DirBuilder::new().mode(0o700).create(folder);
    let made = match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => chown(folder, Some(server.user.id), Some(server.user.group_id)),
    };
    made.map_err(|error| Trouble::io("make", folder, &error))
}

fn check_room(into: &Path, needed_bytes: u64) -> Result<(), Trouble> {
    let disk =
        rustix::fs::statvfs(into).map_err(|error| Trouble::io("measure", into, &error.into()))?;
    let free_bytes = disk.f_bavail * disk.f_frsize;
    match free_bytes >= needed_bytes {
        true => Ok(()),
        false => Err(Trouble(format!(
            "unable to restore into {}: the data takes {} MiB, and {} MiB are free there",
            into.display(),
            needed_bytes >> 20,
            free_bytes >> 20
        ))),
    }
}

/// Runs pgBackRest, which tells each file that it restored and how much of all that is.
async fn copy(
    server: &Server,
    words: &[String],
    progress: &mut impl FnMut(&str),
) -> Result<(), Trouble> {
    let unable = |why: &str| Trouble(format!("unable to restore: {}", explained(why)));
    let (program, arguments) = words
        .split_first()
        .ok_or_else(|| unable("nothing to run"))?;
    let mut child = server
        .as_user(Path::new(program))
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| unable(&format!("setpriv can't be started ({error})")))?;
    let complaints = child.stderr.take();
    let complaints = tokio::spawn(async move {
        let mut text = Vec::new();
        if let Some(mut pipe) = complaints {
            let _ = pipe.read_to_end(&mut text).await;
        }
        text
    });
    let mut told = String::new();
    if let Some(output) = child.stdout.take() {
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if let Some(percent) = percent(&line).filter(|percent| *percent != told) {
                progress(&format!("{percent} % of the data is restored"));
                told = percent;
            }
        }
    }
    let status = child
        .wait()
        .await
        .map_err(|error| unable(&format!("how pgBackRest ended can't be told ({error})")))?;
    let complaints = complaints.await.unwrap_or_default();
    match status.success() {
        true => Ok(()),
        false => Err(unable(&last_of(&String::from_utf8_lossy(&complaints)))),
    }
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
            is_damaged: false,
        };
        let made = [made(10), made(20)];
        let set = |at: Option<u64>| {
            let at = at.map(|at| (at, String::new()));
            set_for(&made, at.as_ref()).map(|made| made.ended_unix_s)
        };
        assert_eq!(set(None), Some(20));
        assert_eq!(set(Some(21)), Some(20));
        assert_eq!(set(Some(20)), Some(10), "its end is known by the second");
        assert_eq!(set(Some(11)), Some(10));
        assert_eq!(set(Some(10)), None);
    }

    #[test]
    fn nothing_is_restored_into_what_is_there_or_in_use() {
        let root = tempfile::tempdir().unwrap();
        let data = root.path().join("data");
        fs::create_dir(&data).unwrap();
        std::os::unix::fs::symlink(&data, root.path().join("link")).unwrap();
        let taken = [data.clone()];
        for into in ["data", "data/inner", "link/inner", "."] {
            assert!(
                check_apart(&root.path().join(into), &taken).is_err(),
                "{into}"
            );
        }
        check_apart(&root.path().join("elsewhere"), &taken).unwrap();
        check_apart(&root.path().join("data-2"), &taken).unwrap();
        fs::write(data.join("file"), "").unwrap();
        check_empty(&data).unwrap_err();
        check_empty(&root.path().join("none")).unwrap();
        assert!(beside(Path::new("relative")).is_err());
    }
}
