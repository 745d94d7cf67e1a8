//! `hanse_nodes`: who is enrolled, and how they are.

use std::collections::BTreeMap;

use hanse_client::proto;
use hanse_client::{Snapshot, complaints};
use terraform_plugin::{Attr, Diagnostics, Model};

use crate::declared::non_empty;
use crate::lookup::{Lookup, texts, wrong};

/// The nodes of the federation: where each belongs, whether it is live, and what it complains
/// about.
#[derive(Clone, Model)]
pub(crate) struct NodesModel {
    /// The federation.
    #[attribute(required)]
    pub(crate) federation: Attr<String>,
    /// Only the nodes of this member cluster. By default all nodes.
    #[attribute(optional)]
    pub(crate) member_cluster: Attr<String>,
    /// By node name.
    #[attribute(computed)]
    pub(crate) nodes: Attr<BTreeMap<String, NodeModel>>,
}

/// One node.
#[derive(Clone, Model)]
pub(crate) struct NodeModel {
    /// The member cluster that it belongs to.
    #[attribute(computed)]
    pub(crate) member_cluster: Attr<String>,
    /// Whether it keeps the federation's state.
    #[attribute(computed)]
    pub(crate) voter: Attr<bool>,
    /// Where its API answers, as `host:port`; null for a node that serves none.
    #[attribute(computed)]
    pub(crate) advertise: Attr<String>,
    /// Whether it was seen within `failure_threshold` times `check_interval`.
    #[attribute(computed)]
    pub(crate) live: Attr<bool>,
    /// The version of its agent; null until it has reported.
    #[attribute(computed)]
    pub(crate) agent_version: Attr<String>,
    /// The newest revision of its plan that it has put into effect in full; null until it has
    /// reported.
    #[attribute(computed)]
    pub(crate) applied_revision: Attr<u64>,
    /// Its addresses in each mesh.
    #[attribute(computed)]
    pub(crate) addresses: Attr<BTreeMap<String, Vec<String>>>,
    /// Why its newest plan is not in effect in full, in sentences.
    #[attribute(computed)]
    pub(crate) problems: Attr<Vec<String>>,
}

impl Lookup for NodesModel {
    const TYPE_NAME: &'static str = "hanse_nodes";

    fn federation(&self) -> &Attr<String> {
        &self.federation
    }

    fn answer(mut self, snapshot: &Snapshot) -> Result<Self, Diagnostics> {
        let nodes = nodes_of(snapshot, &self.member_cluster)?;
        let nodes = nodes.map(|node| (node.name.clone(), NodeModel::from(node)));
        self.nodes = Attr::Known(nodes.collect());
        Ok(self)
    }
}

impl From<&proto::Node> for NodeModel {
    fn from(node: &proto::Node) -> Self {
        let addresses = node
            .meshes
            .iter()
            .map(|place| (place.mesh.clone(), place.addresses.clone()));
        let status = node.status.as_ref();
        Self {
            member_cluster: Attr::Known(node.member_cluster.clone()),
            voter: Attr::Known(node.voter),
            advertise: non_empty(node.advertise.clone()),
            live: Attr::Known(node.live),
            agent_version: Attr::from(status.map(|status| status.agent_version.clone())),
            applied_revision: Attr::from(status.map(|status| status.applied_revision)),
            addresses: Attr::Known(addresses.collect()),
            problems: texts(complaints(node)),
        }
    }
}

/// The nodes of one member cluster, or all of them.
pub(crate) fn nodes_of<'a>(
    snapshot: &'a Snapshot,
    cluster: &Attr<String>,
) -> Result<impl Iterator<Item = &'a proto::Node>, Diagnostics> {
    let cluster = cluster.as_known().cloned();
    if let Some(name) = &cluster {
        let mut declared = snapshot.inventory.clusters.keys();
        let mut nodes = snapshot.response.nodes.iter();
        let is_known = declared.any(|known| known.as_str() == name)
            || nodes.any(|node| node.member_cluster == *name);
        if !is_known {
            let detail = "No member cluster of that name is declared, and no node names it.";
            return Err(wrong("member_cluster", "Unknown member cluster", detail));
        }
    }
    let nodes = snapshot.response.nodes.iter();
    Ok(nodes.filter(move |node| {
        cluster
            .as_ref()
            .is_none_or(|cluster| node.member_cluster == *cluster)
    }))
}
