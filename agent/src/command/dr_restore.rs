//! `hanse dr backups` and `hanse dr restore`: from what a plan's workload can be restored, and a restore
//! into a folder. Both run on a node that has a copy, and ask nobody else.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use hanse_core::dr::duty::{CopyPlan, Duty};
use hanse_core::name::PlanName;
use hanse_core::object::dr_backup::Place;
use hanse_core::object::dr_plan::{Postgresql, Workload};
use hanse_workload::{BackedCopy, Kind, Made, Restored, Restoring, Setup, Stock};
use serde_json::{Value, json};
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use super::connection::DATA_DIR_DEFAULT;
use super::output;
use crate::copies::{Told, cage, setup};
use crate::data::DataFolder;

const BACKUPS_EXAMPLE: &str = "\
Run it as root on a node that has a copy of the plan; it reads the repository from there.

Examples:
  hanse dr backups orders
  hanse dr backups orders --json";

const RESTORE_EXAMPLE: &str = "\
Run it as root on a node that has a copy of the plan. It makes a server of its own in the folder, as the
plan's was at that time. Nothing else on the node is written to, and the copy that runs is not touched.

What is restored is what the plan's primary wrote. Whoever was promoted began another timeline of
PostgreSQL's; one that the plan has left is restored with --timeline.

Examples:
  hanse dr restore orders --into /srv/orders-restored
  hanse dr restore orders --into /srv/orders-restored --at 2026-03-01T14:59:00Z";

const HEADING: [&str; 6] = ["BACKUP", "KIND", "ENDED", "TIMELINE", "DATA", "STORED"];
/// As PostgreSQL reads it.
const POSTGRESQL_TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:6]+00");

/// Shows from what a plan's workload can be restored.
#[derive(Debug, Args)]
#[command(after_help = BACKUPS_EXAMPLE)]
pub(super) struct Backups {
    /// The DR plan
    #[arg(value_name = "PLAN")]
    plan: PlanName,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The agent's folder
    #[arg(long, value_name = "FOLDER", default_value = DATA_DIR_DEFAULT)]
    data_dir: PathBuf,
}

/// Restores a plan's workload into a folder, as it was at a time.
#[derive(Debug, Args)]
#[command(after_help = RESTORE_EXAMPLE)]
pub(super) struct Restore {
    /// The DR plan
    #[arg(value_name = "PLAN")]
    plan: PlanName,
    /// An empty folder, or one that is to be made
    #[arg(long, value_name = "FOLDER")]
    into: PathBuf,
    /// The time, such as 2026-03-01T14:59:00Z; by default as late as there is
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<OffsetDateTime>,
    /// The timeline of PostgreSQL's, by its number; by default the one that the plan is on
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    timeline: Option<u32>,
    /// The agent's folder
    #[arg(long, value_name = "FOLDER", default_value = DATA_DIR_DEFAULT)]
    data_dir: PathBuf,
}

/// A copy on this node whose workload is backed up.
struct BackedUp {
    setup: Setup,
    postgresql: Postgresql,
    plan: PlanName,
    duty: Duty,
    /// Whether its repository is elsewhere than in a folder.
    is_remote: bool,
    /// Folders that nothing is restored into.
    taken: Vec<PathBuf>,
}

impl Backups {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Self { plan, .. } = &self;
        let copy = find(&self.data_dir, plan)?;
        let stock = hanse_workload::backups(&copy.backed()).await?;
        match self.json {
            true => output::print_json(&to_json(plan, &stock)),
            false => output::print(&text(plan, &stock)),
        }
    }
}

impl Restore {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Self {
            plan,
            into,
            at,
            timeline,
            data_dir,
        } = &self;
        let copy = find(data_dir, plan)?;
        let into = std::path::absolute(into)
            .with_context(|| format!("unable to tell where {} is", into.display()))?;
        let restoring = Restoring {
            copy: copy.backed(),
            cage: &cage(),
            is_remote: copy.is_remote,
            into: &into,
            at: at.map(target).transpose()?,
            timeline: *timeline,
            taken: &copy.taken,
        };
        let restored = hanse_workload::restore(&restoring, output::progress).await?;
        output::print(&next_steps(plan, &into, &restored))
    }
}

