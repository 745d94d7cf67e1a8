//! A VPN mesh: one WireGuard overlay between member clusters.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::words;
use crate::cidr::Cidr;
use crate::duration::Span;
use crate::endpoint::Endpoint;
use crate::name::{ClusterName, FederationName, MeshName, NodeName};

/// The interface of a mesh that names none.
pub const INTERFACE_DEFAULT: &str = "hanse0";
/// The UDP port of WireGuard itself.
pub const LISTEN_PORT_DEFAULT: u16 = 51820;
/// The UDP port of proofs, inside the mesh.
pub const PROBE_PORT_DEFAULT: u16 = 51821;

words! {
    /// Who talks to whom directly.
    MeshShape {
        /// Every node to every other.
        Full = "full",
        /// Spokes to hubs only.
        HubSpoke = "hub-spoke",
    }
}

/// The name of a network interface: what Linux takes (1 to 15 bytes), less what shells trip over.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InterfaceName(String);

/// Why a text is no interface name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no interface name: use 1 to 15 letters, digits, `-` and `_`, beginning with a letter"
)]
pub struct InterfaceNameError(String);

/// One WireGuard overlay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VpnMesh {
    /// The federation that it belongs to.
    pub federation: FederationName,
    /// Its name.
    pub name: MeshName,
    /// Where the nodes' addresses come from: one address from each.
    pub address_pools: Vec<Cidr>,
    /// The interface on every node.
    pub interface: InterfaceName,
    /// The UDP port of WireGuard on every node.
    pub listen_port: u16,
    /// The UDP port of proofs, inside the mesh.
    pub probe_port: u16,
    /// The interface's MTU; unset: by the underlay.
    pub mtu: Option<u16>,
    /// How often a silent tunnel sends something; unset: only nodes that can't be dialled do.
    pub persistent_keepalive: Option<Span>,
    /// Whether each pair has a pre-shared key.
    pub preshared_keys: bool,
    /// How often keys are rotated; unset: on request only.
    pub key_rotation_interval: Option<Span>,
    /// Who talks to whom directly; unset: by the federation's topology.
    pub shape: Option<MeshShape>,
    /// The member clusters that take part.
    pub sites: BTreeMap<ClusterName, MeshSite>,
}

/// How one member cluster takes part in a mesh.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshSite {
    /// Where the first gateway can be dialled.
    pub endpoint: Option<Endpoint>,
    /// Where other nodes can be dialled.
    pub node_endpoints: BTreeMap<NodeName, Endpoint>,
    /// Networks behind the site's gateways.
    pub routes: Vec<Cidr>,
    /// Nodes that carry the routes, in order of preference; empty: every node of the site.
    pub gateways: Vec<NodeName>,
    /// Whether others talk through this site.
    pub hub: bool,
    /// Whether gateways hide the mesh behind their own address; unset: yes.
    pub snat: Option<bool>,
    /// How many nodes the site will have.
    pub expected_nodes: u32,
}

impl InterfaceName {
    /// The name as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InterfaceName {
    type Err = InterfaceNameError;
    fn from_str(text: &str) -> Result<Self, InterfaceNameError> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for InterfaceName {
    type Error = InterfaceNameError;
    fn try_from(text: String) -> Result<Self, InterfaceNameError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
        if !first || text.len() > 15 || !text.bytes().all(allowed) || text == "lo" {
            return Err(InterfaceNameError(text.chars().take(64).collect()));
        }
        Ok(Self(text))
    }
}

impl From<InterfaceName> for String {
    fn from(name: InterfaceName) -> Self {
        name.0
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
