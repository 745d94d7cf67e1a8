//! Decides the smallest change that turns a device into what a plan wants.
//!
//! An endpoint that differs from the plan's is not drift while handshakes are fresh: the peer has
//! roamed, and dialling the old address would cut it off. Never asks to replace all peers, nor to
//! replace a peer's allowed IPs: WireGuard takes all of them away before it gives some back, and a
//! packet in between is lost.

use std::collections::BTreeSet;

use super::{
    DesiredDevice, DesiredPeer, DeviceDelta, ObservedDevice, ObservedPeer, PeerChange, PeerUpdate,
};
use crate::cidr::Cidr;
use crate::key::PublicKey;

/// A peer that nobody is: it takes over the allowed IPs that nobody shall have, and goes with them.
/// A device that has it was left in the middle of a change.
const NOBODY: [u8; 32] = *b"hanse: for allowed IPs of nobody";

/// The smallest change from `observed` to `desired`.
///
/// Peers that gain allowed IPs come first, since a peer takes an allowed IP over from its former
/// holder in one step; removals come last. So a network that moves between peers is at no time
/// without a peer, and what a peer keeps it has all the time.
#[must_use]
pub fn diff(observed: &ObservedDevice, desired: &DesiredDevice) -> DeviceDelta {
    let nobody = PublicKey::from(NOBODY);
    let mut peers = Vec::new();
    for (key, wanted) in &desired.peers {
        match observed.peers.get(key) {
            None => peers.push(PeerChange::Add(wanted.clone())),
            Some(present) => peers.extend(update_of(present, wanted).map(PeerChange::Update)),
        }
    }
    let orphans = orphans(observed, desired);
    let remove_nobody = !orphans.is_empty() && !observed.peers.contains_key(&nobody);
    if !orphans.is_empty() {
        peers.push(PeerChange::Add(holder_of(nobody, orphans)));
    }
    let removed = observed
        .peers
        .keys()
        .filter(|key| !desired.peers.contains_key(key))
        .chain(remove_nobody.then_some(&nobody));
    peers.extend(removed.map(|key| PeerChange::Remove(*key)));
    DeviceDelta {
        set_private_key: observed.public_key != Some(desired.public_key),
        listen_port: (observed.listen_port != desired.listen_port).then_some(desired.listen_port),
        firewall_mark: (observed.firewall_mark != desired.firewall_mark)
            .then_some(desired.firewall_mark),
        peers,
    }
}

/// What peers that stay shall lose to no other peer.
fn orphans(observed: &ObservedDevice, desired: &DesiredDevice) -> BTreeSet<Cidr> {
    let wanted = desired.peers.values().flat_map(|peer| &peer.allowed_ips);
    let wanted: BTreeSet<Cidr> = wanted.copied().collect();
    let staying = observed
        .peers
        .iter()
        .filter(|(key, _)| desired.peers.contains_key(key));
    staying
        .flat_map(|(_, peer)| &peer.allowed_ips)
        .filter(|ip| !wanted.contains(ip))
        .copied()
        .collect()
}

fn holder_of(public_key: PublicKey, allowed_ips: BTreeSet<Cidr>) -> DesiredPeer {
    DesiredPeer {
        public_key,
        preshared_key: None,
        endpoint: None,
        endpoint_changed: false,
        persistent_keepalive_s: None,
        allowed_ips,
    }
}

