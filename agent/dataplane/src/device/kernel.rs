//! A device of the kernel, driven over generic netlink.
//!
//! The library blocks, so every call has a thread of its own kind. It puts a peer into one message,
//! so a peer with many allowed IPs is sent in portions; and the kernel itself splits such a peer
//! when it answers, so portions of one peer are put together again.

use std::collections::BTreeSet;
use std::io;
use std::time::SystemTime;

use hanse_core::cidr::Cidr;
use hanse_core::key::{PresharedKey, PublicKey};
use hanse_core::object::vpn_mesh::InterfaceName;
use hanse_core::wireguard::{DeviceDelta, PeerChange};
use wireguard_control::{Backend, DeviceUpdate, Key, PeerConfigBuilder};

use super::{Counters, DeviceState, operation};
use crate::error::Error;
use crate::key::PrivateKey;

/// Allowed IPs in one message: 40 bytes each, of 8 KiB.
const ALLOWED_IPS_PER_MESSAGE: usize = 128;

/// A device of the kernel.
#[derive(Debug, Clone)]
pub(crate) struct KernelDevice {
    interface: InterfaceName,
}

impl KernelDevice {
    pub(crate) fn new(interface: InterfaceName) -> Self {
        Self { interface }
    }

    pub(crate) async fn observe(&self) -> Result<DeviceState, Error> {
        let device = self
            .blocking("read", |name| {
                wireguard_control::Device::get(&name, Backend::Kernel)
            })
            .await?;
        state_of(device, SystemTime::now())
    }

