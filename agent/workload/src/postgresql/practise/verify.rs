//! Whether a drill's copy is what the plan promises: it is promoted until it has committed a write, and
//! asked.

use std::time::{Duration, Instant};

use hanse_core::dr::duty::DrillOrder;
use hanse_core::object::dr_plan::DrillCheck;

use super::super::command::{check, last_of};
use super::super::session::Session;
use super::Rehearsal;
use crate::drill::{self, Findings};
use crate::trouble::Trouble;

impl Rehearsal<'_> {
    /// Promotes the copy, and asks it all that is to be verified.
    pub(super) async fn verify(
        &self,
        order: &DrillOrder,
        findings: &mut Findings,
    ) -> Result<(), Trouble> {
        findings.say("the copy is promoted");
        let began = Instant::now();
        let mut session = Session::new(&self.data);
        let seconds = order.timeout.as_secs();
        let promote = format!("select pg_promote(true, {seconds})");
        let rows = session.ask(&promote, order.timeout).await?;
        if rows.first().and_then(|row| row.get(0)) != Some("t") {
            return Err(Trouble(format!(
                "the copy could not be promoted: {}",
                last_of(&self.log())
            )));
        }
        // What counts is a write on the disk.
        let write = "set synchronous_commit = on; create schema hanse_drill; \
                     create table hanse_drill.written as select clock_timestamp() as at";
        session.ask(write, order.timeout).await?;
        findings.promoted(order, began.elapsed());
        self.amcheck(findings).await;
        for (place, check) in order.checks.iter().enumerate() {
            findings.say(&format!(
                "it asks `{}` ({} of {})",
                check.name,
                place + 1,
                order.checks.len()
            ));
            let since = Instant::now();
            let answered = self.question(check, order.timeout).await;
            findings.checked(&check.name, since, answered);
        }
        if !order.command.is_empty() {
            let drill = [
                ("HANSE_DRILL", order.number.to_string()),
                ("HANSE_DRILL_COPY", self.data.display().to_string()),
            ];
            let environment = self.environment().into_iter().chain(drill);
            let environment = environment.map(|(name, value)| (name.to_owned(), value));
            let user = &self.server.user;
            drill::verify(self.cage, (order, user), environment.collect(), findings).await;
        }
        Ok(())
    }

    /// Every relation of every database, as far as PostgreSQL can tell that it is whole.
    async fn amcheck(&self, findings: &mut Findings) {
        const NAME: &str = "pg_amcheck";
        findings.say("pg_amcheck reads all tables and indexes");
        if !self.server.bin.join(NAME).is_file() {
            let why = "it is not installed: run `apt-get install postgresql-client-NN`, NN being the \
                       server's version";
            return findings.skipped(NAME, why);
        }
        let since = Instant::now();
        let mut command = self.program(NAME);
        command
            .args(["--all", "--install-missing"])
            .envs(self.environment());
        let checked = check("verify all relations", &mut command).await;
        match checked {
            Err(trouble) if trouble.0.contains("could not open extension control file") => {
                let why =
                    "the server has no extension amcheck: run `apt-get install postgresql-contrib`";
                findings.skipped(NAME, why);
            }
            checked => findings.checked(NAME, since, checked),
        }
    }

    async fn question(&self, check: &DrillCheck, within: Duration) -> Result<(), Trouble> {
        let mut session = Session::of(&self.data, &check.database);
        let rows = session.ask(&check.sql, within).await?;
        match rows.as_slice() {
            [row] => match row.try_get(0) {
                Ok(Some("t" | "true")) => Ok(()),
                Ok(Some(other)) => {
                    let other: String = other.chars().take(80).collect();
                    Err(Trouble(format!("it answers `{other}`, and not true")))
                }
                Ok(None) => Err(Trouble("it answers null, and not true".to_owned())),
                Err(_) => Err(Trouble("it yields no column".to_owned())),
            },
            rows => Err(Trouble(format!(
                "it yields {} rows, and not one",
                rows.len()
            ))),
        }
    }

    fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("PGHOST", self.folder().display().to_string()),
            ("PGPORT", "5432".to_owned()),
            ("PGUSER", self.server.user.name.clone()),
            ("PGDATABASE", "postgres".to_owned()),
        ]
    }
}