/// Everything but what the peer loses.
fn update_of(present: &ObservedPeer, wanted: &DesiredPeer) -> Option<PeerUpdate> {
    let gained: BTreeSet<Cidr> = wanted
        .allowed_ips
        .difference(&present.allowed_ips)
        .copied()
        .collect();
    let update = PeerUpdate {
        public_key: wanted.public_key,
        preshared_key: (present.preshared_key != wanted.preshared_key)
            .then(|| wanted.preshared_key.clone()),
        endpoint: wanted.endpoint.filter(|endpoint| {
            present.endpoint != Some(*endpoint)
                && (wanted.endpoint_changed || !present.has_fresh_handshake())
        }),
        persistent_keepalive_s: (present.persistent_keepalive_s != wanted.persistent_keepalive_s)
            .then_some(wanted.persistent_keepalive_s),
        gained,
    };
    (update != PeerUpdate::nothing(wanted.public_key)).then_some(update)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::model::*;
    use super::super::{DesiredPeer, HANDSHAKE_FRESH_MAX};
    use super::*;
    use crate::key::PresharedKey;

    fn device_of(observed: &ObservedDevice, peers: Vec<DesiredPeer>) -> DesiredDevice {
        let key = observed.public_key.unwrap();
        DesiredDevice::new(key, observed.listen_port, observed.firewall_mark, peers).0
    }

    #[test]
    fn a_roamed_endpoint_is_left_alone_while_handshakes_are_fresh() {
        let mut observed = device_with([peer(1, &["10.0.0.1/32"])]);
        let mut wanted = observed_as_desired(&observed);
        let present = observed.peers.get_mut(&key(1)).unwrap();
        present.endpoint = Some("198.51.100.9:9".parse().unwrap());
        present.handshake_age = Some(Duration::from_secs(3));
        assert!(diff(&observed, &device_of(&observed, wanted.clone())).is_empty());

        for age in [None, Some(HANDSHAKE_FRESH_MAX)] {
            observed.peers.get_mut(&key(1)).unwrap().handshake_age = age;
            let delta = diff(&observed, &device_of(&observed, wanted.clone()));
            assert_eq!(endpoints_of(&delta), [wanted[0].endpoint.unwrap()]);
        }

        observed.peers.get_mut(&key(1)).unwrap().handshake_age = Some(Duration::ZERO);
        wanted[0].endpoint_changed = true;
        let delta = diff(&observed, &device_of(&observed, wanted.clone()));
        assert_eq!(endpoints_of(&delta), [wanted[0].endpoint.unwrap()]);
    }

    #[test]
    fn unset_and_zero_are_the_same() {
        let mut observed = device_with([peer(1, &["10.0.0.1/32"])]);
        let mut wanted = observed_as_desired(&observed);
        wanted[0].persistent_keepalive_s = Some(0);
        wanted[0].preshared_key = Some(PresharedKey::from([0; 32]));
        let present = observed.peers.get_mut(&key(1)).unwrap();
        present.persistent_keepalive_s = Some(0);
        present.preshared_key = Some(PresharedKey::from([0; 32]));
        *present = present.clone().normalised();
        assert!(diff(&observed, &device_of(&observed, wanted)).is_empty());
    }

    #[test]
    fn a_network_that_moves_is_taken_over_in_one_step() {
        let observed = device_with([
            peer(1, &["10.0.0.1/32", "10.9.0.0/16"]),
            peer(2, &["10.0.0.2/32"]),
        ]);
        let after = device_with([
            peer(1, &["10.0.0.1/32"]),
            peer(2, &["10.0.0.2/32", "10.9.0.0/16"]),
        ]);
        let delta = diff(
            &observed,
            &device_of(&observed, observed_as_desired(&after)),
        );
        let [PeerChange::Update(update)] = delta.peers.as_slice() else {
            panic!("one update was expected: {delta:?}");
        };
        assert_eq!(update.public_key, key(2));
        let moved = ["10.9.0.0/16".parse().unwrap()].into();
        assert_eq!(update.gained, moved);
    }

    #[test]
    fn a_network_that_nobody_gets_goes_by_way_of_nobody() {
        let networks = ["10.0.0.1/32", "10.8.0.0/16", "10.9.0.0/16"];
        let observed = device_with([peer(1, &networks)]);
        let after = device_with([peer(1, &networks[..1])]);
        let wanted = device_of(&observed, observed_as_desired(&after));
        let nobody = PublicKey::from(NOBODY);
        let lost = networks[1..].iter().map(|ip| ip.parse().unwrap()).collect();
        let expected = [
            PeerChange::Add(holder_of(nobody, lost)),
            PeerChange::Remove(nobody),
        ];
        assert_eq!(diff(&observed, &wanted).peers, expected);
    }

    #[test]
    fn nobody_is_removed_when_a_change_was_left_in_the_middle() {
        let mut observed = device_with([peer(1, &["10.0.0.1/32", "10.9.0.0/16"])]);
        let after = device_with([peer(1, &["10.0.0.1/32"])]);
        let wanted = device_of(&observed, observed_as_desired(&after));
        let mut delta = diff(&observed, &wanted);
        delta.peers.truncate(1);
        apply(&mut observed, &delta);
        assert_eq!(
            diff(&observed, &wanted).peers,
            [PeerChange::Remove(PublicKey::from(NOBODY))]
        );
    }

    #[test]
    fn of_two_peers_that_claim_one_network_the_first_keeps_it() {
        let observed = device_with([peer(1, &["10.9.0.0/16"]), peer(2, &["10.9.0.0/16"])]);
        let peers = observed_as_desired(&observed);
        let (device, conflicts) = DesiredDevice::new(key(0), 1, 0, peers);
        assert_eq!(conflicts.len(), 1);
        assert_eq!(
            (conflicts[0].holder, conflicts[0].refused),
            (key(1), key(2))
        );
        assert!(device.peers()[&key(2)].allowed_ips.is_empty());
    }

    proptest! {
        #[test]
        fn applying_the_delta_gives_what_is_wanted_and_then_nothing_is_left(
            mut observed in any_device(), wanted in any_desired(),
        ) {
            let delta = diff(&observed, &wanted);
            apply(&mut observed, &delta);
            prop_assert!(has_all_of(&observed, &wanted), "{observed:?}\n{wanted:?}\n{delta:?}");
            let again = diff(&observed, &wanted);
            prop_assert!(again.is_empty(), "{again:?}");
        }

        #[test]
        fn a_device_that_has_what_is_wanted_is_sent_nothing(observed in any_device()) {
            let wanted = device_of(&observed, observed_as_desired(&observed));
            prop_assert!(diff(&observed, &wanted).is_empty());
        }

        #[test]
        fn peers_outside_the_change_are_not_mentioned(
            observed in any_device(), changed in 1_u8..6, keepalive in 1_u16..9,
        ) {
            let mut peers = observed_as_desired(&observed);
            for peer in peers.iter_mut().filter(|peer| peer.public_key == key(changed)) {
                peer.persistent_keepalive_s = Some(100 + keepalive);
            }
            let delta = diff(&observed, &device_of(&observed, peers));
            prop_assert!(mentioned(&delta).iter().all(|mentioned| *mentioned == key(changed)));
            prop_assert!(!delta.set_private_key);
        }

        #[test]
        fn what_a_peer_keeps_is_never_taken_from_it(
            mut observed in any_device(), wanted in any_desired(),
        ) {
            let before = observed.clone();
            for change in diff(&observed, &wanted).peers {
                let one = DeviceDelta { peers: vec![change], ..DeviceDelta::default() };
                apply(&mut observed, &one);
                for (key, peer) in wanted.peers() {
                    let Some(had) = before.peers.get(key) else { continue };
                    let kept = had.allowed_ips.intersection(&peer.allowed_ips);
                    prop_assert!(kept.into_iter().all(|ip| observed.peers[key].allowed_ips.contains(ip)));
                }
            }
        }

        #[test]
        fn a_network_that_is_wanted_before_and_after_always_has_a_peer(
            mut observed in any_device(), wanted in any_desired(),
        ) {
            let held = |device: &ObservedDevice| -> BTreeSet<Cidr> {
                device.peers.values().flat_map(|peer| peer.allowed_ips.clone()).collect()
            };
            let wanted_ips = wanted.peers().values().flat_map(|peer| peer.allowed_ips.clone());
            let after: BTreeSet<Cidr> = wanted_ips.collect();
            let kept: BTreeSet<Cidr> = held(&observed).intersection(&after).copied().collect();
            for change in diff(&observed, &wanted).peers {
                let one = DeviceDelta { peers: vec![change], ..DeviceDelta::default() };
                apply(&mut observed, &one);
                let now = held(&observed);
                prop_assert!(kept.is_subset(&now), "{kept:?} {now:?}");
            }
        }
    }
}
