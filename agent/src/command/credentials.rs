//! `hanse credentials`: makes and revokes credentials; a key is born here and goes nowhere else.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use hanse_client::Role;
use hanse_client::client::request_id;
use hanse_core::duration::Span;
use hanse_core::name::NodeName;

use super::connection::Connection;
use super::output;
use crate::data::file::{self, MODE_SECRET};

const EXAMPLE: &str = "\
Example:
  hanse credentials issue --name ci --role viewer --ttl 24h --out ci.pem";

const REVOKE_EXAMPLE: &str = "\
Credentials of that name that were made up to now are refused from now on, on open connections
too, whatever their role. Those made afterwards are good.

Example:
  hanse credentials revoke --name ci";

/// Makes credentials for people and programs.
#[derive(Debug, Subcommand)]
pub enum CredentialsCommand {
    /// Makes a PEM bundle, to be used through HANSE_CREDENTIALS
    Issue(Issue),
    /// Ends all of a user's credentials that were made up to now
    Revoke(Revoke),
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

/// Ends a user's credentials.
#[derive(Debug, Args)]
#[command(after_help = REVOKE_EXAMPLE)]
pub struct Revoke {
    /// Whose credentials
    #[arg(long, value_name = "NAME")]
    name: NodeName,
    #[command(flatten)]
    connection: Connection,
}

impl CredentialsCommand {
    /// Runs the command.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Issue(issue) => issue.run().await,
            Self::Revoke(revoke) => revoke.run().await,
        }
    }
}

impl Revoke {
    async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.open().await?;
        let revision = client.revoke_user(&self.name, &request_id()?).await?;
        output::progress(&format!(
            "Credentials of `{}` that were made before revision {revision} are worth nothing.",
            self.name
        ));
        Ok(())
    }
}

impl Issue {
    async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.open().await?;
        let bundle = client
            .issue_credentials(&self.name, self.role, self.ttl.value())
            .await?;
        match &self.out {
            None => output::print(bundle.trim_end()),
            Some(path) => file::write_beside_others(path, MODE_SECRET, bundle.as_bytes())
                .with_context(|| format!("unable to write {}", path.display())),
        }
    }
}
