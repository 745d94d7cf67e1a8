//! What a standby says of itself before a drill copies it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::SimpleQueryRow;

use super::super::layout::Server;
use super::super::rehearsal::SAME;
use super::super::session::{Postmaster, Session};
use crate::drill::Findings;
use crate::trouble::Trouble;

/// How long the standby may take to say what it is.
const ASK_MAX: Duration = Duration::from_secs(10);

const QUESTION: &str = "select pg_is_in_recovery() as follows, \
  (select sum(pg_database_size(oid)) from pg_database)::bigint as size, \
  (select pg_wal_lsn_diff(greatest(latest_end_lsn, pg_last_wal_receive_lsn()), \
    pg_last_wal_replay_lsn())::bigint \
    from pg_stat_wal_receiver) as lag, \
  (case when pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() then 0 \
    else extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000 \
    end)::bigint as lag_ms";

/// What the standby says of itself.
pub(super) struct Standby {
    pub(super) size_bytes: u64,
    pub(super) same: BTreeMap<String, String>,
    /// Where each tablespace is, beside the data.
    pub(super) tablespaces: Vec<(String, String)>,
    pub(super) sockets: PathBuf,
    pub(super) port: u16,
}

pub(super) async fn ask(server: &Server, findings: &mut Findings) -> Result<Standby, Trouble> {
    let mut session = Session::new(&server.data);
    let rows = session.ask(QUESTION, ASK_MAX).await?;
    let row = rows.first();
    let text = |name: &str| row.and_then(|row| row.get(name));
    if text("follows") != Some("t") {
        return Err(Trouble(
            "the server here is no standby any more: drills are held beside one that follows"
                .to_owned(),
        ));
    }
    let number = |name: &str| text(name).and_then(|text| text.parse::<i64>().ok());
    let positive = |name: &str| number(name).map(|number| u64::try_from(number).unwrap_or(0));
    findings.lags(positive("lag"), positive("lag_ms"));
    let names: Vec<String> = SAME.iter().map(|name| format!("'{name}'")).collect();
    let question = format!(
        "select lower(name), setting from pg_settings where lower(name) in ({})",
        names.join(", ")
    );
    let same = pairs(&session.ask(&question, ASK_MAX).await?);
    let tablespaces = "select oid::text, pg_tablespace_location(oid) from pg_tablespace \
                       where pg_tablespace_location(oid) <> ''";
    let tablespaces = pairs(&session.ask(tablespaces, ASK_MAX).await?);
    let place = Postmaster::read(&server.data).map(Postmaster::place);
    let (sockets, port) =
        place.ok_or_else(|| Trouble("the standby does not run, or has no socket".to_owned()))?;
    Ok(Standby {
        size_bytes: positive("size").unwrap_or(0),
        same: same.into_iter().collect(),
        tablespaces,
        sockets,
        port,
    })
}

fn pairs(rows: &[SimpleQueryRow]) -> Vec<(String, String)> {
    let pair = |row: &SimpleQueryRow| Some((row.get(0)?.to_owned(), row.get(1)?.to_owned()));
    rows.iter().filter_map(pair).collect()
}
