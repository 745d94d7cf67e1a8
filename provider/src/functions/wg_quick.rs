//! `wg_quick`: a configuration for the wg-quick of a machine without an agent.
//!
//! What it writes is run by a shell as root on that machine, so nothing gets into it that was not
//! read as an address, a key, an endpoint or a plain path first.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hanse_core::cidr::Cidr;
use hanse_core::endpoint::Endpoint;
use hanse_core::key::PublicKey;
use terraform_plugin::{
    Arguments, Attr, Function, FunctionError, Model, Signature, Value, async_trait,
};

/// Short enough for the address translation of common routers.
const KEEPALIVE_S: u32 = 25;

/// The function.
pub(crate) struct WgQuick;

/// One peer, as `hanse_mesh_peers` knows it.
#[derive(Clone, Model)]
pub(crate) struct Peer {
    /// What is reached through it.
    #[attribute(required)]
    pub(crate) addresses: Attr<Vec<String>>,
    /// Its public key in base64.
    #[attribute(optional)]
    pub(crate) public_key: Attr<String>,
    /// Where it is dialled.
    #[attribute(optional)]
    pub(crate) endpoint: Attr<String>,
}

#[async_trait]
impl Function for WgQuick {
    const NAME: &'static str = "wg_quick";

    fn signature(&self) -> Signature {
        Signature::returning::<String>("A configuration for wg-quick")
            .description(
                "For a machine without an agent, such as an administrator's laptop or a router. \
                 The private key is not part of it: it stays in a file on that machine.",
            )
            .parameter::<Vec<String>>(
                "addresses",
                "The machine's own addresses, with a prefix length or without.",
            )
            .parameter::<String>(
                "private_key_file",
                "The absolute path of the private key's file on that machine, as `wg genkey` \
                 writes it.",
            )
            .parameter::<BTreeMap<String, Peer>>(
                "peers",
                "By name: each peer's `addresses` (or whole networks), its `public_key` and its \
                 `endpoint`, which may be null. The `peers` of `hanse_mesh_peers` fit as they are; \
                 those without a key yet are left out.",
            )
    }

    async fn call(&self, arguments: Arguments) -> Result<Value, FunctionError> {
        let addresses: Vec<String> = arguments.get(0)?;
        let key_file: String = arguments.get(1)?;
        let peers: BTreeMap<String, Peer> = arguments.get(2)?;
        let text = interface(&addresses, &key_file)? + &sections(&peers)?;
        Ok(Value::from(text))
    }
}

fn interface(addresses: &[String], key_file: &str) -> Result<String, FunctionError> {
    if addresses.is_empty() {
        return Err(FunctionError::at(0, "At least one address is needed."));
    }
    if !is_plain_path(key_file) {
        let text =
            "An absolute path is needed, of letters, digits and the characters / . _ - only.";
        return Err(FunctionError::at(1, text));
    }
    let addresses = joined(addresses).map_err(|text| FunctionError::at(0, text))?;
    Ok(format!(
        "[Interface]\nAddress = {addresses}\nPostUp = wg set %i private-key {key_file}\n"
    ))
}

fn sections(peers: &BTreeMap<String, Peer>) -> Result<String, FunctionError> {
    let mut text = String::new();
    for (name, peer) in peers {
        let Some(key) = peer.public_key.as_known() else {
            continue;
        };
        let section = section(name, key, peer)
            .map_err(|error| FunctionError::at(2, format!("Peer `{name}`: {error}")))?;
        text.push_str(&section);
    }
    Ok(text)
}

