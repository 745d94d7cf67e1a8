//! How a command reaches the federation: as told, by the environment, or through this machine's
//! own voter.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use hanse_client::{Client, Credentials, Patience, environment};

use super::output;
use crate::data::DataFolder;

/// Where a voter's folder usually is.
pub const DATA_DIR_DEFAULT: &str = "/var/lib/hanse";

/// Where the federation is and who asks.
#[derive(Debug, Args)]
#[command(next_help_heading = "Federation")]
pub struct Connection {
    /// The voters, separated by commas
    #[arg(long, value_name = "HOST:PORT,…", env = environment::ENDPOINTS_VARIABLE)]
    endpoints: Option<String>,
    /// A PEM bundle with the authority's certificate, yours and your key
    #[arg(long, value_name = "FILE", env = environment::CREDENTIALS_VARIABLE)]
    credentials: Option<PathBuf>,
    /// The data folder of a voter on this machine: its owner needs no credentials
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

impl Connection {
    /// The data folder that was named.
    #[must_use]
    pub fn data_dir(&self) -> Option<&Path> {
        self.data_dir.as_deref()
    }

    /// The credentials that were named.
    #[must_use]
    pub fn credentials(&self) -> Option<&Path> {
        self.credentials.as_deref()
    }

    /// The voters that were named.
    #[must_use]
    pub fn endpoints(&self) -> Option<&str> {
        self.endpoints.as_deref()
    }

    /// Connects by credentials where there are some, although a folder was named too: that of a
    /// follower leads nowhere.
    pub async fn open_any(&self) -> anyhow::Result<Client> {
        match (&self.endpoints, &self.credentials) {
            (Some(endpoints), Some(credentials)) => by_credentials(endpoints, credentials).await,
            (Some(_) | None, _) => self.open().await,
        }
    }

    /// Connects.
    pub async fn open(&self) -> anyhow::Result<Client> {
        if let Some(folder) = &self.data_dir {
            return local(folder.clone()).await;
        }
        match (&self.endpoints, &self.credentials) {
            (Some(endpoints), Some(credentials)) => by_credentials(endpoints, credentials).await,
            (None, None) if DataFolder::new(DATA_DIR_DEFAULT).socket().exists() => {
                local(DATA_DIR_DEFAULT.into()).await
            }
            (None, _) => anyhow::bail!(
                "no endpoint is given: set HANSE_ENDPOINTS or --endpoints, or on a voter --data-dir"
            ),
            (Some(_), None) => anyhow::bail!(
                "no credentials are given: set HANSE_CREDENTIALS or --credentials to a PEM bundle"
            ),
        }
    }
}

async fn by_credentials(endpoints: &str, credentials: &Path) -> anyhow::Result<Client> {
    let endpoints = environment::parse_endpoints("--endpoints", endpoints)?;
    let credentials = Credentials::read(credentials)?;
    let patience = Patience::default().telling(output::progress);
    Ok(Client::connect_attended(&endpoints, &credentials, patience).await?)
}

async fn local(folder: PathBuf) -> anyhow::Result<Client> {
    let folder = DataFolder::new(folder);
    Client::connect_local(&folder.socket())
        .await
        .map(|client| client.telling(output::progress))
        .with_context(|| {
            format!(
                "unable to reach a voter's agent in {}",
                folder.path().display()
            )
        })
}
