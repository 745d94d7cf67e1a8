//! `hanse restore`: makes a new federation of one voter from a backup.
//!
//! It is another federation of the same name and never merges with the old one: neither trusts the
//! other's certificates. Nothing is written before the whole of the file was found to be good.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use hanse_client::Fingerprint;
use hanse_consensus::timing::Timing;
use hanse_core::endpoint::Endpoint;
use hanse_core::name::{ClusterName, NodeName};
use hanse_core::state::FederationState;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::output;
use crate::clock::wall_ms;
use crate::data::{DataFolder, file};
use crate::founding::Founding;
use crate::identity::{Backup, SealingKeyPair, backup};
use crate::preshared::PresharedKeys;

const EXAMPLE: &str = "\
See that no voter of the old federation runs any more: the new one is another, and both would claim
the same addresses. Then every old node comes back with a token and its own folder:
  hanse token create --cluster berlin > token
  hanse join --token-file token --data-dir /var/lib/hanse

Example:
  hanse restore acme-2026-11-21.hanse --node home-1 --data-dir /var/lib/hanse-restored \\
      --listen 203.0.113.7:7443 --credentials-out admin.pem";

/// Makes a new federation from a backup.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct Restore {
    /// What `hanse backup` wrote
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The fingerprint of the authority that must have signed it
    #[arg(long, value_name = "FINGERPRINT")]
    pub expect: Option<Fingerprint>,
    /// The data folder of a voter of the old federation, or a copy: with its key, meshes stay up
    /// while their nodes come back
    #[arg(long, value_name = "FOLDER")]
    pub keys_from: Option<PathBuf>,
    /// This node's name: one of the backup, which is then this machine, or a new one
    #[arg(long, value_name = "NODE")]
    pub node: NodeName,
    /// The member cluster of this node, if the backup doesn't know it
    #[arg(long, value_name = "CLUSTER")]
    pub cluster: Option<ClusterName>,
    /// Where to keep keys and state; a new folder
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: PathBuf,
    /// Take this very node's old folder instead of a new one: it keeps its keys, so its meshes and
    /// all others stay up, and its old state is set aside
    #[arg(long, conflicts_with = "keys_from")]
    pub in_place: bool,
    /// Where to serve the API
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// How patient voters will be with one another: `wan` across sites, `lan` within one network
    #[arg(long, value_name = "wan|lan", default_value_t)]
    pub timing: Timing,
    /// How others reach it, if not by the address above
    #[arg(long, value_name = "HOST:PORT")]
    pub advertise: Option<Endpoint>,
    /// Where to write an admin's credentials
    #[arg(long, value_name = "FILE")]
    pub credentials_out: Option<PathBuf>,
}

impl Restore {
    /// Runs the command.
    pub async fn run(self) -> anyhow::Result<()> {
        let (backup, authority) = self.restore()?;
        let inventory = backup.state.inventory();
        let others: Vec<String> = inventory
            .nodes
            .iter()
            .filter(|(name, _)| **name != self.node)
            .map(|(name, record)| format!("\n    {name} (member cluster {})", record.cluster))
            .collect();
        let folder = self.data_dir.display();
        output::progress(&format!(
            "This is {backup} on {}, signed by the authority\n    {}\nThe new federation's own \
             authority is\n    {authority}\nStart its first voter with\n    hanse agent --data-dir \
             {folder}",
            date(backup.manifest.taken_unix_s),
            backup.authority(),
        ));
        if !others.is_empty() {
            output::progress(&format!(
                "These nodes come back with a token of their member cluster and `hanse join` on \
                 their own folders:{}",
                others.concat()
            ));
        }
        if let Some(path) = &self.credentials_out {
            let path = path.display();
            output::progress(&format!(
                "An admin's credentials are in {path}; keep them safe. Old ones are worth nothing."
            ));
        }
        Ok(())
    }

