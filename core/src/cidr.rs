//! CIDRs in their one canonical spelling.
//!
//! A CIDR with host bits set, or one spelled otherwise than it would be printed, is refused with
//! the right spelling: two spellings of one network would be drift for Terraform.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// A network: an address without host bits, and a prefix length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr(IpNet);

/// Why a text is no CIDR.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// Not an address and a prefix length.
    #[error("`{0}` is no CIDR: write a network like 10.1.0.0/16 or fd00:1::/48")]
    Malformed(String),
    /// Host bits are set, or it is spelled in another way.
    #[error("`{written}` is not the canonical spelling of this network: write {canonical}")]
    NotCanonical {
        /// What was written.
        written: String,
        /// What to write.
        canonical: String,
    },
}

impl Cidr {
    /// The network that holds one address and nothing else.
    #[must_use]
    pub fn host(address: IpAddr) -> Self {
        Self(IpNet::from(address))
    }

    /// The network's first address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.0.network()
    }

    /// The length of the prefix, in bits.
    #[must_use]
    pub fn prefix_length(&self) -> u8 {
        self.0.prefix_len()
    }

    /// Whether the address lies in this network.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }

    /// Whether any address lies in both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.contains(&other.0) || other.0.contains(&self.0)
    }

    /// Whether this is an IPv4 network.
    #[must_use]
    pub fn is_ipv4(&self) -> bool {
        matches!(self.0, IpNet::V4(_))
    }

    /// How many nodes can have an address here: without the network's own address, and for IPv4
    /// without the broadcast address (RFC 919; RFC 3021 and RFC 6164 for the shortest networks).
    #[must_use]
    pub fn host_count(&self) -> u128 {
        let bits = self.0.max_prefix_len() - self.0.prefix_len();
        match (self.0, bits) {
            (_, 0) => 1,
            (IpNet::V4(_), 1) => 2,
            (IpNet::V4(_), _) => (1_u128 << bits) - 2,
            (IpNet::V6(_), 128) => u128::MAX,
            (IpNet::V6(_), _) => (1_u128 << bits) - 1,
        }
    }

    /// The n-th address that a node can have, counted from zero.
    #[must_use]
    pub fn host_at(&self, index: u128) -> Option<IpAddr> {
        if index >= self.host_count() {
            return None;
        }
        let bits = self.0.max_prefix_len() - self.0.prefix_len();
        let skip = match (self.0, bits) {
            (_, 0) | (IpNet::V4(_), 1) => 0,
            (IpNet::V4(_) | IpNet::V6(_), _) => 1,
        };
        match self.0.network() {
            IpAddr::V4(network) => {
                let offset = u32::try_from(index + skip).ok()?;
                Some(IpAddr::V4(u32::from(network).checked_add(offset)?.into()))
            }
            IpAddr::V6(network) => Some(IpAddr::V6(
                u128::from(network).checked_add(index + skip)?.into(),
            )),
        }
    }

    /// The inverse of [`Cidr::host_at`].
    #[must_use]
    pub fn index_of(&self, address: IpAddr) -> Option<u128> {
        if !self.contains(address) {
            return None;
        }
        let offset = match (address, self.0.network()) {
            (IpAddr::V4(address), IpAddr::V4(network)) => {
                u128::from(u32::from(address) - u32::from(network))
            }
            (IpAddr::V6(address), IpAddr::V6(network)) => u128::from(address) - u128::from(network),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return None,
        };
        [offset.checked_sub(1), Some(offset)]
            .into_iter()
            .flatten()
            .find(|index| self.host_at(*index) == Some(address))
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let net: IpNet = text
            .parse()
            .map_err(|_| CidrError::Malformed(text.chars().take(64).collect()))?;
        let canonical = net.trunc();
        if canonical.to_string() != text {
            return Err(CidrError::NotCanonical {
                written: text.to_owned(),
                canonical: canonical.to_string(),
            });
        }
        Ok(Self(canonical))
    }
}

impl TryFrom<String> for Cidr {
    type Error = CidrError;
    fn try_from(text: String) -> Result<Self, CidrError> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> Self {
        cidr.0.to_string()
    }
}

impl From<Cidr> for IpNet {
    fn from(cidr: Cidr) -> Self {
        cidr.0
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_string())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    #[test]
    fn host_bits_are_refused_with_the_right_spelling() {
        let error = "10.1.2.3/16".parse::<Cidr>().unwrap_err().to_string();
        assert!(error.contains("write 10.1.0.0/16"), "{error}");
    }

    #[test]
    fn the_network_and_broadcast_addresses_belong_to_no_node() {
        let pool = cidr("10.0.0.0/30");
        assert_eq!(pool.host_count(), 2);
        assert_eq!(pool.host_at(0), Some("10.0.0.1".parse().unwrap()));
        assert_eq!(pool.host_at(1), Some("10.0.0.2".parse().unwrap()));
        assert_eq!(pool.host_at(2), None);
        assert_eq!(cidr("10.0.0.0/31").host_count(), 2);
        assert_eq!(
            cidr("10.0.0.9/32").host_at(0),
            Some("10.0.0.9".parse().unwrap())
        );
        assert_eq!(
            cidr("fd00::/64").host_at(0),
            Some("fd00::1".parse().unwrap())
        );
    }

    #[test]
    fn overlap_is_containment_either_way() {
        assert!(cidr("10.0.0.0/8").overlaps(&cidr("10.9.0.0/16")));
        assert!(cidr("10.9.0.0/16").overlaps(&cidr("10.0.0.0/8")));
        assert!(!cidr("10.9.0.0/16").overlaps(&cidr("10.10.0.0/16")));
        assert!(!cidr("0.0.0.0/0").overlaps(&cidr("::/0")));
    }

    proptest! {
        #[test]
        fn index_is_the_inverse_of_host(prefix in 0_u8..=32, bits: u32, index: u32) {
            let pool = Cidr(IpNet::new(IpAddr::V4(bits.into()), prefix).unwrap().trunc());
            let index = u128::from(index) % pool.host_count();
            let address = pool.host_at(index).unwrap();
            prop_assert!(pool.contains(address));
            prop_assert_eq!(pool.index_of(address), Some(index));
        }
    }
}
