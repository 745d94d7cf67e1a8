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
use hanse_core::name::{ClusterName, FederationName, NodeName};
use hanse_core::state::FederationState;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::output;
use crate::clock::wall_ms;
use crate::comeback;
use crate::data::{DataFolder, Settings, file};
use crate::founding::Founding;
use crate::identity::{Backup, SealingKeyPair, SignedBackup, backup};
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
    /// The fingerprint of the authority that must have signed it; otherwise, with --in-place or
    /// --keys-from, one that the folder's node trusts must have
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
    #[arg(long)]
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
    /// Where to write an admin's credentials; a file that is there already is never overwritten
    #[arg(long, value_name = "FILE")]
    pub credentials_out: Option<PathBuf>,
}

/// What was made of a backup.
#[derive(Debug)]
pub struct Restored {
    /// The backup.
    pub backup: Backup,
    /// The authority of the new federation.
    pub authority: Fingerprint,
    /// Whether pre-shared keys are those of the old federation.
    pub keeps_preshared_keys: bool,
}

impl Restore {
    /// Runs the command.
    pub async fn run(self) -> anyhow::Result<()> {
        let restored = self.restore()?;
        for text in self.told(&restored) {
            output::progress(&text);
        }
        Ok(())
    }

    /// What whoever ran it is told then.
    #[must_use]
    pub fn told(&self, restored: &Restored) -> Vec<String> {
        let Restored {
            backup, authority, ..
        } = restored;
        let inventory = backup.state.inventory();
        let others: Vec<String> = inventory
            .nodes
            .iter()
            .filter(|(name, _)| **name != self.node)
            .map(|(name, record)| format!("\n    {name} (member cluster {})", record.cluster))
            .collect();
        let folder = self.data_dir.display();
        let mut told = vec![format!(
            "This is {backup} on {}, signed by the authority\n    {}\nThe new federation's own \
             authority is\n    {authority}\nStart its first voter with\n    hanse agent --data-dir \
             {folder}",
            date(backup.manifest.taken_unix_s),
            backup.authority(),
        )];
        if !restored.keeps_preshared_keys {
            told.push(
                "Pre-shared keys are new, since no key of an old voter was found that opens them: a \
                 path is down from the moment one end is back until both are."
                    .to_owned(),
            );
        }
        if !others.is_empty() {
            told.push(format!(
                "These nodes come back with a token of their member cluster and `hanse join` on \
                 their own folders:{}",
                others.concat()
            ));
        }
        if let Some(path) = &self.credentials_out {
            let path = path.display();
            told.push(format!(
                "An admin's credentials are in {path}; keep them safe. Old ones are worth nothing."
            ));
        }
        told
    }

    /// Does the work. An attempt that is interrupted can be run again.
    pub fn restore(&self) -> anyhow::Result<Restored> {
        let shown = self.file.display();
        let bytes = file::read_bounded(&self.file, backup::LENGTH_MAX)
            .with_context(|| format!("unable to read the backup {shown}"))?;
        let unable = || format!("unable to restore from {shown}");
        let signed = SignedBackup::check(&bytes).with_context(unable)?;
        let before = self.settings_before(&signed.manifest.federation)?;
        self.require_signer(&signed)?;
        let backup = signed.open().with_context(unable)?;
        drop(bytes);
        let preshared = self.preshared(&backup)?;
        let keeps_preshared_keys = preshared.is_some();
        // Whatever this machine's clock says, it is later than the last thing that was decided.
        let now_unix_s = (wall_ms() / 1000).max(backup.state.decided_unix_s());
        let state = backup.state.clone().restored(now_unix_s);
        let founding = Founding {
            cluster: self.cluster(&state)?,
            state,
            preshared,
            node: self.node.clone(),
            data_dir: self.data_dir.clone(),
            before,
            listen: self.listen,
            timing: self.timing,
            advertise: self.advertise.clone(),
            credentials_out: self.credentials_out.clone(),
        };
        let authority = founding.found(now_unix_s)?;
        Ok(Restored {
            backup,
            authority,
            keeps_preshared_keys,
        })
    }

