//! The text of WireGuard's cross-platform userspace protocol, written and read.
//!
//! Any bytes give an answer or an error. Keys that this version does not know are skipped, since
//! daemons add some.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::{Duration, SystemTime};

use hanse_core::cidr::Cidr;
use hanse_core::key::{PresharedKey, PublicKey};
use hanse_core::wireguard::{DeviceDelta, ObservedPeer, PeerChange};

use crate::device::{Counters, DeviceState};
use crate::key::PrivateKey;

/// What a daemon answered.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) state: DeviceState,
    pub(super) errno: i32,
}

/// Why bytes are no answer. Never holds a value, since that may be a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("it is no text")]
    NoText,
    #[error("line {0} is no assignment")]
    NoAssignment(usize),
    #[error("the value in line {0} can't be read")]
    Value(usize),
    #[error("line {0} belongs to a peer, and none was named")]
    NoPeer(usize),
    #[error("it has no errno")]
    NoErrno,
}

/// The request that puts a delta into effect. A set request is applied line by line, in order.
pub(super) fn set_request(key: &PrivateKey, delta: &DeviceDelta) -> String {
    let mut text = String::from("set=1\n");
    if delta.set_private_key {
        line(&mut text, "private_key", hex(key.expose()));
    }
    if let Some(port) = delta.listen_port {
        line(&mut text, "listen_port", port);
    }
    if let Some(mark) = delta.firewall_mark {
        line(&mut text, "fwmark", mark);
    }
    for change in &delta.peers {
        peer_lines(&mut text, change);
    }
    text.push('\n');
    text
}

/// Reads an answer, to a get or a set request alike.
pub(super) fn parse(bytes: &[u8], now: SystemTime) -> Result<Answer, Malformed> {
    let text = std::str::from_utf8(bytes).map_err(|_| Malformed::NoText)?;
    let mut reader = Reader::default();
    for (index, text) in text
        .lines()
        .enumerate()
        .filter(|(_, text)| !text.is_empty())
    {
        let number = index + 1;
        let (name, value) = text
            .split_once('=')
            .ok_or(Malformed::NoAssignment(number))?;
        reader.line(name, value, number)?;
    }
    let errno = reader.errno.ok_or(Malformed::NoErrno)?;
    reader.end_peer();
    for (key, counters) in &reader.answer.state.counters {
        if let Some(peer) = reader.answer.state.observed.peers.get_mut(key) {
            peer.handshake_age = counters.handshake_age(now);
        }
    }
    Ok(Answer {
        errno,
        ..reader.answer
    })
}

#[derive(Default)]
struct Reader {
    answer: Answer,
    errno: Option<i32>,
    peer: Option<(PublicKey, ObservedPeer, Counters)>,
    handshake: Duration,
}

