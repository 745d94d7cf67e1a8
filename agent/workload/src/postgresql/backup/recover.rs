//! What was restored goes through its log to the time, and ends in good order.
//!
//! Whatever the primary's configuration or data has it do, it reaches nobody and changes nothing but its own
//! folder meanwhile: it is in a cage, nobody can connect but its own user, no library, subscription or command
//! of anybody's is begun.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, ChildStderr};
use tokio::time::{MissedTickBehavior, interval};

use super::super::alone::ALONE;
use super::super::command::check;
use super::super::layout::Server;
use super::super::lsn;
use super::super::session::Session;
use super::super::tablespaces::Tablespaces;
use super::repository::Made;
use super::timelines::Descent;
use crate::cage::Cage;
use crate::file;
use crate::said::Lines;
use crate::trouble::Trouble;

const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How often it is asked whether it has gone through its log.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// What is remembered of what a server said.
const LINES_MAX: usize = 20;
/// What a server says when its log ends before the time.
const ENDS_EARLIER: &str = "recovery ended before configured recovery target was reached";
/// What it says of a record that only a library can read.
const UNREADABLE: &str = "resource manager with ID";
const LAST: &str = "last completed transaction was at log time ";
const READ: &str = "restored log file \"";
const DONE: &str = "redo done at ";

/// What has it begin nothing else, and say what is read, beside [`ALONE`].
const BESIDE: [(&str, &str); 9] = [
    // Nobody comes in before all is done, whatever the primary allowed.
    ("hot_standby", "off"),
    ("shared_preload_libraries", ""),
    ("session_preload_libraries", ""),
    ("local_preload_libraries", ""),
    ("external_pid_file", ""),
    ("max_wal_senders", "10"),
    ("log_min_messages", "log"),
    ("log_error_verbosity", "default"),
    ("log_line_prefix", ""),
];

/// A server that is to go through its log.
pub(super) struct Recovery<'a> {
    pub(super) server: &'a Server,
    pub(super) cage: &'a Cage,
    pub(super) into: &'a Path,
    pub(super) tablespaces: &'a Path,
    pub(super) at: Option<&'a str>,
    pub(super) from: &'a Made,
    pub(super) descent: &'a Descent,
}

/// What a server told of its way.
#[derive(Debug, Default)]
struct Heard {
    said: VecDeque<String>,
    /// The time of the last transaction.
    last: Option<String>,
    /// The timelines of what it read.
    read: BTreeSet<u32>,
    /// Where the last record begins that it went through.
    end: Option<u64>,
}

impl Recovery<'_> {
    /// Yields the time of the last transaction.
    pub(super) async fn run(
        &self,
        progress: &mut impl FnMut(&str),
    ) -> Result<Option<String>, Trouble> {
        let user = &self.server.user;
        let access = self.cage.folder().join("hba.conf");
        let line = format!("local all {} peer\n", user.name);
        file::write_atomically(&access, self.server.own(), line.as_bytes())
            .map_err(|error| Trouble::io("write", &access, &error))?;
        let mut tablespaces = Tablespaces::new(self.cage, user, self.into, self.tablespaces);
        let mut heard = Heard::default();
        loop {
            let Some(status) = self.go(&access, &mut heard, progress).await? else {
                break;
            };
            let said = heard.words();
            if !tablespaces.give(&said).await? {
                return Err(ended(&said, &status, self.at, self.into));
            }
            heard.said.clear();
        }
        tablespaces.settle()?;
        let end = heard.end.unwrap_or(0);
        if self.descent.was_missed(self.from, end, &heard.read) {
            return Err(self.astray());
        }
        Ok(heard.last)
    }

    /// Starts it, and ends it once it has gone through its log. Yields how it ended by itself; none: it
    /// did not.
    async fn go(
        &self,
        access: &Path,
        heard: &mut Heard,
        progress: &mut impl FnMut(&str),
    ) -> Result<Option<String>, Trouble> {
        let mut child = self.spawn(access)?;
        let said = child.stderr.take();
        let said = said.ok_or_else(|| Trouble("what was restored has no pipe".to_owned()))?;
        let mut lines = Lines::of(said);
        let mut session = Session::new(self.into);
        let mut ticks = interval(ASK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_open = true;
        loop {
            tokio::select! {
                line = lines.next(), if is_open => match line {
                    Some(line) => heard.hear(line, progress),
                    None => is_open = false,
                },
                status = child.wait(), if !is_open => {
                    let status = status.map_err(|error| Trouble(error.to_string()))?;
                    return Ok(Some(status.to_string()));
                }
                _ = ticks.tick() => {
                    let asked = session.ask("select pg_is_in_recovery()", ANSWER_MAX).await;
                    let is_done = asked.is_ok_and(|rows| {
                        rows.first().and_then(|row| row.get(0)) == Some("f")
                    });
                    if is_done {
                        break;
                    }
                }
            }
        }
        drop(session);
        self.end(child, lines, heard, progress).await?;
        Ok(None)
    }

    fn spawn(&self, access: &Path) -> Result<Child, Trouble> {
        let program = self.server.bin.join("postgres");
        let mut command = self.cage.program(&self.server.user, &program);
        command.arg("-D").arg(self.into);
        let own = [
            ("hba_file", access),
            ("unix_socket_directories", self.cage.folder()),
        ];
        let own = own.map(|(name, path)| (name, path.display().to_string()));
        let fixed = ALONE.into_iter().chain(BESIDE);
        let fixed = fixed.map(|(name, value)| (name, value.to_owned()));
        for (name, value) in own.into_iter().chain(fixed) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Trouble(format!("unable to start what was restored: {error}")))
    }

    /// Ends it in good order.
    async fn end(
        &self,
        mut child: Child,
        mut lines: Lines<ChildStderr>,
        heard: &mut Heard,
        progress: &mut impl FnMut(&str),
    ) -> Result<(), Trouble> {
        // Its number is one of the cage's.
        let program = self.server.bin.join("pg_ctl");
        let mut command = self.cage.program(&self.server.user, &program);
        command.arg("-D").arg(self.into);
        command.args(["--mode=fast", "--no-wait", "stop"]);
        check("stop what was restored", &mut command).await?;
        while let Some(line) = lines.next().await {
            heard.hear(line, progress);
        }
        let unable = |why: String| Trouble(format!("unable to stop what was restored: {why}"));
        let status = child.wait().await;
        let status = status.map_err(|error| unable(error.to_string()))?;
        match status.success() {
            true => Ok(()),
            false => Err(unable(format!("it ended with {status}"))),
        }
    }

    fn astray(&self) -> Trouble {
        let (into, timeline) = (self.into.display(), self.descent.timeline);
        Trouble(format!(
            "the log of timeline {timeline} is not in the repository from where it begins, so what lies in \
             {into} has what was written elsewhere after that: remove it, and restore once more is \
             archived, or to a time before with --at"
        ))
    }
}

