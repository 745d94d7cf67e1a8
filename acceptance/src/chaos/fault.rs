//! What can happen to voters, and to whom it happens.

use std::fmt;

use anyhow::Result;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::federation::Federation;
use crate::laboratory::Laboratory;

/// What happens.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Act {
    /// `kill -9`, and started again when it is over.
    Kill,
    /// Every process of the host stands still (SIGSTOP), and goes on when it is over.
    Freeze,
    /// Nothing leaves the host or arrives there.
    CutOff,
    /// The voters can't reach it nor it them; whoever else can, can.
    CutFromVoters,
    /// Nothing that it sends arrives at anybody.
    Mute,
    /// Nothing that is sent to it arrives.
    Deafen,
}

/// To whom.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Target {
    /// The one that leads.
    Leader,
    /// One that doesn't.
    Follower,
    /// As many as there may be without harm, whoever they are.
    Minority,
    /// One more than that: nothing can be written meanwhile.
    Majority,
    /// All voters at once.
    All,
}

/// What happens to whom.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Fault {
    /// What.
    pub act: Act,
    /// To whom.
    pub target: Target,
}

impl Fault {
    /// Each act on each target.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let pairs = Act::ALL.into_iter().flat_map(|act| {
            let fault = move |target| Self { act, target };
            Target::ALL.into_iter().map(fault)
        });
        pairs.collect()
    }

    /// Whether voters that are hit leave too few for a majority.
    #[must_use]
    pub fn stops_writes(self) -> bool {
        match self.target {
            Target::Leader | Target::Follower | Target::Minority => false,
            Target::Majority | Target::All => true,
        }
    }

    /// The places of those whom it hits, among `count` voters.
    pub(super) fn victims(self, leader: usize, count: usize, random: &mut StdRng) -> Vec<usize> {
        let mut places: Vec<usize> = (0..count).collect();
        places.shuffle(random);
        let minority = (count - 1) / 2;
        match self.target {
            Target::Leader => vec![leader],
            Target::Follower => {
                places.retain(|place| *place != leader);
                places.truncate(1);
                places
            }
            Target::Minority => places.split_off(count - minority),
            Target::Majority => places.split_off(count - minority - 1),
            Target::All => places,
        }
    }

    /// Makes it happen.
    pub(super) fn begin(
        self,
        laboratory: &Laboratory,
        federation: &mut Federation,
        victims: &[usize],
    ) -> Result<()> {
        for place in victims {
            let agent = &mut federation.agents[*place];
            let host = agent.host();
            match self.act {
                Act::Kill => agent.kill()?,
                Act::Freeze => host.freeze()?,
                Act::CutOff => host.cut_link()?,
                Act::Mute => host.cut_outgoing()?,
                Act::Deafen => host.cut_incoming()?,
                Act::CutFromVoters => {
                    let others = laboratory.hosts().iter();
                    for other in others.filter(|other| other.number() != host.number()) {
                        laboratory.cut_between(host, other)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Mends it.
    pub(super) fn end(
        self,
        laboratory: &Laboratory,
        federation: &mut Federation,
        victims: &[usize],
    ) -> Result<()> {
        laboratory.heal_all()?;
        for place in victims {
            let agent = &mut federation.agents[*place];
            match self.act {
                Act::Kill => agent.start()?,
                Act::Freeze => agent.host().thaw()?,
                Act::CutOff | Act::CutFromVoters | Act::Mute | Act::Deafen => {}
            }
        }
        Ok(())
    }
}

impl Act {
    const ALL: [Self; 6] = [
        Self::Kill,
        Self::Freeze,
        Self::CutOff,
        Self::CutFromVoters,
        Self::Mute,
        Self::Deafen,
    ];
}

impl Target {
    const ALL: [Self; 5] = [
        Self::Leader,
        Self::Follower,
        Self::Minority,
        Self::Majority,
        Self::All,
    ];
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "kill -9, restart",
            Self::Freeze => "freeze (SIGSTOP)",
            Self::CutOff => "cut off from all",
            Self::CutFromVoters => "cut off from voters",
            Self::Mute => "one-way cut, out",
            Self::Deafen => "one-way cut, in",
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Minority => "minority",
            Self::Majority => "majority",
            Self::All => "all",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.act, self.target)
    }
}

/// All faults in an order that is drawn by lot.
#[must_use]
pub fn shuffled(random: &mut StdRng) -> Vec<Fault> {
    let mut faults = Fault::all();
    faults.shuffle(random);
    faults
}

/// How long a fault lasts, in milliseconds: often shorter than an election, sometimes longer than
/// anybody's patience.
pub(super) fn length_ms(fault: Fault, random: &mut StdRng) -> u64 {
    if fault.stops_writes() && random.random_ratio(1, 3) {
        return 45_000;
    }
    random.random_range(1_000..15_000)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn a_fault_hits_as_many_as_it_says() {
        let mut random = StdRng::seed_from_u64(1);
        for count in [3, 5] {
            let mut hit = |target| {
                let act = Act::Kill;
                Fault { act, target }.victims(1, count, &mut random)
            };
            assert_eq!(hit(Target::Leader), [1]);
            assert!(hit(Target::Follower).len() == 1 && !hit(Target::Follower).contains(&1));
            assert_eq!(hit(Target::Minority).len(), count / 2);
            assert_eq!(hit(Target::Majority).len(), count / 2 + 1);
            assert_eq!(hit(Target::All).len(), count);
        }
    }
}