impl BackedUp {
    fn backed(&self) -> BackedCopy<'_> {
        BackedCopy {
            setup: &self.setup,
            postgresql: &self.postgresql,
            plan: &self.plan,
            duty: &self.duty,
        }
    }
}

/// Reads a moment with its offset: without one nobody could say which hour is meant.
fn moment(text: &str) -> Result<OffsetDateTime, String> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|_| {
        "write the time with its offset, such as 2026-03-01T14:59:00Z or 2026-03-01T15:59:00+01:00"
            .to_owned()
    })
}

/// A time in seconds since 1970, and as PostgreSQL reads it.
fn target(at: OffsetDateTime) -> anyhow::Result<(u64, String)> {
    let unix_s = u64::try_from(at.unix_timestamp()).unwrap_or(0);
    let text = at.to_offset(UtcOffset::UTC).format(POSTGRESQL_TIME);
    Ok((unix_s, text.context("unable to write the time down")?))
}

/// Finds the copy of a plan that this node has.
fn find(data_dir: &Path, plan: &PlanName) -> anyhow::Result<BackedUp> {
    let folder = DataFolder::new(data_dir);
    let told = Told::read(&folder)?;
    let Some((_, copy)) = told.copies.get(plan) else {
        anyhow::bail!(
            "this node has no copy of `{plan}`, by what {} says: run it on one that has, which \
             `hanse dr` names",
            data_dir.display()
        );
    };
    let (Workload::Postgresql(postgresql), Some(backup)) = (&copy.workload, &copy.backup) else {
        anyhow::bail!("the DR plan `{plan}` is not backed up: declare `backup` in it");
    };
    let mut taken: Vec<PathBuf> = told.copies.values().flat_map(folders).collect();
    let is_remote = match backup.declared.repository.place() {
        Place::Folder(repository) => {
            taken.push(repository.into());
            false
        }
        Place::S3 { .. } => true,
    };
    Ok(BackedUp {
        setup: setup(folder.copy(plan), plan, copy),
        postgresql: postgresql.clone(),
        plan: plan.clone(),
        duty: copy.duty.clone(),
        is_remote,
        taken,
    })
}

fn folders((_, copy): &(u64, CopyPlan)) -> Vec<PathBuf> {
    let folder = match &copy.workload {
        Workload::Postgresql(postgresql) => &postgresql.data_directory,
        Workload::Directory(directory) => &directory.path,
        Workload::Command(_) => return Vec::new(),
    };
    let folder = folder.trim_end_matches('/');
    vec![folder.into(), format!("{folder}.hanse").into()]
}

fn text(plan: &PlanName, stock: &Stock) -> String {
    let Stock { made, others, note } = stock;
    if made.is_empty() && others.is_empty() {
        return format!("There is no backup of `{plan}` yet. See: hanse dr {plan}");
    }
    let mut table = output::table(&HEADING);
    for one in made.iter().chain(others) {
        table.add_row([
            one.label.clone(),
            kind(one).to_owned(),
            format!(
                "{} ({})",
                date(one.ended_unix_s),
                output::since(one.ended_unix_s)
            ),
            match others.contains(one) {
                true => format!("{}, left", one.timeline),
                false => one.timeline.to_string(),
            },
            output::bytes(one.size_bytes),
            output::bytes(one.stored_bytes),
        ]);
    }
    let mut text = output::lines(&table);
    if let Some(first) = made.first() {
        let from = date(first.restorable_from_unix_s());
        text.push_str(&format!(
            "\n\nAny time can be restored from {from} until the log was archived last, which \
             `hanse dr {plan}` shows."
        ));
    }
    if !others.is_empty() {
        text.push_str(
            "\n\nWhat `left` marks is not what the plan has now: somebody else was promoted before \
             it was written.\n--timeline restores from there.",
        );
    }
    if let Some(note) = note {
        text.push_str(&format!("\n\nMind: {note}."));
    }
    text
}

