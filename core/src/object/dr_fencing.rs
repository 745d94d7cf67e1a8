//! How a site's primary is fenced from outside by whoever runs its machine.
//!
//! No secret is here: a version says which one is meant, and the state has that one sealed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::dr_plan::{DrPlan, Fencing};
use super::words;
use crate::duration::Span;
use crate::finding::Path;
use crate::secret::{PlanSecret, Purpose};

/// How long it may take until a machine is stopped for certain, unless declared otherwise.
pub const FENCE_TIMEOUT_DEFAULT: &str = "60s";
const FENCE_TIMEOUT_DEFAULT_S: u64 = 60;

words! {
    /// What Proxmox VE runs.
    GuestKind {
        /// A virtual machine.
        Vm = "vm",
        /// A container.
        Container = "container",
    }
}

/// A machine of a Proxmox VE cluster, which its API stops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proxmox {
    /// Where the API is, on one or more nodes of the cluster: `https://host:8006`.
    pub urls: Vec<String>,
    /// The node that the machine runs on, by its name there.
    pub node: String,
    /// The machine's number.
    pub vmid: u32,
    /// What it is.
    pub kind: GuestKind,
    /// Its name, so that no other machine is stopped; unset: whatever has the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The id of the API token: `user@realm!name`.
    pub token_id: String,
    /// Which secret the token has.
    pub token_secret_version: u64,
    /// The certificates of the API, each by its SHA-256; none: they are of an authority.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fingerprints: Vec<Fingerprint>,
    /// The authority that signed the API's certificates, in PEM; unset: one that the host trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// How long it may take until the machine is stopped for certain; unset: 60 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
}

/// An instance of Amazon EC2, which its API stops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ec2 {
    /// The instance's id.
    pub instance_id: String,
    /// The region that it is in.
    pub region: String,
    /// What its tag `Name` holds, so that no other one is stopped; unset: whatever has the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The id of the access key.
    pub access_key_id: String,
    /// Which secret the access key has.
    pub secret_access_key_version: u64,
    /// Another endpoint than AWS's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// How long it may take until the instance is stopped for certain; unset: 60 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
}

/// A certificate, by its SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint([u8; 32]);

/// A text is no SHA-256 of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a fingerprint is 32 bytes in hexadecimal, with colons between them or without, as \
     `openssl x509 -noout -fingerprint -sha256` shows it"
)]
pub struct FingerprintError;

impl Fingerprint {
    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> [u8; 32] {
        self.0
    }
}

impl From<[u8; 32]> for Fingerprint {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            let colon = if place == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
        let has_odd_colons = text.contains(':') && text.split(':').any(|part| part.len() != 2);
        if digits.len() != 64 || has_odd_colons {
            return Err(FingerprintError);
        }
        let digit = |byte: u8| {
            char::from(byte)
                .to_digit(16)
                .and_then(|it| u8::try_from(it).ok())
        };
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = pair else {
                return Err(FingerprintError);
            };
            let high = digit(*high).ok_or(FingerprintError)?;
            *byte = (high << 4) | digit(*low).ok_or(FingerprintError)?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = FingerprintError;

    fn try_from(text: String) -> Result<Self, FingerprintError> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

impl Fencing {
    /// How long a fence from outside may take; none: the primary is fenced on its own host alone.
    #[must_use]
    pub fn outside(&self) -> Option<Duration> {
        let or_default = |timeout: &Option<Span>| {
            let default = Duration::from_secs(FENCE_TIMEOUT_DEFAULT_S);
            timeout.as_ref().map_or(default, Span::value)
        };
        match self {
            Self::Lease | Self::Watchdog => None,
            Self::Command { timeout, .. } => Some(timeout.value()),
            Self::Proxmox(machine) => Some(or_default(&machine.timeout)),
            Self::Ec2(instance) => Some(or_default(&instance.timeout)),
        }
    }
}

impl DrPlan {
    /// How long fences from outside may take, whichever site is primary; none: no site has one.
    #[must_use]
    pub fn fences_outside_within(&self) -> Option<Duration> {
        self.fencing.values().filter_map(Fencing::outside).max()
    }

    /// Every secret that fences of the plan need, each with where it is given.
    pub(super) fn fencing_secrets(&self) -> impl Iterator<Item = (PlanSecret, Path)> {
        self.fencing.iter().filter_map(|(site, how)| {
            let (method, attribute, version) = match how {
                Fencing::Lease | Fencing::Watchdog | Fencing::Command { .. } => return None,
                Fencing::Proxmox(it) => ("proxmox", "token_secret_wo", it.token_secret_version),
                Fencing::Ec2(it) => ("ec2", "secret_access_key_wo", it.secret_access_key_version),
            };
            let secret = PlanSecret {
                plan: self.name.clone(),
                purpose: Purpose::Fence(site.clone()),
                version,
            };
            let path = Path::of("fencing").key(site).attribute(method);
            Some((secret, path.attribute(attribute)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_openssl_writes_it_and_without_colons() {
        let plain = "0a".repeat(32);
        let colons = ["0A"; 32].join(":");
        for text in [&plain, &colons] {
            let read: Fingerprint = text.parse().unwrap();
            assert_eq!(read.to_string(), colons);
        }
        let odd = colons.replacen("0A:0A", "0A0:A", 1);
        for text in ["", "0a", &"zz".repeat(32), &odd, &"0a".repeat(33)] {
            assert!(text.parse::<Fingerprint>().is_err(), "{text}");
        }
    }
}
