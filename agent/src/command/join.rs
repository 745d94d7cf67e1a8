//! `hanse join`: enrols this machine.
//!
//! On the folder of a node whose federation was restored from a backup it enrols the node anew: its
//! keys stay, whom it trusts and where its voters are is what the token says. A federation that
//! knows the node already refuses it, and then the node goes on as before.

use std::io::Read as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use hanse_client::{Client, Identity, environment, proto};
use hanse_consensus::disk::Disk;
use hanse_core::endpoint::Endpoint;
use hanse_core::level::FeatureLevel;
use hanse_core::name::{FederationName, NodeName};
use tokio::io::AsyncReadExt as _;

use super::output;
use crate::clock::FollowerClock;
use crate::comeback;
use crate::data::{DataFolder, Settings};
use crate::identity::{NodeIdentity, SealingKeyPair, Token};

const EXAMPLE: &str = "\
Examples:
  hanse join --token-file token --node berlin-1 --data-dir /var/lib/hanse

  A node comes back into its federation, which was restored from a backup; stop its agent first:
    hanse join --token-file token --data-dir /var/lib/hanse";

/// The longest output of a token command, and the largest token file.
const TOKEN_LENGTH_MAX: u64 = 64 << 10;
/// How long a token command may take.
const TOKEN_COMMAND_TIMEOUT: Duration = Duration::from_secs(120);

/// Enrols this machine.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct Join {
    #[command(flatten)]
    source: TokenSource,
    /// This node's name, unique in the federation; a node that comes back has one
    #[arg(long, value_name = "NODE")]
    node: Option<NodeName>,
    /// Where to keep keys; a new folder, or that of a node that comes back
    #[arg(long, value_name = "FOLDER")]
    data_dir: PathBuf,
    /// Where the voters are, separated by commas, if not where the token says
    #[arg(long, value_name = "HOST:PORT,…")]
    server: Option<String>,
    /// Ask to become a voter, which serves the API
    #[arg(long, requires = "listen")]
    voter: bool,
    /// Where a voter serves the API
    #[arg(long, value_name = "ADDRESS:PORT", requires = "voter")]
    listen: Option<SocketAddr>,
    /// How others reach a voter, if not by the address above
    #[arg(long, value_name = "HOST:PORT", requires = "voter")]
    advertise: Option<Endpoint>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct TokenSource {
    /// The token; other users of this machine may see it among the processes
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// A file that holds the token; `-` is standard input
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A command that prints the token, for example one that asks a cloud's secret store
    #[arg(long, value_name = "COMMAND")]
    token_command: Option<String>,
}

impl Join {
    /// Runs the command.
    pub async fn run(self) -> anyhow::Result<()> {
        let token = self.source.read().await?;
        let token: Token = token.parse()?;
        if self.voter && !token.claims().voter {
            anyhow::bail!(
                "this token is for followers; make one for voters with `hanse token create --voter`"
            );
        }
        if token.claims().voter && !self.voter {
            anyhow::bail!(
                "this token is for voters: add --voter --listen ADDR:PORT, or make one for \
                 followers with `hanse token create`"
            );
        }
        let settings = self.enroll(&token).await?;
        let folder = self.data_dir.display();
        output::progress(&format!(
            "This machine is the node `{}` of the member cluster `{}` in the federation `{}`. \
             Start its agent with\n    hanse agent --data-dir {folder}",
            settings.node, settings.cluster, settings.federation
        ));
        Ok(())
    }

