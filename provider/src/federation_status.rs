//! `hanse_federation_status`: the federation at a glance.

use std::collections::BTreeMap;

use hanse_client::Snapshot;
use hanse_core::health::Health;
use terraform_plugin::{Attr, Diagnostics, Model};

use crate::declared::non_empty;
use crate::lookup::{Lookup, texts};
use crate::nodes::HealthModel;

/// The federation at a glance: who keeps its state, who is live, what is declared, and what nodes
/// complain about.
#[derive(Clone, Model)]
pub(crate) struct FederationStatusModel {
    /// The federation.
    #[attribute(required)]
    pub(crate) federation: Attr<String>,
    /// The revision of the committed state.
    #[attribute(computed)]
    pub(crate) revision: Attr<u64>,
    /// The SHA-256 of the federation's CA certificate, hexadecimal.
    #[attribute(computed)]
    pub(crate) ca_fingerprint: Attr<String>,
    /// The nodes that keep the federation's state, by name.
    #[attribute(computed)]
    pub(crate) voters: Attr<BTreeMap<String, VoterModel>>,
    /// How many nodes are enrolled.
    #[attribute(computed)]
    pub(crate) nodes: Attr<u64>,
    /// How many of them are live.
    #[attribute(computed)]
    pub(crate) nodes_live: Attr<u64>,
    /// How many of them are `healthy`, `suspect` and `down`.
    #[attribute(computed)]
    pub(crate) nodes_by_health: Attr<BTreeMap<String, u64>>,
    /// The nodes that are suspect or down, by name: since when, and why.
    #[attribute(computed)]
    pub(crate) unwell: Attr<BTreeMap<String, HealthModel>>,
    /// The names of the declared member clusters.
    #[attribute(computed)]
    pub(crate) member_clusters: Attr<Vec<String>>,
    /// The names of the declared VPN meshes.
    #[attribute(computed)]
    pub(crate) vpn_meshes: Attr<Vec<String>>,
    /// What nodes complain about, in sentences, by node name.
    #[attribute(computed)]
    pub(crate) problems: Attr<BTreeMap<String, Vec<String>>>,
}

/// One voter.
#[derive(Clone, Model)]
pub(crate) struct VoterModel {
    /// Where its API answers, as `host:port`.
    #[attribute(computed)]
    pub(crate) endpoint: Attr<String>,
    /// Whether it is live.
    #[attribute(computed)]
    pub(crate) live: Attr<bool>,
    /// Whether it votes; else it learns, to vote soon.
    #[attribute(computed)]
    pub(crate) votes: Attr<bool>,
    /// Whether it leads.
    #[attribute(computed)]
    pub(crate) leads: Attr<bool>,
    /// How many entries of the log it is behind the leader; null: it was not reached yet.
    #[attribute(computed)]
    pub(crate) lag_entries: Attr<u64>,
    /// For how long the leader has not heard from it; null: it never did.
    #[attribute(computed)]
    pub(crate) silent_for_ms: Attr<u64>,
    /// `called` to become a voter and not one yet, or `dismissed` and one for a little longer; else
    /// null.
    #[attribute(computed)]
    pub(crate) pending: Attr<String>,
}

impl Lookup for FederationStatusModel {
    const TYPE_NAME: &'static str = "hanse_federation_status";

    fn federation(&self) -> &Attr<String> {
        &self.federation
    }

    fn answer(mut self, snapshot: &Snapshot) -> Result<Self, Diagnostics> {
        let (inventory, response) = (&snapshot.inventory, &snapshot.response);
        let count = |nodes: usize| Attr::Known(nodes as u64);
        let is_live = |name: &str| {
            let mut nodes = response.nodes.iter();
            nodes.any(|node| node.name == name && node.live)
        };
        let voters = response.voters.iter().map(|voter| {
            let seen = VoterModel {
                endpoint: Attr::Known(voter.endpoint.clone()),
                live: Attr::Known(is_live(&voter.node)),
                votes: Attr::Known(voter.votes),
                leads: Attr::Known(voter.leads),
                lag_entries: Attr::from(voter.lag_entries),
                silent_for_ms: Attr::from(voter.silent_for_ms),
                pending: non_empty(voter.pending.clone()),
            };
            (voter.node.clone(), seen)
        });
        let problems = response
            .nodes
            .iter()
            .map(|node| (node.name.clone(), hanse_client::complaints(node)));
        self.revision = Attr::Known(response.revision);
        self.ca_fingerprint = Attr::Known(response.ca_fingerprint.clone());
        self.voters = Attr::Known(voters.collect());
        self.nodes = count(response.nodes.len());
        self.nodes_live = count(response.nodes.iter().filter(|node| node.live).count());
        let mut by_health: BTreeMap<String, u64> = Health::WORDS
            .iter()
            .map(|word| ((*word).to_owned(), 0))
            .collect();
        let mut unwell = BTreeMap::new();
        for (name, record) in &inventory.nodes {
            let health = &record.health;
            *by_health.entry(health.state.to_string()).or_default() += 1;
            if health.state != Health::Healthy {
                unwell.insert(name.to_string(), HealthModel::from(health));
            }
        }
        self.nodes_by_health = Attr::Known(by_health);
        self.unwell = Attr::Known(unwell);
        self.member_clusters = texts(inventory.clusters.keys());
        self.vpn_meshes = texts(inventory.meshes.keys());
        self.problems = Attr::Known(problems.filter(|(_, said)| !said.is_empty()).collect());
        Ok(self)
    }
}
