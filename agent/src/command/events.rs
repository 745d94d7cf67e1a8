//! `hanse events`: what happened, and what happens from now on.

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use hanse_client::proto::{self, events_response::Answer};
use hanse_client::{Client, ClientError};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::connection::Connection;
use super::output;

const EXAMPLE: &str = "\
Example:
  hanse events --follow --json";

/// The pause before a stream that broke is opened again; it doubles up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Shows what happened: declarations, enrolments, keys, health.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct Events {
    /// Go on with what happens from now on, until interrupted
    #[arg(long)]
    follow: bool,
    /// Begin at this revision; by default at the oldest that is remembered
    #[arg(
        long,
        value_name = "REVISION",
        default_value_t = 0,
        hide_default_value = true
    )]
    from: u64,
    /// Print JSON, one object on each line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Events {
    /// Runs the command.
    pub async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.open().await?;
        let mut next_revision = self.from;
        let mut pause = PAUSE_FIRST;
        loop {
            let before = next_revision;
            match self.tell(&client, &mut next_revision).await? {
                Ended::Well => return Ok(()),
                Ended::Broken(error) if self.follow => {
                    output::progress(&format!("{error}; connecting again"));
                }
                Ended::Broken(error) => return Err(error.into()),
            }
            if next_revision != before {
                pause = PAUSE_FIRST;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Prints one stream to its end. `next_revision` is where the next one begins.
    async fn tell(&self, client: &Client, next_revision: &mut u64) -> anyhow::Result<Ended> {
        let mut events = match client.events(*next_revision, self.follow).await {
            Ok(events) => events,
            Err(error) if error.is_transient() => return Ok(Ended::Broken(error)),
            Err(error) => return Err(error.into()),
        };
        loop {
            let event = match events.message().await {
                Ok(Some(event)) => event,
                Ok(None) if self.follow => {
                    let reason = "the voter ended the stream".to_owned();
                    return Ok(Ended::Broken(ClientError::Interrupted { reason }));
                }
                Ok(None) => return Ok(Ended::Well),
                Err(status) => {
                    let error = hanse_client::client::failure(&status);
                    if error.is_transient() {
                        return Ok(Ended::Broken(error));
                    }
                    return Err(error.into());
                }
            };
            match event.answer {
                Some(Answer::Happened(happened)) => {
                    *next_revision = happened.revision + 1;
                    self.print_event(&happened)?;
                }
                Some(Answer::Compacted(compacted)) => self.print_gap(&compacted)?,
                // Something that a newer voter says and nobody here understands.
                None => {}
            }
        }
    }

    fn print_event(&self, happened: &proto::Happened) -> anyhow::Result<()> {
        if self.json {
            return print_line(&to_json(happened));
        }
        let at = at(happened.at_unix_s)?;
        output::print(&format!(
            "{at}  {:>8}  {}",
            happened.revision, happened.sentence
        ))
    }

    fn print_gap(&self, compacted: &proto::Compacted) -> anyhow::Result<()> {
        let first_revision = compacted.first_revision;
        if self.json {
            return print_line(&json!({ "compacted": true, "first_revision": first_revision }));
        }
        output::progress(&format!(
            "What happened before revision {first_revision} is no longer remembered."
        ));
        Ok(())
    }
}

/// For programs.
pub(super) fn to_json(happened: &proto::Happened) -> Value {
    json!({
        "revision": happened.revision,
        "at_unix_s": happened.at_unix_s,
        "at": at(happened.at_unix_s).ok(),
        "kind": happened.kind,
        "subject": happened.subject,
        "sentence": happened.sentence,
    })
}

/// How a stream ended.
enum Ended {
    Well,
    Broken(ClientError),
}

fn print_line(value: &Value) -> anyhow::Result<()> {
    output::print(&value.to_string())
}

fn at(unix_s: u64) -> anyhow::Result<String> {
    let seconds = i64::try_from(unix_s).unwrap_or(i64::MAX);
    let time = OffsetDateTime::from_unix_timestamp(seconds)
        .context("an event has a time beyond the calendar")?;
    Ok(time.format(&Rfc3339)?)
}
