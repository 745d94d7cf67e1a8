//! `hanse voter add` and `hanse voter remove`: who keeps the federation's state.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use hanse_client::client::request_id;
use hanse_client::{Client, ClientError, proto};
use hanse_core::endpoint::Endpoint;
use hanse_core::name::NodeName;

use super::connection::Connection;
use super::{output, voters};

const ADD_EXAMPLE: &str = "\
The node must be enrolled and its agent must run: it begins to serve by itself, learns what the
others know, and votes once it was steady for some seconds. An odd number of voters is best: three
go on without one, five without two.

Example:
  hanse voter add berlin-1 --advertise berlin-1.example.net:7443";

const REMOVE_EXAMPLE: &str = "\
The node stays enrolled and follows. It is refused where too few of the others can be heard to go
on, and where a DR plan could not fail over by itself without it: replace it by adding the other one
first. The node knew the federation's secrets: where it is not trusted any more, `hanse node revoke`
it next and then replace the certificate authority with `hanse authority rotate`.

Example:
  hanse voter remove berlin-1";

/// How long a change may take before the command says that it goes on without being watched.
const WAIT_MAX: Duration = Duration::from_secs(120);

/// Changes who keeps the federation's state.
#[derive(Debug, Subcommand)]
pub enum Voter {
    /// Makes a voter of a node
    Add(Add),
    /// Makes a voter a node like any other
    Remove(Remove),
}

/// Makes a voter of a node.
#[derive(Debug, Args)]
#[command(after_help = ADD_EXAMPLE)]
pub struct Add {
    /// The node
    #[arg(value_name = "NODE")]
    node: NodeName,
    /// How others will reach it
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Endpoint,
    /// Where it shall listen, if not on all addresses at that port
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    connection: Connection,
}

/// Makes a voter a node like any other.
#[derive(Debug, Args)]
#[command(after_help = REMOVE_EXAMPLE)]
pub struct Remove {
    /// The node
    #[arg(value_name = "NODE")]
    node: NodeName,
    /// Even if a DR plan can't fail over by itself any more
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Voter {
    /// Runs the command.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Add(add) => add.run().await,
            Self::Remove(remove) => remove.run().await,
        }
    }
}

impl Add {
    async fn run(self) -> anyhow::Result<()> {
        let node = &self.node;
        let client = self.connection.open().await?;
        let listen = match self.listen {
            Some(listen) => listen.to_string(),
            // Without IPv6 there is nothing to listen on by that name.
            None if self.advertise.host().parse::<Ipv4Addr>().is_ok() => {
                format!("0.0.0.0:{}", self.advertise.port())
            }
            None => format!("[::]:{}", self.advertise.port()),
        };
        let listen: Endpoint = listen.parse()?;
        let id = request_id()?;
        client
            .add_voter(node, &self.advertise, &listen, &id)
            .await?;
        let done = watch(&client, node, |voter| {
            voter.is_some_and(|voter| voter.votes && voter.pending.is_empty())
        });
        done.await.with_context(|| {
            format!(
                "`{node}` was called to vote and does not yet; it goes on by itself. If it stays \
                 so: does its agent run, is port {} free there, and do others reach it at {}? \
                 `hanse status` and its log say more; `hanse voter remove {node}` takes the call back",
                self.advertise.port(),
                self.advertise,
            )
        })?;
        output::progress(&format!("The node `{node}` is a voter."));
        Ok(())
    }
}

impl Remove {
    async fn run(self) -> anyhow::Result<()> {
        let node = &self.node;
        let client = self.connection.open().await?;
        let id = request_id()?;
        client.remove_voter(node, self.force, &id).await?;
        let done = watch(&client, node, |voter| voter.is_none());
        done.await.with_context(|| {
            format!(
                "`{node}` is to be no voter and still is one; that goes on by itself once enough \
                 of the others can be heard. `hanse status` shows whom"
            )
        })?;
        output::progress(&format!("The node `{node}` is no voter any more."));
        Ok(())
    }
}

/// Waits until a node is what it is to be, and says how far that is whenever it changes.
async fn watch(
    client: &Client,
    node: &NodeName,
    is_done: impl Fn(Option<&proto::Voter>) -> bool,
) -> anyhow::Result<()> {
    let mut told = None;
    let watching = async {
        let mut version = 0;
        loop {
            let snapshot = client.snapshot(version, Duration::from_secs(1)).await?;
            version = snapshot.response.version;
            let voters: BTreeMap<&str, &proto::Voter> = snapshot
                .response
                .voters
                .iter()
                .map(|voter| (voter.node.as_str(), voter))
                .collect();
            let own = voters.get(node.as_str()).copied();
            if is_done(own) {
                return Ok::<(), ClientError>(());
            }
            let state = own.map(|voter| (voter.votes, voter.leads, voter.pending.clone()));
            if told.as_ref() != Some(&state) {
                let words = own.map_or_else(|| "not listed yet".to_owned(), voters::describe);
                output::progress(&format!("{node}: {words}"));
                told = Some(state);
            }
        }
    };
    tokio::time::timeout(WAIT_MAX, watching).await??;
    Ok(())
}
