//! What voters of an older version would not understand, and when it may be committed.

use std::collections::BTreeSet;

use super::{Refusal, RefusalKind};
use crate::command::Command;
use crate::finding::Path;
use crate::level::FeatureLevel;
use crate::name::NodeName;
use crate::state::FederationState;

/// Raises the level, if all that are enrolled as voters said that they support it.
pub(super) fn raise(
    state: &FederationState,
    level: FeatureLevel,
    voters: &BTreeSet<NodeName>,
) -> Result<Option<Command>, Refusal> {
    if level <= state.feature_level() {
        return Ok(None);
    }
    if !level.is_supported() {
        return Err(not_yet(format!(
            "This voter supports the feature level {} at most and not {level}.",
            FeatureLevel::SUPPORTED
        )));
    }
    let enrolled = state.inventory().nodes.iter();
    let mut silent = enrolled.filter(|(node, record)| record.voter && !voters.contains(*node));
    if let Some((node, _)) = silent.next() {
        return Err(not_yet(format!(
            "The voter `{node}` did not say that it supports the feature level {level}."
        )));
    }
    Ok(Some(Command::RaiseLevel { level }))
}

/// Whether all voters understand a command.
pub(super) fn check(state: &FederationState, command: &Command) -> Result<(), Refusal> {
    let (needed, now) = (command.level(), state.feature_level());
    if needed <= now || matches!(command, Command::RaiseLevel { .. }) {
        return Ok(());
    }
    Err(not_yet(format!(
        "This needs the feature level {needed}, and the federation is at {now}: upgrade the voters \
         that `hanse status` names as older, then try again."
    )))
}

fn not_yet(detail: String) -> Refusal {
    let kind = RefusalKind::Conflict;
    Refusal::one(kind, Path::root(), "Not every voter supports this", detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Request;
    use crate::testing::Builder;
    use crate::voters::vote::VoteRequest;

    fn of_the_first_level() -> Builder {
        let mut federation = Builder::new();
        federation.state = FederationState::new("test".parse().unwrap());
        federation
    }

    fn enroll(federation: &mut Builder, node: &str) {
        let enroll = Request::Enroll {
            node: node.parse().unwrap(),
            cluster: "berlin".parse().unwrap(),
            voter: true,
            advertise: None,
            identity_key: None,
            token: None,
            sealing_key: None,
            boxes: Vec::new(),
        };
        federation.ask(enroll).unwrap();
    }

    fn raise(federation: &mut Builder, voters: &[&str]) -> Result<FeatureLevel, String> {
        let asked = federation.ask(Request::RaiseLevel {
            level: FeatureLevel::SUPPORTED,
            voters: voters.iter().map(|node| node.parse().unwrap()).collect(),
        });
        let level = federation.state.feature_level();
        asked
            .map(|()| level)
            .map_err(|refusal| refusal.findings[0].detail.clone())
    }

    #[test]
    fn a_voter_that_came_in_meanwhile_is_asked_first() {
        let mut federation = of_the_first_level();
        enroll(&mut federation, "a");
        enroll(&mut federation, "b");
        if FeatureLevel::SUPPORTED.is_first() {
            return;
        }
        let refused = raise(&mut federation, &["a"]).unwrap_err();
        assert!(refused.contains("`b`"), "{refused}");
        let raised = raise(&mut federation, &["a", "b"]).unwrap();
        assert_eq!(raised, FeatureLevel::SUPPORTED);
        let revision = federation.state.revision();
        raise(&mut federation, &[]).unwrap();
        assert_eq!(federation.state.revision(), revision);
    }

    #[test]
    fn what_belongs_to_a_later_level_waits_for_it() {
        let mut federation = of_the_first_level();
        enroll(&mut federation, "a");
        enroll(&mut federation, "b");
        let dismiss = || {
            let node = "b".parse().unwrap();
            let by_force = false;
            Request::Vote(VoteRequest::Dismiss { node, by_force })
        };
        let refused = federation.ask(dismiss()).unwrap_err();
        assert_eq!(refused.kind, RefusalKind::Conflict);
        let detail = &refused.findings[0].detail;
        assert!(detail.contains("needs the feature level 2"), "{detail}");
        if raise(&mut federation, &["a", "b"]) == Ok(FeatureLevel::SECOND) {
            federation.ask(dismiss()).unwrap();
        }
    }

    #[test]
    fn a_level_that_this_program_does_not_know_is_refused() {
        let mut federation = of_the_first_level();
        let level = FeatureLevel::new(u8::MAX).unwrap();
        let voters = BTreeSet::new();
        let refused = federation.ask(Request::RaiseLevel { level, voters });
        assert_eq!(refused.unwrap_err().kind, RefusalKind::Conflict);
    }

    #[test]
    fn a_state_of_the_first_level_is_written_as_if_there_were_no_levels() {
        let mut federation = of_the_first_level();
        enroll(&mut federation, "a");
        let written = |federation: &Builder| serde_json::to_string(&federation.state).unwrap();
        assert!(!written(&federation).contains("feature_level"));
        raise(&mut federation, &["a"]).unwrap();
        let is_first = FeatureLevel::SUPPORTED.is_first();
        assert_ne!(written(&federation).contains("feature_level"), is_first);
    }
}
