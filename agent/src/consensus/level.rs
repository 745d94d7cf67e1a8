//! Learns which feature level each voter supports and, while this voter leads, raises the
//! federation's once all do, as `hanse-core` says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hanse_consensus::types::VoterId;
use hanse_core::command::Request;
use hanse_core::level::{FeatureLevel, PROGRAM_VERSION, next_level};
use hanse_core::name::NodeName;
use hanse_core::state::FederationState;

use crate::server::Voter;

/// How often it is looked whether the level may rise.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// What a voter said longer ago counts no more: another version may run there now.
const MEMORY: Duration = Duration::from_secs(15);

/// What the other voters said about themselves.
#[derive(Debug, Default)]
pub struct Levels(Mutex<BTreeMap<VoterId, Told>>);

/// What a voter said about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The highest level that it supports.
    pub level: FeatureLevel,
    /// Its version; empty: one that did not say.
    pub program: String,
    at: Instant,
}

impl Levels {
    /// Notes what a voter said.
    pub fn note(&self, id: VoterId, level: FeatureLevel, program: String) {
        let at = Instant::now();
        self.lock().insert(id, Told { level, program, at });
    }

    /// What a voter said last, however long ago.
    #[must_use]
    pub fn of(&self, id: VoterId) -> Option<Told> {
        self.lock().get(&id).cloned()
    }

    fn of_late(&self, id: VoterId) -> Option<FeatureLevel> {
        let told = self.of(id)?;
        (told.at.elapsed() <= MEMORY).then_some(told.level)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<VoterId, Told>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    /// What this voter says about itself.
    #[must_use]
    pub fn own() -> Self {
        Self {
            level: FeatureLevel::SUPPORTED,
            program: PROGRAM_VERSION.to_owned(),
            at: Instant::now(),
        }
    }
}

/// Looks again and again until the voter's `stop`.
pub async fn run(voter: Arc<Voter>) {
    loop {
        let pause = tokio::time::sleep(LOOK_INTERVAL);
        if voter.stop.run_until_cancelled(pause).await.is_none() {
            return;
        }
        let state = voter.replica.read();
        if voter.is_leader() && state.feature_level() < FeatureLevel::SUPPORTED {
            look(&voter, &state).await;
        }
    }
}

async fn look(voter: &Voter, state: &FederationState) {
    let voters = supported(voter, state);
    let Some(level) = next_level(state.feature_level(), &voters) else {
        return;
    };
    tracing::info!(%level, "every voter supports a higher feature level");
    let request = Request::RaiseLevel {
        level,
        voters: voters.into_keys().collect(),
    };
    let id = format!("level/{}/{level}", state.revision());
    if let Err(error) = voter.replica.propose(id, request).await {
        tracing::warn!(%error, %level, "unable to raise the feature level; it is tried again");
    }
}

/// What all support that vote, learn or are enrolled to do so.
fn supported(voter: &Voter, state: &FederationState) -> BTreeMap<NodeName, Option<FeatureLevel>> {
    let level_of = |id| {
        if id == voter.replica.voter() {
            return Some(FeatureLevel::SUPPORTED);
        }
        voter.levels.of_late(id)
    };
    let enrolled = state.inventory().nodes.iter();
    let enrolled = enrolled.filter(|(_, record)| record.voter);
    let enrolled = enrolled.map(|(node, record)| (node.clone(), record.voter_id()));
    let members = voter.replica.survey().members.into_iter();
    // A member without a name that could be one was never enrolled here: it can't be told apart.
    let members = members.filter_map(|(id, member)| Some((member.node.name.parse().ok()?, id)));
    let all = enrolled.chain(members);
    all.map(|(node, id)| (node, level_of(id))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_long_ago_is_shown_and_does_not_count() {
        let levels = Levels::default();
        levels.note(7, FeatureLevel::SECOND, "1.2.3".to_owned());
        assert_eq!(levels.of_late(7), Some(FeatureLevel::SECOND));
        if let Some(told) = levels.lock().get_mut(&7)
            && let Some(earlier) = told.at.checked_sub(2 * MEMORY)
        {
            told.at = earlier;
        }
        assert_eq!(levels.of_late(7), None);
        assert_eq!(
            levels.of(7).map(|told| told.program),
            Some("1.2.3".to_owned())
        );
        assert_eq!(levels.of(8), None);
    }
}
