//! Puts a difference into a plan, and its facts into the plan's digest, by as much work as the
//! difference has.

use super::difference::{MeshDifference, NodeDifference, PeerDifference, position};
use super::digest::{Fact, PlanDigest};
use super::plan::{MeshPlan, NodePlan, PeerPlan};
use crate::cidr::Cidr;
use crate::name::MeshName;

/// A difference that was made for another plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the difference fits no plan that has no {0}")]
pub struct Misfit(String);

impl NodeDifference {
    /// Makes the newer plan of a plan, and the newer digest of its digest.
    ///
    /// # Errors
    ///
    /// It was made for another plan. The plan is then neither the old nor the new one.
    pub fn apply(&self, plan: &mut NodePlan, digest: &mut PlanDigest) -> Result<(), Misfit> {
        if let Some(terms) = &self.terms {
            digest.replace_terms(&plan.terms(), terms);
            plan.limits = terms.limits.clone();
            plan.capabilities = terms.capabilities.clone();
        }
        for name in &self.meshes_removed {
            let gone = take(&mut plan.meshes, name, |mesh| &mesh.mesh)
                .ok_or_else(|| Misfit(format!("mesh `{name}`")))?;
            digest.subtract_mesh(&gone);
        }
        for difference in &self.meshes {
            let mesh = match position(&plan.meshes, &difference.mesh, |mesh| &mesh.mesh) {
                Ok(position) => &mut plan.meshes[position],
                Err(position) => {
                    let head = difference.head.clone();
                    let head = head.ok_or_else(|| Misfit(format!("mesh `{}`", difference.mesh)))?;
                    digest.add(&Fact::Mesh(&head));
                    plan.meshes.insert(position, MeshPlan::new(head));
                    &mut plan.meshes[position]
                }
            };
            difference.apply(mesh, digest)?;
        }
        Ok(())
    }
}

impl MeshDifference {
    fn apply(&self, plan: &mut MeshPlan, digest: &mut PlanDigest) -> Result<(), Misfit> {
        if let Some(head) = &self.head {
            digest.subtract(&Fact::Mesh(&plan.head()));
            digest.add(&Fact::Mesh(head));
            plan.set_head(head.clone());
        }
        let name = &self.mesh;
        for route in &self.routes.removed {
            remove(&mut plan.routes, route)?;
            digest.subtract(&Fact::Route(name, route));
        }
        for route in &self.routes.added {
            insert(&mut plan.routes, route)?;
            digest.add(&Fact::Route(name, route));
        }
        for node in &self.peers_removed {
            let gone = take(&mut plan.peers, node, |peer| &peer.node)
                .ok_or_else(|| Misfit(format!("peer `{node}`")))?;
            digest.subtract_peer(name, &gone);
        }
        for difference in &self.peers {
            difference.apply(name, &mut plan.peers, digest)?;
        }
        for node in &self.probe_targets_removed {
            let gone = take(&mut plan.probe_targets, node, |target| &target.node)
                .ok_or_else(|| Misfit(format!("probe target `{node}`")))?;
            digest.subtract(&Fact::ProbeTarget(name, &gone));
        }
        for target in &self.probe_targets {
            digest.add(&Fact::ProbeTarget(name, target));
            match position(&plan.probe_targets, &target.node, |target| &target.node) {
                Ok(position) => {
                    let before = &mut plan.probe_targets[position];
                    digest.subtract(&Fact::ProbeTarget(name, before));
                    *before = target.clone();
                }
                Err(position) => plan.probe_targets.insert(position, target.clone()),
            }
        }
        Ok(())
    }
}

impl PeerDifference {
    fn apply(
        &self,
        mesh: &MeshName,
        peers: &mut Vec<PeerPlan>,
        digest: &mut PlanDigest,
    ) -> Result<(), Misfit> {
        let node = &self.node;
        let peer = match position(peers, node, |peer| &peer.node) {
            Ok(position) => {
                let peer = &mut peers[position];
                if let Some(head) = &self.head {
                    digest.subtract(&Fact::Peer(mesh, node, &peer.head()));
                    digest.add(&Fact::Peer(mesh, node, head));
                    peer.set_head(head.clone());
                }
                peer
            }
            Err(position) => {
                let head = self.head.clone();
                let head = head.ok_or_else(|| Misfit(format!("peer `{node}`")))?;
                digest.add(&Fact::Peer(mesh, node, &head));
                peers.insert(position, PeerPlan::new(node.clone(), head));
                &mut peers[position]
            }
        };
        for network in &self.allowed_ips.removed {
            remove(&mut peer.allowed_ips, network)?;
            digest.subtract(&Fact::AllowedIp(mesh, node, network));
        }
        for network in &self.allowed_ips.added {
            insert(&mut peer.allowed_ips, network)?;
            digest.add(&Fact::AllowedIp(mesh, node, network));
        }
        Ok(())
    }
}

fn remove(networks: &mut Vec<Cidr>, network: &Cidr) -> Result<(), Misfit> {
    let missing = |_| Misfit(format!("network {network}"));
    let position = networks.binary_search(network).map_err(missing)?;
    networks.remove(position);
    Ok(())
}

fn insert(networks: &mut Vec<Cidr>, network: &Cidr) -> Result<(), Misfit> {
    match networks.binary_search(network) {
        Ok(_) => Err(Misfit(format!("room for the network {network}"))),
        Err(position) => {
            networks.insert(position, *network);
            Ok(())
        }
    }
}

fn take<T, N: Ord>(list: &mut Vec<T>, name: &N, name_of: impl Fn(&T) -> &N) -> Option<T> {
    let position = position(list, name, name_of).ok()?;
    Some(list.remove(position))
}
