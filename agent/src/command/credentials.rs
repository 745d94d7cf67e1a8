//! `hanse credentials issue`: makes credentials; the key is born here and goes nowhere else.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use hanse_client::Role;
use hanse_core::duration::Span;
use hanse_core::name::NodeName;

use super::connection::Connection;
use super::output;
use crate::data::file::{self, MODE_SECRET};

const EXAMPLE: &str = "\
Example:
  hanse credentials issue --name ci --role viewer --ttl 24h --out ci.pem";

/// Makes credentials for people and programs.
#[derive(Debug, Subcommand)]
pub enum CredentialsCommand {
    /// Makes a PEM bundle, to be used through HANSE_CREDENTIALS
    Issue(Issue),
}

/// Makes a bundle.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct Issue {
    /// Whose credentials these are, for the audit log
    #[arg(long, value_name = "NAME")]
    name: NodeName,
    /// What they allow: viewer, operator or admin
    #[arg(long, value_name = "ROLE")]
    role: Role,
    /// How long they are good
    #[arg(long, value_name = "DURATION", default_value = "12h")]
    ttl: Span,
    /// Where to write them, for your eyes only; by default they are printed
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

impl CredentialsCommand {
    /// Runs the command.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self::Issue(issue) = self;
        let client = issue.connection.open().await?;
        let bundle = client
            .issue_credentials(&issue.name, issue.role, issue.ttl.value())
            .await?;
        match &issue.out {
            None => output::print(bundle.trim_end()),
            Some(path) => file::write_atomically(path, MODE_SECRET, bundle.as_bytes())
                .with_context(|| format!("unable to write {}", path.display())),
        }
    }
}