fn section(name: &str, key: &str, peer: &Peer) -> Result<String, String> {
    if name.chars().any(char::is_control) {
        return Err("A name has no line breaks or other control characters.".to_owned());
    }
    let is_key = STANDARD
        .decode(key)
        .is_ok_and(|bytes| PublicKey::try_from(bytes.as_slice()).is_ok());
    if !is_key {
        return Err("The public key is not 32 bytes in base64.".to_owned());
    }
    let addresses = peer.addresses.as_known().map_or(&[][..], Vec::as_slice);
    let mut text = format!("\n# {name}\n[Peer]\nPublicKey = {key}\n");
    if !addresses.is_empty() {
        let _ = writeln!(text, "AllowedIPs = {}", joined(addresses)?);
    }
    if let Some(endpoint) = peer.endpoint.as_known() {
        let endpoint: Endpoint = endpoint.parse().map_err(|error| format!("{error}"))?;
        let _ = writeln!(text, "Endpoint = {endpoint}");
        let _ = writeln!(text, "PersistentKeepalive = {KEEPALIVE_S}");
    }
    Ok(text)
}

/// The addresses as they are written, each read before.
fn joined(addresses: &[String]) -> Result<String, String> {
    let unfit = addresses
        .iter()
        .find(|text| text.parse::<IpAddr>().is_err() && !is_address_in_network(text));
    match unfit {
        Some(text) => Err(format!(
            "`{}` is neither an address nor a network.",
            text.escape_default()
        )),
        None => Ok(addresses.join(", ")),
    }
}

/// An address with the length of its network's prefix, or a network.
fn is_address_in_network(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else {
        return false;
    };
    let host = address.parse().map(Cidr::host);
    let is_length = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    is_length
        && host.is_ok_and(|host| {
            length
                .parse::<u8>()
                .is_ok_and(|length| length <= host.prefix_length())
        })
}

fn is_plain_path(path: &str) -> bool {
    path.starts_with('/')
        && path
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "/._-".contains(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    fn peer(addresses: &[&str], endpoint: Option<&str>) -> Peer {
        Peer {
            addresses: Attr::Known(addresses.iter().map(ToString::to_string).collect()),
            public_key: Attr::from(KEY),
            endpoint: Attr::from(endpoint.map(str::to_owned)),
        }
    }

    #[test]
    fn a_configuration_has_the_interface_and_each_peer_with_a_key() {
        let mut peers: BTreeMap<String, Peer> = [
            (
                "a".to_owned(),
                peer(&["10.9.0.1", "fd00::/64"], Some("a.example:51820")),
            ),
            ("b".to_owned(), peer(&["10.9.0.2"], None)),
        ]
        .into();
        peers.insert(
            "new".to_owned(),
            Peer {
                public_key: Attr::Null,
                ..peer(&[], None)
            },
        );
        let text = interface(&["10.9.0.9/24".to_owned()], "/etc/wireguard/own.key").unwrap()
            + &sections(&peers).unwrap();
        let expected = format!(
            "[Interface]\nAddress = 10.9.0.9/24\nPostUp = wg set %i private-key \
             /etc/wireguard/own.key\n\n# a\n[Peer]\nPublicKey = {KEY}\nAllowedIPs = 10.9.0.1, \
             fd00::/64\nEndpoint = a.example:51820\nPersistentKeepalive = 25\n\n# b\n[Peer]\n\
             PublicKey = {KEY}\nAllowedIPs = 10.9.0.2\n"
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn nothing_gets_in_that_a_shell_could_run() {
        for path in [
            "key",
            "/etc/k; reboot",
            "/etc/k\nPostUp = reboot",
            "/etc/$(reboot)",
        ] {
            assert!(interface(&["10.9.0.9".to_owned()], path).is_err(), "{path}");
        }
        for address in [
            "10.9.0.9\nPostUp = reboot",
            "10.9.0.9/+8",
            "10.9.0.9/33",
            "here",
            "",
        ] {
            assert!(interface(&[address.to_owned()], "/k").is_err(), "{address}");
        }
        let line_break = [("a\nPostUp = reboot".to_owned(), peer(&[], None))].into();
        assert!(sections(&line_break).is_err());
        let endpoint = [("a".to_owned(), peer(&[], Some("a:1\nPostUp = reboot")))].into();
        assert!(sections(&endpoint).is_err());
    }
}