impl Reader {
    fn line(&mut self, name: &str, value: &str, number: usize) -> Result<(), Malformed> {
        let bad = Malformed::Value(number);
        let device = &mut self.answer.state.observed;
        match name {
            "private_key" => {
                let bytes = unhex(value).ok_or(bad.clone())?;
                let key = (bytes != [0; 32]).then(|| PrivateKey::from_bytes(bytes));
                device.public_key = key.transpose().map_err(|_| bad)?.map(|key| key.public());
            }
            "listen_port" => device.listen_port = value.parse().map_err(|_| bad)?,
            "fwmark" => device.firewall_mark = mark(value).ok_or(bad)?,
            "errno" => self.errno = Some(value.parse().map_err(|_| bad)?),
            "public_key" => {
                let key = PublicKey::from(unhex(value).ok_or(bad)?);
                self.end_peer();
                self.peer = Some((key, ObservedPeer::default(), Counters::default()));
            }
            "preshared_key"
            | "endpoint"
            | "persistent_keepalive_interval"
            | "allowed_ip"
            | "rx_bytes"
            | "tx_bytes"
            | "last_handshake_time_sec"
            | "last_handshake_time_nsec" => {
                self.peer_line(name, value, number)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn peer_line(&mut self, name: &str, value: &str, number: usize) -> Result<(), Malformed> {
        let bad = Malformed::Value(number);
        let (_, peer, counters) = self.peer.as_mut().ok_or(Malformed::NoPeer(number))?;
        match name {
            "preshared_key" => {
                peer.preshared_key = Some(PresharedKey::from(unhex(value).ok_or(bad)?));
            }
            // An address of one link only, which has no spelling here: where it is, is unknown.
            "endpoint" if value.contains('%') => peer.endpoint = None,
            "endpoint" => peer.endpoint = Some(value.parse().map_err(|_| bad)?),
            "persistent_keepalive_interval" => {
                peer.persistent_keepalive_s = Some(value.parse().map_err(|_| bad)?);
            }
            "allowed_ip" => {
                peer.allowed_ips
                    .insert(value.parse::<Cidr>().map_err(|_| bad)?);
            }
            "rx_bytes" => counters.received_bytes = value.parse().map_err(|_| bad)?,
            "tx_bytes" => counters.sent_bytes = value.parse().map_err(|_| bad)?,
            "last_handshake_time_sec" => {
                let seconds = Duration::from_secs(value.parse().map_err(|_| bad)?);
                self.handshake = self.handshake.saturating_add(seconds);
            }
            _ => {
                let nanos = Duration::from_nanos(value.parse().map_err(|_| bad)?);
                self.handshake = self.handshake.saturating_add(nanos);
            }
        }
        Ok(())
    }

    fn end_peer(&mut self) {
        let handshake = std::mem::take(&mut self.handshake);
        let Some((key, peer, mut counters)) = self.peer.take() else {
            return;
        };
        counters.last_handshake = (handshake > Duration::ZERO)
            .then(|| SystemTime::UNIX_EPOCH.checked_add(handshake))
            .flatten();
        self.answer
            .state
            .observed
            .peers
            .insert(key, peer.normalised());
        self.answer.state.counters.insert(key, counters);
    }
}

fn peer_lines(text: &mut String, change: &PeerChange) {
    match change {
        PeerChange::Remove(key) => {
            line(text, "public_key", hex(key.as_bytes()));
            line(text, "remove", true);
        }
        PeerChange::Add(peer) => {
            line(text, "public_key", hex(peer.public_key.as_bytes()));
            if let Some(key) = &peer.preshared_key {
                line(text, "preshared_key", hex(key.as_bytes()));
            }
            if let Some(endpoint) = peer.endpoint {
                line(text, "endpoint", endpoint);
            }
            if let Some(seconds) = peer.persistent_keepalive_s {
                line(text, "persistent_keepalive_interval", seconds);
            }
            line(text, "replace_allowed_ips", true);
            allowed_ip_lines(text, &peer.allowed_ips);
        }
        PeerChange::Update(update) => {
            line(text, "public_key", hex(update.public_key.as_bytes()));
            line(text, "update_only", true);
            if let Some(key) = &update.preshared_key {
                let bytes = key.as_ref().map_or([0; 32], |key| *key.as_bytes());
                line(text, "preshared_key", hex(&bytes));
            }
            if let Some(endpoint) = update.endpoint {
                line(text, "endpoint", endpoint);
            }
            if let Some(seconds) = update.persistent_keepalive_s {
                line(text, "persistent_keepalive_interval", seconds.unwrap_or(0));
            }
            allowed_ip_lines(text, &update.gained);
        }
    }
}

fn allowed_ip_lines(text: &mut String, allowed_ips: &BTreeSet<Cidr>) {
    for allowed_ip in allowed_ips {
        line(text, "allowed_ip", allowed_ip);
    }
}

/// Writing to a string can't fail.
fn line(text: &mut String, name: &str, value: impl std::fmt::Display) {
    let _ = writeln!(text, "{name}={value}");
}

fn mark(value: &str) -> Option<u32> {
    match value.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => value.parse().ok(),
    }
}

fn hex(bytes: &[u8; 32]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use hanse_core::wireguard::{DesiredPeer, PeerUpdate};
    use proptest::prelude::*;

    use super::*;

    fn key(byte: u8) -> PublicKey {
        PublicKey::from([byte; 32])
    }

    #[test]
    fn what_a_daemon_shows_is_read_in_one_spelling() {
        let zeros = "0".repeat(64);
        let text = format!(
            "private_key={zeros}\nlisten_port=51820\nfwmark=51820\npublic_key={}\n\
             preshared_key={zeros}\nprotocol_version=1\nendpoint=[2001:db8::1]:9\n\
             last_handshake_time_sec=100\nlast_handshake_time_nsec=5\ntx_bytes=7\nrx_bytes=8\n\
             persistent_keepalive_interval=0\nallowed_ip=10.0.0.1/32\nallowed_ip=fd00::/64\n\
             public_key={}\nlast_handshake_time_sec=0\nlast_handshake_time_nsec=0\nerrno=0\n\n",
            hex(&[1; 32]),
            hex(&[2; 32])
        );
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(160);
        let state = parse(text.as_bytes(), now).unwrap().state;
        assert_eq!(
            (state.observed.public_key, state.observed.firewall_mark),
            (None, 51820)
        );
        let peer = &state.observed.peers[&key(1)];
        assert_eq!(
            (&peer.preshared_key, peer.persistent_keepalive_s),
            (&None, None)
        );
        assert_eq!(peer.handshake_age.map(|age| age.as_secs()), Some(59));
        assert_eq!(peer.allowed_ips.len(), 2);
        assert_eq!(state.counters[&key(1)].received_bytes, 8);
        assert_eq!(state.observed.peers[&key(2)].handshake_age, None);
    }

    #[test]
    fn an_endpoint_of_one_link_only_is_unknown_and_spoils_nothing() {
        let text = format!(
            "listen_port=7\npublic_key={}\nendpoint=[fe80::1%eth0]:9\nrx_bytes=8\nerrno=0\n\n",
            hex(&[1; 32])
        );
        let state = parse(text.as_bytes(), SystemTime::now()).unwrap().state;
        assert_eq!(state.observed.peers[&key(1)].endpoint, None);
        assert_eq!(state.counters[&key(1)].received_bytes, 8);
    }

    #[test]
    fn a_delta_names_each_change_and_nothing_else() {
        let private = PrivateKey::from_bytes([9; 32]).unwrap();
        let delta = DeviceDelta {
            peers: vec![
                PeerChange::Update(PeerUpdate {
                    preshared_key: Some(None),
                    gained: ["10.0.0.0/8".parse().unwrap()].into(),
                    ..PeerUpdate::nothing(key(1))
                }),
                PeerChange::Remove(key(2)),
            ],
            ..DeviceDelta::default()
        };
        let expected = format!(
            "set=1\npublic_key={}\nupdate_only=true\npreshared_key={}\nallowed_ip=10.0.0.0/8\n\
             public_key={}\nremove=true\n\n",
            hex(&[1; 32]),
            "0".repeat(64),
            hex(&[2; 32])
        );
        assert_eq!(set_request(&private, &delta), expected);
    }

    #[test]
    fn a_new_peer_is_written_in_full() {
        let private = PrivateKey::from_bytes([9; 32]).unwrap();
        let peer = DesiredPeer {
            public_key: key(1),
            preshared_key: Some(PresharedKey::from([3; 32])),
            endpoint: Some("[::1]:5".parse().unwrap()),
            endpoint_changed: false,
            persistent_keepalive_s: Some(25),
            allowed_ips: ["10.0.0.1/32".parse().unwrap()].into(),
        };
        let delta = DeviceDelta {
            set_private_key: true,
            listen_port: Some(5),
            firewall_mark: Some(6),
            peers: vec![PeerChange::Add(peer)],
        };
        let expected = format!(
            "set=1\nprivate_key={}\nlisten_port=5\nfwmark=6\npublic_key={}\npreshared_key={}\n\
             endpoint=[::1]:5\npersistent_keepalive_interval=25\nreplace_allowed_ips=true\n\
             allowed_ip=10.0.0.1/32\n\n",
            hex(&[9; 32]),
            hex(&[1; 32]),
            hex(&[3; 32])
        );
        assert_eq!(set_request(&private, &delta), expected);
    }

    #[test]
    fn an_error_never_repeats_a_key() {
        let secret = "5".repeat(63);
        let error = parse(
            format!("private_key={secret}\n").as_bytes(),
            SystemTime::now(),
        );
        assert!(!error.unwrap_err().to_string().contains("555"));
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_answer_or_an_error(bytes: Vec<u8>) {
            let _ = parse(&bytes, SystemTime::now());
        }

        #[test]
        fn any_lines_give_an_answer_or_an_error(
            lines in proptest::collection::vec(
                "(private_key|public_key|preshared_key|endpoint|allowed_ip|rx_bytes|fwmark|\
                 last_handshake_time_sec|last_handshake_time_nsec|errno)=[0-9a-f:./-]{0,70}",
                0..20,
            ),
        ) {
            let _ = parse(lines.join("\n").as_bytes(), SystemTime::now());
        }
    }
}
