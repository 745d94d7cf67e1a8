//! What a running server tells of itself, in one question.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use hanse_core::dr::choose::SyncSet;
use hanse_guard::{Observation, Unanswered, Watch};
use tokio_postgres::SimpleQueryRow;

use super::names;
use super::session::Session;
use crate::trouble::Trouble;

const ANSWER_MAX: Duration = Duration::from_millis(900);

/// The startup process waits so once it has gone through all that is there.
const EXHAUSTED: &str = "RecoveryRetrieveRetryInterval";

/// The checkpointer waits so for its next work.
const RESTS: &str = "CheckpointerMain";

// Both times of the last message are the same before the first one: what the primary told of is older
// then than the connection.
const QUESTION: &str = "
select not pg_is_in_recovery() as writes,
  (case when pg_is_in_recovery()
    then greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
    else pg_current_wal_flush_lsn() end - '0/0'::pg_lsn)::text as bytes,
  case when pg_is_in_recovery()
    then greatest(receiver.received_tli, recovery.min_recovery_end_timeline, checkpoint.timeline_id)
    else ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int
    end as timeline,
  pg_last_wal_receive_lsn() is not null as has_asked,
  receiver.status = 'streaming' as streams, receiver.pid as receiver,
  receiver.sender_host, receiver.sender_port,
  receiver.status = 'streaming' and pg_last_wal_replay_lsn() >= receiver.latest_end_lsn
    and receiver.last_msg_send_time <> receiver.last_msg_receipt_time as has_all,
  extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp())::bigint as replayed_s,
  current_setting('synchronous_standby_names') as names,
  current_setting('primary_conninfo') as conninfo,
  current_setting('hanse.settings', true) as settings,
  (select wait_event from pg_stat_activity where backend_type = 'startup') as waits,
  (select wait_event from pg_stat_activity where backend_type = 'checkpointer') as checkpointer,
  (select system_identifier from pg_control_system()) as system
from pg_control_recovery() recovery cross join pg_control_checkpoint() checkpoint
  left join pg_stat_wal_receiver receiver on true";

/// What a server told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) writes: bool,
    pub(crate) offset_bytes: u64,
    pub(crate) timeline: u32,
    /// From where it receives, at this moment.
    pub(crate) receives_from: Option<(String, u16)>,
    /// Nothing reaches it any more, and it has gone through all that did.
    pub(crate) is_settled: bool,
    /// It has gone through all that is here and asked a primary for more, and receives nothing.
    pub(crate) waits_for_log: bool,
    /// What a standby has gone through.
    pub(crate) replayed: Replayed,
    /// Who has each commit, as it is in effect; none: it was not we who said so.
    pub(crate) set: Option<SyncSet>,
    /// The checkpointer waits for something to do, so it has read what it was to read.
    pub(crate) checkpointer_rests: bool,
    /// The digest of our settings that are in effect.
    pub(crate) settings: Option<String>,
    pub(crate) system: u64,
}

/// What a standby has gone through of what its primary wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Replayed {
    /// It is connected and has gone through all that its primary told of.
    pub(crate) is_all: bool,
    /// How old the last commit of it is, by the clocks of both; none: it has gone through none yet.
    pub(crate) age_s: Option<u64>,
}

/// Asks one server again and again, over one connection.
#[derive(Debug)]
pub(crate) struct Observer {
    pub(crate) session: Session,
}

/// Asks a PostgreSQL server for its guard.
#[derive(Debug)]
pub struct PostgresqlWatch {
    observer: Observer,
}

impl Observer {
    pub(crate) fn new(data: &Path) -> Self {
        Self {
            session: Session::new(data),
        }
    }

    pub(crate) async fn observe(&mut self) -> Result<Answer, Trouble> {
        let rows = self.session.ask(QUESTION, ANSWER_MAX).await?;
        let answer = rows.first().and_then(read);
        answer.ok_or_else(|| Trouble("the server's answer can't be understood".to_owned()))
    }
}

impl PostgresqlWatch {
    /// For the server on a data directory.
    #[must_use]
    pub fn new(data: &Path) -> Self {
        Self {
            observer: Observer::new(data),
        }
    }
}

#[async_trait]
impl Watch for PostgresqlWatch {
    async fn observe(&mut self) -> Result<Observation, Unanswered> {
        let answer = tokio::time::timeout(ANSWER_MAX, self.observer.observe()).await;
        let Ok(Ok(answer)) = answer else {
            return Err(match self.observer.session.is_starting() {
                true => Unanswered::Starting,
                false => Unanswered::Silent,
            });
        };
        Ok(Observation {
            writes: answer.writes,
            receives: answer.receives_from.is_some(),
            offset_bytes: answer.offset_bytes,
            set: answer.set.filter(|_| answer.writes).unwrap_or_default(),
        })
    }
}

fn read(row: &SimpleQueryRow) -> Option<Answer> {
    let writes = row.get("writes")? == "t";
    let receives_from: Option<(String, u16)> = match (row.get("streams"), row.get("sender_host")) {
        (Some("t"), Some(host)) => Some((host.to_owned(), row.get("sender_port")?.parse().ok()?)),
        (_, _) => None,
    };
    let is_cut = row.get("conninfo")?.is_empty() && row.get("receiver").is_none();
    Some(Answer {
        writes,
        // A standby that has gone through nothing yet has nothing.
        offset_bytes: row
            .get("bytes")
            .map_or(Some(0), |bytes| bytes.parse().ok())?,
        timeline: row.get("timeline")?.parse().ok()?,
        is_settled: !writes && is_cut && row.get("waits") == Some(EXHAUSTED),
        waits_for_log: row.get("has_asked") == Some("t") && receives_from.is_none(),
        receives_from,
        replayed: Replayed {
            is_all: row.get("has_all") == Some("t"),
            age_s: row.get("replayed_s").and_then(age),
        },
        set: names::read_set(row.get("names")?),
        checkpointer_rests: row.get("checkpointer") == Some(RESTS),
        settings: row.get("settings").map(str::to_owned),
        system: row.get("system")?.parse().ok()?,
    })
}

/// An age in whole seconds. One by two clocks may be before it began.
fn age(text: &str) -> Option<u64> {
    let age_s: i64 = text.parse().ok()?;
    Some(u64::try_from(age_s).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_by_two_clocks_is_never_less_than_none() {
        for (text, expected) in [("42", Some(42)), ("-3", Some(0)), ("", None)] {
            assert_eq!(age(text), expected, "{text}");
        }
    }
}
