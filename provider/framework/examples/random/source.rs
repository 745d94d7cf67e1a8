//! Where randomness comes from: the system's for everything, unless the configuration gives a
//! seed. Values of a seed are stable for one release of this provider, and no secret.

use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng as _};

/// How long anything drawn may be: a mistyped length must not take all memory.
pub(crate) const LENGTH_MAX: u64 = 1 << 20;

/// Bytes that nobody can foresee.
pub(crate) fn bytes(length: u64) -> Vec<u8> {
    let length = usize::try_from(length.min(LENGTH_MAX)).unwrap_or_default();
    let mut bytes = vec![0; length];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

/// A generator that repeats itself for the same seed, and nobody can foresee without one.
pub(crate) fn generator(seed: Option<&str>) -> StdRng {
    match seed {
        Some(seed) => StdRng::seed_from_u64(seed.bytes().fold(FNV_OFFSET, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME)
        })),
        None => StdRng::from_rng(&mut rand::rng()),
    }
}

/// Validates a length that may be nothing.
pub(crate) fn length(length: &u64) -> Result<(), String> {
    if *length > LENGTH_MAX {
        return Err(format!("At most {LENGTH_MAX} are drawn at once."));
    }
    Ok(())
}

/// Validates a length of at least one.
pub(crate) fn length_from_one(of: &u64) -> Result<(), String> {
    if *of == 0 {
        return Err("It is at least 1.".to_owned());
    }
    length(of)
}

// FNV-1a of 64 bits.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;
