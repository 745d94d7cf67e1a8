//! `hanse dr`: how the DR plans are, and the word that a node which may be primary can't write.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use clap::{Args, Subcommand};
use hanse_client::proto::{self, run_plan_request::Ask};
use hanse_client::{Client, ClientError};
use hanse_core::name::{NodeName, PlanName};

use super::connection::Connection;
use super::dr_restore::{Backups, Restore};
use super::drill::Records;
use super::run_plan::Asking;
use super::{dr_json, dr_view, output};

const EXAMPLES: &str = "\
Examples:
  hanse dr
  hanse dr orders --watch
  hanse dr records orders
  hanse dr backups orders
  hanse dr restore orders --into /srv/orders-restored --at 2026-03-01T14:59:00Z
  hanse dr confirm-fenced orders --holder lubeck-1";

const CONFIRM_EXAMPLE: &str = "\
Say it only once the node is off, or cut off for good: a standby is promoted on your word, and two
that take writes can't be made one again. It is audited.

Example:
  hanse dr confirm-fenced orders --holder lubeck-1";

/// The longest that one look waits for news.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause after a look that failed.
const PAUSE: Duration = Duration::from_millis(500);
/// The end of what was on the screen, and its beginning.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Shows the DR plans.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Dr {
    /// One plan only, with all that is known of it
    #[arg(value_name = "PLAN")]
    plan: Option<PlanName>,
    /// Print JSON; with --watch one line for each change
    #[arg(long)]
    json: bool,
    /// Go on whenever something changes, until interrupted
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Option<DrCommand>,
}

#[derive(Debug, Subcommand)]
enum DrCommand {
    /// Says that a node which may be primary can't write
    ConfirmFenced(ConfirmFenced),
    /// Shows from what a plan's workload can be restored
    Backups(Backups),
    /// Restores a plan's workload into a folder, as it was at a time
    Restore(Restore),
    /// Shows the records of a plan's drills
    Records(Records),
}

/// Says that a node which may be primary can't write.
#[derive(Debug, Args)]
#[command(after_help = CONFIRM_EXAMPLE)]
struct ConfirmFenced {
    /// The DR plan
    #[arg(value_name = "PLAN")]
    plan: PlanName,
    /// The node, as `hanse dr` names it
    #[arg(long, value_name = "NODE")]
    holder: NodeName,
    #[command(flatten)]
    asking: Asking,
}

impl Dr {
    /// Runs the command.
    pub async fn run(self) -> anyhow::Result<()> {
        match self.command {
            Some(DrCommand::ConfirmFenced(word)) => {
                let ask = Ask::ConfirmFenced(word.holder.to_string());
                let done = format!("`{}` counts as fenced, by your word", word.holder);
                return word.asking.once(&word.plan, ask, &done).await;
            }
            Some(DrCommand::Records(records)) => return records.run().await,
            Some(DrCommand::Backups(backups)) => return backups.run().await,
            Some(DrCommand::Restore(restore)) => return restore.run().await,
            None => {}
        }
        let client = self.connection.open().await?;
        let answer = match &self.plan {
            None => client.plan_status(None, 0, Duration::ZERO).await?,
            Some(plan) => proto::PlanStatusResponse {
                version: 0,
                plans: vec![client.plan(plan).await?],
            },
        };
        if !self.watch {
            return match self.json {
                true => output::print_json(&dr_json::to_json(&answer.plans)),
                false => output::print(&dr_view::text(&answer.plans, self.plan.is_some())),
            };
        }
        self.go_on(&client, answer).await
    }

    /// Prints whatever is new, for ever.
    async fn go_on(
        &self,
        client: &Client,
        mut answer: proto::PlanStatusResponse,
    ) -> anyhow::Result<()> {
        let clear = match io::stdout().is_terminal() {
            true => CLEAR,
            false => "",
        };
        let mut shown = String::new();
        loop {
            let text = match self.json {
                true => dr_json::to_json(&answer.plans).to_string(),
                false => format!(
                    "{clear}{}",
                    dr_view::text(&answer.plans, self.plan.is_some())
                ),
            };
            if shown != text {
                output::print(&text)?;
                shown = text;
            }
            answer = self.look(client, answer).await?;
        }
    }

    /// What there is next. A voter that began to lead just now tells of no plan yet.
    async fn look(
        &self,
        client: &Client,
        before: proto::PlanStatusResponse,
    ) -> Result<proto::PlanStatusResponse, ClientError> {
        let wanted = self.plan.as_ref();
        loop {
            match client
                .plan_status(wanted, before.version, LOOK_TIMEOUT)
                .await
            {
                Ok(answer) if answer.plans.is_empty() && wanted.is_some() => {
                    let version = answer.version;
                    return Ok(proto::PlanStatusResponse { version, ..before });
                }
                Ok(answer) => return Ok(answer),
                Err(error) if error.is_transient() => {
                    output::progress(&format!("{error}; looking again"));
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}
