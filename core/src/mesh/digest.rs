//! A digest of a plan, by which a voter and a node find out that they mean the same one.
//!
//! It is the sum of the digests of the plan's facts, so that a difference changes it by as much work
//! as the difference has. It guards against mistakes and versions that read a plan otherwise, and
//! never against an adversary: the connection does.

use std::hash::Hasher as _;
use std::net::IpAddr;

use siphasher::sip128::{Hasher128 as _, SipHasher13};

use super::difference::{MeshHead, PeerHead, SiteTerms};
use super::plan::{MeshPlan, NodePlan, PeerPlan, ProbeTarget};
use crate::cidr::Cidr;
use crate::name::{MeshName, NodeName};
use crate::object::member_cluster::ResourceLimits;

/// The length on the wire.
pub const DIGEST_LENGTH: usize = 16;

/// A digest of a plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlanDigest(u128);

/// One thing that a plan says.
pub(super) enum Fact<'a> {
    Terms(&'a SiteTerms),
    Mesh(&'a MeshHead),
    Route(&'a MeshName, &'a Cidr),
    Peer(&'a MeshName, &'a NodeName, &'a PeerHead),
    AllowedIp(&'a MeshName, &'a NodeName, &'a Cidr),
    ProbeTarget(&'a MeshName, &'a ProbeTarget),
}

impl PlanDigest {
    /// The digest of a plan.
    #[must_use]
    pub fn of(plan: &NodePlan) -> Self {
        let mut writer = Writer::new(0);
        writer.text(plan.node.as_str());
        writer.text(plan.cluster.as_str());
        let mut digest = Self(writer.finish());
        digest.add(&Fact::Terms(&plan.terms()));
        for mesh in &plan.meshes {
            digest.add_mesh(mesh);
        }
        digest
    }

    /// The member cluster says something else.
    pub fn replace_terms(&mut self, before: &SiteTerms, after: &SiteTerms) {
        self.subtract(&Fact::Terms(before));
        self.add(&Fact::Terms(after));
    }

    /// One more mesh.
    pub(super) fn add_mesh(&mut self, plan: &MeshPlan) {
        let mut mesh = Self::default();
        mesh.add(&Fact::Mesh(&plan.head()));
        for route in &plan.routes {
            mesh.add(&Fact::Route(&plan.mesh, route));
        }
        for peer in &plan.peers {
            mesh.add_peer(&plan.mesh, peer);
        }
        for target in &plan.probe_targets {
            mesh.add(&Fact::ProbeTarget(&plan.mesh, target));
        }
        self.0 = self.0.wrapping_add(mesh.0);
    }

    /// One mesh less.
    pub(super) fn subtract_mesh(&mut self, plan: &MeshPlan) {
        let mut mesh = Self::default();
        mesh.add_mesh(plan);
        self.0 = self.0.wrapping_sub(mesh.0);
    }

    /// One peer less.
    pub(super) fn subtract_peer(&mut self, mesh: &MeshName, plan: &PeerPlan) {
        let mut peer = Self::default();
        peer.add_peer(mesh, plan);
        self.0 = self.0.wrapping_sub(peer.0);
    }

    /// For the wire.
    #[must_use]
    pub fn to_bytes(self) -> [u8; DIGEST_LENGTH] {
        self.0.to_le_bytes()
    }

    /// From the wire; none: it is no digest.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(u128::from_le_bytes(bytes.try_into().ok()?)))
    }

    fn add_peer(&mut self, mesh: &MeshName, peer: &PeerPlan) {
        self.add(&Fact::Peer(mesh, &peer.node, &peer.head()));
        for network in &peer.allowed_ips {
            self.add(&Fact::AllowedIp(mesh, &peer.node, network));
        }
    }

    pub(super) fn add(&mut self, fact: &Fact<'_>) {
        self.0 = self.0.wrapping_add(fact.digest());
    }

    pub(super) fn subtract(&mut self, fact: &Fact<'_>) {
        self.0 = self.0.wrapping_sub(fact.digest());
    }
}

impl Fact<'_> {
    fn digest(&self) -> u128 {
        match self {
            Self::Terms(terms) => {
                let ResourceLimits {
                    max_memory,
                    max_storage,
                    max_cpus,
                } = &terms.limits;
                let mut writer = Writer::new(6);
                for size in [max_memory, max_storage] {
                    writer.optional(size.as_ref().map(|size| size.bytes()));
                }
                writer.optional(max_cpus.map(u64::from));
                writer.number(terms.capabilities.len() as u64);
                terms.capabilities.iter().for_each(|word| writer.text(word));
                writer.finish()
            }
            Self::Mesh(head) => {
                let mut writer = Writer::new(1);
                writer.text(head.mesh.as_str());
                writer.text(head.interface.as_str());
                writer.addresses(&head.addresses);
                writer.number(head.address_pools.len() as u64);
                head.address_pools
                    .iter()
                    .for_each(|pool| writer.network(pool));
                writer.number(head.listen_port.into());
                writer.number(head.probe_port.into());
                writer.number(head.mtu.unwrap_or(0).into());
                writer.number(u64::from(head.gateway) << 1 | u64::from(head.snat));
                writer.finish()
            }
            Self::Route(mesh, route) => {
                let mut writer = Writer::new(2);
                writer.text(mesh.as_str());
                writer.network(route);
                writer.finish()
            }
            Self::Peer(mesh, node, head) => {
                let mut writer = Writer::new(3);
                writer.text(mesh.as_str());
                writer.text(node.as_str());
                writer.bytes(head.public_key.as_bytes());
                let preshared = head.preshared_key.as_ref();
                writer.bytes(preshared.map_or(&[][..], |key| key.as_bytes()));
                writer.text(
                    head.endpoint
                        .as_ref()
                        .map_or("", |endpoint| endpoint.as_str()),
                );
                writer.number(head.persistent_keepalive_s.unwrap_or(0).into());
                writer.finish()
            }
            Self::AllowedIp(mesh, node, network) => {
                let mut writer = Writer::new(4);
                writer.text(mesh.as_str());
                writer.text(node.as_str());
                writer.network(network);
                writer.finish()
            }
            Self::ProbeTarget(mesh, target) => {
                let mut writer = Writer::new(5);
                writer.text(mesh.as_str());
                writer.text(target.node.as_str());
                writer.bytes(target.public_key.as_bytes());
                writer.addresses(&target.addresses);
                writer.finish()
            }
        }
    }
}

/// Writes what is hashed so that no two facts are written alike.
struct Writer(SipHasher13);

impl Writer {
    fn new(kind: u8) -> Self {
        let mut hasher = SipHasher13::new();
        hasher.write(&[kind]);
        Self(hasher)
    }

    fn number(&mut self, number: u64) {
        self.0.write(&number.to_le_bytes());
    }

    fn optional(&mut self, number: Option<u64>) {
        self.number(number.is_some().into());
        self.number(number.unwrap_or(0));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.write(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn address(&mut self, address: &IpAddr) {
        match address {
            IpAddr::V4(address) => self.bytes(&address.octets()),
            IpAddr::V6(address) => self.bytes(&address.octets()),
        }
    }

    fn addresses(&mut self, addresses: &[IpAddr]) {
        self.number(addresses.len() as u64);
        addresses.iter().for_each(|address| self.address(address));
    }

    fn network(&mut self, network: &Cidr) {
        self.address(&network.address());
        self.number(network.prefix_length().into());
    }

    fn finish(&self) -> u128 {
        self.0.finish128().as_u128()
    }
}
