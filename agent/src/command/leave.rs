//! `hanse leave`: this machine goes, and nothing of the federation stays on it.
//!
//! In this order, so that it can be run again wherever it was interrupted: say goodbye, take the
//! meshes down, delete the folder's content. Only a federation that is out of reach is left without
//! a word, and only by force.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use hanse_client::client::request_id;
use hanse_client::{Client, ClientError, Clock, Credentials, proto};
use hanse_dataplane::{Config, Dataplane};

use super::output;
use crate::clock::FollowerClock;
use crate::data::{DataFolder, Settings};
use crate::identity::NodeIdentity;

const EXAMPLE: &str = "\
Stop the agent first. The node says goodbye to the federation, takes its meshes down and deletes
everything in the folder, keys included. Run it again if it is interrupted.

Example:
  systemctl stop hanse-agent
  hanse leave --data-dir /var/lib/hanse";

/// How long taking the meshes down may take.
const TAKE_DOWN_TIMEOUT: Duration = Duration::from_secs(60);
/// The number of the plan without a mesh.
const LAST_PLAN: u64 = 1;

/// Takes this machine out of its federation.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct Leave {
    /// The agent's folder; its content is deleted
    #[arg(long, value_name = "FOLDER")]
    data_dir: PathBuf,
    /// Leave without a word if the federation is out of reach
    #[arg(long)]
    force: bool,
}

/// How the federation took the goodbye.
#[derive(Debug, PartialEq, Eq)]
enum Goodbye {
    /// It forgot this node.
    Heard,
    /// It knew nothing of this node any more.
    NotNeeded,
    /// It was out of reach.
    Unheard,
}

impl Leave {
    /// Runs the command.
    pub async fn run(self) -> anyhow::Result<()> {
        let folder = DataFolder::new(&self.data_dir);
        let settings = Settings::read(&folder)?;
        let lock = folder.lock()?;
        let goodbye = self.say_goodbye(&folder, &settings).await?;
        take_down(&folder).await?;
        folder.erase()?;
        drop(lock);
        let Settings {
            node, federation, ..
        } = &settings;
        output::progress(&match goodbye {
            Goodbye::Heard => format!("This machine has left the federation `{federation}`."),
            Goodbye::NotNeeded => format!(
                "The federation `{federation}` knew nothing of this node any more. Nothing of it \
                 is left here."
            ),
            Goodbye::Unheard => format!(
                "Nothing of the federation `{federation}` is left here, but it still counts on \
                 this node. Where there are an admin's credentials, run\n    hanse node remove \
                 {node}"
            ),
        });
        Ok(())
    }

    async fn say_goodbye(
        &self,
        folder: &DataFolder,
        settings: &Settings,
    ) -> anyhow::Result<Goodbye> {
        // An attempt that was interrupted may have deleted the key already.
        if !folder.node_key().exists() {
            return Ok(Goodbye::NotNeeded);
        }
        let identity = NodeIdentity::open(folder)?;
        let credentials = identity.credentials()?;
        let error = match leave(folder, settings, &identity, &credentials).await {
            Ok(()) => return Ok(Goodbye::Heard),
            Err(error) => error,
        };
        match error {
            ClientError::Unauthenticated { reason } => {
                output::progress(&format!("The federation says: {reason}"));
                Ok(Goodbye::NotNeeded)
            }
            error if error.is_transient() && settings.listen.is_some() => Err(error).context(
                "this node was a voter, and without the others nobody can tell whether it still \
                 is; to end a federation for good, delete the folders of all its voters",
            ),
            error if error.is_transient() && self.force => {
                output::progress(&format!("Leaving without a word: {error}"));
                Ok(Goodbye::Unheard)
            }
            error if error.is_transient() => Err(error).context(
                "unable to say goodbye; try again when the federation can be reached, or add \
                 --force and run `hanse node remove` elsewhere afterwards",
            ),
            error => Err(error).context("the federation does not let this node go"),
        }
    }
}

/// Leaves, with a fresh certificate where the old one has ended.
async fn leave(
    folder: &DataFolder,
    settings: &Settings,
    identity: &NodeIdentity,
    credentials: &Credentials,
) -> Result<(), ClientError> {
    let unable = |error: &dyn std::fmt::Display| ClientError::Configuration(error.to_string());
    let id = request_id()?;
    let clock: Arc<dyn Clock> = Arc::new(FollowerClock::start(folder, 0));
    let client = Client::connect_by(&settings.endpoints, credentials, clock.clone()).await?;
    match client.leave(&id).await {
        Err(ClientError::Unauthenticated { .. }) => {}
        other => return other.map(|_| ()),
    }
    let request = proto::EnrollRequest {
        certificate_request: identity.request().map_err(|error| unable(&error))?,
        node: settings.node.to_string(),
        ..Default::default()
    };
    let renewed = client.enroll(request).await?;
    let renewed = identity
        .accept(&renewed.certificate_chain, renewed.trust.as_ref())
        .map_err(|error| unable(&error))?;
    let client = Client::connect_by(&settings.endpoints, &renewed, clock).await?;
    client.leave(&id).await.map(|_| ())
}

/// Puts a plan without meshes into effect.
async fn take_down(folder: &DataFolder) -> anyhow::Result<()> {
    let dataplane = Dataplane::start(Config::new(folder.path()))
        .await
        .map_err(|error| anyhow::anyhow!(error.sentence()))?;
    let mut observed = dataplane.observe();
    dataplane.set_plan(LAST_PLAN, Vec::new());
    let is_done = observed.wait_for(|observation| observation.applied_revision == LAST_PLAN);
    let taken_down = tokio::time::timeout(TAKE_DOWN_TIMEOUT, is_done)
        .await
        .is_ok_and(|done| done.is_ok());
    let problems = dataplane.observe().borrow().problems.join("; ");
    dataplane.shutdown().await;
    anyhow::ensure!(
        taken_down,
        "unable to take the meshes down: {problems}; mend that and run `hanse leave` again"
    );
    Ok(())
}
