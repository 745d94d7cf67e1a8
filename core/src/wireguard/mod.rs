//! WireGuard devices: what one has, what a plan wants, and the smallest change between the two.
//!
//! A reconcile that rewrites what is already right breaks sessions every time it runs, so the
//! difference is decided here, where it can be proved: a device that has what is wanted gets an
//! empty delta, and a peer that is not part of the change is never mentioned. No private key ever
//! comes here: a device is known by its public key.

mod diff;
#[cfg(test)]
mod model;

pub use diff::diff;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use crate::cidr::Cidr;
use crate::key::{PresharedKey, PublicKey};

/// From this age on a handshake no longer proves that the endpoint in use is the right one: a
/// session that carries traffic renews its handshake after at most 120 s, and 15 s are for
/// retries.
pub const HANDSHAKE_FRESH_MAX: Duration = Duration::from_secs(135);

/// What a device has, in one spelling: no key of zeros, no keepalive of zero seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObservedDevice {
    /// The public half of its private key; none: it has no private key.
    pub public_key: Option<PublicKey>,
    /// WireGuard's UDP port.
    pub listen_port: u16,
    /// The firewall mark on WireGuard's own packets; zero: none.
    pub firewall_mark: u32,
    /// Its peers.
    pub peers: BTreeMap<PublicKey, ObservedPeer>,
}

/// What a device has for one peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObservedPeer {
    /// The pair's pre-shared key.
    pub preshared_key: Option<PresharedKey>,
    /// Where the peer was last heard of, or was configured to be.
    pub endpoint: Option<SocketAddr>,
    /// Seconds between keepalives.
    pub persistent_keepalive_s: Option<u16>,
    /// What it may send and receives.
    pub allowed_ips: BTreeSet<Cidr>,
    /// How long ago the last handshake was.
    pub handshake_age: Option<Duration>,
}

/// What a plan wants a device to have. [`DesiredDevice::new`] is the only way to make one, so that
/// no two peers claim the same allowed IP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredDevice {
    public_key: PublicKey,
    listen_port: u16,
    firewall_mark: u32,
    peers: BTreeMap<PublicKey, DesiredPeer>,
}

/// What a plan wants a device to have for one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredPeer {
    /// The peer's key.
    pub public_key: PublicKey,
    /// The pair's pre-shared key.
    pub preshared_key: Option<PresharedKey>,
    /// Where to dial it; none: it dials, or its name is not resolved.
    pub endpoint: Option<SocketAddr>,
    /// Whether the plan's endpoint is another one than when it was last applied: then it replaces
    /// even an endpoint that works.
    pub endpoint_changed: bool,
    /// Seconds between keepalives.
    pub persistent_keepalive_s: Option<u16>,
    /// What it may send and receives.
    pub allowed_ips: BTreeSet<Cidr>,
}

/// An allowed IP that two peers claim; WireGuard gives it to one only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// What both claim.
    pub allowed_ip: Cidr,
    /// Who has it.
    pub holder: PublicKey,
    /// Who does not get it.
    pub refused: PublicKey,
}

/// The smallest change of a device. Peers that it does not name are not touched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceDelta {
    /// Whether to set the private key.
    pub set_private_key: bool,
    /// The port to listen on.
    pub listen_port: Option<u16>,
    /// The firewall mark to set; zero: none.
    pub firewall_mark: Option<u32>,
    /// Changes of peers, in the order in which they must be made.
    pub peers: Vec<PeerChange>,
}

/// A change of one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerChange {
    /// The device does not have it yet.
    Add(DesiredPeer),
    /// The device has it; a peer that is gone meanwhile must not come back by halves.
    Update(PeerUpdate),
    /// No plan wants it.
    Remove(PublicKey),
}

/// What changes of a peer that the device has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerUpdate {
    /// The peer's key.
    pub public_key: PublicKey,
    /// The pre-shared key: set, or cleared.
    pub preshared_key: Option<Option<PresharedKey>>,
    /// Where to dial it.
    pub endpoint: Option<SocketAddr>,
    /// Keepalives: set, or cleared.
    pub persistent_keepalive_s: Option<Option<u16>>,
    /// Allowed IPs that come along; another peer that has one loses it in the same instant.
    pub gained: BTreeSet<Cidr>,
}

impl DesiredDevice {
    /// What a plan wants, without double claims: of two peers that claim one allowed IP the first
    /// keeps it. A zero keepalive is none. A later peer of the same key is ignored.
    #[must_use]
    pub fn new(
        public_key: PublicKey,
        listen_port: u16,
        firewall_mark: u32,
        peers: Vec<DesiredPeer>,
    ) -> (Self, Vec<Conflict>) {
        let mut holders = BTreeMap::new();
        let mut conflicts = Vec::new();
        let mut accepted = BTreeMap::new();
        for mut peer in peers {
            if peer.public_key == public_key || accepted.contains_key(&peer.public_key) {
                continue;
            }
            let key = peer.public_key;
            peer.persistent_keepalive_s = peer.persistent_keepalive_s.filter(|s| *s > 0);
            peer.preshared_key = peer.preshared_key.filter(|key| key.as_bytes() != &[0; 32]);
            peer.allowed_ips.retain(|allowed_ip| {
                let holder = *holders.entry(*allowed_ip).or_insert(key);
                if holder != key {
                    let allowed_ip = *allowed_ip;
                    conflicts.push(Conflict {
                        allowed_ip,
                        holder,
                        refused: key,
                    });
                }
                holder == key
            });
            accepted.insert(key, peer);
        }
        (
            Self {
                public_key,
                listen_port,
                firewall_mark,
                peers: accepted,
            },
            conflicts,
        )
    }

    /// The peers.
    #[must_use]
    pub fn peers(&self) -> &BTreeMap<PublicKey, DesiredPeer> {
        &self.peers
    }
}

impl DeviceDelta {
    /// Whether nothing is to be sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }
}

impl PeerUpdate {
    /// A change of this peer that changes nothing.
    #[must_use]
    pub fn nothing(public_key: PublicKey) -> Self {
        Self {
            public_key,
            preshared_key: None,
            endpoint: None,
            persistent_keepalive_s: None,
            gained: BTreeSet::new(),
        }
    }
}

impl ObservedPeer {
    /// Whether a handshake vouches for the endpoint in use.
    #[must_use]
    pub fn has_fresh_handshake(&self) -> bool {
        self.handshake_age
            .is_some_and(|age| age < HANDSHAKE_FRESH_MAX)
    }

    /// The same, in the one spelling that a diff compares: back ends report what is unset as
    /// zeros, or not at all.
    #[must_use]
    pub fn normalised(mut self) -> Self {
        self.preshared_key = self.preshared_key.filter(|key| key.as_bytes() != &[0; 32]);
        self.persistent_keepalive_s = self.persistent_keepalive_s.filter(|seconds| *seconds > 0);
        self
    }
}
