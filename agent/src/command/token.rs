//! `hanse token create`: makes a join token and prints nothing else.

use clap::{Args, Subcommand};
use hanse_core::duration::Span;
use hanse_core::name::ClusterName;

use super::connection::Connection;
use super::output;

const EXAMPLE: &str = "\
Example:
  hanse token create --cluster berlin --ttl 1h --uses 3 > token";

/// Makes join tokens.
#[derive(Debug, Subcommand)]
pub enum Token {
    /// Makes a token with which machines join a member cluster
    Create(Create),
}

/// Makes a token.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct Create {
    /// The member cluster; it may be declared later
    #[arg(long, value_name = "CLUSTER")]
    cluster: ClusterName,
    /// How long the token is good
    #[arg(long, value_name = "DURATION", default_value = "15m")]
    ttl: Span,
    /// How many machines it lets in
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    uses: u32,
    /// Whether it lets voters in
    #[arg(long)]
    voter: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Token {
    /// Runs the command.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self::Create(create) = self;
        let client = create.connection.open().await?;
        let ttl = create.ttl.value();
        let token = client
            .issue_token(&create.cluster, ttl, create.uses, create.voter)
            .await?;
        output::print(&token)
    }
}
