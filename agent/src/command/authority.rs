//! `hanse authority rotate` and `hanse authority status`: replaces the certificate authority, and
//! says how that stands.

use std::time::Duration;

use clap::{Args, Subcommand};
use hanse_client::client::request_id;
use hanse_client::proto;
use serde_json::{Value, json};

use super::connection::Connection;
use super::output;

const ROTATE_EXAMPLE: &str = "\
Nothing stops meanwhile. First every live node comes to trust the new authority; then it signs, the
old one's key is destroyed, and nodes renew their certificates within minutes; in the end, once
everything that the old one signed has been replaced or has ended, it is trusted no more.
`hanse authority status` says what the next step waits for.

Nodes out of reach come back by themselves, and the end waits for them until their certificates are
good for nothing any more. With --force the step that is due is taken at once: whoever was not ready
for the last one has to join, or needs new credentials.

Example:
  hanse authority rotate";

const STATUS_EXAMPLE: &str = "\
Example:
  hanse authority status --json";

/// Replaces the certificate authority.
#[derive(Debug, Subcommand)]
pub enum Authority {
    /// Begins to replace the certificate authority
    Rotate(Rotate),
    /// Shows the certificate authorities, and what a rotation waits for
    Status(Status),
}

/// Begins to replace the certificate authority.
#[derive(Debug, Args)]
#[command(after_help = ROTATE_EXAMPLE)]
pub struct Rotate {
    /// While a rotation is under way: take its next step now
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Shows the certificate authorities.
#[derive(Debug, Args)]
#[command(after_help = STATUS_EXAMPLE)]
pub struct Status {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Authority {
    /// Runs the command.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Rotate(Rotate { force, connection }) => {
                let client = connection.open().await?;
                let authorities = client.rotate_authority(force, &request_id()?).await?;
                output::progress(&text(&authorities));
                Ok(())
            }
            Self::Status(Status { json, connection }) => {
                let client = connection.open().await?;
                let snapshot = client.snapshot(0, Duration::ZERO).await?;
                let authorities = &snapshot.response.authorities;
                if json {
                    output::print_json(&to_json(authorities))
                } else {
                    output::print(&text(authorities))
                }
            }
        }
    }
}

/// The authorities for programs.
#[must_use]
pub fn to_json(authorities: &[proto::Authority]) -> Value {
    let authorities = authorities.iter().map(|authority| {
        json!({
            "number": authority.number,
            "fingerprint": authority.fingerprint,
            "role": authority.role,
            "since_unix_s": authority.since_unix_s,
            "waits_for": authority.waits_for,
        })
    });
    authorities.collect()
}

/// What a rotation waits for, in lines; empty: there is none.
#[must_use]
pub fn waits(authorities: &[proto::Authority]) -> Vec<String> {
    let waits = authorities.iter().flat_map(|authority| {
        let waits_for = authority.waits_for.iter();
        waits_for.map(|wait| {
            format!(
                "the {} authority {} waits for {wait}",
                authority.role, authority.number
            )
        })
    });
    waits.collect()
}

fn text(authorities: &[proto::Authority]) -> String {
    let mut table = output::table(&["AUTHORITY", "ROLE", "SINCE", "FINGERPRINT"]);
    for authority in authorities {
        table.add_row([
            authority.number.to_string(),
            authority.role.clone(),
            output::since(authority.since_unix_s),
            authority.fingerprint.clone(),
        ]);
    }
    let mut text = output::lines(&table);
    for wait in waits(authorities) {
        text.push_str("\n! ");
        text.push_str(&wait);
    }
    text
}
