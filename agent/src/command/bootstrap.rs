//! `hanse bootstrap`: founds a federation.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use hanse_consensus::timing::Timing;
use hanse_core::endpoint::Endpoint;
use hanse_core::name::{ClusterName, FederationName, NodeName};
use hanse_core::state::FederationState;

use super::output;
use crate::clock::wall_ms;
use crate::founding::Founding;

const EXAMPLE: &str = "\
Example:
  hanse bootstrap --federation acme --cluster home --node home-1 \\
      --data-dir /var/lib/hanse --listen 203.0.113.7:7443 --credentials-out admin.pem";

/// Founds a federation.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct Bootstrap {
    /// The federation's name, for good
    #[arg(long, value_name = "NAME")]
    pub federation: FederationName,
    /// The member cluster of this node
    #[arg(long, value_name = "CLUSTER")]
    pub cluster: ClusterName,
    /// This node's name, unique in the federation
    #[arg(long, value_name = "NODE")]
    pub node: NodeName,
    /// Where to keep keys and state; a new folder
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: PathBuf,
    /// Where to serve the API
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// How patient voters will be with one another: `wan` across sites, `lan` within one network
    #[arg(long, value_name = "wan|lan", default_value_t)]
    pub timing: Timing,
    /// How others reach it, if not by the address above
    #[arg(long, value_name = "HOST:PORT")]
    pub advertise: Option<Endpoint>,
    /// Where to write an admin's credentials; a file that is there already is never overwritten
    #[arg(long, value_name = "FILE")]
    pub credentials_out: Option<PathBuf>,
}

impl Bootstrap {
    /// Runs the command.
    pub async fn run(self) -> anyhow::Result<()> {
        self.found().await?;
        let folder = self.data_dir.display();
        output::progress(&format!(
            "The federation `{}` is founded. Start its first voter with\n    hanse agent --data-dir {folder}",
            self.federation
        ));
        if let Some(path) = &self.credentials_out {
            let path = path.display();
            output::progress(&format!(
                "An admin's credentials are in {path}; keep them safe."
            ));
        }
        Ok(())
    }

    /// Does the work. An attempt that is interrupted can be run again.
    pub async fn found(&self) -> anyhow::Result<()> {
        let founding = Founding {
            state: FederationState::founded(self.federation.clone()),
            preshared: None,
            cluster: self.cluster.clone(),
            node: self.node.clone(),
            data_dir: self.data_dir.clone(),
            before: None,
            listen: self.listen,
            timing: self.timing,
            advertise: self.advertise.clone(),
            credentials_out: self.credentials_out.clone(),
        };
        founding.found(wall_ms() / 1000)?;
        Ok(())
    }
}
