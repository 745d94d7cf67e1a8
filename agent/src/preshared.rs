//! Pre-shared keys of pairs of nodes, derived by the voter.
//!
//! They stand in no state and no API: each goes only into the plans of the pair's two nodes.

use aws_lc_rs::{hmac, rand};
use hanse_core::key::PresharedKey;
use hanse_core::name::{MeshName, NodeName};

use crate::data::file::{self, MODE_SECRET};
use crate::data::{DataError, DataFolder};

/// The secret's length: that of a WireGuard key.
const SECRET_LENGTH: usize = 32;

/// The federation's secret.
pub struct PresharedKeys(hmac::Key);

impl PresharedKeys {
    /// Makes a secret and keeps it.
    pub fn generate(folder: &DataFolder) -> Result<(), DataError> {
        let mut secret = [0; SECRET_LENGTH];
        rand::fill(&mut secret)
            .map_err(|_| DataError::Problem("the system's random generator failed".to_owned()))?;
        let path = folder.federation_secret();
        file::write_atomically(&path, MODE_SECRET, &secret).map_err(DataError::io("write", &path))
    }

    /// Reads the secret.
    pub fn read(folder: &DataFolder) -> Result<Self, DataError> {
        let path = folder.federation_secret();
        let secret = file::read_bounded(&path, 2 * SECRET_LENGTH as u64)
            .map_err(DataError::io("read", &path))?;
        if secret.len() != SECRET_LENGTH {
            return Err(DataError::Problem(format!(
                "{} is damaged; restore it from a backup of this folder",
                path.display()
            )));
        }
        Ok(Self::new(&secret))
    }

    fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The key of a pair, the same from both ends.
    #[must_use]
    pub fn of(&self, mesh: &MeshName, a: &NodeName, b: &NodeName) -> PresharedKey {
        let (first, second) = if a <= b { (a, b) } else { (b, a) };
        let mut context = hmac::Context::with_key(&self.0);
        context.update(b"hanse psk 1");
        for part in [mesh.as_str(), first.as_str(), second.as_str()] {
            // A name has at most 63 bytes: its length fits into one.
            context.update(&[u8::try_from(part.len()).unwrap_or(u8::MAX)]);
            context.update(part.as_bytes());
        }
        let mut key = [0; SECRET_LENGTH];
        key.copy_from_slice(context.sign().as_ref());
        PresharedKey::from(key)
    }
}

impl std::fmt::Debug for PresharedKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PresharedKeys(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(secret: u8, mesh: &str, a: &str, b: &str) -> [u8; 32] {
        let keys = PresharedKeys::new(&[secret; 32]);
        let key = keys.of(
            &mesh.parse().unwrap(),
            &a.parse().unwrap(),
            &b.parse().unwrap(),
        );
        *key.as_bytes()
    }

    #[test]
    fn both_ends_have_the_same_key_and_no_other_pair_has_it() {
        let pair = key(1, "m", "a", "bc");
        assert_eq!(pair, key(1, "m", "bc", "a"));
        let others = [
            key(1, "m", "ab", "c"),
            key(1, "ma", "b", "c"),
            key(2, "m", "a", "bc"),
        ];
        assert!(others.iter().all(|other| *other != pair));
    }
}
