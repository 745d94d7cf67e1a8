//! The repository, by way of pgBackRest.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use serde::Deserialize;

use super::super::lsn;
use super::super::session::Postmaster;
use super::decide::to_restore_from;
use super::place::{PROGRAM, Place};
use crate::call::{Calling, OUTPUT_MAX, Runs};
use crate::trouble::Trouble;

/// How long a look may take, and how long a backup.
pub(super) const LOOK_MAX: Duration = Duration::from_secs(120);
const BACKUP_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// What it says when a disk is full, without saying that.
const NOT_WRITTEN: &str = "[FileWriteError] unable to write";
/// What it says when a repository is encrypted with another password.
const OTHER_PASSWORD: &str = "CryptoError";

/// Of which kind a backup is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// All of the data.
    Full,
    /// What changed since the one before it.
    Incremental,
}

/// A backup that can be restored from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// What the repository calls it.
    pub label: String,
    /// Of which kind it is.
    pub kind: Kind,
    /// When it began, in seconds since 1970.
    pub began_unix_s: u64,
    /// When it ended.
    pub ended_unix_s: u64,
    /// How much data it is of.
    pub size_bytes: u64,
    /// How much it added to the repository.
    pub stored_bytes: u64,
    /// PostgreSQL's timeline that it was made on.
    pub timeline: u32,
    /// How far the log is that it needs; none: an old pgBackRest does not tell.
    pub log_end: Option<u64>,
    /// Pages of it were damaged already when it was made.
    pub is_damaged: bool,
}

impl Made {
    /// The earliest time that can be restored from it. Its end is known by the second.
    #[must_use]
    pub fn restorable_from_unix_s(&self) -> u64 {
        self.ended_unix_s.saturating_add(1)
    }
}

/// The repository of a copy's backups.
pub(super) struct Repository<'a>(pub(super) &'a Place);

#[derive(Deserialize)]
struct ToldStanza {
    #[serde(default)]
    backup: Vec<ToldBackup>,
    status: ToldStatus,
    #[serde(default)]
    repo: Vec<ToldRepository>,
}

#[derive(Deserialize)]
struct ToldRepository {
    status: ToldStatus,
}

#[derive(Deserialize)]
struct ToldStatus {
    code: u32,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct ToldBackup {
    label: String,
    #[serde(rename = "type")]
    kind: String,
    timestamp: ToldTimes,
    info: ToldInfo,
    #[serde(default)]
    archive: ToldLog,
    #[serde(default)]
    lsn: ToldPlaces,
    #[serde(default)]
    error: Option<bool>,
}

/// The last file of the log that it needs; its name begins with the timeline.
#[derive(Deserialize, Default)]
struct ToldLog {
    stop: Option<String>,
}

#[derive(Deserialize, Default)]
struct ToldPlaces {
    stop: Option<String>,
}

#[derive(Deserialize)]
struct ToldTimes {
    start: u64,
    stop: u64,
}

#[derive(Deserialize)]
struct ToldInfo {
    size: u64,
    repository: ToldStored,
}

#[derive(Deserialize)]
struct ToldStored {
    #[serde(default)]
    delta: u64,
}

impl Repository<'_> {
    /// Prepares the repository for this database; it may be so already.
    pub(super) async fn prepare(&self) -> Result<(), Trouble> {
        let what = "prepare the repository of the backups";
        self.ask(what, "stanza-create", &self.server()?, LOOK_MAX)
            .await
            .map(|_| ())
    }

    /// The backups to restore from, the earliest first.
    pub(super) async fn backups(&self) -> Result<Vec<Made>, Trouble> {
        self.all().await.map(to_restore_from)
    }

    /// All backups, in the order in which they were made.
    pub(super) async fn all(&self) -> Result<Vec<Made>, Trouble> {
        let what = "read the repository of the backups";
        let options = ["--output=json".to_owned()];
        let told = self.ask(what, "info", &options, LOOK_MAX).await?;
        read(&told).map_err(|why| Trouble(format!("unable to {what}: {}", explained(&why))))
    }

    /// Makes one.
    pub(super) async fn make(&self, kind: Kind) -> Result<(), Trouble> {
        let mut options = self.server()?;
        options.push(match kind {
            Kind::Full => "--type=full".to_owned(),
            Kind::Incremental => "--type=incr".to_owned(),
        });
        self.ask("make a backup", "backup", &options, BACKUP_MAX)
            .await
            .map(|_| ())
    }

    /// Removes all but so many full backups, what builds upon them, and the log since.
    pub(super) async fn expire(&self, fulls: usize) -> Result<(), Trouble> {
        let options = [format!("--repo1-retention-full={fulls}")];
        self.ask("remove old backups", "expire", &options, LOOK_MAX)
            .await
            .map(|_| ())
    }

    /// Where the server is that runs.
    fn server(&self) -> Result<Vec<String>, Trouble> {
        let postmaster = Postmaster::read(&self.0.data)
            .ok_or_else(|| Trouble("the server does not run, or has no socket".to_owned()))?;
        let (sockets, _) = postmaster.place();
        Ok(vec![format!("--pg1-socket-path={}", sockets.display())])
    }

    async fn ask(
        &self,
        what: &str,
        command: &str,
        options: &[String],
        limit: Duration,
    ) -> Result<Vec<u8>, Trouble> {
        let words = self.0.call(command, options);
        self.0.ask(what, &words, limit).await
    }
}

