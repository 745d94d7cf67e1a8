//! What a primary tells those that are to follow it.

use std::net::IpAddr;
use std::path::Path;

use super::ROLE;
use super::command::run;
use super::decide::Source;
use super::layout::Server;
use super::lsn;
use super::memory::Lineage;
use super::settings::connection_value;
use crate::trouble::Trouble;

const QUESTION: &str = "
select coalesce(nullif(current_setting('hanse.epoch', true), ''), '0'), pg_is_in_recovery(),
  (select system_identifier from pg_control_system()),
  case when pg_is_in_recovery() then '0' else
    ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int end,
  case when pg_is_in_recovery() then '0' else pg_current_wal_flush_lsn() - '0/0'::pg_lsn end,
  coalesce(current_setting('hanse.lineage', true), ''),
  current_setting('server_version_num')::int / 10000,
  (select sum(pg_database_size(oid)) from pg_database),
  (select timeline_id from pg_control_checkpoint())";

/// A primary, as it answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Primary {
    /// The lease under which it writes; none: it doesn't write.
    pub(crate) epoch: Option<u64>,
    pub(crate) source: Source,
    pub(crate) version: u32,
    pub(crate) size_bytes: u64,
    /// It no longer has the log at the place that it was asked for.
    pub(crate) lacks_log: bool,
}

/// How a copy connects to another. The password is in a file.
pub(crate) fn connection(address: IpAddr, port: u16, passwords: &Path) -> String {
    let passwords = connection_value(&passwords.display().to_string());
    format!(
        "host={address} port={port} user={ROLE} sslmode=require channel_binding=require \
         connect_timeout=5 passfile={passwords}"
    )
}

/// Asks a primary what it is. `place`: and whether it still has the log from there on.
pub(crate) async fn ask(
    server: &Server,
    connection: &str,
    place: Option<u64>,
) -> Result<Primary, Trouble> {
    let psql = |options: &str, question: &str| {
        let mut command = server.program("psql");
        command
            .args([
                "--no-psqlrc",
                "--no-align",
                "--tuples-only",
                "--quiet",
                "--dbname",
            ])
            .arg(format!("{connection} dbname=postgres {options}"))
            .args(["--command", question]);
        command
    };
    let question = match place {
        Some(place) => format!("{QUESTION},\n{}", has_log(place)),
        None => QUESTION.to_owned(),
    };
    let asked = run("ask the primary", &mut psql("", &question)).await;
    let text = asked.map_err(with_advice)?;
    let mut primary = read(&text)
        .ok_or_else(|| Trouble("what the primary answers can't be understood".to_owned()))?;
    if primary.source.timeline > 1 {
        let question = format!("TIMELINE_HISTORY {}", primary.source.timeline);
        let mut command = psql("replication=true", &question);
        let text = run("ask the primary for its history", &mut command).await?;
        primary.source.forks = read_history(&text);
    }
    Ok(primary)
}

/// Whether the file is there that a place of the log is in, of whatever timeline. What is not written
/// yet lacks nowhere.
fn has_log(place: u64) -> String {
    // Versions differ in which file has the place between two.
    let (at, within) = (lsn::show(place), lsn::show(place.saturating_add(1)));
    format!(
        "  case when pg_is_in_recovery() then null
    when '{at}'::pg_lsn >= pg_current_wal_flush_lsn() then true
    else exists (select from pg_ls_dir('pg_wal', true, false) as file
      where length(file) = 24
        and substr(file, 9) = substr(pg_walfile_name('{within}'::pg_lsn), 9)) end"
    )
}

/// PostgreSQL says the same of a password that is wrong, that was removed and that expired.
fn with_advice(trouble: Trouble) -> Trouble {
    if !trouble.0.contains("password authentication failed") {
        return trouble;
    }
    let expiry = "VALID UNTIL 'infinity'";
    Trouble(format!(
        "{trouble}. Either the password of `{ROLE}` expired or was changed on the primary: run `ALTER \
         ROLE {ROLE} {expiry}` there, and restart its agent, which sets the password again"
    ))
}

fn read(text: &str) -> Option<Primary> {
    let fields: Vec<&str> = text.trim().split('|').collect();
    let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
    let writes = *fields.get(1)? == "f";
    Some(Primary {
        epoch: number(0).filter(|_| writes),
        source: Source {
            system: number(2)?,
            timeline: fields.get(3)?.parse().ok()?,
            noted_timeline: fields.get(8)?.parse().ok()?,
            offset_bytes: number(4)?,
            lineage: read_lineage(fields.get(5)?)?,
            forks: Vec::new(),
        },
        version: fields.get(6)?.parse().ok()?,
        size_bytes: number(7)?,
        lacks_log: fields.get(9) == Some(&"f"),
    })
}

/// Each earlier timeline and where it ended.
pub(super) fn read_history(text: &str) -> Vec<(u32, u64)> {
    let line = |line: &str| {
        let line = line.rsplit_once('|').map_or(line, |(_, line)| line);
        let mut words = line.split_whitespace();
        Some((words.next()?.parse().ok()?, lsn::parse(words.next()?)?))
    };
    text.lines().filter_map(line).collect()
}

/// Timelines and leases, as a setting.
pub(crate) fn show_lineage(lineage: &Lineage) -> String {
    let entries: Vec<String> = lineage
        .iter()
        .map(|(timeline, epoch)| format!("{timeline}:{epoch}"))
        .collect();
    entries.join(",")
}

fn read_lineage(text: &str) -> Option<Lineage> {
    let entries = text.split(',').filter(|entry| !entry.is_empty());
    let entry = |entry: &str| {
        let (timeline, epoch) = entry.split_once(':')?;
        Some((timeline.parse().ok()?, epoch.parse().ok()?))
    };
    entries.map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_primary_answers_is_understood() {
        let primary = read("7|f|42|3|83886080|2:5,3:7|15|1000|2\n").unwrap();
        assert_eq!(primary.epoch, Some(7));
        assert_eq!(primary.source.timeline, 3);
        assert_eq!(primary.source.noted_timeline, 2);
        assert_eq!(primary.source.lineage, Lineage::from([(2, 5), (3, 7)]));
        assert_eq!(show_lineage(&primary.source.lineage), "2:5,3:7");
        assert!(!primary.lacks_log, "it was not asked for any");
        assert_eq!(read("7|t|42|0|0||15|1000|1").unwrap().epoch, None);
        for (told, lacks) in [("f", true), ("t", false), ("", false)] {
            let text = format!("7|f|42|3|83886080||15|1000|3|{told}\n");
            assert_eq!(read(&text).unwrap().lacks_log, lacks, "{told}");
        }
        assert_eq!(read("7|f|42|3|83886080|2:x|15|1000|3"), None);
        assert_eq!(read(""), None);
    }

    #[test]
    fn a_history_tells_where_each_timeline_ended() {
        let text =
            "00000003.history|1\t0/3000110\tno recovery target specified\n\n2\t0/5000000\twhy\n";
        assert_eq!(read_history(text), [(1, 0x0300_0110), (2, 0x0500_0000)]);
    }
}
