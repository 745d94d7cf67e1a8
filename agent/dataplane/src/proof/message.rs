//! The datagrams of proofs: who asks, a nonce, padding to the full size, and a code that only the
//! two nodes can make.
//!
//! Layout: 8 bytes of magic, 1 of direction, 32 of the sender's key, 16 of nonce, zeros, and a
//! code of 32 bytes over all before it. An answer is never larger than its question.

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::hmac;
use hanse_core::key::PublicKey;
use hanse_core::name::MeshName;

use crate::key::PrivateKey;

const MAGIC: &[u8; 8] = b"hanse\0p1";
const CONTEXT: &[u8] = b"hanse mesh proof 1";
const CODE_LENGTH: usize = 32;
const HEADER_LENGTH: usize = MAGIC.len() + 1 + 32 + 16;

/// The smallest datagram that is a proof's.
pub(super) const SIZE_MIN: usize = HEADER_LENGTH + CODE_LENGTH;

pub(super) type Nonce = [u8; 16];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Question,
    Answer,
}

/// What two nodes of a mesh, and nobody else, can compute.
pub(super) struct PairKey(hmac::Key);

/// A datagram, before anybody vouches for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unverified<'a> {
    pub(super) direction: Direction,
    pub(super) sender: PublicKey,
    pub(super) nonce: Nonce,
    signed: &'a [u8],
    code: &'a [u8],
}

impl PairKey {
    /// None: the other key is degenerate.
    pub(super) fn new(own: &PrivateKey, other: &PublicKey, mesh: &MeshName) -> Option<Self> {
        let secret = own.agree(other)?;
        let extracted = Salt::new(HKDF_SHA256, CONTEXT).extract(&secret);
        let info = [mesh.as_str().as_bytes()];
        let okm = extracted.expand(&info, hmac::HMAC_SHA256).ok()?;
        Some(Self(hmac::Key::from(okm)))
    }
}

/// A datagram of this size, or of the smallest one that holds everything.
pub(super) fn write(
    key: &PairKey,
    direction: Direction,
    sender: &PublicKey,
    nonce: &Nonce,
    size: usize,
) -> Vec<u8> {
    let mut datagram = Vec::with_capacity(size.max(SIZE_MIN));
    datagram.extend_from_slice(MAGIC);
    datagram.push(match direction {
        Direction::Question => 1,
        Direction::Answer => 2,
    });
    datagram.extend_from_slice(sender.as_bytes());
    datagram.extend_from_slice(nonce);
    datagram.resize(size.max(SIZE_MIN) - CODE_LENGTH, 0);
    let code = hmac::sign(&key.0, &datagram);
    datagram.extend_from_slice(code.as_ref());
    datagram
}

/// Reads a datagram; none: it is not a proof's.
pub(super) fn read(datagram: &[u8]) -> Option<Unverified<'_>> {
    let (signed, code) = datagram.split_at_checked(datagram.len().checked_sub(CODE_LENGTH)?)?;
    let rest = signed.strip_prefix(MAGIC)?;
    let (direction, rest) = rest.split_first()?;
    let (sender, rest) = rest.split_at_checked(32)?;
    let (nonce, _) = rest.split_at_checked(16)?;
    Some(Unverified {
        direction: match direction {
            1 => Direction::Question,
            2 => Direction::Answer,
            _ => return None,
        },
        sender: PublicKey::try_from(sender).ok()?,
        nonce: nonce.try_into().ok()?,
        signed,
        code,
    })
}

impl Unverified<'_> {
    /// Whether the sender holds its key.
    pub(super) fn is_genuine(&self, key: &PairKey) -> bool {
        hmac::verify(&key.0, self.signed, self.code).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mesh(name: &str) -> MeshName {
        name.parse().unwrap()
    }

    fn pair() -> (PrivateKey, PrivateKey) {
        (
            PrivateKey::from_bytes([3; 32]).unwrap(),
            PrivateKey::from_bytes([5; 32]).unwrap(),
        )
    }

    #[test]
    fn the_other_node_and_nobody_else_verifies_a_proof() {
        let (one, other) = pair();
        let stranger = PrivateKey::from_bytes([9; 32]).unwrap();
        let key = PairKey::new(&one, &other.public(), &mesh("core")).unwrap();
        let sent = write(&key, Direction::Question, &one.public(), &[7; 16], 1392);
        assert_eq!(sent.len(), 1392);
        let seen = read(&sent).unwrap();
        assert_eq!(
            (seen.direction, seen.sender),
            (Direction::Question, one.public())
        );
        let by = |own: &PrivateKey, from: &PrivateKey, name: &str| {
            seen.is_genuine(&PairKey::new(own, &from.public(), &mesh(name)).unwrap())
        };
        assert!(by(&other, &one, "core"));
        assert!(!by(&other, &one, "edge"));
        assert!(!by(&stranger, &one, "core"));
        assert!(!by(&other, &stranger, "core"));
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_noticed(at in 0_usize..1400, bit in 0_u8..8, size in 0_usize..1400) {
            let (one, other) = pair();
            let key = PairKey::new(&one, &other.public(), &mesh("core")).unwrap();
            let mut sent = write(&key, Direction::Answer, &one.public(), &[7; 16], size);
            let at = at % sent.len();
            sent[at] ^= 1 << bit;
            prop_assert!(!read(&sent).is_some_and(|seen| seen.is_genuine(&key)));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }
    }
}
