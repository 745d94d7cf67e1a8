//! `hanse_mesh_peers`: what every node of a mesh is reached by.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hanse_client::Snapshot;
use hanse_core::mesh::topology::Topology;
use hanse_core::name::MeshName;
use terraform_plugin::{Attr, Diagnostics, Model};

use crate::lookup::{Lookup, wrong};

/// The nodes of a VPN mesh: their addresses, public keys and how they are reached.
#[derive(Clone, Model)]
pub(crate) struct MeshPeersModel {
    /// The federation.
    #[attribute(required)]
    pub(crate) federation: Attr<String>,
    /// The name of the VPN mesh.
    #[attribute(required)]
    pub(crate) mesh: Attr<String>,
    /// By node name.
    #[attribute(computed)]
    pub(crate) peers: Attr<BTreeMap<String, PeerModel>>,
}

/// One node of a mesh.
#[derive(Clone, Model)]
pub(crate) struct PeerModel {
    /// Its addresses in the mesh, one from each pool.
    #[attribute(computed)]
    pub(crate) addresses: Attr<Vec<Attr<String>>>,
    /// Its WireGuard public key in base64; null until it has made one.
    #[attribute(computed)]
    pub(crate) public_key: Attr<String>,
    /// Where it can be dialled; null if it can't.
    #[attribute(computed)]
    pub(crate) endpoint: Attr<String>,
    /// How the others reach it: `direct`, or `relay` where some go through another node.
    #[attribute(computed)]
    pub(crate) path: Attr<String>,
}

impl Lookup for MeshPeersModel {
    const TYPE_NAME: &'static str = "hanse_mesh_peers";

    fn federation(&self) -> &Attr<String> {
        &self.federation
    }

    fn answer(mut self, snapshot: &Snapshot) -> Result<Self, Diagnostics> {
        let mesh: Option<MeshName> = self.mesh.as_known().and_then(|name| name.parse().ok());
        let peers = mesh
            .and_then(|mesh| peers(snapshot, &mesh))
            .ok_or_else(|| {
                let detail = "No VPN mesh of that name is declared. `hanse mesh` lists them.";
                wrong("mesh", "Unknown VPN mesh", detail)
            })?;
        self.peers = Attr::Known(peers);
        Ok(self)
    }
}

fn peers(snapshot: &Snapshot, mesh: &MeshName) -> Option<BTreeMap<String, PeerModel>> {
    let inventory = &snapshot.inventory;
    let mesh = &inventory.meshes.get(mesh)?.spec;
    let topology = Topology::of(inventory, mesh);
    let nodes: Vec<_> = inventory.nodes_in(mesh).collect();
    let peers = nodes.iter().filter_map(|(name, record)| {
        let place = record.meshes.get(&mesh.name)?;
        let addresses = place
            .addresses
            .iter()
            .map(|address| Attr::Known(address.to_string()));
        let direct = nodes
            .iter()
            .all(|(other, _)| other == name || topology.is_direct(other, name));
        let peer = PeerModel {
            addresses: Attr::Known(addresses.collect()),
            public_key: Attr::from(place.public_key.map(|key| STANDARD.encode(key.as_bytes()))),
            endpoint: Attr::from(topology.endpoint_of(name).map(ToString::to_string)),
            path: Attr::from(if direct { "direct" } else { "relay" }),
        };
        Some((name.to_string(), peer))
    });
    Some(peers.collect())
}
