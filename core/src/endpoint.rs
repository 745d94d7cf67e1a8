//! Where something listens: `host:port`, with IPv6 addresses in brackets (RFC 3986, section 3.2.2).

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A host, by name or address, and a port. Keeps its writer's spelling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint {
    text: String,
    host_length: usize,
    port: u16,
}

/// Why a text is no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no endpoint: {reason}; write it like 203.0.113.7:51820, [2001:db8::1]:51820 or vpn.example.com:51820"
)]
pub struct EndpointError {
    text: String,
    reason: &'static str,
}

impl Endpoint {
    /// The host as written, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.text[..self.host_length]
            .trim_start_matches('[')
            .trim_end_matches(']')
    }

    /// The port; never zero.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address, if the host is not a name.
    #[must_use]
    pub fn socket_address(&self) -> Option<SocketAddr> {
        self.host()
            .parse::<IpAddr>()
            .ok()
            .map(|address| SocketAddr::new(address, self.port))
    }

    /// The writer's spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let fail = |reason| EndpointError {
            text: text.chars().take(300).collect(),
            reason,
        };
        let (host, port) = text
            .rsplit_once(':')
            .ok_or_else(|| fail("it has no port"))?;
        let all_digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let port: u16 = match port.parse() {
            Ok(port) if all_digits && port != 0 => port,
            Ok(_) | Err(_) => return Err(fail("its port is not a number from 1 to 65535")),
        };
        match host
            .strip_prefix('[')
            .and_then(|inner| inner.strip_suffix(']'))
        {
            Some(inner) => {
                inner
                    .parse::<Ipv6Addr>()
                    .map_err(|_| fail("its brackets hold no IPv6 address"))?;
            }
            None if host.contains(':') => return Err(fail("an IPv6 address needs brackets")),
            None => check_host(host).map_err(fail)?,
        }
        Ok(Self {
            text: text.to_owned(),
            host_length: host.len(),
            port,
        })
    }
}

impl TryFrom<String> for Endpoint {
    type Error = EndpointError;
    fn try_from(text: String) -> Result<Self, EndpointError> {
        text.parse()
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.text
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// A host name by RFC 1123, or an IPv4 address.
fn check_host(host: &str) -> Result<(), &'static str> {
    if host.is_empty() {
        return Err("it has no host");
    }
    if host.len() > 253 {
        return Err("its host is longer than 253 characters");
    }
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    if !host.trim_end_matches('.').split('.').all(label) {
        return Err("its host is neither a name nor an address");
    }
    let numeric = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if numeric && host.parse::<IpAddr>().is_err() {
        return Err("its host is neither a name nor an address");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_and_addresses_are_read() {
        for (text, host, port) in [
            ("10.0.0.1:51820", "10.0.0.1", 51820),
            ("[2001:db8::1]:1", "2001:db8::1", 1),
            ("vpn.example.com:65535", "vpn.example.com", 65535),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!((endpoint.host(), endpoint.port()), (host, port));
        }
    }

    #[test]
    fn anything_else_is_refused_with_a_reason() {
        for text in [
            "",
            "host",
            "host:",
            "host:0",
            "host:65536",
            "host:+1",
            ":1",
            "2001:db8::1:1",
            "[::1]",
            "[x]:1",
            "a b:1",
            "300.1.1.1:1",
            "-a:1",
            "a..b:1",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_an_endpoint_or_an_error(text in ".*") {
            let _ = text.parse::<Endpoint>();
        }
    }
}
