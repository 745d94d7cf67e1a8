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

/// A look that takes longer says nothing.
const LOOK_MAX: Duration = Duration::from_millis(900);

/// What `pg_rewind` reads of a primary, and whoever asks how much of its log it has.
const READS: [&str; 4] = [
    "pg_ls_dir(text, boolean, boolean)",
    "pg_stat_file(text, boolean)",
    "pg_read_binary_file(text)",
    "pg_read_binary_file(text, bigint, bigint, boolean)",
];

/// What keeps the log for somebody.
#[derive(Debug)]
struct Slot<'a> {
    name: &'a str,
    is_active: bool,
    /// It keeps nothing any more.
    is_lost: bool,
}

/// The password that copies show to one another.
pub(crate) fn password(key: &PresharedKey) -> String {
    hexadecimal::encode(key.as_bytes())
}

/// Has whoever follows let in, and the log kept for them; a standby keeps it for nobody. A slot for which
/// too much was to be kept keeps nothing any more, and is made anew. `key`: none on a standby.
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
    let question = "select slot_name, active, wal_status = 'lost' from pg_replication_slots \
                    where slot_type = 'physical'";
    let rows = session.ask(question, ANSWER_MAX).await?;
    let there: Vec<Slot<'_>> = rows
        .iter()
        .filter_map(|row| {
            Some(Slot {
                name: row.get(0)?,
                is_active: row.get(1)? == "t",
                is_lost: row.get(2) == Some("t"),
            })
        })
        .collect();
    for slot in there
        .iter()
        .filter(|slot| slot.is_to_go(&wanted) && names::is_ours(slot.name, others))
    {
        let sql = format!("select pg_drop_replication_slot('{}')", slot.name);
        session.ask(&sql, ANSWER_MAX).await?;
    }
    for slot in &wanted {
        let stays = |there: &Slot<'_>| there.name == slot && !there.is_to_go(&wanted);
        if !there.iter().any(stays) {
            let sql = format!("select pg_create_physical_replication_slot('{slot}', true)");
            session.ask(&sql, ANSWER_MAX).await?;
        }
    }
    Ok(())
}

/// Whether the log is kept for all who follow.
pub(crate) async fn keeps_all(
    session: &mut Session,
    followers: &[&ClusterName],
) -> Result<bool, Trouble> {
    if followers.is_empty() {
        return Ok(true);
    }
    let slots: Vec<String> = followers
        .iter()
        .map(|cluster| format!("'{}'", names::slot(cluster)))
        .collect();
    let question = format!(
        "select count(*) from pg_replication_slots
         where slot_type = 'physical' and slot_name in ({})
           and (active or wal_status is distinct from 'lost')",
        slots.join(", ")
    );
    let rows = session.ask(&question, LOOK_MAX).await?;
    let kept = rows.first().and_then(|row| row.get(0));
    Ok(kept == Some(slots.len().to_string().as_str()))
}

impl Slot<'_> {
    /// What somebody receives by stays in any case.
    fn is_to_go(&self, wanted: &[String]) -> bool {
        let is_wanted = wanted.iter().any(|wanted| wanted == self.name);
        !self.is_active && (self.is_lost || !is_wanted)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_goes_once_nobody_wants_it_or_it_keeps_nothing_and_nobody_receives_by_it() {
        let wanted = ["hanse_b".to_owned()];
        for (name, is_active, is_lost, expected) in [
            ("hanse_b", false, false, false),
            ("hanse_b", false, true, true),
            ("hanse_b", true, true, false),
            ("hanse_c", false, false, true),
            ("hanse_c", true, false, false),
        ] {
            let slot = Slot {
                name,
                is_active,
                is_lost,
            };
            assert_eq!(slot.is_to_go(&wanted), expected, "{slot:?}");
        }
    }
}