    /// What the folder holds that is restored in place, even if an attempt was interrupted there;
    /// none: it is a new one.
    fn settings_before(&self, federation: &FederationName) -> anyhow::Result<Option<Settings>> {
        if !self.in_place {
            return Ok(None);
        }
        let shown = self.data_dir.display();
        let before = Settings::read_if_present(&DataFolder::new(&self.data_dir))?;
        let before = before.with_context(|| {
            format!(
                "{shown} holds no agent that could be restored in place: name the folder of the \
                 node `{}` with --data-dir, or leave --in-place out for a new one",
                self.node
            )
        })?;
        anyhow::ensure!(
            (&before.federation, &before.node) == (federation, &self.node),
            "{shown} holds the agent of the node `{}` in the federation `{}`, and not that of `{}` \
             in `{federation}`: choose another folder",
            before.node,
            before.federation,
            self.node
        );
        Ok(Some(before))
    }

    /// Whether the authority that signed is the one that is expected, or one that this machine
    /// knows from the old federation.
    fn require_signer(&self, signed: &SignedBackup<'_>) -> anyhow::Result<()> {
        let (shown, signed_by) = (self.file.display(), signed.authority());
        let federation = &signed.manifest.federation;
        if let Some(expected) = self.expect {
            anyhow::ensure!(
                expected == signed_by,
                "{shown} is a backup of the federation `{federation}` that was signed by the \
                 authority {signed_by}, and {expected} is expected: it is of another federation, or \
                 of another time in which another authority signed"
            );
            return Ok(());
        }
        let own = self.in_place.then_some(&self.data_dir);
        let folders: Vec<&PathBuf> = own.into_iter().chain(&self.keys_from).collect();
        let (mut known, mut names) = (Vec::new(), Vec::new());
        for path in folders {
            let found = comeback::old_authorities(&DataFolder::new(path)).context(
                "unable to learn which authorities may have signed the backup; if you know it, say \
                 so with --expect FINGERPRINT",
            )?;
            known.extend(found);
            names.push(path.display().to_string());
        }
        anyhow::ensure!(
            names.is_empty() || known.contains(&signed_by),
            "{shown} is a backup of the federation `{federation}` that was signed by the authority \
             {signed_by}, which the node of {} does not trust: it may be forged. If you know that \
             this authority was the federation's, add --expect {signed_by}",
            names.join(" or of ")
        );
        Ok(())
    }

    /// What pre-shared keys were derived from in the old federation; none: something new.
    fn preshared(&self, backup: &Backup) -> anyhow::Result<Option<Vec<u8>>> {
        if let Some(path) = &self.keys_from
            && let Some(secret) = opened(backup, &DataFolder::new(path))?
        {
            return Ok(Some(secret));
        }
        let own = DataFolder::new(&self.data_dir);
        // The folder of a follower has no such key, and then there is nothing to take over.
        let has_own = self.in_place && own.sealing_key().exists();
        if has_own && let Some(secret) = opened(backup, &own)? {
            return Ok(Some(secret));
        }
        if let Some(path) = &self.keys_from {
            anyhow::bail!(
                "{} holds the key of no voter for which the backup was sealed: name the folder of \
                 another one, or leave --keys-from out; then paths are down until both ends are \
                 back",
                path.display()
            );
        }
        // A key that an interrupted attempt made opens nothing, and the next one may use it.
        anyhow::ensure!(
            !(has_own && own.is_finished()),
            "the key {} opens nothing in this backup: the node was no voter yet when it was taken. \
             Name the folder of one that was with --keys-from, or move this key out of the folder; \
             then paths are down until both ends are back",
            own.sealing_key().display()
        );
        Ok(None)
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

/// What pre-shared keys are derived from, if the voter of that folder can tell.
fn opened(backup: &Backup, folder: &DataFolder) -> anyhow::Result<Option<Vec<u8>>> {
    let pair = SealingKeyPair::open(folder)
        .context("unable to take the key of a voter of the old federation")?;
    let secret = backup.preshared_secret(&pair);
    Ok(secret.filter(|secret| PresharedKeys::open(secret).is_some()))
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
