//! `hanse node revoke` and `hanse node remove`: shuts a node out, forgets one that is gone.

use clap::{Args, Subcommand};
use hanse_client::client::request_id;
use hanse_core::name::NodeName;

use super::connection::Connection;
use super::output;

const REVOKE_EXAMPLE: &str = "\
Its certificate is worth nothing from then on, on open connections too; its peers drop it from
their meshes, and nobody gets its addresses again. Its name stays taken until `hanse node remove`.

Example:
  hanse node revoke berlin-1";

const REMOVE_EXAMPLE: &str = "\
For a node that is gone for good: its name is free again, and nobody gets its addresses. One that
can still be logged in to leaves by itself with `hanse leave`, and takes its meshes down.

Example:
  hanse node remove berlin-1";

/// Shuts nodes out and forgets them.
#[derive(Debug, Subcommand)]
pub enum Node {
    /// Shuts a node out at once, for example when its machine was stolen
    Revoke(Revoke),
    /// Forgets a node that is gone
    Remove(Remove),
}

/// Shuts a node out.
#[derive(Debug, Args)]
#[command(after_help = REVOKE_EXAMPLE)]
pub struct Revoke {
    /// The node
    #[arg(value_name = "NODE")]
    node: NodeName,
    #[command(flatten)]
    connection: Connection,
}

/// Forgets a node.
#[derive(Debug, Args)]
#[command(after_help = REMOVE_EXAMPLE)]
pub struct Remove {
    /// The node
    #[arg(value_name = "NODE")]
    node: NodeName,
    /// Even if it still reports: its meshes stay up there, and lead nowhere
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Node {
    /// Runs the command.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Revoke(Revoke { node, connection }) => {
                let client = connection.open().await?;
                let revision = client.revoke_node(&node, &request_id()?).await?;
                output::progress(&format!(
                    "The node `{node}` is revoked since revision {revision}. `hanse node remove \
                     {node}` frees its name."
                ));
            }
            Self::Remove(Remove {
                node,
                force,
                connection,
            }) => {
                let client = connection.open().await?;
                let revision = client.remove_node(&node, force, &request_id()?).await?;
                output::progress(&format!(
                    "The node `{node}` is removed since revision {revision}."
                ));
            }
        }
        Ok(())
    }
}
