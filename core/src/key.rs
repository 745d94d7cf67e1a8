//! WireGuard keys: 32 bytes each, of kinds that can't be confused. No private key ever comes here.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A Curve25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PublicKey([u8; 32]);

/// A symmetric key that a pair of peers mixes into its handshakes. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct PresharedKey([u8; 32]);

/// The bytes are not 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a WireGuard key has 32 bytes; this one has {0}")]
pub struct KeyLengthError(usize);

macro_rules! keys {
    ($($name:ident)*) => {$(
        impl $name {
            /// The key's bytes.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl From<[u8; 32]> for $name {
            fn from(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = KeyLengthError;
            fn try_from(bytes: &[u8]) -> Result<Self, KeyLengthError> {
                bytes.try_into().map(Self).map_err(|_| KeyLengthError(bytes.len()))
            }
        }
    )*};
}

keys! { PublicKey PresharedKey }

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl fmt::Display for PublicKey {
    /// The first eight bytes, hexadecimal: enough to tell keys apart in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .take(8)
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PresharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresharedKey(redacted)")
    }
}