    pub(crate) async fn apply(&self, key: &PrivateKey, delta: &DeviceDelta) -> Result<(), Error> {
        let updates = updates_of(key, delta);
        self.blocking("change", move |name| {
            updates
                .into_iter()
                .try_for_each(|update| update.apply(&name, Backend::Kernel))
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        verb: &str,
        work: impl FnOnce(wireguard_control::InterfaceName) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let name = self.interface.as_str().parse();
        let work = move || work(name.map_err(io::Error::from)?);
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(Error::io(operation(verb, &self.interface)))
    }
}

fn state_of(device: wireguard_control::Device, now: SystemTime) -> Result<DeviceState, Error> {
    let mut state = DeviceState::default();
    let zero = Key([0; 32]);
    let private = device.private_key.filter(|key| *key != zero);
    let private = private
        .map(|key| PrivateKey::from_bytes(key.0))
        .transpose()?;
    state.observed.public_key = private.map(|key| key.public());
    state.observed.listen_port = device.listen_port.unwrap_or(0);
    state.observed.firewall_mark = device.fwmark.unwrap_or(0);
    for info in device.peers {
        let key = PublicKey::from(info.config.public_key.0);
        let allowed_ips = info.config.allowed_ips.iter().filter_map(|allowed_ip| {
            format!("{}/{}", allowed_ip.address, allowed_ip.cidr)
                .parse::<Cidr>()
                .ok()
        });
        let peer = state.observed.peers.entry(key).or_default();
        peer.allowed_ips.extend(allowed_ips);
        if state.counters.contains_key(&key) {
            continue;
        }
        let counters = Counters {
            received_bytes: info.stats.rx_bytes,
            sent_bytes: info.stats.tx_bytes,
            last_handshake: info.stats.last_handshake_time,
        };
        peer.preshared_key = info
            .config
            .preshared_key
            .map(|key| PresharedKey::from(key.0));
        peer.endpoint = info.config.endpoint;
        peer.persistent_keepalive_s = info.config.persistent_keepalive_interval;
        peer.handshake_age = counters.handshake_age(now);
        *peer = std::mem::take(peer).normalised();
        state.counters.insert(key, counters);
    }
    Ok(state)
}

/// The updates to send, in order. Only what goes on from a portion stands in an update of its
/// own, since one message may name a peer once.
fn updates_of(key: &PrivateKey, delta: &DeviceDelta) -> Vec<DeviceUpdate> {
    let mut device = DeviceUpdate::new();
    if delta.set_private_key {
        device = device.set_private_key(Key(*key.expose()));
    }
    if let Some(port) = delta.listen_port {
        device = device.set_listen_port(port);
    }
    if let Some(mark) = delta.firewall_mark {
        device = device.set_fwmark(mark);
    }
    let mut updates = Vec::new();
    let mut named = BTreeSet::new();
    for change in &delta.peers {
        for (public_key, builder) in builders_of(change) {
            if !named.insert(public_key) {
                updates.push(std::mem::take(&mut device));
                named = BTreeSet::from([public_key]);
            }
            device = device.add_peer(builder);
        }
    }
    updates.push(device);
    updates
}

fn builders_of(change: &PeerChange) -> Vec<(PublicKey, PeerConfigBuilder)> {
    let new = |key: PublicKey| PeerConfigBuilder::new(&Key(*key.as_bytes()));
    let (key, builder, allowed_ips) = match change {
        PeerChange::Remove(key) => return vec![(*key, new(*key).remove())],
        PeerChange::Add(peer) => {
            let mut builder = new(peer.public_key).replace_allowed_ips();
            if let Some(key) = &peer.preshared_key {
                builder = builder.set_preshared_key(Key(*key.as_bytes()));
            }
            if let Some(endpoint) = peer.endpoint {
                builder = builder.set_endpoint(endpoint);
            }
            if let Some(seconds) = peer.persistent_keepalive_s {
                builder = builder.set_persistent_keepalive_interval(seconds);
            }
            (peer.public_key, builder, peer.allowed_ips.clone())
        }
        PeerChange::Update(update) => {
            let mut builder = new(update.public_key);
            if let Some(key) = &update.preshared_key {
                let bytes = key.as_ref().map_or([0; 32], |key| *key.as_bytes());
                builder = builder.set_preshared_key(Key(bytes));
            }
            if let Some(endpoint) = update.endpoint {
                builder = builder.set_endpoint(endpoint);
            }
            if let Some(seconds) = update.persistent_keepalive_s {
                builder = builder.set_persistent_keepalive_interval(seconds.unwrap_or(0));
            }
            (update.public_key, builder, update.gained.clone())
        }
    };
    in_portions(key, builder, &allowed_ips)
}

fn in_portions(
    key: PublicKey,
    first: PeerConfigBuilder,
    allowed_ips: &BTreeSet<Cidr>,
) -> Vec<(PublicKey, PeerConfigBuilder)> {
    let allowed_ips: Vec<Cidr> = allowed_ips.iter().copied().collect();
    let with = |builder: PeerConfigBuilder, portion: &[Cidr]| {
        portion.iter().fold(builder, |builder, cidr| {
            builder.add_allowed_ip(cidr.address(), cidr.prefix_length())
        })
    };
    let mut portions = allowed_ips.chunks(ALLOWED_IPS_PER_MESSAGE);
    let mut builders = vec![(key, with(first, portions.next().unwrap_or_default()))];
    for portion in portions {
        builders.push((
            key,
            with(PeerConfigBuilder::new(&Key(*key.as_bytes())), portion),
        ));
    }
    builders
}

#[cfg(test)]
mod tests {
    use hanse_core::wireguard::DesiredPeer;

    use super::*;

    fn with_allowed_ips(count: u32) -> PeerChange {
        let host = |number: u32| Cidr::host(std::net::Ipv4Addr::from(number).into());
        PeerChange::Add(DesiredPeer {
            public_key: PublicKey::from([1; 32]),
            preshared_key: None,
            endpoint: None,
            endpoint_changed: false,
            persistent_keepalive_s: None,
            allowed_ips: (0..count).map(host).collect(),
        })
    }

    #[test]
    fn a_peer_with_2000_allowed_ips_is_sent_in_portions_that_lose_none() {
        let key = PrivateKey::from_bytes([7; 32]).unwrap();
        let delta = DeviceDelta {
            peers: vec![with_allowed_ips(2000)],
            ..DeviceDelta::default()
        };
        let updates = updates_of(&key, &delta);
        assert_eq!(updates.len(), 16);
        let portions: Vec<_> = builders_of(&delta.peers[0])
            .into_iter()
            .map(|(_, b)| b.into_peer_config())
            .collect();
        assert_eq!(
            portions
                .iter()
                .map(|portion| portion.allowed_ips.len())
                .sum::<usize>(),
            2000
        );
        assert!(
            portions
                .iter()
                .all(|portion| portion.allowed_ips.len() <= 128)
        );
    }

    #[test]
    fn a_small_delta_is_one_message() {
        let key = PrivateKey::from_bytes([7; 32]).unwrap();
        let peers = vec![
            with_allowed_ips(3),
            PeerChange::Remove(PublicKey::from([2; 32])),
        ];
        let delta = DeviceDelta {
            peers,
            ..DeviceDelta::default()
        };
        assert_eq!(updates_of(&key, &delta).len(), 1);
    }
}