fn to_json(plan: &PlanName, stock: &Stock) -> Value {
    let one = |one: &Made| {
        json!({
            "label": one.label,
            "kind": kind(one),
            "began_unix_s": one.began_unix_s,
            "ended_unix_s": one.ended_unix_s,
            "size_bytes": one.size_bytes,
            "stored_bytes": one.stored_bytes,
            "timeline": one.timeline,
        })
    };
    let all = |made: &[Made]| made.iter().map(one).collect::<Vec<_>>();
    json!({
        "plan": plan.as_str(),
        "restorable_from_unix_s": stock.made.first().map(Made::restorable_from_unix_s),
        "backups": all(&stock.made),
        "left": all(&stock.others),
        "note": stock.note,
    })
}

fn kind(made: &Made) -> &'static str {
    match made.kind {
        Kind::Full => "full",
        Kind::Incremental => "incremental",
    }
}

fn date(unix_s: u64) -> String {
    let date = i64::try_from(unix_s).ok();
    let date = date.and_then(|unix_s| OffsetDateTime::from_unix_timestamp(unix_s).ok());
    let date = date.and_then(|date| date.format(&Rfc3339).ok());
    date.unwrap_or_else(|| unix_s.to_string())
}

fn next_steps(plan: &PlanName, into: &Path, restored: &Restored) -> String {
    let Restored {
        bin,
        user,
        last,
        note,
    } = restored;
    let note = note
        .as_ref()
        .map_or_else(String::new, |note| format!("\nMind: {note}.\n"));
    let last = last.as_ref().map_or_else(
        || "No transaction was committed since the backup that it comes from.".to_owned(),
        |last| format!("Its last transaction is of {last}."),
    );
    let (bin, into) = (bin.display(), into.display());
    format!(
        "`{plan}` is restored into {into}. {last}
{note}It is a server of its own: no plan keeps it, it listens on its socket alone, it archives nothing, and it
begins no library and no subscription. The last lines of its postgresql.conf say so.

Start it and look:
  cd / && sudo -u {user} {bin}/pg_ctl -D {into} -w -l /dev/null -o '-p 5499 -k /tmp' start
  cd / && sudo -u {user} psql -h /tmp -p 5499 postgres
Take a table back from it:
  cd / && sudo -u {user} pg_dump -h /tmp -p 5499 --table=TABLE DATABASE
End it:
  cd / && sudo -u {user} {bin}/pg_ctl -D {into} -m fast stop"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_needs_its_offset_and_is_told_to_postgresql_in_utc() {
        let at = moment("2026-03-01T15:59:00.25+01:00").unwrap();
        let (unix_s, text) = target(at).unwrap();
        assert_eq!(unix_s, 1_772_377_140);
        assert_eq!(text, "2026-03-01 14:59:00.250000+00");
        for text in [
            "2026-03-01 14:59:00",
            "2026-03-01T14:59:00",
            "yesterday",
            "",
        ] {
            moment(text).unwrap_err();
        }
    }

    #[test]
    fn backups_are_shown_with_the_earliest_time_that_can_be_restored() {
        let plan = "orders".parse().unwrap();
        let mut stock = Stock {
            made: Vec::new(),
            others: Vec::new(),
            note: None,
        };
        assert!(text(&plan, &stock).contains("no backup of `orders` yet"));
        let made = Made {
            label: "20260301-145900F".to_owned(),
            kind: Kind::Full,
            began_unix_s: 1_772_377_100,
            ended_unix_s: 1_772_377_140,
            size_bytes: 5 << 30,
            stored_bytes: 1 << 30,
            timeline: 1,
            log_end: None,
            is_damaged: false,
        };
        stock.others.push(Made {
            label: "20260301-155900F".to_owned(),
            ..made.clone()
        });
        stock.made.push(made);
        let shown = text(&plan, &stock);
        assert!(shown.contains("20260301-145900F"), "{shown}");
        assert!(shown.contains("from 2026-03-01T14:59:01Z"), "{shown}");
        assert!(shown.contains("1, left"), "{shown}");
        let json = to_json(&plan, &stock);
        assert_eq!(json["backups"][0]["kind"], "full");
        assert_eq!(json["left"][0]["label"], "20260301-155900F");
    }

    #[test]
    fn a_node_without_the_copy_says_where_to_go() {
        let folder = tempfile::tempdir().unwrap();
        let plan = "orders".parse().unwrap();
        let error = find(folder.path(), &plan).err().unwrap().to_string();
        assert!(error.contains("no copy of `orders`"), "{error}");
    }
}
