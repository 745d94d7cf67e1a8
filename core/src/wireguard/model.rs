//! A WireGuard device in memory, after the rules of the real ones, for tests of the diff.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

pub(super) fn key(number: u8) -> PublicKey {
    PublicKey::from([number; 32])
}

pub(super) fn peer(number: u8, allowed_ips: &[&str]) -> (PublicKey, ObservedPeer) {
    let present = ObservedPeer {
        endpoint: Some(endpoint(number)),
        allowed_ips: allowed_ips.iter().map(|ip| ip.parse().unwrap()).collect(),
        ..ObservedPeer::default()
    };
    (key(number), present)
}

pub(super) fn device_with<const N: usize>(peers: [(PublicKey, ObservedPeer); N]) -> ObservedDevice {
    ObservedDevice {
        public_key: Some(key(0)),
        listen_port: 51820,
        firewall_mark: 7,
        peers: peers.into(),
    }
}

/// The plan that wants exactly what the device has.
pub(super) fn observed_as_desired(observed: &ObservedDevice) -> Vec<DesiredPeer> {
    let peers = observed.peers.iter();
    peers
        .map(|(key, peer)| DesiredPeer {
            public_key: *key,
            preshared_key: peer.preshared_key.clone(),
            endpoint: peer.endpoint,
            endpoint_changed: false,
            persistent_keepalive_s: peer.persistent_keepalive_s,
            allowed_ips: peer.allowed_ips.clone(),
        })
        .collect()
}

/// Does to the device what WireGuard does.
pub(super) fn apply(device: &mut ObservedDevice, delta: &DeviceDelta) {
    if delta.set_private_key {
        device.public_key = Some(key(0));
    }
    device.listen_port = delta.listen_port.unwrap_or(device.listen_port);
    device.firewall_mark = delta.firewall_mark.unwrap_or(device.firewall_mark);
    for change in &delta.peers {
        match change {
            PeerChange::Remove(key) => {
                device.peers.remove(key);
            }
            PeerChange::Add(peer) => {
                let present = ObservedPeer {
                    preshared_key: peer.preshared_key.clone(),
                    endpoint: peer.endpoint,
                    persistent_keepalive_s: peer.persistent_keepalive_s,
                    ..ObservedPeer::default()
                };
                device.peers.insert(peer.public_key, present);
                give(device, peer.public_key, &peer.allowed_ips);
            }
            PeerChange::Update(update) => apply_update(device, update),
        }
    }
}

pub(super) fn has_all_of(device: &ObservedDevice, desired: &DesiredDevice) -> bool {
    let same_peer = |wanted: &DesiredPeer| {
        device.peers.get(&wanted.public_key).is_some_and(|present| {
            present.preshared_key == wanted.preshared_key
                && present.persistent_keepalive_s == wanted.persistent_keepalive_s
                && present.allowed_ips == wanted.allowed_ips
                && (wanted.endpoint.is_none()
                    || present.endpoint == wanted.endpoint
                    || (present.has_fresh_handshake() && !wanted.endpoint_changed))
        })
    };
    device.public_key == Some(desired.public_key)
        && device.listen_port == desired.listen_port
        && device.firewall_mark == desired.firewall_mark
        && device.peers.len() == desired.peers.len()
        && desired.peers.values().all(same_peer)
}

pub(super) fn endpoints_of(delta: &DeviceDelta) -> Vec<SocketAddr> {
    let endpoint = |change: &PeerChange| match change {
        PeerChange::Update(update) => update.endpoint,
        PeerChange::Add(peer) => peer.endpoint,
        PeerChange::Remove(_) => None,
    };
    delta.peers.iter().filter_map(endpoint).collect()
}

pub(super) fn mentioned(delta: &DeviceDelta) -> Vec<PublicKey> {
    let key = |change: &PeerChange| match change {
        PeerChange::Update(update) => update.public_key,
        PeerChange::Add(peer) => peer.public_key,
        PeerChange::Remove(key) => *key,
    };
    delta.peers.iter().map(key).collect()
}

prop_compose! {
    fn any_peer()(
        preshared in proptest::option::of(1_u8..4),
        at in proptest::option::of(1_u8..5),
        keepalive in proptest::option::of(1_u16..60),
        age in proptest::option::of(0_u64..300),
    ) -> ObservedPeer {
        ObservedPeer {
            preshared_key: preshared.map(|byte| PresharedKey::from([byte; 32])),
            endpoint: at.map(endpoint),
            persistent_keepalive_s: keepalive,
            allowed_ips: BTreeSet::new(),
            handshake_age: age.map(Duration::from_secs),
        }
    }
}

prop_compose! {
    /// Any device with up to five peers, among whom up to 12 networks are dealt out.
    pub(super) fn any_device()(
        public in prop_oneof![Just(0_u8), Just(99)],
        port in 1_u16..4,
        mark in 0_u32..2,
        peers in proptest::collection::btree_map(1_u8..6, any_peer(), 0..5),
        deal in proptest::collection::vec(0_u8..7, 12),
    ) -> ObservedDevice {
        let mut device = ObservedDevice {
            public_key: Some(key(public)),
            listen_port: port,
            firewall_mark: mark,
            peers: peers.into_iter().map(|(number, peer)| (key(number), peer)).collect(),
        };
        for (network, holder) in deal.into_iter().enumerate() {
            if let Some(peer) = device.peers.get_mut(&key(holder)) {
                peer.allowed_ips.insert(format!("10.{network}.0.0/16").parse().unwrap());
            }
        }
        device
    }
}

prop_compose! {
    pub(super) fn any_desired()(
        device in any_device(), changed in proptest::collection::vec(any::<bool>(), 5),
    ) -> DesiredDevice {
        let mut peers = observed_as_desired(&device);
        for (peer, changed) in peers.iter_mut().zip(changed) {
            peer.endpoint_changed = changed && peer.endpoint.is_some();
        }
        DesiredDevice::new(key(0), device.listen_port, device.firewall_mark, peers).0
    }
}

fn endpoint(number: u8) -> SocketAddr {
    SocketAddr::from(([203, 0, 113, number], 51820))
}

fn apply_update(device: &mut ObservedDevice, update: &PeerUpdate) {
    let Some(present) = device.peers.get_mut(&update.public_key) else {
        return;
    };
    if let Some(preshared_key) = &update.preshared_key {
        present.preshared_key.clone_from(preshared_key);
    }
    present.endpoint = update.endpoint.or(present.endpoint);
    if let Some(keepalive) = update.persistent_keepalive_s {
        present.persistent_keepalive_s = keepalive;
    }
    give(device, update.public_key, &update.gained);
}

/// An allowed IP has one holder: whoever gets it last.
fn give(device: &mut ObservedDevice, to: PublicKey, allowed_ips: &BTreeSet<Cidr>) {
    for peer in device.peers.values_mut() {
        peer.allowed_ips.retain(|ip| !allowed_ips.contains(ip));
    }
    if let Some(peer) = device.peers.get_mut(&to) {
        peer.allowed_ips.extend(allowed_ips);
    }
}