impl Place {
    /// Runs pgBackRest, and yields what it printed.
    pub(super) async fn ask(
        &self,
        what: &str,
        words: &[String],
        limit: Duration,
    ) -> Result<Vec<u8>, Trouble> {
        let calling = Calling {
            what,
            command: words,
            limit,
            runs: Runs::As(&self.user),
            environment: BTreeMap::new(),
            folder: None,
            install: Some(PROGRAM),
        };
        calling
            .ask(OUTPUT_MAX)
            .await
            .map_err(|Trouble(why)| Trouble(explained(&why)))
    }
}

/// Puts what pgBackRest says of a wrong password, or of a full disk, into words.
pub(super) fn explained(why: &str) -> String {
    if why.contains(NOT_WRITTEN) && !why.contains("Permission denied") {
        return format!("{why} (as a rule there is no room left there: make some)");
    }
    match why.contains(OTHER_PASSWORD) || why.contains("key/value found outside of section") {
        true => "the repository of the backups is encrypted with another password: give that one \
                 (backup.password_wo, with a new version), or name a repository that is empty"
            .to_owned(),
        false => why.to_owned(),
    }
}

/// Why the last part of the log that failed could not be archived; none: nothing was said.
pub(super) fn last_complaint(place: &Place) -> Option<String> {
    let text = fs::read(place.complaints()).ok()?;
    let text = String::from_utf8_lossy(&text);
    let last = text.rfind("ERROR: [").map_or("", |at| &text[at..]);
    let last = last.split_whitespace().collect::<Vec<_>>().join(" ");
    let last: String = last
        .chars()
        .filter(|char| !char.is_control())
        .take(400)
        .collect();
    (!last.is_empty()).then_some(last)
}

fn read(told: &[u8]) -> Result<Vec<Made>, String> {
    // What it could not decrypt stands in its words as it is.
    let is_odd = |byte: &u8| byte.is_ascii_control();
    let told: Vec<u8> = told
        .iter()
        .map(|byte| if is_odd(byte) { b' ' } else { *byte })
        .collect();
    let told = String::from_utf8_lossy(&told);
    let stanzas: Vec<ToldStanza> =
        serde_json::from_str(&told).map_err(|error| format!("what it says is odd: {error}"))?;
    let Some(stanza) = stanzas.into_iter().next() else {
        return Ok(Vec::new());
    };
    // 0: well; 1 to 3: there is nothing yet; 4 and 5: of several repositories.
    if stanza.status.code > 5 {
        let repositories = stanza.repo.into_iter().map(|repository| repository.status);
        let mut said = repositories.chain([stanza.status]);
        let said = said.find(|status| status.code > 5);
        return Err(said.map_or_else(String::new, |status| status.message));
    }
    let mut made: Vec<Made> = stanza
        .backup
        .into_iter()
        .filter_map(|told| {
            let kind = match told.kind.as_str() {
                "full" => Kind::Full,
                "incr" | "diff" => Kind::Incremental,
                _ => return None,
            };
            Some(Made {
                label: told.label,
                kind,
                began_unix_s: told.timestamp.start,
                ended_unix_s: told.timestamp.stop,
                size_bytes: told.info.size,
                stored_bytes: told.info.repository.delta,
                timeline: u32::from_str_radix(told.archive.stop?.get(..8)?, 16).ok()?,
                log_end: told.lsn.stop.as_deref().and_then(lsn::parse),
                is_damaged: told.error == Some(true),
            })
        })
        .collect();
    // As pgBackRest itself orders them, whatever a clock said.
    made.sort_by(|one, other| one.label.cmp(&other.label));
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pgbackrest_tells_is_understood() {
        let told =
            br#"[{"backup":[{"error":false,"info":{"delta":1,"repository":{"delta":7,"size":9},
            "size":42},"archive":{"start":"000000020000000000000002","stop":"000000020000000000000003"},
            "lsn":{"start":"0/2000028","stop":"0/3000100"},"label":"F","timestamp":{"start":10,"stop":20},"type":"full"}],
            "status":{"code":0,"message":"ok"}}]"#;
        let made = read(told).unwrap();
        assert_eq!((made[0].label.as_str(), made[0].kind), ("F", Kind::Full));
        assert_eq!((made[0].ended_unix_s, made[0].size_bytes), (20, 42));
        assert_eq!((made[0].timeline, made[0].log_end), (2, Some(0x0300_0100)));
        assert!(!made[0].is_damaged);
        let damaged = String::from_utf8_lossy(told).replace("\"error\":false", "\"error\":true");
        assert!(read(damaged.as_bytes()).unwrap()[0].is_damaged);
        let nothing = br#"[{"backup":[],"status":{"code":1,"message":"missing stanza path"}}]"#;
        assert_eq!(read(nothing).unwrap(), []);
        assert_eq!(read(b"[]").unwrap(), []);
        let wrong = b"[{\"backup\":[],\"status\":{\"code\":99},\"repo\":[{\"status\":{\"code\":99,\
            \"message\":\"CryptoError: x\x01\xff\"}}]}]";
        let why = read(wrong).unwrap_err();
        assert!(why.starts_with("CryptoError: x"), "{why}");
        assert!(explained("CryptoError: x").contains("another password"));
        assert!(read(b"nonsense").is_err());
    }
}