impl Heard {
    fn hear(&mut self, line: String, progress: &mut impl FnMut(&str)) {
        if let Some((_, name)) = line.split_once(READ) {
            let name = name.split('"').next().unwrap_or_default();
            progress(&format!("went through the log up to {name}"));
            let timeline = name.get(..8).filter(|_| name.len() == 24);
            let timeline = timeline.and_then(|digits| u32::from_str_radix(digits, 16).ok());
            self.read.extend(timeline);
        }
        if let Some((_, time)) = line.split_once(LAST) {
            self.last = Some(time.trim().to_owned());
        }
        if let Some((_, place)) = line.split_once(DONE) {
            self.end = place.split_whitespace().next().and_then(lsn::parse);
        }
        self.said.push_back(line);
        if self.said.len() > LINES_MAX {
            self.said.pop_front();
        }
    }

    fn words(&self) -> String {
        let said: Vec<&str> = self.said.iter().map(String::as_str).collect();
        said.join("\n")
    }
}

/// Why a server ended before it had gone through its log.
fn ended(said: &str, status: &str, at: Option<&str>, into: &Path) -> Trouble {
    if let Some(at) = at
        && said.contains(ENDS_EARLIER)
    {
        return Trouble(format!(
            "nothing that is in the repository was committed at {at} or later, so that time can't be \
             told from any other: leave --at out to restore all that there is, or wait until more of \
             the log is archived"
        ));
    }
    let fatal = said.lines().rfind(|line| line.contains("FATAL:"));
    let words = fatal
        .or(said.lines().last())
        .unwrap_or("it does not say why");
    let into = into.display();
    Trouble(match said.contains(UNREADABLE) {
        true => format!(
            "the log has what only a library can read, and a restore begins none ({words}): name it in \
             shared_preload_libraries at the end of {into}/postgresql.conf and start the server there \
             by hand, which then goes through its log"
        ),
        false => format!("what was restored does not start ({status}): {words}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(said: &str, at: Option<&str>) -> String {
        ended(said, "exit status: 1", at, Path::new("/srv/x")).0
    }

    #[test]
    fn a_time_that_the_log_does_not_reach_is_told_as_that() {
        let said = format!("LOG:  x\nFATAL:  {ENDS_EARLIER}\nLOG:  y");
        let why = told(&said, Some("2026-01-01 00:00:00+00"));
        assert!(why.contains("leave --at out"), "{why}");
        let why = told("LOG:  x\nFATAL:  no room\nLOG:  y", None);
        assert!(why.ends_with("FATAL:  no room"), "{why}");
    }

    #[test]
    fn a_log_that_needs_a_library_says_how_to_go_on() {
        let said = "FATAL:  resource manager with ID 140 not registered\nHINT:  Include the extension \
                    module that implements this resource manager in \"shared_preload_libraries\".";
        let why = told(said, None);
        assert!(why.contains("ID 140 not registered"), "{why}");
        assert!(why.contains("end of /srv/x/postgresql.conf"), "{why}");
    }

    #[test]
    fn what_a_server_tells_of_its_way_is_kept() {
        let mut heard = Heard::default();
        for line in [
            "LOG:  restored log file \"00000001000000000000000A\" from archive",
            "LOG:  restored log file \"00000003.history\" from archive",
            "LOG:  restored log file \"00000002000000000000000A\" from archive",
            "LOG:  redo done at 0/A000110 system usage: CPU: user: 0.00 s",
            "LOG:  last completed transaction was at log time 2026-03-01 14:59:00+00",
        ] {
            heard.hear(line.to_owned(), &mut |_| ());
        }
        assert_eq!(heard.read, [1, 2].into());
        assert_eq!(heard.end, Some(0x0A00_0110));
        assert_eq!(heard.last.as_deref(), Some("2026-03-01 14:59:00+00"));
    }
}
