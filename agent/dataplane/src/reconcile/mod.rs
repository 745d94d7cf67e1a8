//! One pass over the host: what is there, what the plans want, and the smallest change.
//!
//! A pass that is cut off at any instant leaves nothing that the next one can't find. Problems of
//! two kinds come out: those that hold the plan up (something could not be put into effect), and
//! notes (a foreign route that comes first, a name that does not resolve, IPv6 that is switched
//! off, an allowed IP that two peers claim), with which the plan counts as applied.

mod interface;
mod leave;
mod mesh;
mod underlay;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use hanse_core::endpoint::Endpoint;
use hanse_core::key::PublicKey;
use hanse_core::mesh::MeshPlan;
use hanse_core::name::MeshName;
use tokio::sync::Notify;

use crate::config::Config;
use crate::device::{Device, DeviceState};
use crate::error::Error;
use crate::key::{self, PrivateKey};
use crate::names::Names;
use crate::network::routing::{self, Family};
use crate::network::{Network, Snapshot};
use crate::owned::{self, Owned};
use crate::proof::Prover;
use underlay::Underlay;

/// Brings the host to what the plans want, pass by pass.
#[derive(Debug)]
pub(crate) struct Reconciler {
    config: Config,
    network: Network,
    names: Names,
    underlay: Underlay,
    owned: Owned,
    signals: Signals,
    /// Set once the kernel has said that it has no WireGuard.
    kernel_lacks_wireguard: bool,
    pub(crate) meshes: BTreeMap<MeshName, MeshState>,
}

/// Whom the tasks beside a pass tell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Signals {
    /// Something calls for a pass.
    pub(crate) reconcile: Arc<Notify>,
    /// A proof came or went.
    pub(crate) proofs: Arc<Notify>,
}

/// What is known of a mesh between two passes.
#[derive(Debug, Default)]
pub(crate) struct MeshState {
    pub(crate) key: Option<PrivateKey>,
    pub(crate) device: Option<Device>,
    pub(crate) state: DeviceState,
    pub(crate) prover: Option<Prover>,
    pub(crate) report: Report,
    /// The endpoints that the plan had when they were last applied.
    applied_endpoints: BTreeMap<PublicKey, Endpoint>,
    applied_table: Option<String>,
    /// Where the packets of WireGuard itself go.
    endpoints: BTreeSet<IpAddr>,
    /// Names that don't resolve, by peer.
    pub(crate) unresolved: BTreeMap<PublicKey, String>,
}

/// What went wrong in a pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// What could not be put into effect.
    pub(crate) failures: Vec<String>,
    /// What is worth knowing.
    pub(crate) notes: Vec<String>,
}

impl Reconciler {
    pub(crate) fn new(config: Config, network: Network, signals: Signals) -> Result<Self, Error> {
        let owned = Owned::load(config.owned_file(), &owned::boot_id()?)?;
        let names = Names::new(signals.reconcile.clone());
        Ok(Self {
            config,
            network,
            names,
            underlay: Underlay::default(),
            owned,
            signals,
            kernel_lacks_wireguard: false,
            meshes: BTreeMap::new(),
        })
    }

    /// Makes every mesh's key: the others need its public half before anything can work.
    pub(crate) fn make_keys(&mut self, plans: &[MeshPlan]) {
        for plan in plans {
            let mesh = self.meshes.entry(plan.mesh.clone()).or_default();
            if mesh.key.is_none() {
                let made = interface::record(&mut self.owned, plan)
                    .and_then(|()| key::load_or_create(&self.config.key_folder(), &plan.mesh));
                match made {
                    Ok(key) => mesh.key = Some(key),
                    Err(error) => mesh.report.fail(&error),
                }
            }
        }
    }

    /// One pass. The report is of what belongs to no mesh.
    pub(crate) async fn pass(&mut self, plans: &[MeshPlan]) -> Report {
        let mut report = Report::default();
        for mesh in self.meshes.values_mut() {
            mesh.report = Report::default();
        }
        report.note_failure(self.leave(plans).await);
        self.make_keys(plans);
        self.names.keep(|endpoint| {
            plans
                .iter()
                .flat_map(|plan| &plan.peers)
                .any(|p| p.endpoint.as_ref() == Some(endpoint))
        });
        let snapshot = match self.network.snapshot().await {
            Ok(snapshot) => snapshot,
            Err(error) => {
                report.fail(&error);
                return report;
            }
        };
        for plan in plans {
            if let Err(error) = self.mesh_pass(plan, plans, &snapshot).await {
                self.meshes
                    .entry(plan.mesh.clone())
                    .or_default()
                    .report
                    .fail(&error);
            }
        }
        report.note_failure(self.rules(plans, &snapshot).await);
        report
    }

    /// Reads the devices again, for fresh counters; what changes nothing on the host.
    pub(crate) async fn refresh(&mut self) {
        for mesh in self.meshes.values_mut() {
            if let Some(device) = &mesh.device
                && let Ok(state) = device.observe().await
            {
                mesh.state = state;
            }
        }
    }

    /// Something changed on the host: what was learned of the underlay may be wrong.
    pub(crate) fn forget_underlay(&mut self) {
        self.underlay = Underlay::default();
    }

    /// Rules lead into our table as long as there is a mesh.
    async fn rules(&mut self, plans: &[MeshPlan], snapshot: &Snapshot) -> Result<(), Error> {
        let families: &[Family] = if ipv6_is_on("all") {
            &[Family::V4, Family::V6]
        } else {
            &[Family::V4]
        };
        let ours = |families: &[Family]| {
            routing::rules(
                self.config.routing_table,
                self.config.firewall_mark,
                families,
            )
        };
        let wanted = if plans.is_empty() {
            Vec::new()
        } else {
            ours(families)
        };
        if !wanted.is_empty() {
            self.owned.set_rules(true)?;
        }
        if !self.owned.has_rules() {
            return Ok(());
        }
        let present: BTreeSet<_> = snapshot.rules.iter().collect();
        for rule in wanted.iter().filter(|rule| !present.contains(rule)) {
            self.network.add_rule(rule).await?;
        }
        for rule in ours(&[Family::V4, Family::V6]) {
            if present.contains(&rule) && !wanted.contains(&rule) {
                self.network.remove_rule(&rule).await?;
            }
        }
        if wanted.is_empty() {
            self.owned.set_rules(false)?;
        }
        Ok(())
    }
}

impl Report {
    pub(crate) fn fail(&mut self, error: &Error) {
        let sentence = error.sentence();
        if !self.failures.contains(&sentence) {
            self.failures.push(sentence);
        }
    }

    fn note_failure(&mut self, result: Result<(), Error>) {
        if let Err(error) = result {
            self.fail(&error);
        }
    }

    fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// All of it, what holds the plan up first.
    pub(crate) fn problems(&self) -> Vec<String> {
        self.failures.iter().chain(&self.notes).cloned().collect()
    }
}

/// Whether IPv6 works on an interface, or on `all`.
fn ipv6_is_on(interface: &str) -> bool {
    std::fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{interface}/disable_ipv6"))
        .is_ok_and(|disabled| disabled.trim() == "0")
}
