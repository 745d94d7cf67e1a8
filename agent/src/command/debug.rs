//! `hanse debug`: what somebody needs who is to find out from afar what is wrong.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use hanse_client::proto::events_response::Answer;
use hanse_client::{Client, ClientError};
use serde_json::{Value, json};

use super::backup::refuse_existing;
use super::connection::{Connection, DATA_DIR_DEFAULT};
use super::{events, mesh, nodes, output, status, voters};
use crate::bundle::{self, Bundle, Redaction};
use crate::clock::wall_ms;
use crate::data::DataFolder;
use crate::data::file::{self, MODE_SECRET};

const EXAMPLE: &str = "\
Keys, tokens, pre-shared keys and credentials are taken out; names, addresses and public keys stay.

Example:
  hanse debug bundle problem.tar.gz --data-dir /var/lib/hanse";

/// Helps to find out what is wrong.
#[derive(Debug, Subcommand)]
pub enum Debug {
    /// Gathers what is known into one archive that can be sent to somebody
    Bundle(BundleCommand),
}

/// Gathers what is known, without secrets.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct BundleCommand {
    /// Where to write it, as .tar.gz
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The agent's log, if it is not in the journal of the unit hanse-agent
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Replace a file that is there already
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Debug {
    /// Runs the command.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Bundle(command) => command.run().await,
        }
    }
}

impl BundleCommand {
    async fn run(self) -> anyhow::Result<()> {
        if !self.force {
            refuse_existing(&self.file)?;
        }
        let folder = self.folder();
        let redaction = Redaction::knowing(folder.as_ref(), self.connection.credentials());
        let now_unix_s = wall_ms() / 1000;
        let mut bundle = Bundle::new(redaction, now_unix_s);
        bundle.put_json(
            "about.json",
            &json!({
                "version": env!("CARGO_PKG_VERSION"),
                "made_unix_s": now_unix_s,
                "data_folder": folder.as_ref().map(|folder| folder.path().display().to_string()),
                "endpoints": self.connection.endpoints(),
            }),
        );
        output::progress("Asking the federation …");
        if let Err(error) = self.put_federation(&mut bundle).await {
            bundle.lack("federation", &format!("{error:#}"));
        }
        output::progress("Asking this machine …");
        self.put_agent(&mut bundle, folder.as_ref()).await;
        bundle::machine(&mut bundle).await;
        for missing in bundle.missing() {
            output::progress(&format!("Missing: {missing}"));
        }
        let bytes = bundle.finish().context("unable to make the archive")?;
        file::write_beside_others(&self.file, MODE_SECRET, &bytes)
            .with_context(|| format!("unable to write {}", self.file.display()))?;
        output::progress(&format!(
            "{} holds what was found, without keys, tokens and credentials. It names machines and \
             addresses: look into it before you send it.",
            self.file.display()
        ));
        Ok(())
    }

    /// The agent's folder on this machine.
    fn folder(&self) -> Option<DataFolder> {
        let named = self.connection.data_dir().map(DataFolder::new);
        let usual = DataFolder::new(DATA_DIR_DEFAULT);
        named.or_else(|| usual.path().exists().then_some(usual))
    }

    async fn put_federation(&self, bundle: &mut Bundle) -> anyhow::Result<()> {
        let client = self.connection.open_any().await?;
        let snapshot = client.snapshot(0, Duration::ZERO).await?;
        bundle.put_json("federation/status.json", &status::to_json(&snapshot));
        bundle.put_json("federation/nodes.json", &nodes::all_to_json(&snapshot));
        let keepers = voters::to_json(&snapshot.response.voters);
        bundle.put_json("federation/voters.json", &keepers);
        let mut meshes = Vec::new();
        for name in snapshot.inventory.meshes.keys() {
            let seen = client.snapshot_of_mesh(name, 0, Duration::ZERO).await?;
            meshes.push(mesh::to_json(name.as_str(), &seen.response.nodes));
        }
        bundle.put_json("federation/mesh.json", &json!({ "meshes": meshes }));
        match happened(&client).await {
            Ok(events) => bundle.put_json("federation/events.json", &events),
            Err(error) => bundle.lack("federation/events.json", &error.to_string()),
        }
        Ok(())
    }

    async fn put_agent(&self, bundle: &mut Bundle, folder: Option<&DataFolder>) {
        match folder {
            Some(folder) => {
                bundle.put_file("agent/agent.toml", &folder.settings());
                bundle.put_result("agent/files.txt", bundle::listing(folder.path()));
            }
            None => bundle.lack(
                "agent",
                "no data folder is known here; name one with --data-dir",
            ),
        }
        match &self.log {
            Some(path) => bundle.put_log("agent/log.txt", path),
            None => bundle::journal(bundle).await,
        }
    }
}

/// What the federation remembers; the history is bounded.
async fn happened(client: &Client) -> Result<Value, ClientError> {
    let failed = |status| hanse_client::client::failure(&status);
    let mut stream = client.events(0, false).await?;
    let mut events = Vec::new();
    while let Some(response) = stream.message().await.map_err(failed)? {
        match response.answer {
            Some(Answer::Happened(happened)) => events.push(events::to_json(&happened)),
            Some(Answer::Compacted(_)) | None => {}
        }
    }
    Ok(Value::Array(events))
}
