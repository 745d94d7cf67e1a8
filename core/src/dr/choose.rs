//! Which standby is promoted, and whether any may be: rule 5 of the failover.
//!
//! A standby counts only once it durably refuses every lower epoch and has cut its connection to
//! the old primary: what it tells of its position after that stays true. In a synchronous plan no
//! commit is acknowledged before k members of the set S have it, so of any |S| − k + 1 members that
//! answer at least one has each acknowledged commit, and the highest of all positions has them all.
//! This holds without any clock.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::position::{Mark, Position};
use crate::name::ClusterName;

/// Who must have a commit before it is acknowledged: k of S. Empty: nobody, the plan is
/// asynchronous or has degraded to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncSet {
    /// S: the copies of which k must have a commit.
    pub members: BTreeSet<ClusterName>,
    /// k: how many of them.
    pub needed: u32,
}

/// One standby, as it answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Where it is.
    pub cluster: ClusterName,
    /// How far it is, told after it began to refuse lower epochs; none: it has not answered so.
    pub position: Option<Position>,
    /// Why it can't be promoted, whatever its position: it is not seeded, or in trouble.
    pub unfit: Option<String>,
}

/// What is asked of the one that is promoted.
#[derive(Debug, Clone, Copy)]
pub struct Demand<'a> {
    /// Who has each acknowledged commit.
    pub set: &'a SyncSet,
    /// The last that was known of the primary.
    pub mark: Option<&'a Mark>,
    /// How old the record of that was when the run began to fence, in seconds, if the primary may have
    /// written on for so long that it says nothing; none: it bounds what the primary wrote.
    pub stale_s: Option<u64>,
    /// How many bytes may be missing, as far as is known; of no meaning while S is not empty.
    pub lag_bytes_max: u64,
    /// An operator said that data may be lost.
    pub allows_data_loss: bool,
    /// The only one that may be promoted; none: any.
    pub only: Option<&'a ClusterName>,
}

/// The one to promote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Where it is.
    pub cluster: ClusterName,
    /// How far it is.
    pub position: Position,
    /// How many bytes it is known to lack of what the primary had written; none: not known.
    pub lag_bytes: Option<u64>,
}

/// Why nobody may be promoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoChoice {
    /// No standby that could be promoted has answered.
    NobodyAnswers {
        /// Each standby with what is wrong with it.
        standbys: Vec<(ClusterName, String)>,
    },
    /// Too few of those that may have acknowledged commits have answered.
    HoldersMissing {
        /// Who has not answered.
        missing: Vec<ClusterName>,
        /// How many more answers are needed.
        needed: usize,
    },
    /// Another standby has more, and can't be promoted.
    Behind {
        /// The best that can be promoted.
        cluster: ClusterName,
        /// The one that has more.
        ahead: ClusterName,
    },
    /// Nobody knows what would be lost.
    LagUnknown {
        /// The best that can be promoted.
        cluster: ClusterName,
    },
    /// What was known of the primary says nothing: it may have written for long since.
    LagStale {
        /// The best that can be promoted.
        cluster: ClusterName,
        /// How old the primary's last recorded position was when the run began to fence, in seconds.
        stale_s: u64,
    },
    /// More would be lost than the plan allows.
    LagTooLarge {
        /// The best that can be promoted.
        cluster: ClusterName,
        /// What it lacks, in bytes.
        lag_bytes: u64,
        /// What it may lack, in bytes.
        lag_bytes_max: u64,
    },
}

impl SyncSet {
    /// Whether acknowledged commits are anywhere but on the primary for sure.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() || self.needed == 0
    }

    /// How many members must answer so that each acknowledged commit is among what they have.
    #[must_use]
    pub fn answers_needed(&self) -> usize {
        let needed = usize::try_from(self.needed).unwrap_or(usize::MAX);
        (self.members.len() + 1).saturating_sub(needed)
    }

    /// Whether a commit that is acknowledged under the other is held by k of S here too.
    #[must_use]
    pub fn is_implied_by(&self, other: &Self) -> bool {
        self.is_empty() || (other.needed >= self.needed && other.members.is_subset(&self.members))
    }

    /// What is true of a commit whichever of two holds: what the log has while a primary goes from
    /// one to the other.
    #[must_use]
    pub fn either(&self, other: &Self) -> Self {
        if self.is_empty() || other.is_empty() {
            return Self::default();
        }
        Self {
            members: self.members.union(&other.members).cloned().collect(),
            needed: self.needed.min(other.needed),
        }
    }
}

