//! What a server that stands still tells of itself: `pg_controldata`, read.

use std::path::Path;

use super::command::run;
use super::layout::Server;
use super::lsn::{self, Paging};
use crate::trouble::Trouble;

/// What is in a server's control file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Control {
    /// Which database it is, among all that there are.
    pub(crate) system: u64,
    pub(crate) state: State,
    /// Where the latest checkpoint's record begins.
    pub(crate) checkpoint: u64,
    /// From where the log is gone through after that.
    pub(crate) redo: u64,
    /// PostgreSQL's timeline of it.
    pub(crate) timeline: u32,
    /// The timeline that a standby had got to at least; 0: it was none.
    pub(crate) recovery_timeline: u32,
    /// How far a standby has to get before it lets anybody in; 0: it was none.
    pub(crate) recovery_end: u64,
    pub(crate) paging: Paging,
    /// Hint bits are in the log, or pages have checksums: `pg_rewind` can work.
    pub(crate) is_rewindable: bool,
}

/// How a server ended, if it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// In good order, as one that writes.
    ShutDown,
    /// In good order, as a standby.
    ShutDownInRecovery,
    /// It runs, or ended by force.
    Running,
}

impl Control {
    /// The timeline that the data is on.
    pub(crate) fn latest_timeline(&self) -> u32 {
        self.timeline.max(self.recovery_timeline)
    }

    /// Reads what `pg_controldata` prints.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let value = |name: &str| {
            text.lines().find_map(|line| {
                let (label, value) = line.split_once(':')?;
                (label == name).then(|| value.trim())
            })
        };
        let state = match value("Database cluster state")? {
            "shut down" => State::ShutDown,
            "shut down in recovery" => State::ShutDownInRecovery,
            "starting up"
            | "shutting down"
            | "in crash recovery"
            | "in archive recovery"
            | "in production" => State::Running,
            _ => return None,
        };
        let number = |name: &str| value(name)?.parse::<u64>().ok();
        let has_hints = value("wal_log_hints setting")? == "on";
        let has_checksums = number("Data page checksum version")? != 0;
        Some(Self {
            system: number("Database system identifier")?,
            state,
            checkpoint: lsn::parse(value("Latest checkpoint location")?)?,
            redo: lsn::parse(value("Latest checkpoint's REDO location")?)?,
            timeline: value("Latest checkpoint's TimeLineID")?.parse().ok()?,
            recovery_timeline: value("Min recovery ending loc's timeline")?.parse().ok()?,
            recovery_end: lsn::parse(value("Minimum recovery ending location")?)?,
            paging: Paging {
                page_bytes: number("WAL block size").filter(|bytes| *bytes > 0)?,
                segment_bytes: number("Bytes per WAL segment").filter(|bytes| *bytes > 0)?,
            },
            is_rewindable: has_hints || has_checksums,
        })
    }
}

impl Server {
    /// What is in the control file.
    pub(crate) async fn control(&self) -> Result<Control, Trouble> {
        self.control_of(&self.data).await
    }

    pub(crate) async fn control_of(&self, data: &Path) -> Result<Control, Trouble> {
        let mut command = self.program("pg_controldata");
        let text = run("read the server's control file", command.arg(data)).await?;
        Control::parse(&text).ok_or_else(|| {
            Trouble(format!(
                "what pg_controldata tells of {} can't be understood: this version of PostgreSQL \
                 is not known",
                data.display()
            ))
        })
    }

    /// Where the log of a server ends that was shut down in good order: behind the record of its last
    /// checkpoint.
    pub(crate) async fn end_of_log(&self, control: &Control) -> Result<u64, Trouble> {
        let mut command = self.program("pg_waldump");
        command
            .arg("--path")
            .arg(self.data.join("pg_wal"))
            .arg(format!("--timeline={}", control.timeline))
            .arg(format!("--start={}", lsn::show(control.checkpoint)))
            .arg("--limit=1");
        let text = run("read the end of the server's log", &mut command).await?;
        let length = record_length(&text).ok_or_else(|| {
            Trouble("what pg_waldump tells can't be understood: this version is not known".into())
        })?;
        Ok(control.paging.end_of(control.checkpoint, length))
    }
}

/// The whole length of the first record that `pg_waldump` prints.
fn record_length(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once("len (rec/tot):")?;
    let (lengths, _) = rest.split_once(',')?;
    lengths.split_once('/')?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
Database system identifier:           7642011472967116994
Database cluster state:               shut down
Latest checkpoint location:           0/1500718
Latest checkpoint's REDO location:    0/1500600
Latest checkpoint's TimeLineID:       3
Minimum recovery ending location:     0/1700000
Min recovery ending loc's timeline:   0
wal_log_hints setting:                off
WAL block size:                       8192
Bytes per WAL segment:                16777216
Data page checksum version:           1
";

    #[test]
    fn what_is_told_is_understood() {
        let control = Control::parse(TEXT).unwrap();
        assert_eq!(control.system, 7_642_011_472_967_116_994);
        assert_eq!(control.state, State::ShutDown);
        assert_eq!(control.checkpoint, 0x0150_0718);
        let recovery = (control.redo, control.recovery_end);
        assert_eq!(recovery, (0x0150_0600, 0x0170_0000));
        assert_eq!(control.latest_timeline(), 3);
        assert!(control.is_rewindable);
    }

    #[test]
    fn a_line_that_lacks_or_is_not_known_is_not_guessed() {
        for line in TEXT.lines() {
            let without = TEXT.replace(line, "");
            assert_eq!(Control::parse(&without), None, "without {line}");
        }
        assert_eq!(
            Control::parse(&TEXT.replace("shut down", "on holiday")),
            None
        );
        assert_eq!(Control::parse(&TEXT.replace("16777216", "0")), None);
    }

    #[test]
    fn a_records_length_is_the_whole_one() {
        let text =
            "rmgr: XLOG        len (rec/tot):    114/   114, tx:          0, lsn: 0/01500718, prev";
        assert_eq!(record_length(text), Some(114));
        assert_eq!(record_length("nothing"), None);
    }
}
