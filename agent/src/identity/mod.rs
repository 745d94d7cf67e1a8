//! Who is who: the federation's authority, nodes' keys and certificates, join tokens.
//!
//! A private key is born in the data folder that it stays in. Nothing here prints a key or a token.

pub mod authority;
pub mod backup;
pub mod drill;
pub mod keyring;
pub mod node;
pub mod sealing;
pub mod token;
pub mod trust;

pub use authority::{Authority, AuthorityError};
pub use backup::{Backup, BackupError, SignedBackup};
pub use keyring::{Keyring, KeyringError, Keys};
pub use node::NodeIdentity;
pub use sealing::SealingKeyPair;
pub use token::{Token, TokenError};
pub use trust::Trust;

use aws_lc_rs::digest;
use hanse_core::identities::IdentityKey;

/// What an identity is known by: the digest of its public key (SubjectPublicKeyInfo, DER).
#[must_use]
pub fn identity_key(public_key: &[u8]) -> IdentityKey {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, public_key).as_ref());
    bytes.into()
}