/// Chooses among the standbys, which are given in the plan's order of preference.
///
/// # Errors
///
/// Nobody may be promoted.
pub fn choose(candidates: &[Candidate], demand: &Demand<'_>) -> Result<Choice, NoChoice> {
    let is_by_set = !demand.set.is_empty() && !demand.allows_data_loss;
    if is_by_set {
        holders_have_answered(candidates, demand.set)?;
    }
    let fit = candidates
        .iter()
        .enumerate()
        .filter_map(|(order, candidate)| {
            let is_wanted = demand.only.is_none_or(|only| *only == candidate.cluster);
            let position = candidate
                .position
                .filter(|_| is_wanted && candidate.unfit.is_none())?;
            Some((position, std::cmp::Reverse(order), candidate))
        });
    let best = fit.max_by_key(|(position, order, _)| (*position, *order));
    let Some((position, _, best)) = best else {
        return Err(NoChoice::NobodyAnswers {
            standbys: candidates
                .iter()
                .map(|one| (one.cluster.clone(), trouble(one)))
                .collect(),
        });
    };
    let cluster = best.cluster.clone();
    let lag_bytes = match demand.stale_s {
        // What enough of S have is all that was acknowledged, however long the primary wrote on.
        Some(_) if !is_by_set => None,
        Some(_) | None => known_lag_bytes(candidates, demand, &position),
    };
    let choice = Choice {
        cluster: cluster.clone(),
        position,
        lag_bytes,
    };
    if demand.allows_data_loss {
        return Ok(choice);
    }
    if is_by_set {
        let ahead = candidates
            .iter()
            .find(|other| other.position > Some(position));
        return match ahead.map(|ahead| ahead.cluster.clone()) {
            Some(ahead) => Err(NoChoice::Behind { cluster, ahead }),
            None => Ok(choice),
        };
    }
    match (lag_bytes, demand.stale_s) {
        (None, Some(stale_s)) => Err(NoChoice::LagStale { cluster, stale_s }),
        (None, None) => Err(NoChoice::LagUnknown { cluster }),
        (Some(lag_bytes), _) if lag_bytes > demand.lag_bytes_max => Err(NoChoice::LagTooLarge {
            cluster,
            lag_bytes,
            lag_bytes_max: demand.lag_bytes_max,
        }),
        (Some(_), _) => Ok(choice),
    }
}

/// Whether so many of those that may have acknowledged commits have answered that one has each.
fn holders_have_answered(candidates: &[Candidate], set: &SyncSet) -> Result<(), NoChoice> {
    let (have, lack): (Vec<_>, Vec<_>) = candidates
        .iter()
        .filter(|candidate| set.members.contains(&candidate.cluster))
        .partition(|candidate| candidate.position.is_some());
    let needed = set.answers_needed().saturating_sub(have.len());
    if needed == 0 {
        return Ok(());
    }
    let missing = lack.into_iter().map(|candidate| candidate.cluster.clone());
    Err(NoChoice::HoldersMissing {
        missing: missing.collect(),
        needed,
    })
}

/// What somebody at a position lacks of what the primary, or any other, was heard to have.
fn known_lag_bytes(
    candidates: &[Candidate],
    demand: &Demand<'_>,
    position: &Position,
) -> Option<u64> {
    let behind_primary = demand.mark?.lag_bytes(position)?;
    let others = candidates.iter().filter_map(|other| other.position);
    let ahead = others.filter(|other| other > position);
    let behind_others = ahead.map(|other| position.lacks_bytes_of(&other));
    let behind_others: Option<Vec<u64>> = behind_others.collect();
    behind_others?.into_iter().chain([behind_primary]).max()
}

fn trouble(candidate: &Candidate) -> String {
    match (&candidate.unfit, candidate.position) {
        (Some(unfit), _) => unfit.clone(),
        (None, None) => "it has not answered".to_owned(),
        (None, Some(_)) => "it is not the one that was asked for".to_owned(),
    }
}

impl fmt::Display for SyncSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("no standby");
        }
        let members = self.members.iter().map(|member| format!("`{member}`"));
        let members = members.collect::<Vec<_>>().join(", ");
        write!(f, "{} of {members}", self.needed)
    }
}

impl fmt::Display for NoChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NobodyAnswers { standbys } if standbys.is_empty() => {
                f.write_str("the plan has no standby")
            }
            Self::NobodyAnswers { standbys } => {
                let each = standbys
                    .iter()
                    .map(|(cluster, why)| format!("`{cluster}`: {why}"));
                let each = each.collect::<Vec<_>>().join("; ");
                write!(f, "no standby can be promoted ({each})")
            }
            Self::HoldersMissing { missing, needed } => {
                let missing = missing.iter().map(|cluster| format!("`{cluster}`"));
                let missing = missing.collect::<Vec<_>>().join(", ");
                write!(
                    f,
                    "acknowledged commits may be on {missing}: {needed} more of them must answer"
                )
            }
            Self::Behind { cluster, ahead } => write!(
                f,
                "`{ahead}` has more than `{cluster}`, and can't be promoted itself"
            ),
            Self::LagUnknown { cluster } => write!(
                f,
                "what `{cluster}` lacks is not known: the primary's position was never heard, or it \
                     has missed more than one promotion"
            ),
            Self::LagStale { cluster, stale_s } => write!(
                f,
                "what `{cluster}` lacks is not known: the primary was not stopped by its lease and may \
                 have written since it was heard last, and its last recorded position is from {stale_s} s \
                 before this run began to fence it; `hanse failover --allow-data-loss` goes on all the \
                 same"
            ),
            Self::LagTooLarge {
                cluster,
                lag_bytes,
                lag_bytes_max,
            } => write!(
                f,
                "`{cluster}` lacks {lag_bytes} bytes, and max_lag_on_failover allows {lag_bytes_max}"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
