//! One mesh in one pass: device, addresses, routes, gateway, proofs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use hanse_core::mesh::{MeshPlan, PeerPlan};
use hanse_core::wireguard::{DesiredDevice, DesiredPeer, ObservedPeer, diff};

use super::{MeshState, Reconciler, ipv6_is_on};
use crate::device::Device;
use crate::error::Error;
use crate::gateway;
use crate::key::PrivateKey;
use crate::names::Resolution;
use crate::network::routing::{self, Change};
use crate::network::{Link, Snapshot};
use crate::proof::{Prover, Settings};

/// What the host can do for a mesh.
struct Abilities {
    mtu: u32,
    addresses: Vec<IpAddr>,
    ipv6: bool,
}

impl Reconciler {
    pub(super) async fn mesh_pass(
        &mut self,
        plan: &MeshPlan,
        plans: &[MeshPlan],
        snapshot: &Snapshot,
    ) -> Result<(), Error> {
        let Some(key) = self
            .meshes
            .get(&plan.mesh)
            .and_then(|mesh| mesh.key.clone())
        else {
            // The reason is reported already.
            return Ok(());
        };
        let (device, link) = self.interface(plan, snapshot).await?;
        let mut mesh = self.meshes.remove(&plan.mesh).unwrap_or_default();
        mesh.device = Some(device.clone());
        let done = self
            .mesh_steps(plan, plans, snapshot, &mut mesh, &key, &device, &link)
            .await;
        self.meshes.insert(plan.mesh.clone(), mesh);
        done
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the steps of one pass share what it found"
    )]
    async fn mesh_steps(
        &mut self,
        plan: &MeshPlan,
        plans: &[MeshPlan],
        snapshot: &Snapshot,
        mesh: &mut MeshState,
        key: &PrivateKey,
        device: &Device,
        link: &Link,
    ) -> Result<(), Error> {
        self.device_step(plan, mesh, key, device).await?;
        let abilities = self.abilities(plan, snapshot, mesh, link).await;
        self.network_step(plan, snapshot, mesh, link, &abilities)
            .await?;
        let gateway = self.gateway_step(plan, plans, mesh, abilities.ipv6).await;
        mesh.report.note_failure(gateway);
        self.proof_step(plan, mesh, key, &abilities).await
    }

    async fn device_step(
        &mut self,
        plan: &MeshPlan,
        mesh: &mut MeshState,
        key: &PrivateKey,
        device: &Device,
    ) -> Result<(), Error> {
        mesh.state = device.observe().await?;
        mesh.unresolved.clear();
        let mut peers = Vec::new();
        for peer in &plan.peers {
            peers.push(self.desired_peer(peer, mesh));
        }
        let mark = self.config.firewall_mark;
        let (desired, conflicts) = DesiredDevice::new(key.public(), plan.listen_port, mark, peers);
        for conflict in conflicts {
            mesh.report.note(format!(
                "the plan gives {} to two peers: {} keeps it, {} does not get it",
                conflict.allowed_ip, conflict.holder, conflict.refused
            ));
        }
        let delta = diff(&mesh.state.observed, &desired);
        if !delta.is_empty() {
            tracing::info!(mesh = %plan.mesh, peers = delta.peers.len(), "changing the device");
            device.apply(key, &delta).await?;
            // What it looks like now is for the eye only, and can wait until the plan is applied.
            self.signals.proofs.notify_one();
        }
        let planned = desired.peers().values().filter_map(|peer| peer.endpoint);
        let roamed = mesh
            .state
            .observed
            .peers
            .values()
            .filter_map(|peer| peer.endpoint);
        mesh.endpoints = planned
            .chain(roamed)
            .map(|endpoint| endpoint.ip())
            .collect();
        let mut before = std::mem::take(&mut mesh.applied_endpoints);
        for peer in &plan.peers {
            // One that is not resolved is not applied: then what was before still counts.
            let unresolved = mesh.unresolved.contains_key(&peer.public_key);
            let planned = peer.endpoint.clone().filter(|_| !unresolved);
            let endpoint = planned.or_else(|| before.remove(&peer.public_key));
            if let Some(endpoint) = endpoint {
                mesh.applied_endpoints.insert(peer.public_key, endpoint);
            }
        }
        Ok(())
    }

    fn desired_peer(&self, peer: &PeerPlan, mesh: &mut MeshState) -> DesiredPeer {
        let observed = mesh.state.observed.peers.get(&peer.public_key);
        let silent = !observed.is_some_and(ObservedPeer::has_fresh_handshake);
        let endpoint = peer.endpoint.as_ref().and_then(|endpoint| {
            match self.names.resolve(endpoint, silent) {
                Resolution::Address(address) => Some(address),
                Resolution::Pending => {
                    let sentence = format!("the name {} is being looked up", endpoint.host());
                    mesh.unresolved.insert(peer.public_key, sentence);
                    None
                }
                Resolution::Failed(reason) => {
                    let sentence =
                        format!("the name {} does not resolve: {reason}", endpoint.host());
                    mesh.unresolved.insert(peer.public_key, sentence);
                    None
                }
            }
        });
        // After a start nothing is known of what was applied: then a working endpoint stays.
        let applied = mesh.applied_endpoints.get(&peer.public_key);
        let endpoint_changed =
            applied.is_some_and(|applied| Some(applied) != peer.endpoint.as_ref());
        DesiredPeer {
            public_key: peer.public_key,
            preshared_key: peer.preshared_key.clone(),
            endpoint,
            endpoint_changed,
            persistent_keepalive_s: peer.persistent_keepalive_s,
            allowed_ips: peer.allowed_ips.iter().copied().collect(),
        }
    }

    async fn abilities(
        &mut self,
        plan: &MeshPlan,
        snapshot: &Snapshot,
        mesh: &mut MeshState,
        link: &Link,
    ) -> Abilities {
        let wants_ipv6 = plan.addresses.iter().any(IpAddr::is_ipv6);
        let ipv6 = ipv6_is_on(&link.name)
            || (wants_ipv6 && link.mtu < routing::IPV6_MTU_MIN && ipv6_is_on("all"));
        if wants_ipv6 && !ipv6 {
            mesh.report.note(format!(
                "IPv6 is switched off on {}, so the mesh has IPv4 only here: set \
                 net.ipv6.conf.all.disable_ipv6 = 0",
                link.name
            ));
        }
        let underlay = match plan.mtu {
            Some(_) => None,
            None => {
                let mark = self.config.firewall_mark;
                self.underlay
                    .mtu_min(&self.network, snapshot, mark, &mesh.endpoints)
                    .await
            }
        };
        let addresses = plan
            .addresses
            .iter()
            .filter(|a| a.is_ipv4() || ipv6)
            .copied()
            .collect();
        Abilities {
            mtu: routing::mtu(plan.mtu, underlay, wants_ipv6 && ipv6),
            addresses,
            ipv6,
        }
    }

    async fn network_step(
        &mut self,
        plan: &MeshPlan,
        snapshot: &Snapshot,
        mesh: &mut MeshState,
        link: &Link,
        abilities: &Abilities,
    ) -> Result<(), Error> {
        if !link.up || link.mtu != abilities.mtu {
            self.network.bring_up(link, abilities.mtu).await?;
        }
        let change = routing::addresses(&snapshot.addresses, link.index, &abilities.addresses);
        for address in &change.add {
            self.network.add_address(address, link).await?;
        }
        for address in &change.remove {
            self.network.remove_address(address, link).await?;
        }
        let wanted: Vec<_> = plan
            .routes
            .iter()
            .filter(|r| r.is_ipv4() || abilities.ipv6)
            .copied()
            .collect();
        let table = self.config.routing_table;
        let change = routing::routes(
            &snapshot.routes,
            table,
            link.index,
            &wanted,
            &abilities.addresses,
        );
        self.apply_routes(&change, mesh).await;
        let own: BTreeSet<u32> = self
            .owned
            .meshes()
            .values()
            .filter_map(|owned| snapshot.links.get(owned.interface.as_str()))
            .map(|link| link.index)
            .chain([link.index])
            .collect();
        let names: BTreeMap<u32, &str> = snapshot
            .links
            .values()
            .map(|link| (link.index, link.name.as_str()))
            .collect();
        let name_of = |index| {
            names
                .get(&index)
                .map_or("an interface", |name| name)
                .to_owned()
        };
        for note in routing::shadows(&snapshot.routes, &own, &wanted, name_of) {
            mesh.report.note(note);
        }
        Ok(())
    }

    /// One route that can't be added must not keep the others away.
    async fn apply_routes(&self, change: &Change<routing::Route>, mesh: &mut MeshState) {
        for route in &change.remove {
            mesh.report
                .note_failure(self.network.remove_route(route).await);
        }
        for route in &change.add {
            mesh.report
                .note_failure(self.network.add_route(route, false).await);
        }
        for route in &change.replace {
            mesh.report
                .note_failure(self.network.add_route(route, true).await);
        }
    }

    async fn gateway_step(
        &mut self,
        plan: &MeshPlan,
        plans: &[MeshPlan],
        mesh: &mut MeshState,
        ipv6: bool,
    ) -> Result<(), Error> {
        let Some(mut owned) = self.owned.get(&plan.mesh).cloned() else {
            return Ok(());
        };
        if !plan.gateway {
            if owned.firewall {
                gateway::remove_table(&plan.mesh).await?;
                owned.firewall = false;
                self.owned.put(&plan.mesh, owned)?;
                mesh.applied_table = None;
            }
            return Ok(());
        }
        if gateway::is_forwarding_off(ipv6) {
            self.owned.set_forwarding_was_off()?;
        }
        gateway::enable_forwarding(ipv6)?;
        let gateways: Vec<&MeshPlan> = plans.iter().filter(|plan| plan.gateway).collect();
        let text = gateway::table(plan, &gateways, self.owned.forwarding_was_off());
        owned.firewall = true;
        self.owned.put(&plan.mesh, owned)?;
        let known = mesh.applied_table.as_ref() == Some(&text);
        mesh.applied_table = None;
        gateway::apply_table(&plan.mesh, &text, known).await?;
        mesh.applied_table = Some(text);
        Ok(())
    }

    async fn proof_step(
        &mut self,
        plan: &MeshPlan,
        mesh: &mut MeshState,
        key: &PrivateKey,
        abilities: &Abilities,
    ) -> Result<(), Error> {
        let settings = Settings {
            mesh: plan.mesh.clone(),
            key: key.clone(),
            addresses: abilities.addresses.clone(),
            port: plan.probe_port,
            mtu: abilities.mtu,
            interval: self.config.probe_interval,
        };
        if mesh
            .prover
            .as_ref()
            .is_none_or(|prover| *prover.settings() != settings)
        {
            mesh.prover = None;
            let changed = self.signals.proofs.clone();
            mesh.prover = Some(Prover::start(settings, changed).await?);
        }
        if let Some(prover) = &mut mesh.prover {
            prover.set_plan(plan);
        }
        Ok(())
    }
}