    /// Does the work. An attempt that is interrupted can be run again with the same token.
    async fn enroll(&self, token: &Token) -> anyhow::Result<Settings> {
        let claims = token.claims();
        let endpoints = match &self.server {
            Some(text) => environment::parse_endpoints("--server", text)?,
            None => claims.endpoints.clone(),
        };
        let folder = DataFolder::new(&self.data_dir);
        let before = Settings::read_if_present(&folder)?;
        let node = self.node_name(before.as_ref(), &claims.federation)?;
        let _lock = if folder.is_finished() {
            folder.lock()?
        } else {
            folder.begin()?
        };
        let identity = NodeIdentity::open_or_generate(&folder)?;
        // Whatever this machine's clock says, it is later than when the token was made.
        let clock = Arc::new(FollowerClock::start(&folder, claims.issued_unix_s));
        let authority = token.authority();
        let client =
            Client::connect_pinned(&endpoints, authority, &claims.federation, clock).await?;
        let advertise = self.advertise.clone().map(String::from);
        let advertise = advertise.or(self.listen.map(|listen| listen.to_string()));
        let request = proto::EnrollRequest {
            token: token.reveal(),
            certificate_request: identity.request()?,
            node: node.to_string(),
            advertise: advertise.unwrap_or_default(),
            sealing_key: self.sealing_key(&folder)?,
            feature_level: FeatureLevel::SUPPORTED.number().into(),
        };
        let response = client.enroll(request).await.context("unable to join")?;
        if let Some(before) = &before {
            let aside = comeback::forget_old_federation(&folder, before)?;
            output::tell_set_aside(aside.as_deref());
        }
        if !self.voter {
            // An old voter's key may still open what is in use: in its old state, or in a backup.
            folder.forget(&folder.sealing_key())?;
        }
        let credentials = identity.accept(&response.certificate_chain, response.trust.as_ref())?;
        let Identity::Node {
            federation,
            cluster,
            node,
        } = credentials.identity().clone()
        else {
            anyhow::bail!("the federation sent a certificate that is not for a node");
        };
        let told: Vec<Endpoint> = response
            .endpoints
            .iter()
            .filter_map(|text| text.parse().ok())
            .collect();
        // What was tried and answered comes first: it is known to work from here.
        let mut known = endpoints;
        known.extend(
            told.into_iter()
                .filter(|endpoint| !known.contains(endpoint))
                .collect::<Vec<_>>(),
        );
        let settings = Settings {
            listen: self.listen,
            timing: response.timing.parse().unwrap_or_default(),
            ..Settings::new(federation, cluster, node, known)
        };
        let settings = settings.keeping_choices(before.as_ref());
        if self.voter {
            // It begins with nothing and learns everything from the leader.
            Disk::create(
                &folder.state(),
                &settings.federation,
                response.voter_id,
                None,
            )?;
        }
        settings.write(&folder)?;
        folder.finish()?;
        Ok(settings)
    }
}

impl Join {
    /// The node's name: as told, or as the folder knows it.
    fn node_name(
        &self,
        before: Option<&Settings>,
        federation: &FederationName,
    ) -> anyhow::Result<NodeName> {
        let shown = self.data_dir.display();
        let Some(before) = before else {
            return self.node.clone().with_context(|| {
                format!("{shown} holds no agent yet: say with --node what this node is called")
            });
        };
        if before.federation != *federation && DataFolder::new(&self.data_dir).is_finished() {
            anyhow::bail!(
                "{shown} holds the agent of the federation `{}`, and this token is for \
                 `{federation}`: choose another folder, or leave that federation first with \
                 `hanse leave --data-dir {shown}`",
                before.federation
            );
        }
        match &self.node {
            Some(told) if *told != before.node => anyhow::bail!(
                "{shown} holds the agent of the node `{}`: leave --node out to come back under \
                 that name, or choose another folder for `{told}`",
                before.node
            ),
            Some(_) | None => Ok(before.node.clone()),
        }
    }

    /// For which the federation's secrets are sealed to a voter; empty: this is none.
    fn sealing_key(&self, folder: &DataFolder) -> anyhow::Result<Vec<u8>> {
        if !self.voter {
            return Ok(Vec::new());
        }
        let pair = SealingKeyPair::open_or_generate(folder)?;
        Ok(pair.public().as_bytes().to_vec())
    }
}

