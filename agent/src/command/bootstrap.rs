//! `hanse bootstrap`: founds a federation.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use hanse_client::credentials::pem_section;
use hanse_client::{Identity, Role};
use hanse_core::command::Request;
use hanse_core::endpoint::Endpoint;
use hanse_core::identities::IdentityKey;
use hanse_core::name::{ClusterName, FederationName, NodeName};
use hanse_core::object::Federation;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData as _};

use super::output;
use crate::data::file::{self, MODE_SECRET};
use crate::data::{DataFolder, Settings};
use crate::identity::{Authority, NodeIdentity, identity_key};
use crate::preshared::PresharedKeys;
use crate::store::{Disk, ProposeError, Replica};

const EXAMPLE: &str = "\
Example:
  hanse bootstrap --federation acme --cluster home --node home-1 \\
      --data-dir /var/lib/hanse --listen 203.0.113.7:7443 --credentials-out admin.pem";

/// How long the first credentials live.
const CREDENTIALS_LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);
/// The name on the first credentials.
const FIRST_USER: &str = "admin";

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
    /// How others reach it, if not by the address above
    #[arg(long, value_name = "HOST:PORT")]
    pub advertise: Option<Endpoint>,
    /// Where to write an admin's credentials
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
        let advertise = self.advertise()?;
        let folder = DataFolder::new(&self.data_dir);
        let _lock = folder.begin()?;
        let authority = Authority::generate(self.federation.clone())?;
        authority.write(&folder)?;
        PresharedKeys::generate(&folder)?;
        let node = NodeIdentity::open_or_generate(&folder)?;
        let identity = Identity::Node {
            federation: self.federation.clone(),
            cluster: self.cluster.clone(),
            node: self.node.clone(),
        };
        let lives = Federation::defaults(self.federation.clone())
            .certificate_lifetime
            .value();
        node.accept(&authority.certify_key(&identity, true, lives, node.key())?)?;
        let key = identity_key(&node.key().subject_public_key_info());
        self.enroll_first(&folder, &advertise, key).await?;
        if let Some(path) = &self.credentials_out {
            let name = FIRST_USER.parse()?;
            let user = Identity::User {
                federation: self.federation.clone(),
                name,
                role: Role::Admin,
            };
            write_credentials(&authority, &user, CREDENTIALS_LIFETIME, path)?;
        }
        let settings = Settings {
            federation: self.federation.clone(),
            cluster: self.cluster.clone(),
            node: self.node.clone(),
            endpoints: vec![advertise],
            listen: Some(self.listen),
            audit: Default::default(),
        };
        settings.write(&folder)?;
        folder.finish()?;
        Ok(())
    }

    fn advertise(&self) -> anyhow::Result<Endpoint> {
        if let Some(endpoint) = &self.advertise {
            return Ok(endpoint.clone());
        }
        if self.listen.ip().is_unspecified() {
            anyhow::bail!(
                "{} stands for every address of this machine, so others can't be told how to \
                 reach it: add --advertise HOST:PORT",
                self.listen
            );
        }
        self.listen
            .to_string()
            .parse()
            .context("--listen can't be advertised")
    }

    async fn enroll_first(
        &self,
        folder: &DataFolder,
        advertise: &Endpoint,
        key: IdentityKey,
    ) -> anyhow::Result<()> {
        Disk::create(&folder.state(), &self.federation)?;
        let (disk, state) = Disk::open(&folder.state(), &self.federation)?;
        let replica = Replica::start(disk, state)?;
        let request = Request::Enroll {
            node: self.node.clone(),
            cluster: self.cluster.clone(),
            voter: true,
            advertise: Some(advertise.clone()),
            identity_key: Some(key),
            token: None,
        };
        let proposed = replica.propose("bootstrap".to_owned(), request).await;
        // The writer's thread holds the file until it has seen that nobody proposes any more.
        let mut changes = replica.changes();
        drop(replica);
        while changes.changed().await.is_ok() {}
        match proposed {
            Ok(_) => Ok(()),
            Err(ProposeError::Failed(reason)) => anyhow::bail!(reason),
            Err(ProposeError::Refused(refusal)) => {
                let findings = refusal.findings.iter().map(ToString::to_string);
                anyhow::bail!(findings.collect::<Vec<_>>().join("\n"))
            }
        }
    }
}

/// Makes a user's key and certificate and writes both, for their owner alone.
fn write_credentials(
    authority: &Authority,
    user: &Identity,
    lives: Duration,
    path: &Path,
) -> anyhow::Result<()> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let chain = authority.certify_key(user, false, lives, &key)?;
    let certificates: String = chain
        .iter()
        .map(|der| pem_section("CERTIFICATE", der))
        .collect();
    let bundle = format!("{certificates}{}", key.serialize_pem());
    file::write_atomically(path, MODE_SECRET, bundle.as_bytes())
        .with_context(|| format!("unable to write the credentials to {}", path.display()))
}
