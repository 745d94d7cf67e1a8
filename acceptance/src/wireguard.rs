//! What WireGuard itself says on a host, past everything that Hanse says of it.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::laboratory::{Host, Invocation};

/// Prints what every WireGuard device of the host says, also one whose socket hides in the mount
/// namespace of its own that a daemon was given. Never `dump`: that shows private keys. Device by
/// device, since `wg show all endpoints` names the device before its first peer only.
const SCRIPT: &str = r#"
    show() {
        for device in $("$@" wg show interfaces); do
            for what in latest-handshakes transfer endpoints; do
                "$@" wg show "$device" "$what" | sed "s/^/$what $device /"
            done
        done
    }
    show env
    for pid in $(pgrep -x wireguard-go); do show nsenter --target "$pid" --mount; done"#;

/// One WireGuard peer as the device reports it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PeerObservation {
    /// The device that has the peer.
    pub interface: String,
    /// The peer's public key, base64.
    pub public_key: String,
    /// Where its last packet came from; empty when unknown.
    pub endpoint: String,
    /// Seconds since 1970; 0 for never.
    pub latest_handshake_unix_s: u64,
    /// Bytes received from it.
    pub received_bytes: u64,
    /// Bytes sent to it.
    pub sent_bytes: u64,
}

/// Every WireGuard peer of the host, in the order of devices and keys.
///
/// # Errors
///
/// When the host can't be asked.
pub fn observe(host: &Host) -> Result<Vec<PeerObservation>> {
    Ok(parse(
        &host.exec(Invocation::script(SCRIPT))?.success()?.stdout,
    ))
}

fn parse(said: &str) -> Vec<PeerObservation> {
    let mut found = BTreeMap::<(&str, &str), PeerObservation>::new();
    for line in said.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [what, interface, public_key, values @ ..] = words.as_slice() else {
            continue;
        };
        let peer = found
            .entry((interface, public_key))
            .or_insert_with(|| PeerObservation {
                interface: (*interface).to_owned(),
                public_key: (*public_key).to_owned(),
                ..PeerObservation::default()
            });
        let number = |index: usize| values.get(index).and_then(|n| n.parse().ok()).unwrap_or(0);
        match *what {
            "latest-handshakes" => peer.latest_handshake_unix_s = number(0),
            "transfer" => (peer.received_bytes, peer.sent_bytes) = (number(0), number(1)),
            "endpoints" => {
                let endpoint = values.first().filter(|value| **value != "(none)");
                peer.endpoint = endpoint
                    .map(|value| (*value).to_owned())
                    .unwrap_or_default();
            }
            _ => {}
        }
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wg_prints_is_gathered_by_peer() {
        let said = "latest-handshakes wg0 AAA= 17\ntransfer wg0 AAA= 3 4\n\
                    endpoints wg0 AAA= 10.99.0.2:51820\nendpoints wg0 BBB= (none)\n";
        let peers = parse(said);
        assert_eq!(peers.len(), 2);
        assert_eq!(peers[0].endpoint, "10.99.0.2:51820");
        assert_eq!(
            (peers[0].latest_handshake_unix_s, peers[0].sent_bytes),
            (17, 4)
        );
        assert_eq!(
            (peers[1].endpoint.as_str(), peers[1].latest_handshake_unix_s),
            ("", 0)
        );
    }
}
