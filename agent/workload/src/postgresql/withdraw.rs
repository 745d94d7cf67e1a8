//! A server that the federation keeps no more: what it was told goes, its data and the server stay.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use hanse_core::object::dr_plan::Postgresql;

use super::ROLE;
use super::backup::let_go;
use super::configure::{Own, reload};
use super::files::{Written, read_whole, write_all};
use super::hba;
use super::layout::Server;
use super::provide::provide;
use super::session::Session;
use super::settings;
use crate::setup::Setup;
use crate::trouble::Trouble;

const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Takes back what a server was told: its settings, who may come in, slots and the role. A server that
/// runs goes on, and starts without the guard from then on.
///
/// # Errors
///
/// What could not be taken back, and why; it can be tried again.
pub async fn withdraw(setup: &Setup, postgresql: &Postgresql) -> Result<(), Trouble> {
    let server = Server::find(setup, postgresql, None)?;
    if !server.has_data()? {
        return Ok(());
    }
    let mut session = Session::new(&server.data);
    let runs = session.ask("select 1", ANSWER_MAX).await.is_ok();
    if runs {
        provide(&mut session, None, &[], &[]).await?;
        let sql = format!(
            "do $$ begin
               if not pg_is_in_recovery()
                  and exists (select from pg_roles where rolname = '{ROLE}') then
                 drop owned by {ROLE}; drop role {ROLE};
               end if;
             end $$"
        );
        session.ask(&sql, ANSWER_MAX).await?;
    }
    let hba = PathBuf::from(Own::default().get(&server, "hba_file").await?);
    let main = server.configuration()?;
    let left = match runs {
        true => let_go(&server).await?,
        false => None,
    };
    let (main_theirs, hba_theirs) = (read_whole(&main)?, read_whole(&hba)?);
    let main_text = settings::left(&main_theirs, left.as_ref());
    let hba_text = hba::without_block(&hba_theirs);
    write_all(&[
        Written::over(hba, hba_theirs, hba_text)?,
        Written::over(main.clone(), main_theirs, main_text)?,
    ])?;
    // It has the password of the backups.
    let _ = fs::remove_file(setup.folder.join("pgbackrest.conf"));
    // It was written for programs that only ask.
    let _ = fs::remove_file(main.with_file_name("postgresql.hanse-plain.conf"));
    match runs {
        true => reload(&mut session).await,
        false => Ok(()),
    }
}
