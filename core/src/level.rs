//! Which behaviour all voters share.
//!
//! Voters of different versions run beside one another while a federation is upgraded. Whatever a
//! newer version stores or commits that an older one wouldn't understand belongs to a level, and no
//! voter writes it before the federation is at that level: once every voter said that it
//! supports it. A level never goes down. A version that adds a command, or a field to the state,
//! raises [`FeatureLevel::SUPPORTED`], gives them that level in `Command::level`, and lets the field
//! change by such commands alone. So the state of a level is written alike by every version.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::NodeName;

/// Which version of the program this is.
pub const PROGRAM_VERSION: &str = if cfg!(feature = "previous-version") {
    concat!(env!("CARGO_PKG_VERSION"), "-previous")
} else {
    env!("CARGO_PKG_VERSION")
};

/// The number of a behaviour, and of the form in which it is stored. One that this program doesn't
/// support is never read: whoever holds one could not say what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct FeatureLevel(u8);

/// A level that this program doesn't support.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no feature level that this version supports")]
pub struct UnsupportedLevel(u8);

impl From<FeatureLevel> for u8 {
    fn from(level: FeatureLevel) -> Self {
        level.0
    }
}

impl TryFrom<u8> for FeatureLevel {
    type Error = UnsupportedLevel;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        let level = Self::new(number).filter(|level| level.is_supported());
        level.ok_or(UnsupportedLevel(number))
    }
}

impl FeatureLevel {
    /// What the first version does, which told nobody its level.
    pub const FIRST: Self = Self(1);
    /// The level is part of the state, and nodes become voters and end being some while they
    /// run, there are leases, nodes tell of the time when nobody heard them, and a federation can be restored.
    pub const SECOND: Self = Self(2);
    /// The highest level of this program.
    pub const SUPPORTED: Self = if cfg!(feature = "previous-version") {
        Self::FIRST
    } else {
        Self::SECOND
    };

    /// The level of that number, whether this program supports it or not; none: there is no such.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        match number {
            0 => None,
            _ => Some(Self(number)),
        }
    }

    /// What somebody who was asked said; the first version says nothing, which reads as 0.
    #[must_use]
    pub fn told(number: u32) -> Self {
        Self(u8::try_from(number).unwrap_or(u8::MAX)).max(Self::FIRST)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Whether it is the one that is not written down.
    #[must_use]
    pub fn is_first(&self) -> bool {
        *self == Self::FIRST
    }

    /// Whether this program understands what belongs to it.
    #[must_use]
    pub fn is_supported(self) -> bool {
        self <= Self::SUPPORTED
    }
}

impl Default for FeatureLevel {
    fn default() -> Self {
        Self::FIRST
    }
}

impl fmt::Display for FeatureLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The level to raise the federation to, if it is time. `voters` are all that vote or shall vote;
/// none: it is not known what that one supports.
#[must_use]
pub fn next_level(
    committed: FeatureLevel,
    voters: &BTreeMap<NodeName, Option<FeatureLevel>>,
) -> Option<FeatureLevel> {
    let levels = voters.values().copied();
    let shared = levels.min().flatten()?;
    let next = shared.min(FeatureLevel::SUPPORTED);
    (next > committed).then_some(next)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_level_that_nobody_here_supports_is_not_read() {
        let supported = FeatureLevel::SUPPORTED.number();
        let read = |number: u8| serde_json::from_str::<FeatureLevel>(&number.to_string());
        assert_eq!(read(supported).unwrap(), FeatureLevel::SUPPORTED);
        read(supported + 1).unwrap_err();
        read(0).unwrap_err();
    }

    fn voters(levels: &[Option<u8>]) -> BTreeMap<NodeName, Option<FeatureLevel>> {
        let named = levels.iter().enumerate();
        named
            .map(|(n, level)| {
                let name = format!("n{n}").parse().unwrap();
                (name, level.and_then(FeatureLevel::new))
            })
            .collect()
    }

    #[test]
    fn the_level_rises_once_every_voter_supports_it() {
        let step = |levels: &[Option<u8>]| next_level(FeatureLevel::FIRST, &voters(levels));
        let all = FeatureLevel::SUPPORTED.number();
        assert_eq!(
            step(&[Some(all), Some(all + 3), Some(all)]),
            Some(FeatureLevel::SUPPORTED).filter(|level| !level.is_first())
        );
        assert_eq!(step(&[Some(all), Some(1), Some(all)]), None);
        assert_eq!(step(&[Some(all), None, Some(all)]), None);
        assert_eq!(step(&[]), None);
    }

    #[test]
    fn a_voter_that_tells_no_level_supports_the_first() {
        assert_eq!(FeatureLevel::told(0), FeatureLevel::FIRST);
        assert_eq!(FeatureLevel::told(2), FeatureLevel::SECOND);
        assert!(!FeatureLevel::told(u32::MAX).is_supported());
    }

    proptest! {
        #[test]
        fn the_level_never_goes_down_nor_above_any_voter(
            committed in 1_u8..5,
            levels in proptest::collection::vec(proptest::option::of(1_u8..5), 0..8),
        ) {
            let committed = FeatureLevel::new(committed).unwrap();
            if let Some(next) = next_level(committed, &voters(&levels)) {
                prop_assert!(next > committed && next.is_supported());
                let supports = |level: &Option<u8>| level.is_some_and(|l| l >= next.number());
                prop_assert!(levels.iter().all(supports));
            }
        }
    }
}