impl TokenSource {
    async fn read(&self) -> anyhow::Result<String> {
        if let Some(token) = &self.token {
            return Ok(token.clone());
        }
        if let Some(path) = &self.token_file {
            let mut text = String::new();
            let read = if path.as_os_str() == "-" {
                std::io::stdin()
                    .lock()
                    .take(TOKEN_LENGTH_MAX)
                    .read_to_string(&mut text)
            } else {
                std::fs::File::open(path)
                    .and_then(|file| file.take(TOKEN_LENGTH_MAX).read_to_string(&mut text))
            };
            read.with_context(|| format!("unable to read a token from {}", path.display()))?;
            return Ok(text);
        }
        let command = self.token_command.as_deref().unwrap_or_default();
        run_token_command(command).await
    }
}

async fn run_token_command(command: &str) -> anyhow::Result<String> {
    let mut child = tokio::process::Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("unable to start the token command")?;
    let mut text = Vec::new();
    let printed = child.stdout.take();
    let running = async {
        if let Some(printed) = printed {
            // No more is read, and a command that goes on to print fails at that.
            printed
                .take(TOKEN_LENGTH_MAX + 1)
                .read_to_end(&mut text)
                .await?;
        }
        if text.len() as u64 > TOKEN_LENGTH_MAX {
            return Ok(None);
        }
        child.wait().await.map(Some)
    };
    let status = tokio::time::timeout(TOKEN_COMMAND_TIMEOUT, running)
        .await
        .with_context(|| format!("the token command did not end within {TOKEN_COMMAND_TIMEOUT:?}"))?
        .context("unable to run the token command")?
        .context("the token command printed more than a token")?;
    if !status.success() {
        anyhow::bail!("the token command failed ({status})");
    }
    String::from_utf8(text).context("the token command printed no text")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(folder: &DataFolder, node: Option<&str>) -> Join {
        let source = TokenSource {
            token: None,
            token_file: None,
            token_command: None,
        };
        Join {
            source,
            node: node.map(|name| name.parse().unwrap()),
            data_dir: folder.path().to_owned(),
            server: None,
            voter: false,
            listen: None,
            advertise: None,
        }
    }

    fn enrolled(listen: Option<SocketAddr>) -> (tempfile::TempDir, DataFolder, Settings) {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::new(parent.path().join("data"));
        folder.begin().unwrap();
        let settings = Settings {
            listen,
            ..Settings::new(
                "acme".parse().unwrap(),
                "home".parse().unwrap(),
                "home-1".parse().unwrap(),
                Vec::new(),
            )
        };
        settings.write(&folder).unwrap();
        folder.finish().unwrap();
        (parent, folder, settings)
    }

    #[test]
    fn a_node_comes_back_under_its_own_name_and_into_its_own_federation_only() {
        let (_parent, folder, settings) = enrolled(None);
        let named = |node: Option<&str>, federation: &str| {
            let federation = federation.parse().unwrap();
            let name = join(&folder, node).node_name(Some(&settings), &federation);
            name.map(|name| name.to_string())
                .map_err(|error| error.to_string())
        };
        assert_eq!(named(None, "acme"), Ok("home-1".to_owned()));
        assert_eq!(named(Some("home-1"), "acme"), Ok("home-1".to_owned()));
        let other = named(Some("home-2"), "acme").unwrap_err();
        assert!(other.contains("leave --node out"), "{other}");
        let foreign = named(None, "other").unwrap_err();
        assert!(foreign.contains("hanse leave"), "{foreign}");
        let nameless = join(&folder, None).node_name(None, &settings.federation);
        assert!(nameless.unwrap_err().to_string().contains("--node"));
    }

    #[tokio::test]
    async fn a_token_command_is_heard_up_to_a_bound_and_its_failure_is_told() {
        assert_eq!(run_token_command("echo token").await.unwrap(), "token\n");
        let endless = run_token_command("exec yes").await.unwrap_err();
        assert!(
            endless.to_string().contains("more than a token"),
            "{endless}"
        );
        let failed = run_token_command("exit 3").await.unwrap_err();
        assert!(failed.to_string().contains("exit status: 3"), "{failed}");
    }
}
