//! What a primary has for those that follow it: a role, and a slot for each.

use std::time::Duration;

use hanse_core::hexadecimal;
use hanse_core::key::PresharedKey;
use hanse_core::name::ClusterName;
use postgres_protocol::password::scram_sha_256;

use super::ROLE;
use super::names;
use super::session::Session;
use crate::trouble::Trouble;

const ANSWER_MAX: Duration = Duration::from_secs(5);

/// What `pg_rewind` reads of a primary.
const READS: [&str; 4] = [
    "pg_ls_dir(text, boolean, boolean)",
    "pg_stat_file(text, boolean)",
    "pg_read_binary_file(text)",
    "pg_read_binary_file(text, bigint, bigint, boolean)",
];

/// The password that copies show to one another.
pub(crate) fn password(key: &PresharedKey) -> String {
    hexadecimal::encode(key.as_bytes())
}

/// Has whoever follows let in, and the log kept for them; a standby keeps it for nobody. `key`: none on
/// a standby.
pub(crate) async fn provide(
    session: &mut Session,
    key: Option<&PresharedKey>,
    followers: &[&ClusterName],
    others: &[&ClusterName],
) -> Result<(), Trouble> {
    if let Some(key) = key {
        session.ask(&role(key), ANSWER_MAX).await?;
    }
    let wanted: Vec<String> = followers
        .iter()
        .map(|cluster| names::slot(cluster))
        .collect();
    let rows = session
        .ask(
            "select slot_name, active from pg_replication_slots where slot_type = 'physical'",
            ANSWER_MAX,
        )
        .await?;
    let there: Vec<(&str, bool)> = rows
        .iter()
        .filter_map(|row| Some((row.get(0)?, row.get(1)? == "t")))
        .collect();
    for (slot, is_active) in &there {
        let is_wanted = wanted.iter().any(|wanted| wanted == slot);
        if names::is_ours(slot, others) && !is_wanted && !is_active {
            let sql = format!("select pg_drop_replication_slot('{slot}')");
            session.ask(&sql, ANSWER_MAX).await?;
        }
    }
    for slot in &wanted {
        if !there.iter().any(|(name, _)| name == slot) {
            let sql = format!("select pg_create_physical_replication_slot('{slot}', true)");
            session.ask(&sql, ANSWER_MAX).await?;
        }
    }
    Ok(())
}

/// The role, with what PostgreSQL stores of its password: the password itself is in no log.
fn role(key: &PresharedKey) -> String {
    let verifier = scram_sha_256(password(key).as_bytes());
    let grants: String = READS
        .iter()
        .map(|function| format!("grant execute on function pg_catalog.{function} to {ROLE};\n"))
        .collect();
    format!(
        "do $$ begin
           if not exists (select from pg_roles where rolname = '{ROLE}') then
             create role {ROLE};
           end if;
         end $$;
         alter role {ROLE} with login replication nosuperuser password '{verifier}'
           valid until 'infinity';
         grant pg_read_all_stats to {ROLE};
         {grants}"
    )
}