    /// Does the work: yields the backup and the fingerprint of the new authority. An attempt that
    /// is interrupted can be run again.
    pub fn restore(&self) -> anyhow::Result<(Backup, Fingerprint)> {
        let shown = self.file.display();
        let bytes = file::read_bounded(&self.file, backup::LENGTH_MAX)
            .with_context(|| format!("unable to read the backup {shown}"))?;
        let backup =
            Backup::read(&bytes).with_context(|| format!("unable to restore from {shown}"))?;
        drop(bytes);
        let signed_by = backup.authority();
        if let Some(expected) = self.expect.filter(|expected| *expected != signed_by) {
            anyhow::bail!(
                "{shown} is a backup of the federation `{}` that was signed by the authority \
                 {signed_by}, and {expected} is expected: it is of another federation, or of \
                 another time in which another authority signed",
                backup.manifest.federation
            );
        }
        let preshared = self.preshared(&backup)?;
        // Whatever this machine's clock says, it is later than the last thing that was decided.
        let now_unix_s = (wall_ms() / 1000).max(backup.state.decided_unix_s());
        let state = backup.state.clone().restored(now_unix_s);
        let founding = Founding {
            cluster: self.cluster(&state)?,
            state,
            preshared,
            node: self.node.clone(),
            data_dir: self.data_dir.clone(),
            in_place: self.in_place,
            listen: self.listen,
            timing: self.timing,
            advertise: self.advertise.clone(),
            credentials_out: self.credentials_out.clone(),
        };
        let authority = founding.found(now_unix_s)?;
        Ok((backup, authority))
    }

    /// What pre-shared keys were derived from in the old federation; none: something new.
    fn preshared(&self, backup: &Backup) -> anyhow::Result<Option<Vec<u8>>> {
        let own = DataFolder::new(&self.data_dir);
        // The folder of a follower has no such key, and then there is nothing to take over.
        let own = (self.in_place && own.sealing_key().exists()).then_some(&self.data_dir);
        let Some(path) = self.keys_from.as_ref().or(own) else {
            return Ok(None);
        };
        let pair = SealingKeyPair::open(&DataFolder::new(path))
            .context("unable to take the key of a voter of the old federation")?;
        let secret = backup.preshared_secret(&pair);
        let secret = secret.filter(|secret| PresharedKeys::open(secret).is_some());
        secret.map(Some).with_context(|| {
            format!(
                "{} holds the key of no voter for which the backup was sealed: name the folder of \
                 another one, or leave --keys-from out; then paths are down until both ends are \
                 back",
                path.display()
            )
        })
    }

    /// The member cluster of this node.
    fn cluster(&self, state: &FederationState) -> anyhow::Result<ClusterName> {
        let node = &self.node;
        let known = state.inventory().nodes.get(node);
        match (known.map(|record| &record.cluster), &self.cluster) {
            (Some(known), Some(told)) if known != told => anyhow::bail!(
                "the node `{node}` of the backup belongs to the member cluster `{known}` and not to \
                 `{told}`: leave --cluster out, or choose another name with --node"
            ),
            (Some(known), _) => Ok(known.clone()),
            (None, Some(told)) => Ok(told.clone()),
            (None, None) => anyhow::bail!(
                "the backup knows no node `{node}`: add --cluster for a new one, or name one of {}",
                some_names(state)
            ),
        }
    }
}

fn some_names(state: &FederationState) -> String {
    const NAMES_MAX: usize = 10;
    let nodes = &state.inventory().nodes;
    let names: Vec<&str> = nodes.keys().take(NAMES_MAX).map(NodeName::as_str).collect();
    let more = match nodes.len().saturating_sub(NAMES_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", names.join(", "))
}

fn date(unix_s: u64) -> String {
    let date = i64::try_from(unix_s).ok();
    let date = date.and_then(|unix_s| OffsetDateTime::from_unix_timestamp(unix_s).ok());
    let text = date.and_then(|date| date.format(&Rfc3339).ok());
    text.unwrap_or_else(|| format!("{unix_s} s since 1970"))
}
