//! Pre-shared keys of pairs of nodes, derived by the voter.
//!
//! They stand in no state and no API: each goes only into the plans of the pair's two nodes. What
//! they are derived from lies in the federation's state, sealed to the voters.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{hmac, rand};
use hanse_core::key::PresharedKey;
use hanse_core::name::{MeshName, NodeName, PlanName};

/// The secret's length: that of a WireGuard key.
const SECRET_LENGTH: usize = 32;

/// The federation's secret.
pub struct PresharedKeys(hmac::Key);

impl PresharedKeys {
    /// A new secret, to be sealed and never kept otherwise.
    pub fn generate() -> Result<[u8; SECRET_LENGTH], Unspecified> {
        let mut secret = [0; SECRET_LENGTH];
        rand::fill(&mut secret)?;
        Ok(secret)
    }

    /// What an opened secret yields; none: it is none.
    #[must_use]
    pub fn open(secret: &[u8]) -> Option<Self> {
        (secret.len() == SECRET_LENGTH).then(|| Self::new(secret))
    }

    fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// Tells secrets apart and reveals neither.
    #[must_use]
    pub fn mark(&self) -> [u8; SECRET_LENGTH] {
        let mut mark = [0; SECRET_LENGTH];
        mark.copy_from_slice(hmac::sign(&self.0, b"hanse psk mark").as_ref());
        mark
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

impl PresharedKeys {
    /// What the copies of a plan show to one another.
    #[must_use]
    pub fn of_plan(&self, plan: &PlanName) -> PresharedKey {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(b"hanse plan 1");
        context.update(plan.as_str().as_bytes());
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
